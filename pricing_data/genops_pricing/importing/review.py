"""Compare what a source says with the catalog: what an import would add, for people to judge.

Who may state what: a market states its own prices. A catalog that others keep states a price only
together with a second one that does not copy from it. Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from genops_pricing.catalog import Catalog
from genops_pricing.importing.agreement import agree
from genops_pricing.importing.decision import (
    Addition,
    NewEndpoint,
    NewModel,
    NewRow,
    Refused,
    Removal,
)
from genops_pricing.importing.gather import Known, gather
from genops_pricing.importing.observation import Observation, Subject
from genops_pricing.importing.policy import decide
from genops_pricing.importing.soundness import flaws
from genops_pricing.model import Model, Row

from .conditional import new_conditions
from .unlisted import unlisted

__all__ = ["Review", "doubt_of", "review"]


@dataclass(frozen=True, slots=True)
class Review:
    """What an import found.

    Attributes:
        additions: models, endpoints and rows that are new, those that state no price included, and
            removals of models.
        refused: prices that become no row.
        unchanged: how many prices the catalog has as they are.
    """

    additions: tuple[Addition, ...]
    refused: tuple[Refused, ...]
    unchanged: int
    before: Mapping[Subject, Row]  # the row that a new one follows

    @property
    def flagged(self) -> tuple[Addition, ...]:
        """Additions that state a doubt, or why there is no price any more."""
        return tuple(item for item in self.additions if doubt_of(item))


def doubt_of(item: Addition) -> str | None:
    """Why an addition states no price, where one was to be expected."""
    if isinstance(item, NewRow):
        return item.raw["reason"] if "status" in item.raw else None
    raws = () if isinstance(item, Removal) else item.raw.get("prices", ())
    return next((raw["reason"] for raw in raws if raw.get("status") == "suspect"), None)


def review(
    catalog: Catalog,
    statements: Iterable[Observation | Refused],
    backing: Iterable[Observation | Refused] = (),
    *,
    complete_on: date | None = None,
) -> Review:
    """What the catalog lacks of what a source states.

    Args:
        catalog: as it is, without overlays.
        statements: of the source.
        backing: of other sources: they add nothing, but count as second sources.
        complete_on: day on which the statements were all that the market lists; None if they may be
            a part of it.

    Raises:
        PricingError: what is to be complete lacks most of what the catalog holds.
    """
    models = {(model.market, model.id): model for model in catalog.models()}
    names = {
        (model.market, name.lower()): model.merged_into or model.id
        for model in catalog.models(merged=True)
        for name in (model.id, *model.aliases)
    }
    refused: list[Refused] = []
    listed: set[Subject] = set()
    seen: dict[Subject, list[Observation]] = defaultdict(list)
    for item in statements:
        subject = _known_as(item.subject, names)
        listed.add(Subject(subject.market, subject.model))
        if isinstance(item, Refused):
            refused.append(item)
        elif ":" in subject.model and ":" not in item.subject.model:
            reason = f"is an alias of {subject.model} in the catalog. Take that alias away"
            refused.append(Refused(item.subject, reason))
        else:
            seen[subject].append(item)
    backed: dict[Subject, list[Observation]] = defaultdict(list)
    for item in backing:
        if isinstance(item, Observation):
            backed[_known_as(item.subject, names)].append(item)

    additions: list[NewModel | NewEndpoint | NewRow] = []
    before: dict[Subject, Row] = {}
    unchanged = 0
    fresh: list[Observation] = []
    for subject, stated in seen.items():
        model = models.get((subject.market, subject.model))
        if model is None:
            fresh += [*stated, *backed[subject]]
            continue
        rows = _rows(model, subject.endpoint)
        if (subject.endpoint and not rows and _is_the_models(model, stated[0])) or (
            rows and _leaves_doubt(rows[-1], stated[0])
        ):
            unchanged += 1
            continue
        if model.removed and stated[0].source.family == subject.market:
            reason = f"listed again, and `removed` since {model.removed}. Take `removed` away"
            refused.append(Refused(subject, reason))
        said = [replace(one, subject=subject) for one in (*stated, *backed[subject])]
        found = _decide(subject, rows, said)
        if rows:
            before[subject] = rows[-1]
        unchanged += not found
        refused += [item for item in found if isinstance(item, Refused)]
        additions += [_placed(item, model, said[0]) for item in found if isinstance(item, NewRow)]
    stray, fresh = _without_model(fresh)
    refused += stray
    made = gather(fresh, Known(names))
    refused += [item for item in made if isinstance(item, Refused)]
    additions += [item for item in made if not isinstance(item, Refused)]
    sound: list[Addition] = []
    for addition in additions:
        subject = _subject(addition)
        if wrong := list(flaws(addition, before.get(subject))):
            refused.append(Refused(subject, "; ".join(wrong)))
        else:
            sound.append(addition)
    if complete_on is not None:
        gone = unlisted(models.values(), listed, seen)
        sound += [Removal(subject, complete_on) for subject in gone]
    return Review(tuple(sound), tuple(refused), unchanged, before)


def _known_as(subject: Subject, names: Mapping[tuple[str, str], str]) -> Subject:
    """The subject by the id that the catalog has for it: some markets' ids leave out the maker."""
    name = subject.model.lower()
    model = names.get((subject.market, name))
    if model is None:
        bare = names.get((subject.market, name.partition("/")[2]), "/")
        model = subject.model if "/" in bare else bare
    return Subject(subject.market, model, subject.endpoint)


def _rows(model: Model, endpoint: str | None) -> list[Row]:
    """The rows that hold, oldest first."""
    if endpoint is None:
        rows: Sequence[Row] = model.rows
    else:
        rows = model.endpoints[endpoint].rows if endpoint in model.endpoints else ()
    corrected = {row.corrects for row in rows}
    held = [row for row in rows if row.entry not in corrected and row.end_ns is None]
    return sorted(held, key=lambda row: row.start_ns)


def _is_the_models(model: Model, seen: Observation) -> bool:
    """Whether an endpoint has the price of its model, so that it needs no row."""
    rows = _rows(model, None)
    return bool(rows) and dict(rows[-1].prices) == dict(seen.prices)


def _leaves_doubt(last: Row, seen: Observation) -> bool:
    """Whether a doubt stands: 0 for a model that nobody could price is no price."""
    return last.status == "suspect" and not any(seen.prices.values())


def _decide(
    subject: Subject, rows: Sequence[Row], said: Sequence[Observation]
) -> list[NewRow | Refused]:
    if said[0].source.family == subject.market:
        return _narrow(decide(rows, said)) or new_conditions(subject, rows[-1:], said[0])
    agreed = agree([one for one in said if one.prices])
    found = _narrow(decide(rows, agreed))
    if not found or len({one.source.family for one in agreed}) > 1:
        return found
    told = ", ".join(f"{key} {price:f}" for key, price in agreed[0].prices.items())
    reason = f"only {agreed[0].source.name} states {told}: add a second source"
    return [Refused(subject, reason)]


def _without_model(fresh: Sequence[Observation]) -> tuple[list[Refused], list[Observation]]:
    """Endpoints of models whose own price nothing states, and the other observations."""
    stated = {(one.subject.market, one.subject.model) for one in fresh if not one.subject.endpoint}
    reason = "the price of the model itself is not known: import the list of models too"
    stray: list[Refused] = []
    others: list[Observation] = []
    for one in fresh:
        if (one.subject.market, one.subject.model) in stated:
            others.append(one)
        else:
            stray.append(Refused(one.subject, reason))
    return stray, others


def _subject(item: NewModel | NewEndpoint | NewRow) -> Subject:
    return Subject(item.market, item.raw["id"]) if isinstance(item, NewModel) else item.subject


def _narrow(found: Iterable[Any]) -> list[NewRow | Refused]:
    return [item for item in found if isinstance(item, NewRow | Refused)]


def _placed(row: NewRow, model: Model, seen: Observation) -> NewEndpoint | NewRow:
    """A row; as a new endpoint where the model has none of that name."""
    endpoint = row.subject.endpoint
    if endpoint is None or endpoint in model.endpoints:
        return row
    raw = {"quantization": seen.quantization} if seen.quantization else {}
    return NewEndpoint(row.subject, {**raw, "prices": [row.raw]})
