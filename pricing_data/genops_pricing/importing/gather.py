"""Make whole models out of what many sources say of them, for a catalog that lacks them.

Decides facts (author, family, aliases, removal) and which source prices what; `policy` decides how
prices follow each other. Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from genops_pricing.importing.authors import MAKERS, author_of, is_list_priced
from genops_pricing.importing.dating import Past, Pasts, date_first, past_of_raw, settled
from genops_pricing.importing.decision import NewEndpoint, NewModel, Refused
from genops_pricing.importing.families import family_of
from genops_pricing.importing.observation import Observation, Source, Subject
from genops_pricing.importing.policy import (
    STEEP,
    Step,
    agree,
    also,
    close,
    day_of,
    history,
    joint,
    midnight,
    pair,
    raw_row,
    times,
    unpriced,
)
from genops_pricing.importing.since import COPIES, since

__all__ = ["Known", "add_sibling", "date_step", "gather"]

Gathered = NewModel | NewEndpoint | Refused

# What a model puts out decides whether prices of prompt and completion tokens can price it.
_OTHER_OUTPUT: Final = re.compile(r"->(image|video|speech|transcription|rerank|audio)$")
_MIXED_OUTPUT: Final = {"->text+image": "output_image", "->text+audio": "output_audio"}

# Names of models that take or put out more than text, and the price without which they have none.
_OTHER_UNITS: Final[Mapping[str, str | None]] = {
    r"image|nano-banana": "output_image",
    r"audio|realtime|live|sonic|voice": "output_audio",
    r"flux|dall-e|tts|transcribe|whisper|speech|veo|sora|lyria|imagen|ocr|multimodalembed": None,
}

# Models whose provider adds a fee a request that depends on what usage does not tell.
_UNTOLD_FEES: Final = {
    "perplexity": (
        re.compile(r"^(?!.*(?:-chat$|deep-research)).*(?:sonar|-online$)"),
        "Adds a fee a request that depends on the search context size, which usage does not tell.",
    ),
}

_SNAPSHOT: Final = re.compile(r"[-@](20\d{6}|20\d\d-\d\d-\d\d)(-v\d+(:\d+)?)?$")


class Known:
    """What the catalog holds already.

    Args:
        spellings: (market, id or alias) of each model.
    """

    def __init__(self, spellings: Iterable[tuple[str, str]]) -> None:
        self._spellings = {(market, name.lower()) for market, name in spellings}

    def __contains__(self, name: tuple[str, str]) -> bool:
        return (name[0], name[1].lower()) in self._spellings

    def take(self, market: str, name: str) -> bool:
        """Claim a spelling; False if it is taken."""
        if (market, name) in self:
            return False
        self._spellings.add((market, name.lower()))
        return True


def gather(
    observations: Iterable[Observation],
    known: Known,
    told: Pasts | None = None,
    siblings: Pasts | None = None,
) -> list[Gathered]:
    """New models, in the order of their ids; refusals for those that can't be priced or dated.

    Args:
        observations: what sources say, in any order.
        known: what the catalog has; claimed spellings are added.
        told: dated statements of makers' own prices, by market.
        siblings: the histories that the catalog has of models of OpenRouter, by author; those of
            new models are added.
    """
    told, siblings = told or Pasts(), siblings or Pasts()
    models: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for seen in observations:
        models[seen.subject.market, seen.subject.model.lower()].append(seen)
    gathered: list[Gathered] = []
    ids = {key for key in models if key[0] == "openrouter"}
    fresh = sorted(key for key in ids if key not in known)
    spelt = _other_spellings(fresh, models)
    for key in fresh:
        known.take(*key)
    gathered += [_routed(models[key], known, ids, spelt) for key in fresh if key not in spelt]
    for item in gathered:
        if isinstance(item, NewModel):
            names = (item.raw["id"], *item.raw.get("aliases", ()))
            add_sibling(siblings, item.author, names, past_of_raw(item.raw["prices"]))
    for key in sorted(models.keys() - ids):
        if key not in known:
            direct = _direct(models[key], told, siblings)
            if isinstance(direct, NewModel):
                known.take(*key)
            gathered.append(direct)
    return sorted(gathered, key=_order)


def _other_spellings(
    ids: Sequence[tuple[str, str]], models: Mapping[tuple[str, str], Sequence[Observation]]
) -> dict[tuple[str, str], str]:
    """Ids that only catalogs know, and that differ from one of the API by punctuation or date."""
    shown = {
        key
        for key in ids
        if any(seen.starts and seen.source.family == "openrouter" for seen in models[key])
    }
    plain: dict[str, list[str]] = defaultdict(list)
    for _, model in shown:
        plain[f"{model.partition('/')[0]}/{plain_name(model)}"].append(model)
    spelt = {}
    for key in ids:
        if key not in shown:
            meant = plain[f"{key[1].partition('/')[0]}/{plain_name(key[1])}"]
            if len(meant) == 1:
                spelt[key] = meant[0]
    return spelt


def _order(item: Gathered) -> tuple[str, str]:
    if isinstance(item, NewModel):
        return item.market, item.raw["id"]
    return item.subject.market, item.subject.model


def _routed(
    observations: Sequence[Observation],
    known: Known,
    ids: set[tuple[str, str]],
    spelt: Mapping[tuple[str, str], str],
) -> NewModel:
    """A model of OpenRouter: its history of the API, then what catalogs saw since."""
    own = [seen for seen in observations if seen.subject.endpoint is None]
    model = own[0].subject.model
    raw = _facts(own)
    created = raw.get("created")
    steps = _steps(own, date.fromisoformat(created) if created else None)
    if created and steps and created > steps[0].start.date().isoformat():
        del raw["created"]
    raw["prices"] = [raw_row(step) for step in steps]
    aliases = {alias for seen in own for alias in seen.aliases}
    aliases |= {_slug_of(model, seen.canonical_slug) for seen in own if seen.canonical_slug}
    taken = sorted(
        alias
        for alias in aliases
        if ("openrouter", alias.lower()) not in ids and known.take("openrouter", alias)
    )
    taken += [name for (_, name), meant in spelt.items() if meant == model.lower()]
    if taken:
        raw["aliases"] = sorted(taken)
    if endpoints := _endpoints(observations, steps):
        raw["endpoints"] = endpoints
    return NewModel("openrouter", model.partition("/")[0].lstrip("~").lower(), raw)


def _slug_of(model: str, slug: str) -> str:
    """The canonical slug as a name of this model: a variant shares its slug with its base."""
    _, colon, variant = model.partition(":")
    return f"{slug}:{variant}" if colon and ":" not in slug else slug


def _facts(own: Sequence[Observation]) -> dict[str, Any]:
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


def _steps(own: Sequence[Observation], created: date | None) -> list[Step]:
    """The prices of a model of OpenRouter over time."""
    free = own[0].subject.model.endswith(":free")
    modality = next((seen.modality for seen in reversed(own) if seen.modality), None)
    if dynamic := [seen for seen in own if seen.status == "dynamic"]:
        return [unpriced("dynamic", dynamic[0].reason or "", dynamic[0], created)]
    api = [seen for seen in own if seen.source.family == "openrouter" and seen.prices]
    catalogs = [seen for seen in own if seen.source.family != "openrouter" and seen.prices]
    listed = is_list_priced(own[0].subject.model)
    steps = history([seen for seen in api if seen.starts], created, listed=listed)
    for seen in (seen for seen in api if not seen.starts):
        _complete(steps, seen)
    if doubt := _unit_doubt(modality, steps, free=free):
        first = min(own, key=lambda seen: seen.starts or midnight(seen.seen_at))
        return [unpriced("suspect", doubt, first, created)]
    removed = any(seen.removed for seen in own)
    if steps and removed:
        return steps
    if not steps:
        return [_first_of_catalogs(own, catalogs, free=free)]
    doubted = any(seen.status == "suspect" for seen in own)
    return steps + since(steps[-1], catalogs, doubted=doubted, listed=listed)


def _complete(steps: Sequence[Step], seen: Observation) -> None:
    """Add what the API's last snapshot stated besides input and output to each step it fits."""
    for step in steps:
        if all(step.prices.get(key) == seen.prices.get(key) for key in ("input", "output")):
            stated = dict(seen.prices)
            stated.pop("request", None)
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
    current = {seen.source.name: seen for seen in sorted(catalogs, key=day_of)}
    catalogs = [seen for seen in catalogs if seen is current[seen.source.name]]
    group = agree(catalogs)
    families = {seen.source.family for seen in group}
    newest = max(catalogs or own, key=lambda seen: seen.seen_at)
    if free:
        zero = {"input": Decimal(0), "output": Decimal(0)}
        start = min(own, key=lambda seen: seen.seen_at)
        return _step_of([start], zero)
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
    undone = bool(group) and newest not in group and (moves or times(newest, group[0]) > STEEP)
    if not group or not trusted or undone:
        names = ", ".join(f"{pair(seen.prices)} of {seen.source.name}" for seen in catalogs)
        reason = f"No snapshot of the API shows it, and catalogs do not agree: {names or 'none'}."
        return unpriced("suspect", reason, newest, None)
    prices, conditions = joint(group)
    step = _step_of(group, prices)
    step.conditions = tuple(conditions)
    return step


def _step_of(
    group: Sequence[Observation], prices: Mapping[str, Decimal], after: date | None = None
) -> Step:
    """A step that begins when the first of a group stated it, or says that it began.

    Args:
        group: observations that state the price.
        prices: what they state jointly.
        after: last day on which another price was seen.
    """
    later = [seen for seen in group if after is None or day_of(seen) > after]
    first = min(later, key=day_of) if later else max(group, key=day_of)
    start = midnight(day_of(first))
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


def _endpoints(observations: Iterable[Observation], steps: Sequence[Step]) -> dict[str, Any]:
    """The endpoints whose price is not the model's own on the day they were seen."""
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
        if own and not own.status:
            tokens = ("input", "output", "cache_read", "cache_write")
            if all(own.prices.get(key) == prices.get(key) for key in tokens):
                continue
            if own.prices.get("cache_write") == prices.get("cache_write") and (
                "cache_write_1h" in own.prices
            ):
                prices.setdefault("cache_write_1h", own.prices["cache_write_1h"])
        step = _step_of([seen], prices)
        step.basis = "snapshot"
        step.conditions = own.conditions if own else ()
        quantization = {"quantization": seen.quantization} if seen.quantization else {}
        endpoints[slug] = {**quantization, "prices": [raw_row(step)]}
    return dict(sorted(endpoints.items()))


def add_sibling(siblings: Pasts, author: str, names: Iterable[str], past: Past) -> None:
    """Note the history of a model of OpenRouter by its id and aliases; not of names that move."""
    for name in names:
        if not name.startswith("~"):
            siblings.add(author, name.rpartition("/")[2], settled(past))


def _direct(
    observations: Sequence[Observation], told: Pasts, siblings: Pasts
) -> NewModel | Refused:
    """A model of a direct provider: the price on which independent catalogs agree."""
    subject = observations[0].subject
    spelling = Counter(seen.subject.model for seen in observations).most_common(1)[0][0]
    subject = Subject(subject.market, spelling)
    priced = [seen for seen in observations if seen.prices and "input" in seen.prices]
    group = agree(priced)
    families = {seen.source.family for seen in group}
    if len(families) < 2:
        stated = ", ".join(f"{pair(seen.prices)} of {seen.source.name}" for seen in priced)
        return Refused(subject, f"no two independent catalogs agree: {stated or 'no prices'}")
    newest = max(priced, key=lambda seen: seen.seen_at)
    rivals = agree([seen for seen in priced if seen not in group])
    if len({seen.source.family for seen in rivals}) >= len(families) and newest not in group:
        return Refused(subject, f"{pair(group[0].prices)} or {pair(rivals[0].prices)}: a draw")
    prices, conditions = joint(group)
    prices.pop("request", None)
    doubt = next((seen.reason for seen in observations if seen.status == "suspect"), None)
    if doubt and not any("utc" in condition.when for condition in conditions):
        return Refused(subject, doubt)
    for pattern, needed in _OTHER_UNITS.items():
        if re.search(pattern, spelling.lower()) and needed not in prices:
            return Refused(subject, "billed in other units than the tokens that catalogs price")
    other = _other_price_until(priced, group)
    step = _step_of(group, prices, other)
    step.conditions = tuple(conditions)
    author = author_of(subject.market, spelling)
    disputed = any(not close(seen.prices, step.prices) for seen in priced)
    before = date_step(step, subject, author, told, siblings, other_until=other, disputed=disputed)
    if reason := _untold_fee(subject):
        step.prices, step.conditions, before = {}, (), []
        step.status, step.reason = "suspect", reason
    raw: dict[str, Any] = {"id": spelling, "family": family_of(spelling)}
    for key in ("name", "context_length"):
        stated_facts = [value for seen in group if (value := getattr(seen, key)) is not None]
        if stated_facts:
            raw[key] = stated_facts[0]
    raw["prices"] = [raw_row(step) for step in (*before, step)]
    return NewModel(subject.market, author, raw)


def _untold_fee(subject: Subject) -> str | None:
    pattern, reason = _UNTOLD_FEES.get(subject.market, (None, ""))
    return reason if pattern and pattern.search(subject.model.lower()) else None


def date_step(
    step: Step,
    subject: Subject,
    author: str,
    told: Pasts,
    siblings: Pasts,
    *,
    created: date | None = None,
    other_until: date | None = None,
    disputed: bool = True,
) -> list[Step]:
    """Date the first price of a maker's own model by histories.

    Returns:
        The steps before it, as far as two sources tell them.
    """
    if MAKERS.get(subject.market) != author:
        return []
    dated = date_first(
        subject.model,
        step.prices,
        max(midnight(step.last), step.start),
        told=told.find(subject.market, subject.model),
        siblings=siblings.find(author, subject.model),
        created=created,
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


def plain_name(model: str) -> str:
    """A model id without vendor, snapshot date, and punctuation: to tell equals across markets."""
    leaf = _SNAPSHOT.sub("", model.lower().rpartition("/")[2])
    leaf = re.sub(r"^(?:[a-z-]+\.)+(?=[a-z])", "", leaf)
    return re.sub(r"[._@]", "-", leaf)


def _other_price_until(
    observations: Sequence[Observation], group: Sequence[Observation]
) -> date | None:
    """The last day on which most sources, as far as they had spoken, stated another price."""
    spoken = sorted(observations, key=day_of)
    days = [
        day_of(spoken[index])
        for index in range(len(spoken))
        if not close(agree(spoken[: index + 1])[0].prices, group[0].prices)
    ]
    return max(days, default=None)
