"""What catalogs saw of a model of OpenRouter after the last snapshot of its API.

A price that two independent catalogs state is a row, from the day of the first statement; prices
follow each other there as in a history of the API (`history`). A price far from the one in force is
stated as suspect: catalogs copy the market's API, so that together they are still one source.
Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from genops_pricing.instants import midnight

from .agreement import STEEP, also, close, is_rounded, joint, pair, times
from .history import drop_momentary, is_hourly
from .observation import ConditionalPrice, Observation
from .steps import Step, unpriced
from .untold import CACHES

__all__ = ["COPIES", "since"]

# Catalogs that copy OpenRouter's API by machine, day by day. Lists kept by hand, and old ones, lag.
COPIES: Final = frozenset({"pi-ai 1.5.2", "metergraph 0.7.4"})

_ENOUGH: Final = 2  # families that state a price


def since(
    last: Step, catalogs: Sequence[Observation], *, doubted: bool = False, listed: bool = False
) -> list[Step]:
    """The steps after the last that the API shows: prices, then at most one doubt.

    Args:
        last: the last step; who states the same later is noted there, if it still holds.
        catalogs: what catalogs state of the model, with prices.
        doubted: whether the newest price is known to be far from that of its peers.
        listed: whether the price is a maker's list price, not a momentary offer.
    """
    later = [seen for seen in catalogs if seen.seen_at > last.last]
    if not later:
        return []
    steps = _agreed(last, later, listed=listed)
    if not steps:
        same = [seen for seen in later if close(seen.prices, last.prices)]
        last.also = also(last.source.name, same)
    base = steps[-1] if steps else last
    if recached := _with_new_caches(base, later):
        steps.append(recached)
        base = recached
    newest = max(later, key=_latest)
    same = [seen for seen in later if _shows(base, seen)]
    steep = times(newest.prices, base.prices) > STEEP
    if newest in same or not (doubted or steep):
        return steps
    distance = f"more than {STEEP} times apart" if steep else "far from what others state"
    reason = (
        f"{newest.source.name} states {pair(newest.prices)} USD per million tokens after "
        f"{pair(base.prices)}: {distance}."
    )
    doubt = unpriced("suspect", reason, newest, None)
    doubt.not_before = max([base.last, *(seen.seen_at for seen in same)])
    return [*steps, doubt] if doubt.start > base.start else steps


def _agreed(last: Step, later: Sequence[Observation], *, listed: bool) -> list[Step]:
    """The prices after the last that enough catalogs state, without momentary ones."""
    newest = max(later, key=_latest)
    stated = [
        seen
        for seen in sorted(later, key=lambda seen: (seen.holds_from.date(), seen.seen_at))
        if _is_word(seen, last) and _is_shared(seen, later, last)
    ]
    heard = [
        seen
        for run in _runs(stated)
        if _families(run) >= _ENOUGH or (newest in run and _shows(last, newest))
        for seen in run
    ]
    steps = [replace(last)]
    for run in _runs(heard):
        until = max(max(seen.seen_at, seen.holds_from.date()) for seen in run)
        if _shows(steps[-1], run[0]):
            steps[-1].last = until
        elif _shows(last, run[0]):
            steps.append(_step(run, until, last.prices, last.conditions, steps[-1].last))
        else:
            prices, conditions = joint(run)
            steps.append(_step(run, until, prices, tuple(conditions), steps[-1].last))
    drop_momentary(steps, listed=listed)
    for step in steps[1:]:
        step.last = _last_there(step, later)
    return steps[1:]


def _is_word(seen: Observation, last: Step) -> bool:
    """Whether it tells the price of its day: a list that lags repeats the price before."""
    is_dated = seen.source.name in COPIES or seen.starts is not None
    return is_dated or not _shows(last, seen)


def _is_shared(seen: Observation, later: Sequence[Observation], last: Step) -> bool:
    """Whether enough state its price at some time, and it is not far from the market's own."""
    if _shows(last, seen):
        return True
    same = [other for other in later if close(other.prices, seen.prices)]
    return _families(same) >= _ENOUGH and times(seen.prices, last.prices) <= STEEP


def _with_new_caches(base: Step, later: Sequence[Observation]) -> Step | None:
    """The last price with new prices of cached tokens: of two families, the newest among them."""
    same = [seen for seen in later if close(seen.prices, base.prices)]
    changes: dict[str, list[Observation]] = {}
    for key in (key for key in CACHES if key in base.prices):
        stated = sorted((seen for seen in same if key in seen.prices), key=_latest)
        new = [seen for seen in stated if seen.prices[key] == stated[-1].prices[key]]
        if _families(new) >= _ENOUGH and not is_rounded(new[0].prices[key], base.prices[key]):
            changes[key] = new
    if not changes:
        return None
    # A source that tells the day counts before one that was read in some month.
    run = max(changes.values(), key=len)
    run.sort(key=lambda seen: (seen.starts is None, seen.holds_from))
    start = run[0].holds_from.date()
    if start <= base.start.date():
        return None
    told = {key: stated[0].prices[key] for key, stated in changes.items()}
    until = max(seen.seen_at for seen in run)
    return _step(run, until, {**base.prices, **told}, base.conditions, base.last)


def _shows(step: Step, seen: Observation) -> bool:
    """Whether a catalog states the price of a step, be it that of some hours."""
    return close(seen.prices, step.prices) or is_hourly(step.conditions, step.prices, seen.prices)


def _runs(stated: Iterable[Observation]) -> list[list[Observation]]:
    """Statements of one price without another between them."""
    runs: list[list[Observation]] = []
    for seen in stated:
        if runs and close(runs[-1][0].prices, seen.prices):
            runs[-1].append(seen)
        else:
            runs.append([seen])
    return runs


def _last_there(step: Step, later: Iterable[Observation]) -> date:
    """The last day on which the source of a step stated its price, while it stood."""
    return max(
        max(seen.seen_at, seen.holds_from.date())
        for seen in later
        if seen.source == step.source and _shows(step, seen) and seen.holds_from.date() <= step.last
    )


def _families(stated: Iterable[Observation]) -> int:
    return len({seen.source.family for seen in stated})


def _latest(seen: Observation) -> tuple[date, date]:
    return seen.seen_at, seen.holds_from.date()


def _step(
    run: Sequence[Observation],
    until: date,
    prices: Mapping[str, Decimal],
    conditions: tuple[ConditionalPrice, ...],
    other_until: date,
) -> Step:
    """A step that begins with the first of a run."""
    first = run[0]
    day = first.holds_from.date()
    stated = {key for seen in run for key in seen.prices}
    return Step(
        start=midnight(day),
        prices=dict(prices),
        conditions=conditions,
        source=first.source,
        last=until,
        basis="derived" if first.starts else "snapshot",
        not_before=other_until if other_until < day else None,
        also=also(first.source.name, run),
        unknown=tuple(key for key in CACHES if key in stated and key not in prices),
    )
