"""What a price source can't tell because it has no word for it. Pure: no I/O, no clock.

OpenRouter's archived lists keep input and output prices only. That such a row states no price of
cached tokens does not mean that they cost what input costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from .agreement import close, joint
from .observation import Observation
from .steps import Step

__all__ = ["CACHES", "learn_caches", "tell_caches"]

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
