"""Lay out what a market said of one price over time. Pure: no I/O, no clock.

- A market states one momentary offer for a model, not a list price. A price that is back within
  `FLAP_DAYS` was momentary and is left out; so is a step between others that stood for less than
  `STEP_DAYS`, from the last sight of the price before to the first of the price after. The list
  price of a maker that keeps its weights is no such offer: however short it stood, it was charged
  (`authors`).
- What a market only came to state later (a cache price), while input and output stayed the same,
  is taken to have held since the row began.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from genops_pricing.instants import midnight
from genops_pricing.units import UNITS

from .agreement import ROOTS, ROUNDING, Prices, close
from .observation import ConditionalPrice, Observation
from .steps import Step

__all__ = ["FLAP_DAYS", "STEP_DAYS", "drop_momentary", "history", "is_hourly"]

FLAP_DAYS: Final = 60
STEP_DAYS: Final = 28
_PARTIAL: Final = tuple(unit.key for unit in UNITS if unit.key not in (*ROOTS, "request"))


def history(
    observations: Iterable[Observation], created: date | None = None, *, listed: bool = False
) -> list[Step]:
    """Lay out what a market said of one price over time, without momentary offers.

    Args:
        observations: dated statements of the market itself.
        created: day on which the market first offered the model: its first price held since then.
        listed: whether the price is a maker's list price: however short it stood, it was charged.
    """
    steps: list[Step] = []
    for seen in sorted(observations, key=lambda seen: (seen.holds_from, seen.source.url)):
        if steps and _continues(steps[-1], seen):
            _merge(steps[-1], seen)
        elif seen.prices:
            steps.append(_step(seen, steps[-1].last if steps else None))
    drop_momentary(steps, listed=listed)
    _join_equal(steps)
    _spread_later_statements(steps)
    for step, following in pairwise(steps):
        step.last = max(step.last, following.not_before or step.last)
    if steps and created and created < steps[0].start.date():
        steps[0].start = midnight(created)
        steps[0].basis = "derived"
    return steps


def _step(seen: Observation, previous: date | None) -> Step:
    return Step(
        start=seen.holds_from,
        prices=dict(seen.prices),
        conditions=seen.conditions,
        source=seen.source,
        last=seen.seen_at,
        basis=seen.basis if seen.starts else "snapshot",
        not_before=seen.not_before or previous,
    )


def _continues(step: Step, seen: Observation) -> bool:
    """Whether an observation states no other price than a step: it may state less, or more."""
    if not seen.prices or not close(step.prices, seen.prices):
        return bool(seen.prices) and is_hourly(step.conditions, step.prices, seen.prices)
    if step.source.name == seen.source.name and step.prices.get("request") != seen.prices.get(
        "request"
    ):
        return False
    if step.conditions and seen.conditions and step.conditions != seen.conditions:
        return False
    return all(
        abs(step.prices[key] - seen.prices[key]) <= ROUNDING
        for key in _PARTIAL
        if key in step.prices and key in seen.prices
    )


def is_hourly(conditions: Iterable[ConditionalPrice], base: Prices, prices: Prices) -> bool:
    """Whether a price is what a step asks at certain hours: who looked then saw no new price."""
    return any(
        "utc" in condition.when and close({**base, **condition.prices}, prices)
        for condition in conditions
    )


def _merge(step: Step, seen: Observation) -> None:
    step.last = max(step.last, seen.seen_at)
    if not close(step.prices, seen.prices):
        return
    if seen.source.name != step.source.name and "archived" in step.source.name:
        # The archive rounds; the API itself is exact.
        step.prices.update({key: seen.prices[key] for key in ROOTS if key in seen.prices})
        step.source = seen.source
    step.prices = dict(seen.prices) | step.prices
    step.conditions = step.conditions or seen.conditions


def drop_momentary(steps: list[Step], *, listed: bool) -> None:
    """Drop the steps that were momentary offers; of a list price only those of other units."""
    while _drop_one(steps, listed=listed):
        pass


def _drop_one(steps: list[Step], *, listed: bool) -> bool:
    """Drop one momentary step; False if there is none."""
    for index, (before, offer, after) in enumerate(zip(steps, steps[1:], steps[2:], strict=False)):
        if before.roots == after.roots and after.start - offer.start <= timedelta(days=FLAP_DAYS):
            if offer.roots == before.roots and not _same_stated(before, after):
                continue
            if listed and offer.roots != before.roots:
                continue
            if _same_stated(before, after):
                before.last = after.last
                before.prices = dict(after.prices) | before.prices
                before.conditions = before.conditions or after.conditions
                del steps[index + 1 : index + 3]
            else:
                after.not_before = offer.not_before
                del steps[index + 1]
            return True
    if listed:
        return False
    for index in range(1, len(steps) - 1):
        # The longest that it can have stood: a monthly snapshot alone shows no short step.
        last_of_old = steps[index].not_before or steps[index - 1].last
        if steps[index + 1].start - midnight(last_of_old) < timedelta(days=STEP_DAYS):
            steps[index + 1].not_before = steps[index].not_before
            del steps[index]
            return True
    return False


def _same_stated(first: Step, second: Step) -> bool:
    return first.roots == second.roots and all(
        first.prices[key] == second.prices[key]
        for key in (*_PARTIAL, "request")
        if key in first.prices and key in second.prices
    )


def _join_equal(steps: list[Step]) -> None:
    index = 0
    while index < len(steps) - 1:
        step, following = steps[index], steps[index + 1]
        same_request = step.prices.get("request") == following.prices.get("request")
        if _same_stated(step, following) and same_request:
            step.prices = dict(following.prices) | step.prices
            step.conditions = step.conditions or following.conditions
            step.last = following.last
            del steps[index + 1]
        else:
            index += 1


def _spread_later_statements(steps: Sequence[Step]) -> None:
    for step, following in reversed(list(pairwise(steps))):
        if step.roots == following.roots:
            step.conditions = step.conditions or following.conditions
