"""A model of a direct provider: the price on which independent catalogs agree, and since when.

Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from genops_pricing.instants import midnight

from .agreement import agree, close, joint, pair
from .authors import MAKERS, author_of
from .dating import Dated, date_first, last_change
from .decision import NewModel, Refused
from .families import family_of
from .observation import Observation, Source, Subject
from .pasts import Past, Pasts
from .steps import Step, raw_row, step_of
from .untold import CACHES, split_at

__all__ = ["direct_model"]

# Names of models that take or put out more than text, and the price without which they have none.
_OTHER_UNITS: Final[Mapping[str, str | None]] = {
    r"image|nano-banana": "output_image",
    r"audio|realtime|live|sonic|voice": "output_audio",
    r"flux|dall-e|tts|transcribe|whisper|speech|veo|sora|lyria|imagen|ocr|multimodalembed": None,
}
# Of the price of input: no cache read asks less.
_CHEAPEST_READ: Final = 500
# Models whose provider adds a fee a request that depends on what usage does not tell.
_UNTOLD_FEES: Final = {
    "perplexity": (
        re.compile(r"^(?!.*(?:-chat$|deep-research)).*(?:sonar|-online$)"),
        "Adds a fee a request that depends on the search context size, which usage does not tell.",
    ),
}


def direct_model(
    observations: Sequence[Observation], told: Pasts, siblings: Pasts
) -> NewModel | Refused:
    """A model of a direct provider: the price on which independent catalogs agree."""
    subject = observations[0].subject
    spelling = Counter(seen.subject.model for seen in observations).most_common(1)[0][0]
    subject = Subject(subject.market, spelling)
    priced: Sequence[Observation] = [
        seen for seen in observations if seen.prices and "input" in seen.prices
    ]
    fee = _untold_fee(subject)
    if not fee and not _agree_alike(priced, current := _without_outdated(priced)):
        priced = current
    group = agree(priced)
    families = {seen.source.family for seen in group}
    if len(families) < 2:
        stated = ", ".join(f"{pair(seen.prices)} of {seen.source.name}" for seen in priced)
        return Refused(subject, f"no two independent catalogs agree: {stated or 'no prices'}")
    newest = max(priced, key=lambda seen: seen.seen_at)
    rivals = agree([seen for seen in priced if seen not in group])
    if len({seen.source.family for seen in rivals}) >= len(families) and newest not in group:
        return Refused(subject, f"{pair(group[0].prices)} or {pair(rivals[0].prices)}: a draw")
    prices, conditions = joint([_without_mixups(seen) for seen in group])
    prices.pop("request", None)
    doubt = next((seen.reason for seen in observations if seen.status == "suspect"), None)
    if doubt and not any("utc" in condition.when for condition in conditions):
        return Refused(subject, doubt)
    for pattern, needed in _OTHER_UNITS.items():
        if re.search(pattern, spelling.lower()) and needed not in prices:
            return Refused(subject, "billed in other units than the tokens that catalogs price")
    other = _other_price_until(priced, group)
    step = step_of(group, prices, other)
    step.conditions = tuple(conditions)
    author = author_of(subject.market, spelling)
    disputed = any(not close(seen.prices, step.prices) for seen in priced)
    before = _date_step(step, subject, author, told, siblings, other_until=other, disputed=disputed)
    if fee:
        step.prices, step.conditions, before = {}, (), []
        step.status, step.reason = "suspect", fee
    raw: dict[str, Any] = {"id": spelling, "family": family_of(spelling)}
    for key in ("name", "context_length"):
        stated_facts = [value for seen in group if (value := getattr(seen, key)) is not None]
        if stated_facts:
            raw[key] = stated_facts[0]
    raw["prices"] = [raw_row(step) for step in (*before, step)]
    return NewModel(subject.market, author, raw)


def _agree_alike(first: Sequence[Observation], second: Sequence[Observation]) -> bool:
    """Whether most sources of both agree on the same price, or none do."""
    return all(
        close(one.prices, two.prices)
        for one, two in zip(agree(first)[:1], agree(second)[:1], strict=True)
    )


def _without_outdated(priced: Sequence[Observation]) -> Sequence[Observation]:
    """What is not out of date, if a price changed on a day that a source tells.

    Once another source states the new price, who was last read before that day does not count
    against it.
    """
    for change in sorted(priced, key=lambda seen: seen.holds_from, reverse=True):
        if change.starts is None:
            continue
        day = change.starts.date()
        same = [seen for seen in priced if close(seen.prices, change.prices)]
        if len({seen.source.family for seen in same if seen.seen_at >= day}) > 1:
            return [seen for seen in priced if seen in same or seen.seen_at >= day]
    return priced


def _without_mixups(seen: Observation) -> Observation:
    """A statement without cache prices that stand in a wrong column.

    No provider asks less for tokens that it writes to a cache than for those that it does not; the
    cheapest reads known cost a 120th of the input.
    """
    cost = seen.prices.get("input", Decimal(0))
    bounds = {
        "cache_read": cost / _CHEAPEST_READ,
        "cache_write": cost,
        "cache_write_1h": cost,
    }
    wrong = [key for key, least in bounds.items() if seen.prices.get(key, least) < least]
    if not wrong:
        return seen
    dropped = {"cache_write", "cache_write_1h"} if "cache_read" not in wrong else set(CACHES)
    return replace(
        seen,
        prices={key: price for key, price in seen.prices.items() if key not in dropped},
        conditions=tuple(
            replace(
                condition,
                prices={k: price for k, price in condition.prices.items() if k not in dropped},
            )
            for condition in seen.conditions
        ),
    )


def _untold_fee(subject: Subject) -> str | None:
    pattern, reason = _UNTOLD_FEES.get(subject.market, (None, ""))
    return reason if pattern and pattern.search(subject.model.lower()) else None


def _date_step(
    step: Step,
    subject: Subject,
    author: str,
    told: Pasts,
    siblings: Pasts,
    *,
    other_until: date | None = None,
    disputed: bool = True,
) -> list[Step]:
    """Date the first price of a maker's own model by histories.

    Returns:
        The steps before it, as far as sources tell them.
    """
    if MAKERS.get(subject.market) != author:
        return []
    dated = date_first(
        subject.model,
        step.prices,
        max(midnight(step.last), step.start),
        told=told.find(subject.market, subject.model),
        siblings=siblings.find(author, subject.model),
        other_until=other_until,
        disputed=disputed,
    )
    if dated is None:
        return []
    if dated.start < step.start or (dated.changed and step.basis == "derived"):
        step.start, step.basis = dated.start, "derived"
        last_of_old = dated.not_before or step.not_before
        step.not_before = last_of_old if last_of_old and last_of_old <= dated.start.date() else None
    elif dated.start != step.start:
        return []
    return [
        *_before(dated, step),
        *_split_caches(
            step,
            told.find(subject.market, subject.model),
            siblings.find(author, subject.model),
        ),
    ]


def _split_caches(step: Step, told: Sequence[Past], siblings: Sequence[Past]) -> list[Step]:
    """What stood while cached tokens had another price beside the same input and output."""
    seen = max(midnight(step.last), step.start)
    for key in (key for key in CACHES if key in step.prices):
        change = last_change(key, step.prices, step.start, seen, told=told, siblings=siblings)
        if change:
            start, old = change
            return [split_at(step, start, key, old, start.date() - timedelta(days=1))]
    return []


def _before(dated: Dated, step: Step) -> list[Step]:
    return [
        Step(
            start=stood.start or dated.start,
            prices={key: price for key, price in stood.prices.items() if key in step.prices},
            conditions=(),
            source=Source(stood.source, "openrouter", stood.url),
            last=stood.seen_at or dated.start.date(),
            basis="derived",
            not_before=stood.not_before,
            also=[confirmed],
        )
        for stood, confirmed in dated.before
    ]


def _other_price_until(
    observations: Sequence[Observation], group: Sequence[Observation]
) -> date | None:
    """The last day on which most sources, as far as they had spoken, stated another price."""
    spoken = sorted(observations, key=lambda seen: seen.holds_from)
    days = [
        spoken[index].holds_from.date()
        for index in range(len(spoken))
        if not close(agree(spoken[: index + 1])[0].prices, group[0].prices)
    ]
    return max(days, default=None)
