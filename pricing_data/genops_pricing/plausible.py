"""Prices that look like a mix-up of units: per token for per million, cents for dollars.

A row that is right all the same says so: with a `reason` it is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from .model import Row
from .units import UNITS, UNITS_BY_KEY

__all__ = ["mixups"]


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What a price may be, unless it is 0, and what it looks like outside."""

    least: Decimal
    most: Decimal
    too_small: str
    too_large: str


# The dearest token known cost 600 USD a million (o1-pro), the cheapest 0.005.
_TOKEN: Final = _Bounds(
    Decimal("0.0001"), Decimal(1000), "a price per token", "cents, or per 1,000"
)
_BOUNDS: Final[Mapping[str, _Bounds]] = {
    **{unit.key: _TOKEN for unit in UNITS if unit.table == "usd_per_mtok"},
    "image": _Bounds(Decimal("0.0001"), Decimal(5), "a price per image token", "cents"),
    "web_search": _Bounds(Decimal("0.0001"), Decimal(1), "a price per token", "one per 1,000"),
    "request": _Bounds(Decimal("0.000001"), Decimal(2), "a price per token", "one per 1,000"),
}
# No price changes by exactly these; a unit does.
_SCALES: Final = {Decimal(100): "cents", Decimal(1000): "per 1,000", Decimal(10**6): "per token"}


def mixups(row: Row, before: Row | None = None) -> Iterator[str]:
    """What looks wrong about the prices of a row, as "what. fix".

    Args:
        row: the row.
        before: the one before it, of the same model or endpoint.
    """
    for prices in (row.prices, *(override.prices for override in row.overrides)):
        known = {**row.prices, **prices}
        for key, price in prices.items():
            parent = UNITS_BY_KEY[key].parent
            if parent is not None and parent not in known:
                yield f"{key} has a price and {parent} has none. State that of {parent} too"
            bounds = _BOUNDS[key]
            if price and not row.reason and not bounds.least <= price <= bounds.most:
                looks = bounds.too_small if price < bounds.least else bounds.too_large
                yield f"{key}: {price:f} looks like {looks}. Correct it, or give a `reason`"
    if before is None or row.reason:
        return
    for key, price in row.prices.items():
        old = before.prices.get(key)
        if price and old:
            scale = max(price / old, old / price)
            if scale in _SCALES:
                what = f"{key} goes from {old:f} to {price:f}, as if one were {_SCALES[scale]}"
                yield f"{what}. Correct it, or give a `reason`"
