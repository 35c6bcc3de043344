"""Import a folder of price facts: models that the catalog lacks, with their history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genops_pricing.importing.decision import Addition, NewModel, Refused
from genops_pricing.importing.gather import Known, add_sibling, gather
from genops_pricing.importing.pasts import Pasts, past_of_rows
from genops_pricing.importing.sources.facts import read_facts, read_pasts
from genops_pricing.importing.writer import write
from genops_pricing.load import load_directory

__all__ = ["Report", "lines", "records", "run"]


@dataclass(frozen=True, slots=True)
class Report:
    """What an import adds, what it refuses, and the files that it wrote."""

    additions: tuple[Addition, ...]
    refused: tuple[Refused, ...]
    written: tuple[Path, ...]


def run(folder: Path, data: Path, *, save: bool) -> Report:
    """Import the facts in `folder` into the data directory; only look unless `save`.

    Raises:
        CatalogError: the data directory is wrong.
        OSError: a file can't be read or written.
    """
    catalog = load_directory(data)
    known = Known(
        (model.market, name)
        for model in catalog.models(merged=True)
        for name in (model.id, *model.aliases)
    )
    siblings = Pasts()
    for model in catalog.models():
        if model.market == "openrouter" and model.author:
            add_sibling(
                siblings, model.author, (model.id, *model.aliases), past_of_rows(model.rows)
            )
    decisions = gather(read_facts(folder), known, read_pasts(folder), siblings)
    additions = tuple(item for item in decisions if not isinstance(item, Refused))
    refused = tuple(item for item in decisions if isinstance(item, Refused))
    written = tuple(write(data, additions)) if save else ()
    return Report(additions, refused, written)


def records(report: Report) -> Iterator[dict[str, Any]]:
    """One record a new model or refusal, keys always present."""
    for item in report.additions:
        if isinstance(item, NewModel):
            rows = item.raw.get("prices", ())
            why = next((row["reason"] for row in reversed(rows) if "status" in row), None)
            yield _record("model", item.market, item.raw["id"], len(rows), why)
    for refused in report.refused:
        yield _record("refused", refused.subject.market, refused.subject.model, 0, refused.reason)


def lines(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The records for people, and how many there are."""
    for one in found:
        reason = f": {one['reason']}" if one["reason"] else ""
        yield f"{one['finding']:8}{one['market']}/{one['model']}  {one['rows']} rows{reason}"
    models = sum(one["finding"] == "model" for one in found)
    rows = sum(one["rows"] for one in found)
    yield f"{models} new models, {rows} rows, {len(found) - models} refused"


def _record(finding: str, market: str, model: str, rows: int, reason: str | None) -> dict[str, Any]:
    return {
        "finding": finding,
        "market": market,
        "model": model,
        "rows": rows,
        "reason": reason,
    }
