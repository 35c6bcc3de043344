"""Why genai-prices states another price than the catalog: a closed list, derived if it can be."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from genops_pricing import Catalog
from genops_pricing.model import Model, Row
from pricing.oracles.genai_rows import Comparison, is_one_price

REASONS: Final = {
    "catalog_lags": "genai-prices still states what held before a dated change",
    "endpoint_price": "genai-prices states the price of one upstream provider",
    "newer_claim": "genai-prices dates its price after the day on which ours was last seen",
    "older_price": "genai-prices states what another source dates before ours",
    "momentary_offer": "OpenRouter stated that price for a while; policy 2 leaves it out",
    "outvoted": "more independent sources state ours",
    "other_unit": "genai-prices prices something that is not billed so",
    "unexplained": "not found out; what was tried stands beside it",
}
# These follow from the catalog; the others are set by hand in the table, and stay as long as the
# two prices do.
DERIVED: Final = frozenset({"catalog_lags", "endpoint_price", "newer_claim"})


class Reason(NamedTuple):
    """One of REASONS, and what shows it: the id of a row, or a source and a day."""

    name: str
    evidence: str


def derive(catalog: Catalog, told: Sequence[Comparison]) -> Reason | None:
    """Why prices of one model differ, if the catalog itself tells.

    Args:
        catalog: ours.
        told: all prices of the model that both state, those that agree too.
    """
    first = told[0]
    model = catalog.model(first.model, market=first.market)
    assert isinstance(model, Model)
    undated = not first.since or first.since <= first.starts[:10]
    before = [row for row in model.rows if row.effective_from < first.starts]
    if undated and (row := _stating(before, told)):
        return Reason("catalog_lags", row.entry)
    served = [row for endpoint, row in model.every_row() if endpoint]
    if row := _stating(served, told):
        return Reason("endpoint_price", row.entry)
    if first.since > first.seen_at:
        return Reason("newer_claim", f"genai-prices: since {first.since}")
    return None


def _stating(rows: Sequence[Row], told: Sequence[Comparison]) -> Row | None:
    """The newest of rows that states what genai-prices does, as far as it states a unit at all."""
    for row in sorted(rows, key=lambda row: row.start_ns, reverse=True):
        shared = [one for one in told if one.unit in row.prices]
        if any(not one.agrees for one in shared) and all(
            is_one_price(row.prices[one.unit], Decimal(one.theirs)) for one in shared
        ):
            return row
    return None
