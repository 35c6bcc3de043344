"""The changelog of prices: what one version of the catalog has over an older one, as Markdown.

Models that are new are named as long as they are few; every change of a known model is a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .catalog import Catalog
from .compare import compare

__all__ = ["changelog_lines"]

_NAMED: Final = 40

_TITLES: Final = {
    "row_corrected": "Corrected",
    "row_added": "New prices of known models",
    "model_removed": "Left their market",
    "model_relisted": "Back on their market",
    "model_merged": "Only other names of models",
    "model_lost": "Gone from the catalog, which must not be",
    "row_lost": "Rows gone from the catalog, which must not be",
    "row_changed": "Rows edited, which must not be",
}


def changelog_lines(old: Catalog, new: Catalog) -> Iterator[str]:
    """The section of a version, heading first."""
    changes = compare(old, new)
    rows = sum(1 for model in new.models() for _ in model.every_row())
    version = new.version.partition("+")[0]
    yield f"## {version}"
    yield ""
    yield f"{sum(1 for _ in new.models())} models, {rows} price rows."
    yield from _added([change for change in changes if change["change"] == "model_added"])
    for kind, title in _TITLES.items():
        found = [change for change in changes if change["change"] == kind]
        if found:
            yield from ("", f"### {title}", "")
            yield from (f"- {_line(change)}" for change in found)


def _added(changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not changes:
        return
    yield from ("", f"### New models: {len(changes)}", "")
    if len(changes) <= _NAMED:
        yield from (f"- {_line(change)}" for change in changes)
        return
    for market, count in Counter(change["market"] for change in changes).most_common():
        yield f"- {market}: {count}"


def _line(change: Mapping[str, Any]) -> str:
    what = change["entry"] or f"{change['market']}/{change['model']}"
    detail = " → ".join(filter(None, (change["old"], change["new"])))
    return f"`{what}`{f': {detail}' if detail else ''}"
