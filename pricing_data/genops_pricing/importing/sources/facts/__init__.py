"""Read a folder of price facts in CSV: what was gathered of many sources before the importer was.

Its files: `price_history.csv` (dated steps of OpenRouter's models API, and of makers' own prices),
`openrouter_prices.csv` (one row a source, model and condition), `openrouter_consensus.csv` (last
day on OpenRouter and doubts), `openrouter_endpoints.csv`, `openrouter_aliases.csv`,
`model_families.csv` and `direct_prices.csv`.
Token prices are USD per 1,000,000 tokens; an empty cell states nothing.
"""

from collections.abc import Iterator
from pathlib import Path

from genops_pricing.importing.observation import Observation

from .direct import read_direct, read_pasts
from .routed import read_routed

__all__ = ["read_facts", "read_pasts"]


def read_facts(folder: Path) -> Iterator[Observation]:
    """All observations of a folder, those of one subject not necessarily together.

    Raises:
        OSError: a file can't be read.
        KeyError: a file lacks a column.
    """
    yield from read_routed(folder)
    yield from read_direct(folder)
