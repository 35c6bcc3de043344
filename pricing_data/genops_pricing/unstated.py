"""What the rows of overlays leave out that the row below them has a price for.

A row stands for itself: it inherits nothing. A contract that states input and output alone makes
cached tokens cost what all input costs, ten times the list price of some makers. That may be meant,
so it is a note of `genops-pricing check` and no problem.
"""

from __future__ import annotations

from collections.abc import Iterator

from .catalog import Catalog
from .model import Model, Row
from .timeline import make_timeline
from .units import UNITS_BY_KEY
from .wording import describe_override, money

__all__ = ["unstated"]


def unstated(catalog: Catalog) -> Iterator[str]:
    """A note for each row of an overlay that leaves out what the catalog's row has."""
    for model in catalog.models():
        for row in model.rows:
            if row.layer and not row.status and (missing := list(_missing(model, row))):
                yield (
                    f"{row.entry} leaves out what the row below it states: {', '.join(missing)}. "
                    "It costs what all input or output costs; state its price too, or leave it so"
                )


def _missing(model: Model, row: Row) -> Iterator[str]:
    below, _, _ = make_timeline(one for one in model.rows if not one.layer).at(row.start_ns)
    if below is None or not below.prices:
        return
    for key, price in below.prices.items():
        if key not in row.prices and UNITS_BY_KEY[key].table == "usd_per_mtok":
            yield f"{key} {money(price)}"
    if not row.overrides:
        yield from map(describe_override, below.overrides)
