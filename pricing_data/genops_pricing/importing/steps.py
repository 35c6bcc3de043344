"""A price that stood for a time, and its row in a price file. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from genops_pricing.instants import format_instant, midnight
from genops_pricing.units import UNITS

from .agreement import ROOTS, Prices, also
from .observation import Basis, ConditionalPrice, Observation, Source

__all__ = ["Step", "provenance", "raw_prices", "raw_row", "short", "step_of", "unpriced"]


@dataclass(slots=True)
class Step:
    """A price that stood for a time."""

    start: datetime
    prices: dict[str, Decimal]
    conditions: tuple[ConditionalPrice, ...]
    source: Source
    last: date  # on which it was last seen
    basis: Basis = "snapshot"
    not_before: date | None = None
    status: str | None = None
    reason: str | None = None
    also: list[str] = field(default_factory=list)  # names of sources that state the same
    unknown: tuple[str, ...] = ()  # keys of units whose own price its source can't tell

    @property
    def roots(self) -> tuple[Decimal | None, ...]:
        """Its input and output price."""
        return tuple(self.prices.get(key) for key in ROOTS)


def step_of(
    group: Sequence[Observation], prices: Mapping[str, Decimal], after: date | None = None
) -> Step:
    """A step that begins when the first of a group stated it, or says that it began.

    Args:
        group: observations that state the price.
        prices: what they state jointly.
        after: last day on which another price was seen.
    """
    later = [seen for seen in group if after is None or seen.holds_from.date() > after]
    first = (
        min(later, key=lambda seen: seen.holds_from)
        if later
        else max(group, key=lambda seen: seen.holds_from)
    )
    start = midnight(first.holds_from.date())
    return Step(
        start=start,
        prices=dict(prices),
        conditions=(),
        source=first.source,
        last=max(first.seen_at, start.date()),
        basis="derived" if first.starts else "snapshot",
        not_before=after if after and after < start.date() else None,
        also=also(first.source.name, group),
    )


def unpriced(status: str, reason: str, seen: Observation, created: date | None) -> Step:
    """A step that has no price, and why; since the model was created, where that is known."""
    start = seen.holds_from
    if created is not None:
        start = min(start, midnight(created))
    return Step(
        start=start,
        prices={},
        conditions=(),
        source=seen.source,
        last=max(seen.seen_at, start.date()),
        basis="derived" if created else "snapshot",
        status=status,
        reason=reason,
    )


def raw_row(step: Step) -> dict[str, Any]:
    """A step as a row of a price file."""
    raw: dict[str, Any] = {"effective_from": short(format_instant(step.start))}
    if step.status is not None:
        raw |= {"status": step.status, "reason": step.reason}
    else:
        raw |= raw_prices(step.prices, step.conditions)
        if step.unknown:
            raw["unknown"] = list(step.unknown)
    raw["provenance"] = provenance(step.source, step.last, step.basis, step.not_before)
    if step.also:
        raw["provenance"]["also"] = step.also
    return raw


def provenance(
    source: Source, seen_at: date, basis: Basis, not_before: date | None
) -> dict[str, Any]:
    """Who says so, as in a price file."""
    raw = {
        "source": source.name,
        **({"url": source.url} if source.url else {}),
        "seen_at": seen_at.isoformat(),
        "basis": basis,
    }
    return raw if not_before is None else raw | {"not_before": not_before.isoformat()}


def raw_prices(prices: Prices, conditions: Sequence[ConditionalPrice]) -> dict[str, Any]:
    """Prices and conditional prices as in a price file: in its order of units, as exact text."""
    raw = _tables(prices)
    overrides = []
    for condition in conditions:
        override: dict[str, Any] = {"when": dict(condition.when), **_tables(condition.prices)}
        if condition.multiply is not None:
            override["multiply"] = format(condition.multiply.normalize(), "f")
        overrides.append(override)
    return raw | ({"overrides": overrides} if overrides else {})


def _tables(prices: Prices) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for unit in UNITS:
        if unit.key in prices:
            text = format(prices[unit.key].normalize(), "f")
            tables.setdefault(unit.table, {})[unit.key] = text
    return tables


def short(instant: str) -> str:
    """An instant as price files write it: a day where it is midnight."""
    return instant.removesuffix("T00:00:00Z")
