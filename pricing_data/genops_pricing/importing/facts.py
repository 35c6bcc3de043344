"""Import a folder of price facts: models that the catalog lacks, with their history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genops_pricing.importing.decision import Addition, Refused
from genops_pricing.importing.gather import Known, gather
from genops_pricing.importing.sources.facts import read_facts
from genops_pricing.importing.writer import write
from genops_pricing.load import load_directory

__all__ = ["Report", "run"]


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
        (model.market, name) for model in catalog.models() for name in (model.id, *model.aliases)
    )
    decisions = gather(read_facts(folder), known)
    additions = tuple(item for item in decisions if not isinstance(item, Refused))
    refused = tuple(item for item in decisions if isinstance(item, Refused))
    written = tuple(write(data, additions)) if save else ()
    return Report(additions, refused, written)
