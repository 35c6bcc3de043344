"""A model of OpenRouter out of what its API showed over time, and what catalogs saw since.

Decides which source prices what; `history` and `since` decide how prices follow each other.
Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from .agreement import STEEP, agree, joint, pair, times
from .authors import is_list_priced
from .families import family_of
from .history import history
from .observation import Observation
from .since import COPIES, since
from .steps import Step, raw_row, step_of, unpriced
from .untold import learn_caches, split_learnt, tell_caches

__all__ = ["endpoints_of", "facts_of", "steps_of"]

# What a model puts out decides whether prices of prompt and completion tokens can price it.
_OTHER_OUTPUT: Final = re.compile(r"->(image|video|speech|transcription|rerank|audio)$")
_MIXED_OUTPUT: Final = {"->text+image": "output_image", "->text+audio": "output_audio"}


def facts_of(own: Sequence[Observation]) -> dict[str, Any]:
    """The newest statement of each fact; the market's own before those of catalogs."""
    raw: dict[str, Any] = {"id": own[0].subject.model}
    ordered = sorted(own, key=lambda seen: (seen.source.family == "openrouter", seen.seen_at))
    for key in ("name", "created", "removed", "context_length", "modality"):
        stated = [value for seen in ordered if (value := getattr(seen, key)) is not None]
        if stated:
            value = stated[-1]
            raw[key] = value.isoformat() if isinstance(value, date) else value
    raw["family"] = family_of(own[0].subject.model)
    return raw


def steps_of(own: Sequence[Observation], created: date | None) -> list[Step]:
    """The prices of a model of OpenRouter over time."""
    free = own[0].subject.model.endswith(":free")
    modality = next((seen.modality for seen in reversed(own) if seen.modality), None)
    if dynamic := [seen for seen in own if seen.status == "dynamic"]:
        return [unpriced("dynamic", dynamic[0].reason or "", dynamic[0], created)]
    api = [seen for seen in own if seen.source.family == "openrouter" and seen.prices]
    catalogs = [seen for seen in own if seen.source.family != "openrouter" and seen.prices]
    listed = is_list_priced("openrouter", own[0].subject.model)
    steps = history([seen for seen in api if seen.starts], created, listed=listed)
    for seen in (seen for seen in api if not seen.starts):
        _complete(steps, seen)
    split_learnt(steps, api, catalogs)
    if doubt := _unit_doubt(modality, steps, free=free):
        first = min(own, key=lambda seen: seen.holds_from)
        return [unpriced("suspect", doubt, first, created)]
    removed = any(seen.removed for seen in own)
    if steps and removed:
        tell_caches(steps)
        return steps
    if not steps:
        return [_first_of_catalogs(own, catalogs, free=free)]
    doubted = any(seen.status == "suspect" for seen in own)
    learn_caches(steps[-1], catalogs)
    steps += since(steps[-1], catalogs, doubted=doubted, listed=listed)
    tell_caches(steps)
    return steps


def _complete(steps: Sequence[Step], seen: Observation) -> None:
    """Add what the API's last snapshot stated besides input and output to each step it fits.

    In 2025 it called the fee of a search `request`, later `web_search`: a step that states the
    first has it, and it is not charged under both names.
    """
    for step in steps:
        if all(step.prices.get(key) == seen.prices.get(key) for key in ("input", "output")):
            stated = dict(seen.prices)
            stated.pop("request", None)
            if step.prices.get("request") == stated.get("web_search"):
                stated.pop("web_search", None)
            step.prices = stated | step.prices
            if step is steps[-1]:
                step.last = max(step.last, seen.seen_at)
                step.conditions = step.conditions or seen.conditions


def _unit_doubt(modality: str | None, steps: Sequence[Step], *, free: bool) -> str | None:
    """Why prices of prompt and completion tokens can't tell what a call costs."""
    if free or modality is None:
        return None
    if _OTHER_OUTPUT.search(modality):
        kind = modality.partition("->")[2]
        return f"Puts out {kind}: billed in units that the models API does not name."
    unit = next((unit for end, unit in _MIXED_OUTPUT.items() if modality.endswith(end)), None)
    if unit and not any(unit in step.prices for step in steps):
        kind = unit.removeprefix("output_")
        return f"Puts out text and {kind}, and no source states the price of {kind} tokens."
    return None


def _first_of_catalogs(
    own: Sequence[Observation], catalogs: Sequence[Observation], *, free: bool
) -> Step:
    """The price of a model that no snapshot of the API shows."""
    # What a source stated before its last price is no word on the price of today.
    current = {
        seen.source.name: seen for seen in sorted(catalogs, key=lambda seen: seen.holds_from)
    }
    catalogs = [seen for seen in catalogs if seen is current[seen.source.name]]
    group = agree(catalogs)
    families = {seen.source.family for seen in group}
    newest = max(catalogs or own, key=lambda seen: seen.seen_at)
    if free:
        zero = {"input": Decimal(0), "output": Decimal(0)}
        start = min(own, key=lambda seen: seen.seen_at)
        return step_of([start], zero)
    if any(seen.status == "suspect" for seen in own):
        others = ", ".join(
            f"{pair(one.prices)} of {one.source.name}" for one in catalogs if one is not newest
        )
        reason = (
            f"The newest price stated, {pair(newest.prices)} USD per million tokens of "
            f"{newest.source.name}, is far from that of others: {others}."
        )
        return unpriced("suspect", reason, newest, None)
    trusted = len(families) > 1 or any(seen.source.name in COPIES for seen in group)
    # The price on which most agree; what the newest says undoes it only if it is far off, or if the
    # id is a name that moves to other models.
    moves = own[0].subject.model.startswith("~")
    undone = (
        bool(group)
        and newest not in group
        and (moves or times(newest.prices, group[0].prices) > STEEP)
    )
    if not group or not trusted or undone:
        return unpriced("suspect", _untrusted(catalogs), newest, None)
    prices, conditions = joint(group)
    step = step_of(group, prices)
    step.conditions = tuple(conditions)
    return step


def _untrusted(catalogs: Sequence[Observation]) -> str:
    """Why what catalogs state of a model that no snapshot shows is no price."""
    names = ", ".join(f"{pair(seen.prices)} of {seen.source.name}" for seen in catalogs)
    if not catalogs:
        what = "no catalog states a price"
    elif len({seen.source.family for seen in catalogs}) == 1:
        what = f"only one family of catalogs states a price: {names}"
    else:
        what = f"catalogs do not agree: {names}"
    return f"No snapshot of the API shows it, and {what}."


def endpoints_of(observations: Iterable[Observation], steps: Sequence[Step]) -> dict[str, Any]:
    """The endpoints of a model, with a price where it is not the model's own on that day.

    One that asks what the model asks is worth telling where it tells its quantization.
    """
    endpoints: dict[str, Any] = {}
    for seen in observations:
        slug = seen.subject.endpoint
        if slug is None or not seen.prices or seen.starts is None:
            continue
        in_force = [step for step in steps if step.start <= seen.starts]
        own = in_force[-1] if in_force else None
        if own and own.conditions and own.prices.get("input") != seen.prices.get("input"):
            continue  # the endpoint's size tiers are not known
        prices = dict(seen.prices)
        quantization = {"quantization": seen.quantization} if seen.quantization else {}
        if own and not own.status:
            tokens = ("input", "output", "cache_read", "cache_write")
            if all(own.prices.get(key) == prices.get(key) for key in tokens):
                if quantization:
                    endpoints[slug] = quantization
                continue
            if own.prices.get("cache_write") == prices.get("cache_write") and (
                "cache_write_1h" in own.prices
            ):
                prices.setdefault("cache_write_1h", own.prices["cache_write_1h"])
        step = step_of([seen], prices)
        step.basis = "snapshot"
        step.conditions = own.conditions if own else ()
        endpoints[slug] = {**quantization, "prices": [raw_row(step)]}
    return dict(sorted(endpoints.items()))
