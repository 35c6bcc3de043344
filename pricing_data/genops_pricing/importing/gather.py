"""Make whole models out of what many sources say of them, for a catalog that lacks them.

Decides which spellings mean one model, and which model has which name; `routed`, `direct` and
`snapshots` decide prices. Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from .decision import NewModel, Refused
from .direct import direct_model
from .observation import Observation
from .pasts import Past, Pasts, past_of_raw, settled
from .routed import endpoints_of, facts_of, steps_of
from .snapshots import complete_snapshots
from .steps import raw_row

__all__ = ["Known", "add_sibling", "gather"]

Gathered = NewModel | Refused

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
    spelt = _other_spellings(fresh, ids, models)
    for key in fresh:
        known.take(*key)
    gathered += [_routed(models[key], known, ids, spelt) for key in fresh if key not in spelt]
    for item in gathered:
        if isinstance(item, NewModel):
            names = (item.raw["id"], *item.raw.get("aliases", ()))
            add_sibling(siblings, item.author, names, past_of_raw(item.raw["prices"]))
    direct: list[NewModel] = []
    for key in sorted(models.keys() - ids):
        if key not in known:
            made = direct_model(models[key], told, siblings)
            if isinstance(made, NewModel):
                known.take(*key)
                direct.append(made)
            else:
                gathered.append(made)
    return sorted([*gathered, *complete_snapshots(direct)], key=_order)


def _other_spellings(
    fresh: Iterable[tuple[str, str]],
    ids: Iterable[tuple[str, str]],
    models: Mapping[tuple[str, str], Sequence[Observation]],
) -> dict[tuple[str, str], str]:
    """New ids that only catalogs know, and that differ from one of the API by punctuation or date.

    They are no models of their own, also where the catalog has the one that they mean already:
    a name is looked up by the same rules (`matching`).
    """
    shown = {
        key
        for key in ids
        if any(seen.starts and seen.source.family == "openrouter" for seen in models[key])
    }
    plain: dict[str, list[str]] = defaultdict(list)
    for _, model in shown:
        plain[f"{model.partition('/')[0]}/{_plain_name(model)}"].append(model)
    spelt = {}
    for key in fresh:
        if key not in shown:
            meant = plain[f"{key[1].partition('/')[0]}/{_plain_name(key[1])}"]
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
    raw = facts_of(own)
    created = raw.get("created")
    steps = steps_of(own, date.fromisoformat(created) if created else None)
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
    if endpoints := endpoints_of(observations, steps):
        raw["endpoints"] = endpoints
    return NewModel("openrouter", model.partition("/")[0].lstrip("~").lower(), raw)


def _slug_of(model: str, slug: str) -> str:
    """The canonical slug as a name of this model: a variant shares its slug with its base."""
    _, colon, variant = model.partition(":")
    return f"{slug}:{variant}" if colon and ":" not in slug else slug


def add_sibling(siblings: Pasts, author: str, names: Iterable[str], past: Past) -> None:
    """Note the history of a model of OpenRouter by its id and aliases; not of names that move."""
    for name in names:
        if not name.startswith("~"):
            siblings.add(author, name.rpartition("/")[2], settled(past))


def _plain_name(model: str) -> str:
    """A model id without vendor, snapshot date, and punctuation: to tell equals across markets."""
    leaf = _SNAPSHOT.sub("", model.lower().rpartition("/")[2])
    leaf = re.sub(r"^(?:[a-z-]+\.)+(?=[a-z])", "", leaf)
    return re.sub(r"[._@]", "-", leaf)
