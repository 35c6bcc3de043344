"""Date the first price of a maker's own model by what dated histories show. Pure: no I/O, no clock.

A catalog tells the price of today, not since when. Two kinds of history do: dated statements of the
maker's price, and OpenRouter's prices of the same model, since it passes on what the maker charges.
A price holds from the instant since which a history states the same input and output price without
interruption, up to the day on which the maker's price was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise

from genops_pricing.instants import midnight

from .agreement import close, is_rounded
from .days import day_in
from .pasts import Past, Stood

__all__ = ["Dated", "date_first", "last_change"]


@dataclass(frozen=True, slots=True)
class Dated:
    """Since when a price holds.

    Attributes:
        start: its start.
        not_before: last day on which OpenRouter showed another price.
        changed: a dated statement of the maker's price shows another one before it.
        before: prices that held before it, oldest first, and who confirms each.
    """

    start: datetime
    not_before: date | None
    changed: bool
    before: tuple[tuple[Stood, str], ...] = ()


def date_first(
    model: str,
    prices: Mapping[str, Decimal],
    seen: datetime,
    *,
    told: Iterable[Past] = (),
    siblings: Iterable[Past] = (),
    other_until: date | None = None,
    disputed: bool = True,
) -> Dated | None:
    """Since when the price of a maker's model holds; None where no history tells.

    A price that nobody ever stated otherwise holds since the day in the model's id: what a maker
    dates it does not change, but sells the next one.

    Args:
        model: its id; no price holds before the day in it.
        prices: its price.
        seen: when it was seen.
        told: dated statements of the maker's price, one history a source.
        siblings: OpenRouter's prices of the same model, the closest of its ids first.
        other_until: last day on which most catalogs stated another price: what a catalog says of
            the time before counts for nothing then. A list read on the day of a change may lag.
        disputed: whether any catalog states another price.
    """
    told, siblings = list(told), list(siblings)
    stated, changed = _stated_since(told, prices, seen, other_until)
    run = _routed_run(siblings, prices, seen)
    if run is None and stated is not None:
        run = _routed_run(siblings, prices, stated)
    start, not_before = stated, None
    if run is not None:
        past, first = run
        routed = past[first].start
        # OpenRouter's step bounds a change from both sides; its first one says nothing before it.
        not_before = past[first].not_before if first else None
        last_of_old = not_before or (routed.date() if routed else date.max)
        if (
            start is None
            or routed is None
            or routed < start
            or (first and start.date() < last_of_old)
        ):
            start = routed
    floor = day_in(model)
    if start is None:
        undisputed = not disputed and not _is_disputed([*told, *siblings], prices)
        return Dated(midnight(floor), None, changed=False) if floor and undisputed else None
    if floor is not None and start.date() < floor:
        return Dated(midnight(floor), None, changed=False)
    before = _confirmed_before(*run, told, floor) if run else ()
    if not_before is not None and not_before > start.date():
        not_before = None
    return Dated(start, not_before, changed, before)


def last_change(
    key: str,
    prices: Mapping[str, Decimal],
    start: datetime,
    seen: datetime,
    *,
    told: Iterable[Past],
    siblings: Iterable[Past] = (),
) -> tuple[datetime, Decimal | None] | None:
    """When the price of one more unit became what it is, while input and output stayed.

    Most catalogs state the price of today, and since when its input and output hold: that cached
    tokens had another price in between only a history tells that shows both.

    Args:
        key: of the unit.
        prices: the price that holds from `start` to `seen`.
        start: since when input and output hold.
        seen: when the price was seen.
        told: dated statements of the maker's price.
        siblings: OpenRouter's prices of the same model: one may show the new price earlier.

    Returns:
        The first sight of the price, and the one before (None: they differ about it). None where
        no statement of the maker's price shows a change.
    """
    told = list(told)
    olds = {
        before.prices[key]
        for past in told
        for before, after in pairwise(past)
        if key in before.prices
        and _same(before, prices)
        and not is_rounded(before.prices[key], prices[key])
        and _shows(after, key, prices)
        and after.start is not None
        and start < after.start <= seen
    }
    if not olds:
        return None
    day = min(
        after.start
        for past in (*told, *siblings)
        for before, after in pairwise(past)
        if _shows(after, key, prices)
        and not _shows(before, key, prices)
        and after.start is not None
        and start < after.start <= seen
    )
    return day, olds.pop() if len(olds) == 1 else None


def _shows(step: Stood, key: str, prices: Mapping[str, Decimal]) -> bool:
    return _same(step, prices) and step.prices.get(key) == prices[key]


def _run(past: Past, prices: Mapping[str, Decimal], seen: datetime) -> int | None:
    """The first of the steps that state these prices without interruption up to an instant."""
    index = max((i for i, step in enumerate(past) if _began(step, seen)), default=None)
    if index is None or not _same(past[index], prices):
        return None
    while index and _same(past[index - 1], prices):
        index -= 1
    return index


def _began(step: Stood, seen: datetime) -> bool:
    return step.start is None or step.start <= seen


def _is_disputed(pasts: Iterable[Past], prices: Mapping[str, Decimal]) -> bool:
    return any(not _same(step, prices) for past in pasts for step in past if step.prices)


def _same(step: Stood, prices: Mapping[str, Decimal]) -> bool:
    return bool(step.prices) and close(step.prices, prices)


def _stated_since(
    told: Sequence[Past], prices: Mapping[str, Decimal], seen: datetime, other_until: date | None
) -> tuple[datetime | None, bool]:
    """The earliest start that a catalog dates, but after each change that one of them shows."""
    starts: list[datetime] = []
    changes: list[datetime] = []
    for past in told:
        first = _run(past, prices, seen)
        if first is None:
            continue
        # What stood before the history began was at least seen when it became dated.
        dated = next((step.start for step in past[first:] if step.start is not None), None)
        if dated is None or dated > seen:
            continue
        if other_until is not None and dated.date() < other_until:
            continue
        starts.append(dated)
        if first:
            changes.append(dated)
    if changes:
        starts = [start for start in starts if start >= min(changes)]
    return min(starts, default=None), bool(changes)


def _routed_run(
    siblings: Sequence[Past], prices: Mapping[str, Decimal], seen: datetime
) -> tuple[Past, int] | None:
    """The first sibling that states the price at an instant, and where its run of it begins.

    Where that is the sibling's first step, the next one may have had the same price before it.
    """
    found = None
    for past in siblings:
        first = _run(past, prices, seen)
        start = past[first].start if first is not None else None
        if first is None or start is None or (found is not None and start >= seen):
            continue
        found, seen = (past, first), start
        if first:
            break
    return found


def _confirmed_before(
    past: Past, first: int, told: Sequence[Past], floor: date | None
) -> tuple[tuple[Stood, str], ...]:
    """The steps before a run, as far back as dated statements of the maker's price have them."""
    before: list[tuple[Stood, str]] = []
    for step in reversed(past[:first]):
        names = [
            stated.source
            for history in told
            for index, stated in enumerate(history)
            if index + 1 < len(history) and _same(stated, step.prices)
        ]
        if not names or step.start is None or (floor is not None and step.start.date() < floor):
            break
        before.insert(0, (step, names[0]))
    return tuple(before)
