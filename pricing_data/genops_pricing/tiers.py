"""Sort models into tiers by what a token of their output costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

__all__ = ["Tiers"]


class Tiers:
    """The tiers of a catalog, cheapest first, as its tiers file states them."""

    def __init__(self, raws: Sequence[Mapping[str, Any]]) -> None:
        # The file speaks of 1,000 tokens, as people do; prices are per 1,000,000.
        self._bounds = [
            (Decimal(raw["below"]) * 1000 if "below" in raw else None, raw["name"]) for raw in raws
        ]

    def tier_of(self, prices: Mapping[str, Decimal]) -> str | None:
        """The tier of a base price (USD per 1,000,000 tokens by unit key); None without output."""
        output = prices.get("output")
        if output is None:
            return None
        return next((name for bound, name in self._bounds if bound is None or output < bound), None)
