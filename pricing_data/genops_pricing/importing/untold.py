"""What a price source can't tell because it has no word for it. Pure: no I/O, no clock.

OpenRouter's archived lists keep input and output prices only. That such a row states no price of
cached tokens does not mean that they cost what input costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from .agreement import close, is_rounded, joint
from .observation import ConditionalPrice, Observation
from .steps import Step

__all__ = ["CACHES", "learn_caches", "split_at", "split_learnt", "tell_caches"]

CACHES: Final = ("cache_read", "cache_write")
# The day of the first list that is known whole, with prices of cached tokens.
_WHOLE_LISTS: Final = datetime(2025, 11, 7, tzinfo=UTC)


def learn_caches(last: Step, catalogs: Iterable[Observation]) -> None:
    """Take from catalogs what the source of the last step can't tell, where they state its price.

    What is stated later of a price that stands is taken to have held since it began.
    """
    if _carries_caches(last):
        return
    same = [
        seen
        for seen in catalogs
        if seen.seen_at >= last.start.date() and close(seen.prices, last.prices)
    ]
    prices, _ = joint(same)
    for key in (*CACHES, "cache_write_1h"):
        if key in prices:
            last.prices.setdefault(key, prices[key])


def split_learnt(
    steps: list[Step], lists: Iterable[Observation], catalogs: Sequence[Observation]
) -> None:
    """Let a price of cached tokens begin with the first list that has it, where it was another.

    What is stated later is taken to have held since the step began (`history`), unless a catalog
    that was read before then states another one beside the same input and output.

    Args:
        steps: of the market's own lists; split in place.
        lists: those lists.
        catalogs: what others state of the model.
    """
    lists = [seen for seen in lists if seen.starts]
    for key in CACHES:
        told = min((seen.holds_from for seen in lists if key in seen.prices), default=None)
        index = next((i for i in reversed(range(len(steps))) if told and steps[i].start < told), -1)
        if told is None or index < 0 or key not in steps[index].prices:
            continue
        step = steps[index]
        others = [
            seen
            for seen in catalogs
            if step.start.date() <= seen.seen_at < told.date()
            and close(seen.prices, step.prices)
            and key in seen.prices
            and not is_rounded(seen.prices[key], step.prices[key])
        ]
        if others:
            agreed = {seen.prices[key] for seen in others}
            is_agreed = len(agreed) == 1 and len({seen.source.family for seen in others}) > 1
            last = max(seen.seen_at for seen in others)
            earlier = split_at(step, told, key, agreed.pop() if is_agreed else None, last)
            steps.insert(index, earlier)


def split_at(step: Step, start: datetime, key: str, old: Decimal | None, last: date) -> Step:
    """Let a step begin later, and return what stood before: the same but for one price.

    Args:
        step: what stands from `start` on; changed in place.
        start: since when the price holds.
        key: of its unit.
        old: the price before; None: not known. It is not known either where that of the step
            depends on conditions.
        last: day on which the older price was last seen.
    """
    conditional = any(condition.prices.get(key) for condition in step.conditions)
    known = {} if old is None or conditional else {key: old}
    earlier = replace(
        step,
        prices={unit: price for unit, price in step.prices.items() if unit != key} | known,
        conditions=tuple(_without(condition, key) for condition in step.conditions),
        last=last,
        also=list(step.also),
        unknown=step.unknown if known else (*step.unknown, key),
    )
    step.start, step.basis, step.not_before = start, "derived", last
    return earlier


def _without(condition: ConditionalPrice, key: str) -> ConditionalPrice:
    prices = {unit: price for unit, price in condition.prices.items() if unit != key}
    return replace(condition, prices=prices)


def tell_caches(steps: Sequence[Step]) -> None:
    """Give rows of sources without cache prices that of the rows around them, or say it is unknown.

    Where the row before and that after state one price, it held between them. Where they state
    two, or only one of them states any, that of the row is not known. Of rows from before the first
    whole list, a later row alone says nothing: hardly any model had a price of cached tokens then.
    """
    for index, step in enumerate(steps):
        if _carries_caches(step) or not any(step.prices.values()):
            continue
        for key in CACHES:
            if key in step.prices:
                continue
            before = _first_told(reversed(steps[:index]), key)
            after = _first_told(steps[index + 1 :], key)
            if before is not None and before == after:
                step.prices[key] = before
            elif before is not None or (after is not None and step.start >= _WHOLE_LISTS):
                step.unknown = (*step.unknown, key)


def _first_told(steps: Iterable[Step], key: str) -> Decimal | None:
    """The price of the first step whose source would tell it; None if that states none."""
    told = (step for step in steps if not step.status)
    return next(
        (step.prices.get(key) for step in told if key in step.prices or _carries_caches(step)), None
    )


def _carries_caches(step: Step) -> bool:
    return "archived" not in step.source.name
