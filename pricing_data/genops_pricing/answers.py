"""What a catalog answers: a price in force, a cost, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from .rates import Charge, Rates, UnknownPrice
from .units import Usage

__all__ = [
    "ALWAYS_NS",
    "NO_CONDITIONS",
    "Conditions",
    "Miss",
    "MissReason",
    "Offer",
    "Quote",
]

# An interval of instants, in Unix nanoseconds, that contains every instant of `datetime` and OTLP.
ALWAYS_NS: Final = (-(2**70), 2**70)

MissReason = Literal[
    "unknown_model",
    "ambiguous_model",
    "no_model",
    "not_yet_priced",
    "suspect_price",
    "dynamic_price",
    "bad_usage",
]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known of a call that a price may depend on, apart from its time and size.

    Values are those of the provider (`service_tier="flex"`, `processing="batch"`, `region="eu"`),
    compared without regard to case. None: not known; no price that depends on it applies.
    """

    service_tier: str | None = None
    processing: str | None = None
    region: str | None = None
    route: str | None = None


NO_CONDITIONS: Final = Conditions()


@dataclass(frozen=True, slots=True)
class Miss:
    """No price, and why. The answer holds for instants in [valid_from_ns, valid_until_ns)."""

    reason: MissReason
    detail: str
    model: str | None = None  # catalog id, where known
    family: str | None = None
    market: str | None = None  # where known
    removed: str | None = None  # day on which a known model left the market
    valid_from_ns: int = ALWAYS_NS[0]
    valid_until_ns: int = ALWAYS_NS[1]
    asked: str = ""
    names: Sequence[str] = field(default=(), repr=False)  # among which `closest` looks

    @property
    def closest(self) -> tuple[str, ...]:
        """The catalog ids most like the one asked for, best first. Slow: searched on each read."""
        import difflib  # slow to import, seldom needed

        asked = self.asked.lower()
        bare = "/" not in asked  # a bare name is compared with bare names
        ids: dict[str, list[str]] = {}
        for name in self.names:
            ids.setdefault(name.rpartition("/")[2] if bare else name, []).append(name)
        matches = difflib.get_close_matches(asked, ids, n=3, cutoff=0.6)
        return tuple(name for match in matches for name in ids[match])[:3]


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A price in force, found for a model; it holds in [valid_from_ns, valid_until_ns).

    Compared and hashed by identity, so that an offer can key a cache.
    """

    market: str
    model: str  # catalog id
    endpoint: str | None  # slug of the upstream provider whose own price this is
    entry: str  # id of the price row, market/model[/endpoint]@instant; "~overlay" if discounted
    effective_from: str  # "2024-05-13T00:00:00Z"
    status: Literal["priced", "free"]
    family: str | None
    tier: str | None
    removed: str | None  # day on which the model left the market, "2025-08-12"
    valid_from_ns: int  # Unix nanoseconds
    valid_until_ns: int
    rates: Rates
    mixed_output: bool = False  # what a call put out is priced only if its kinds are counted
    always_searches: bool = False  # and a call only if its searches are

    def charge(self, usage: Usage) -> Charge | Miss:
        """The exact cost of `usage`; a Miss if the counts can't be right or a price is unknown.

        Returns:
            The charge; Miss `bad_usage`, or `suspect_price` where `usage` has tokens of a kind
            whose price no source tells.
        """
        charge = self.rates.charge(usage)
        if isinstance(charge, str):
            reason: MissReason = (
                "suspect_price" if isinstance(charge, UnknownPrice) else "bad_usage"
            )
            return Miss(reason, charge, self.model, self.family, self.market, self.removed)
        return charge


@dataclass(frozen=True, slots=True)
class Quote:
    """The cost of one call for people: what the CLI prints. Money is Decimal USD."""

    asked: str
    at: datetime
    version: str  # of the catalog
    status: Literal["priced", "free", "unpriced"]
    market: str | None = None
    model: str | None = None
    endpoint: str | None = None
    reason: MissReason | None = None
    detail: str | None = None
    closest: tuple[str, ...] = ()
    total: Decimal | None = None
    parts: Mapping[str, Decimal] = field(default_factory=dict)
    entry: str | None = None
    effective_from: str | None = None
    removed: str | None = None
    tier: str | None = None
    family: str | None = None
    currency: str = "USD"
