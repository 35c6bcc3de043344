"""Discounts off list prices that an operator has agreed on, stated by overlays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from .answers import ALWAYS_NS
from .instants import instant_of, parse_instant
from .model import Model
from .rates import EXACT
from .upstream import upstream_key

__all__ = ["Discount", "Discounted", "build_discount", "discount_at"]


@dataclass(frozen=True, slots=True)
class Discount:
    """What is left of every price of a market, or of one model, provider or author in it."""

    overlay: str
    market: str
    model: str | None
    provider: str | None  # key of the upstream provider that served the call
    author: str | None
    factor: Decimal  # what is left of a price: 0.80 for 20 percent off
    start_ns: int
    end_ns: int

    def covers(self, model: Model, endpoint: str | None) -> bool:
        """Whether it is for calls of a model that an upstream provider served."""
        return (
            self.market == model.market
            and self.model in (None, model.id)
            and self.author in (None, model.author)
            and self.provider in (None, endpoint)
        )


class Discounted(NamedTuple):
    """What is left of a price at an instant, and the interval [from, until) in which it is."""

    factor: Decimal
    overlays: tuple[str, ...]
    from_ns: int
    until_ns: int


def build_discount(overlay: str, raw: Mapping[str, Any]) -> Discount:
    """A discount as a file states it."""
    ends = "effective_to" in raw
    return Discount(
        overlay=overlay,
        market=raw["market"],
        model=raw.get("model"),
        provider=upstream_key(raw["provider"]) if "provider" in raw else None,
        author=raw.get("author"),
        factor=Decimal(raw["rate"])
        if "rate" in raw
        else EXACT.divide(100 - Decimal(raw["percent"]), Decimal(100)),
        start_ns=instant_of(parse_instant(raw["effective_from"])),
        end_ns=instant_of(parse_instant(raw["effective_to"])) if ends else ALWAYS_NS[1],
    )


def discount_at(
    discounts: Sequence[Discount], model: Model, endpoint: str | None, at_ns: int
) -> Discounted:
    """All discounts on a call together; several multiply."""
    factor = Decimal(1)
    overlays: list[str] = []
    start, end = ALWAYS_NS
    for discount in discounts:
        if not discount.covers(model, endpoint):
            continue
        edges = (discount.start_ns, discount.end_ns)
        if discount.start_ns <= at_ns < discount.end_ns:
            factor = EXACT.multiply(factor, discount.factor)
            overlays.append(discount.overlay)
        start = max([start, *(edge for edge in edges if edge <= at_ns)])
        end = min([end, *(edge for edge in edges if edge > at_ns)])
    return Discounted(factor, tuple(dict.fromkeys(overlays)), start, end)
