"""Compare what a source says with the catalog: what an import would add, for people to judge.

Who may state what: a market states its own prices. A catalog that others keep states a price only
together with a second one that does not copy from it. Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from genops_pricing.catalog import Catalog
from genops_pricing.importing.decision import Addition, NewEndpoint, NewModel, NewRow, Refused
from genops_pricing.importing.gather import Known, gather
from genops_pricing.importing.observation import Observation, Subject
from genops_pricing.importing.policy import STEEP, agree, decide, provenance, raw_prices
from genops_pricing.importing.soundness import flaws
from genops_pricing.model import Model, Override, Row, build_rows
from genops_pricing.units import UNITS, UNITS_BY_KEY

__all__ = ["Review", "review", "review_lines", "review_records"]


@dataclass(frozen=True, slots=True)
class Review:
    """What an import found.

    Attributes:
        additions: models, endpoints and rows that are new, those that state a doubt included.
        refused: prices that become no row.
        unlisted: models that the catalog holds and a market's own list no longer does.
        unchanged: how many prices the catalog has as they are.
    """

    additions: tuple[Addition, ...]
    refused: tuple[Refused, ...]
    unlisted: tuple[Subject, ...]
    unchanged: int
    before: Mapping[Subject, Row]  # the row that a new one follows

    @property
    def flagged(self) -> tuple[Addition, ...]:
        """Additions that state a doubt instead of a price."""
        return tuple(item for item in self.additions if any(_doubts(item)))


def review(
    catalog: Catalog,
    statements: Iterable[Observation | Refused],
    backing: Iterable[Observation | Refused] = (),
) -> Review:
    """What the catalog lacks of what a source states.

    Args:
        catalog: as it is, without overlays.
        statements: of the source.
        backing: of other sources: they add nothing, but count as second sources.
    """
    models = {(model.market, model.id): model for model in catalog.models()}
    names = {
        (model.market, name.lower()): model.id
        for model in models.values()
        for name in (model.id, *model.aliases)
    }
    refused: list[Refused] = []
    seen: dict[Subject, list[Observation]] = defaultdict(list)
    for item in statements:
        if isinstance(item, Refused):
            refused.append(item)
        else:
            seen[_known_as(item.subject, names)].append(item)
    backed: dict[Subject, list[Observation]] = defaultdict(list)
    for item in backing:
        if isinstance(item, Observation):
            backed[_known_as(item.subject, names)].append(item)

    additions: list[Addition] = []
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
    return Review(
        tuple(sound), tuple(refused), tuple(_unlisted(models.values(), seen)), unchanged, before
    )


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
        return _narrow(decide(rows, said)) or _new_conditions(subject, rows[-1:], said[0])
    agreed = agree([one for one in said if one.prices])
    found = _narrow(decide(rows, agreed))
    if not found or len({one.source.family for one in agreed}) > 1:
        return found
    reason = f"only {agreed[0].source.name} states {_prices(agreed[0].prices)}: add a second source"
    return [Refused(subject, reason)]


def _new_conditions(
    subject: Subject, last: Sequence[Row], seen: Observation
) -> list[NewRow | Refused]:
    """A row where a market keeps its price and states other conditional prices than before."""
    if not last or not seen.prices or not seen.conditions:
        return []
    raw: dict[str, Any] = {
        "effective_from": seen.seen_at.isoformat(),
        **raw_prices({**last[0].prices, **seen.prices}, seen.conditions),
    }
    (row,) = build_rows(subject.owner, [raw], layer=0, overlay=None)
    if _conditional(row) == _conditional(last[0]) or row.start_ns <= last[0].start_ns:
        return []
    for override in row.overrides:
        for key, price in override.prices.items():
            base = row.prices.get(key)
            if base and price and not base / STEEP <= price <= base * STEEP:
                reason = f"a conditional price of {key}, {price:f}, is far from {base:f}. Check it"
                return [Refused(subject, reason)]
    before = last[0].provenance
    not_before = min(date.fromisoformat(before.seen_at), seen.seen_at) if before else None
    raw["provenance"] = provenance(seen.source, seen.seen_at, "snapshot", not_before)
    return [NewRow(subject, raw, {})]


def _conditional(row: Row) -> list[tuple[Override, Mapping[str, Decimal]]]:
    """The conditional prices of a row, without those that only repeat what their parent costs."""
    found: list[tuple[Override, Mapping[str, Decimal]]] = []
    for override in row.overrides:
        whole = {**row.prices, **override.prices}
        told = {
            key: price
            for key, price in whole.items()
            if key in row.prices or price != whole.get(UNITS_BY_KEY[key].parent or "")
        }
        found.append((replace(override, prices={}), told))
    return found


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


def _subject(item: Addition) -> Subject:
    return Subject(item.market, item.raw["id"]) if isinstance(item, NewModel) else item.subject


def _narrow(found: Iterable[Any]) -> list[NewRow | Refused]:
    return [item for item in found if isinstance(item, NewRow | Refused)]


def _placed(row: NewRow, model: Model, seen: Observation) -> Addition:
    """A row; as a new endpoint where the model has none of that name."""
    endpoint = row.subject.endpoint
    if endpoint is None or endpoint in model.endpoints:
        return row
    raw = {"quantization": seen.quantization} if seen.quantization else {}
    return NewEndpoint(row.subject, {**raw, "prices": [row.raw]})


def _unlisted(models: Iterable[Model], seen: Mapping[Subject, object]) -> Iterator[Subject]:
    """Models missing from a list, if it is one: of a market, by the market itself."""
    listed = {subject for subject in seen if subject.endpoint is None}
    own = {
        subject.market
        for subject, stated in seen.items()
        if subject.endpoint is None
        and isinstance(stated, list)
        and stated[0].source.family == subject.market
    }
    for model in models:
        subject = Subject(model.market, model.id)
        if model.market in own and not model.removed and subject not in listed:
            yield subject


def _doubts(item: Addition) -> Iterator[str]:
    raws = [item.raw] if isinstance(item, NewRow) else item.raw.get("prices", ())
    return (raw["reason"] for raw in raws if raw.get("status") == "suspect")


_MARKS: Final = {
    "new_model": "+",
    "new_endpoint": "+",
    "new_row": "~",
    "flagged": "!",
    "refused": "x",
    "unlisted": "-",
}


def review_records(found: Review) -> Iterator[dict[str, Any]]:
    """One record for each finding, the most urgent last."""
    for item in found.additions:
        doubt = next(_doubts(item), None)
        if isinstance(item, NewModel):
            kind, owner, raws = "new_model", f"{item.market}/{item.raw['id']}", item.raw["prices"]
        elif isinstance(item, NewEndpoint):
            kind, owner, raws = "new_endpoint", item.subject.owner, item.raw["prices"]
        else:
            kind, owner, raws = "new_row", item.subject.owner, [item.raw]
        old = found.before.get(item.subject) if isinstance(item, NewRow) else None
        yield {
            "finding": "flagged" if doubt else kind,
            "owner": owner,
            "effective_from": raws[-1]["effective_from"],
            "old": {key: format(price, "f") for key, price in old.prices.items()} if old else {},
            "new": _stated(raws[-1]),
            "overrides": [_plain(override) for override in raws[-1].get("overrides", ())],
            "reason": doubt or raws[-1].get("reason"),
        }
    for refused in found.refused:
        yield _bare("refused", refused.subject, refused.reason)
    for subject in found.unlisted:
        yield _bare("unlisted", subject, "the market no longer lists it")


def review_lines(found: Review) -> Iterator[str]:
    """The findings for people, and how many there are of each kind."""
    counts = dict.fromkeys(_MARKS, 0)
    for record in review_records(found):
        counts[record["finding"]] += 1
        what = [_change(record["old"], record["new"])]
        if record["overrides"]:
            count = len(record["overrides"])
            what.append(f"{count} conditional price{'s' if count > 1 else ''}")
        if record["reason"]:
            what.append(record["reason"])
        since = f" @ {record['effective_from']}" if record["effective_from"] else ""
        text = "; ".join(filter(None, what))
        yield f"{_MARKS[record['finding']]} {record['owner']}{since}: {text}"
    found_of_kind = (
        f"{count} {kind.replace('_', ' ')}{'s' if count != 1 and kind.startswith('new') else ''}"
        for kind, count in counts.items()
    )
    yield f"{', '.join(found_of_kind)}, {found.unchanged} unchanged"


def _change(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Prices from old to new, with the ratio where there is one."""
    parts = []
    for key in [unit.key for unit in UNITS if unit.key in old or unit.key in new]:
        before, after = old.get(key), new.get(key)
        if before is not None and after is not None and Decimal(before) == Decimal(after):
            continue
        if not old:
            parts.append(f"{key} {after}")
        elif not new:
            parts.append(f"{key} {before} -> none")
        elif before is None:
            parts.append(f"{key} unstated -> {after}")
        elif after is None:
            parts.append(f"{key} {before} -> unstated")
        else:
            ratio = f" (x{Decimal(after) / Decimal(before):.3g})" if Decimal(before) else ""
            parts.append(f"{key} {before} -> {after}{ratio}")
    return ", ".join(parts)


def _bare(finding: str, subject: Subject, reason: str) -> dict[str, Any]:
    return {
        "finding": finding,
        "owner": subject.owner,
        "effective_from": None,
        "old": {},
        "new": {},
        "overrides": [],
        "reason": reason,
    }


def _stated(raw: Mapping[str, Any]) -> dict[str, str]:
    return {**raw.get("usd_per_mtok", {}), **raw.get("usd_per_unit", {})}


def _plain(value: Any) -> Any:
    """As JSON can write it."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _prices(prices: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{key} {price:f}" for key, price in prices.items())
