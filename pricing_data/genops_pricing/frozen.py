"""Keep published price rows as they are: their digests, and what is wrong with a row that differs.

A cost on a span names the row that it came from, so that a row never changes once it was published.
`published.txt` beside the price files holds one line a row: digest and id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["FILE", "changes", "missing", "publish"]

FILE: Final = "published.txt"

_HEAD: Final = (
    "# Digest and id of each published price row, written by `genops-pricing publish`.\n"
    "# A row listed here is never edited or removed: add one with `corrects: ID` and a `reason`.\n"
)

Row = Mapping[str, Any]


def changes(directory: Path, rows: Iterable[tuple[str, Row, str]]) -> Iterator[str]:
    """What is wrong with published rows, as "file:line: what. fix".

    Args:
        directory: the data directory; without `published.txt` nothing is published.
        rows: id, content and "file:line" of each row that is there now.
    """
    path = directory / FILE
    published = _read(path)
    for entry, row, where in rows:
        _, digest = published.pop(entry, (0, None))
        if digest is not None and digest != _digest(row):
            yield (
                f"{where}: the published row {entry} was edited. Restore it, and add a row with "
                f"`revision`, `corrects: {entry}` and a `reason`"
            )
    for entry, (line, _) in published.items():
        if "@" not in entry:
            yield f"{path}:{line}: no digest and id of a row. Restore the line"
            continue
        yield (
            f"{path}:{line}: the published row {entry} is gone. Restore it; a model that left its "
            "market gets `removed`"
        )


def missing(directory: Path) -> str | None:
    """What to say of a data directory that has published nothing; None if it has."""
    path = directory / FILE
    if path.is_file():
        return None
    fix = f"Restore it; a new directory gets it by: genops-pricing publish --data {directory}"
    return f"{path}: the file is missing, so that no edit of a row is noticed. {fix}"


def publish(directory: Path, rows: Iterable[tuple[str, Row]]) -> int:
    """Add the rows that are new to `published.txt`.

    Returns:
        How many were added.

    Raises:
        OSError: the file can't be written.
    """
    path = directory / FILE
    digests = {entry: digest for entry, (_, digest) in _read(path).items()}
    before = len(digests)
    for entry, row in rows:
        digests.setdefault(entry, _digest(row))
    if len(digests) > before:
        lines = (f"{digest} {entry}\n" for entry, digest in sorted(digests.items()))
        path.write_text(_HEAD + "".join(lines), encoding="utf-8")
    return len(digests) - before


def _read(path: Path) -> dict[str, tuple[int, str]]:
    """Line and digest of each published row, by id."""
    if not path.is_file():
        return {}
    published = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        digest, _, entry = line.partition(" ")
        if digest not in ("", "#"):
            published[entry] = (number, digest)
    return published


def _digest(row: Row) -> str:
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
