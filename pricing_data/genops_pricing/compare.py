"""Compare two catalogs: what a release adds, and whether it changed what it must not.

A catalog is append-only: a row that differs under the same id, or is gone, is a breach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from .catalog import Catalog
from .model import Model, Row
from .wording import describe_row

__all__ = ["BREACHES", "compare", "compare_lines"]

BREACHES: Final = frozenset({"model_lost", "row_lost", "row_changed"})

_MARKS: Final = {
    "model_added": "+ model",
    "row_added": "+ row",
    "row_corrected": "~ corrected",
    "model_removed": "- removed",
    "model_relisted": "+ relisted",
    "model_merged": "~ merged",
    "model_lost": "! model lost",
    "row_lost": "! row lost",
    "row_changed": "! row changed",
}

Change = dict[str, Any]


def compare(old: Catalog, new: Catalog) -> list[Change]:
    """The changes from one catalog to the other: one record each, by model."""
    before = {(model.market, model.id): model for model in old.models(merged=True)}
    after = {(model.market, model.id): model for model in new.models(merged=True)}
    changes: list[Change] = []
    for key in sorted(before.keys() | after.keys()):
        changes += _compare(before.get(key), after.get(key))
    return changes


def compare_lines(changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The changes for people, and how many there are of each kind."""
    counts = dict.fromkeys(_MARKS, 0)
    for change in changes:
        counts[change["change"]] += 1
        what = change["entry"] or f"{change['market']}/{change['model']}"
        detail = " -> ".join(filter(None, (change["old"], change["new"])))
        yield f"{_MARKS[change['change']]}  {what}{f': {detail}' if detail else ''}"
    told = [f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items() if count]
    yield ", ".join(told) or "no change"


def _compare(old: Model | None, new: Model | None) -> Iterator[Change]:
    if new is None:
        if old is not None:
            yield _change("model_lost", old)
        return
    if old is None:
        rows = list(_rows(new).values())
        count = f"{len(rows)} price row{'s' if len(rows) != 1 else ''}"
        yield _change("model_added", new, new=f"{count}, {describe_row(rows[-1])}")
        return
    if new.merged_into is not None and old.merged_into is None:
        yield _change("model_merged", new, new=new.merged_into)
    if old.removed != new.removed:
        kind = "model_removed" if new.removed else "model_relisted"
        yield _change(kind, new, old=old.removed, new=new.removed)
    before, after = _rows(old), _rows(new)
    for entry in [*before, *(entry for entry in after if entry not in before)]:
        first, second = before.get(entry), after.get(entry)
        if second is None and first is not None:
            yield _change("row_lost", new, entry, describe_row(first))
        elif first is None and second is not None:
            corrected = before.get(second.corrects or "")
            told = describe_row(corrected) if corrected else None
            kind = "row_corrected" if second.corrects else "row_added"
            yield _change(kind, new, entry, told, describe_row(second))
        elif first is not None and second is not None and _meaning(first) != _meaning(second):
            yield _change("row_changed", new, entry, describe_row(first), describe_row(second))


def _meaning(row: Row) -> Row:
    """A row without when it was last seen: seeing a price again is no change."""
    return replace(row, provenance=None)


def _rows(model: Model) -> dict[str, Row]:
    return {row.entry: row for _, row in model.every_row()}


def _change(
    kind: str,
    model: Model,
    entry: str | None = None,
    old: str | None = None,
    new: str | None = None,
) -> Change:
    return {
        "change": kind,
        "market": model.market,
        "model": model.id,
        "entry": entry,
        "old": old,
        "new": new,
    }
