"""What a source says of one price: the common form that every source is read into.

Keys and units are those of price files (`schema`, `units`): USD per 1,000,000 tokens or per unit,
as exact decimals. An absent unit is one that the source does not state, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from genops_pricing.instants import midnight
from genops_pricing.units import UNITS_BY_KEY

__all__ = ["Basis", "ConditionalPrice", "Observation", "Source", "Subject"]

Basis = Literal["documented", "snapshot", "derived"]


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What a price is for: a model of a market, or one upstream provider's endpoint of it."""

    market: str
    model: str
    endpoint: str | None = None

    @property
    def owner(self) -> str:
        """What the ids of its rows start with: market/model[/endpoint]."""
        return "/".join(filter(None, (self.market, self.model, self.endpoint)))


@dataclass(frozen=True, slots=True)
class Source:
    """Who states a price.

    Attributes:
        name: as provenance gives it, with its version: "genai-prices 0.2.3".
        family: sources of one family copy from each other, and count once: "openrouter".
        url: where the price is stated; "" for a source without a page of its own.
    """

    name: str
    family: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class ConditionalPrice:
    """Prices that replace those before them while conditions hold; an override of a price row.

    Attributes:
        when: conditions by the keys of `when` in price files: `prompt_over` (int), `utc` (str),
            `days` (tuple of weekdays), `service_tier`, `processing`, `region`, `route` (str) …
        prices: by unit key; empty with `multiply`.
        multiply: factor on every token price so far.
    """

    when: Mapping[str, int | str | tuple[str, ...]]
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    multiply: Decimal | None = None

    def __post_init__(self) -> None:
        if not self.when or not (self.prices or self.multiply):
            raise ValueError("a conditional price needs a condition and a price. Give both")
        _check_units(self.prices)


@dataclass(frozen=True, slots=True)
class Observation:
    """A price as one source stated it on one day, and what it said of the model.

    Attributes:
        subject: what the price is for.
        source: who states it.
        seen_at: day on which the source stated it (UTC).
        prices: by unit key; empty where the source states that there is no fixed price.
        conditions: conditional prices, in the order in which they apply: later ones win.
        status: dynamic: each call is routed and priced anew (OpenRouter states -1); suspect: the
            source itself doubts the price.
        reason: of a status.
        starts: instant from which the price holds (UTC), where the source says or shows it.
        basis: how `starts` is known; without `starts` a price is seen on a day (`snapshot`).
        not_before: last day on which the source stated another price.
        gone: the source no longer lists the model on `seen_at`; there are no prices.
        quantization: of the weights that an endpoint serves.
        author, name, family, context_length (tokens), modality, created, removed, canonical_slug,
            aliases: facts of the model, where the source states them.
    """

    subject: Subject
    source: Source
    seen_at: date
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    conditions: tuple[ConditionalPrice, ...] = ()
    status: Literal["dynamic", "suspect"] | None = None
    reason: str | None = None
    starts: datetime | None = None
    basis: Basis = "snapshot"
    not_before: date | None = None
    gone: bool = False
    quantization: str | None = None
    author: str | None = None
    name: str | None = None
    family: str | None = None
    context_length: int | None = None
    modality: str | None = None
    created: date | None = None
    removed: date | None = None
    canonical_slug: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def holds_from(self) -> datetime:
        """Since when the price holds, as far as this tells: its start, or the day it was seen."""
        return self.starts or midnight(self.seen_at)

    def __post_init__(self) -> None:
        _check_units(self.prices)
        if self.starts is not None and self.starts.tzinfo is None:
            raise ValueError(f"{self.starts} has no time zone. Give an aware datetime: tzinfo=UTC")
        if self.status is not None and (self.prices or not self.reason):
            raise ValueError(f"a {self.status} price has a reason and no prices")


def _check_units(prices: Mapping[str, Decimal]) -> None:
    for key, price in prices.items():
        if key not in UNITS_BY_KEY:
            raise ValueError(f'no unit "{key}". Known: {", ".join(UNITS_BY_KEY)}')
        if not price.is_finite() or price < 0:
            raise ValueError(f"{key} costs {price}. Prices are finite and not negative")
