"""Count what a catalog holds: by market, author, status, provenance and upstream provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .answers import Miss
from .catalog import Catalog

__all__ = ["count", "count_lines"]

_LISTED: Final = 12  # of authors and the like, for people


def count(catalog: Catalog, at_ns: int, market: str | None = None) -> dict[str, Any]:
    """The counts as one record, each kind from the most frequent.

    Args:
        catalog: whose models and rows.
        at_ns: the instant whose status of models is counted, in Unix nanoseconds.
        market: only its models.
    """
    kinds: dict[str, Counter[str]] = {
        name: Counter()
        for name in ("markets", "authors", "status", "listed", "families", "endpoints")
    }
    rows: dict[str, Counter[str]] = {name: Counter() for name in ("basis", "backing", "sources")}
    for model in catalog.models(market):
        kinds["markets"][model.market] += 1
        kinds["authors"][model.author or "unknown"] += 1
        kinds["families"][model.family or "none"] += 1
        kinds["listed"]["removed" if model.removed else "listed"] += 1
        found = catalog.find(model.id, market=model.market, at_ns=at_ns)
        kinds["status"][found.reason if isinstance(found, Miss) else found.status] += 1
        kinds["endpoints"].update(model.endpoints.keys())
        for _, row in model.every_row():
            rows["basis"][row.provenance.basis if row.provenance else "none"] += 1
            backed = row.provenance is not None and bool(row.provenance.also)
            rows["backing"]["two sources or more" if backed else "one source"] += 1
            rows["sources"][row.provenance.source if row.provenance else "none"] += 1
    return {
        "models": kinds["markets"].total(),
        "rows": rows["basis"].total(),
        **{name: dict(counter.most_common()) for name, counter in (kinds | rows).items()},
        "version": catalog.version,
    }


def count_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """The counts for people."""
    yield f"{record['version']}: {record['models']} models, {record['rows']} price rows"
    for name, counts in record.items():
        if isinstance(counts, dict):
            yield ""
            yield f"{name} ({len(counts)})"
            shown = list(counts.items())[:_LISTED]
            for key, number in shown:
                yield f"  {number:>6}  {key}"
            if rest := list(counts.values())[_LISTED:]:
                yield f"  {sum(rest):>6}  {len(rest)} others"
