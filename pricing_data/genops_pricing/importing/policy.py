"""Decide which observations become price rows. Pure: no I/O, no clock.

A price is taken from the market's own statement first. Other catalogs count where it is silent,
and then by how many that do not copy from each other say the same. What can't be told is stated as
`suspect`, never guessed. Rows that are there are never changed: everything is an addition.

- A market states one momentary offer for a model, not a list price. In a history, a price that is
  back within `FLAP_DAYS` was momentary and is left out; so is a step between others that stood for
  less than `STEP_DAYS`, from the last sight of the price before to the first of the price after.
  Where the momentary price already has a row, that row is corrected. The list price of a maker that
  keeps its weights is no such offer: however short it stood, it was charged (`authors`).
- A change of more than `STEEP` times needs a second source that did not copy the first, or is
  stated as suspect.
- One odd price beside sound ones, as of cached tokens, is left out: the row before prices them on,
  and the review says so. Where that would cost more than any cache does, the row is suspect.
- What a market itself no longer states (a cache price, a long-context price) no longer holds.
- What a market only came to state later (a cache price), while input and output stayed the same,
  is taken to have held since the row began.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from genops_pricing.importing.decision import Decision, NewRow, Refused
from genops_pricing.importing.observation import (
    Basis,
    ConditionalPrice,
    Observation,
    Source,
)
from genops_pricing.instants import format_instant, parse_instant
from genops_pricing.model import Row
from genops_pricing.units import UNITS, UNITS_BY_KEY

__all__ = [
    "FLAP_DAYS",
    "STEEP",
    "STEP_DAYS",
    "Step",
    "agree",
    "close",
    "decide",
    "history",
    "raw_row",
]

FLAP_DAYS: Final = 60
STEP_DAYS: Final = 28
STEEP: Final = Decimal(5)

_ROOTS: Final = ("input", "output")
_PARTIAL: Final = tuple(unit.key for unit in UNITS if unit.key not in (*_ROOTS, "request"))
# Of the price of input: writing to a cache that keeps tokens for an hour.
_DEAREST_CACHE: Final = 2
# Sources round: prices this close (USD per million tokens) are one price.
_ROUNDING: Final = Decimal("0.0001")

Prices = Mapping[str, Decimal]


@dataclass(slots=True)
class Step:
    """A price that stood for a time."""

    start: datetime
    prices: dict[str, Decimal]
    conditions: tuple[ConditionalPrice, ...]
    source: Source
    last: date  # on which it was last seen
    basis: Basis = "snapshot"
    not_before: date | None = None
    status: str | None = None
    reason: str | None = None
    also: list[str] = field(default_factory=list)  # names of sources that state the same

    @property
    def roots(self) -> tuple[Decimal | None, ...]:
        """Its input and output price."""
        return tuple(self.prices.get(key) for key in _ROOTS)


def history(
    observations: Iterable[Observation], created: date | None = None, *, listed: bool = False
) -> list[Step]:
    """Lay out what a market said of one price over time, without momentary offers.

    Args:
        observations: dated statements of the market itself.
        created: day on which the market first offered the model: its first price held since then.
        listed: whether the price is a maker's list price: however short it stood, it was charged.
    """
    steps: list[Step] = []
    for seen in sorted(observations, key=lambda seen: (_start(seen), seen.source.url)):
        if steps and _continues(steps[-1], seen):
            _merge(steps[-1], seen)
        elif seen.prices:
            steps.append(_step(seen, steps[-1].last if steps else None))
    drop_momentary(steps, listed=listed)
    _join_equal(steps)
    _spread_later_statements(steps)
    for step, following in pairwise(steps):
        step.last = max(step.last, following.not_before or step.last)
    if steps and created and created < steps[0].start.date():
        steps[0].start = midnight(created)
        steps[0].basis = "derived"
    return steps


def agree(observations: Sequence[Observation]) -> list[Observation]:
    """The observations that state the price of most sources that do not copy from each other.

    Ties go to the newest. Which sources agree is decided by input and output price.
    """
    groups: list[list[Observation]] = []
    for seen in observations:
        group = next((group for group in groups if close(group[0].prices, seen.prices)), None)
        if group is None:
            groups.append([seen])
        else:
            group.append(seen)
    return max(
        groups,
        key=lambda group: (
            len({seen.source.family for seen in group}),
            max(seen.seen_at for seen in group),
        ),
        default=[],
    )


def joint(observations: Sequence[Observation]) -> tuple[dict[str, Decimal], list[ConditionalPrice]]:
    """The prices of observations that agree on input and output, unit by unit.

    A unit or condition counts if two families state it alike, or no other states it otherwise.
    """
    prices = _joint_prices([(seen.source.family, seen.prices) for seen in observations], 1)
    stated: dict[tuple[tuple[str, Any], ...], list[tuple[str, Prices]]] = defaultdict(list)
    whens: dict[tuple[tuple[str, Any], ...], Mapping[str, Any]] = {}
    for seen in observations:
        for condition in seen.conditions:
            key = tuple(sorted(condition.when.items()))
            stated[key].append((seen.source.family, condition.prices))
            whens[key] = condition.when
    conditions = []
    for key, statements in stated.items():
        # Hours of the day are stated by few; none who gives one price contradicts them.
        agreed = _joint_prices(statements, 1 if "utc" in whens[key] else 2)
        if set(_ROOTS) & agreed.keys():
            conditions.append(ConditionalPrice(whens[key], agreed))
    conditions.sort(key=lambda c: (len(c.when) > 1, _size(c) == 0, _size(c), sorted(c.when)))
    return prices, conditions


def _size(condition: ConditionalPrice) -> int:
    return int(str(condition.when.get("prompt_over", condition.when.get("prompt_from", 0))))


def _joint_prices(statements: Sequence[tuple[str, Prices]], needed: int) -> dict[str, Decimal]:
    prices = {}
    for unit in UNITS:
        votes: dict[Decimal, set[str]] = defaultdict(set)
        for family, stated in statements:
            if unit.key in stated:
                votes[stated[unit.key]].add(family)
        if not votes:
            continue
        price, families = max(votes.items(), key=lambda vote: len(vote[1]))
        if len(families) >= 2 or (len(votes) == 1 and needed == 1):
            prices[unit.key] = price
    return prices


def decide(rows: Sequence[Row], observations: Sequence[Observation]) -> list[Decision]:
    """What new observations of one model or endpoint add to the rows that are there.

    Args:
        rows: the rows of the subject in force, oldest first, without corrected ones.
        observations: what sources say of it now; dated no later than today.

    Returns:
        New rows, at most one; refusals. Nothing where the last row still holds.
    """
    current = [seen for seen in observations if (seen.prices or seen.status) and not seen.gone]
    if not current:
        return []
    newest = max(current, key=lambda seen: seen.seen_at)
    last = rows[-1] if rows else None
    if newest.status is not None:
        if last is not None and last.status == newest.status:
            return []
        return [_new_row(newest, {"status": newest.status, "reason": newest.reason}, last)]
    if _is_free_of_price(newest):
        reason = "the source states 0 for a model that is not listed as free: 0 may mean absent"
        return [Refused(newest.subject, reason)]
    if last is None:
        return [_new_row(newest, raw_prices(newest.prices, newest.conditions), last)]
    if _start(newest) < _row_start(last):
        return [Refused(newest.subject, f"stated for a time before the row {last.entry}")]
    backing = {seen.source.family for seen in current if close(seen.prices, newest.prices)}
    if last.status is not None:
        return [_settle(rows, newest, len(backing))]
    prices, refusals = newest.prices, list[Decision]()
    odd = _odd_units(last, newest, current)
    if odd and not odd & set(_ROOTS):
        prices = _without_odd(last, newest, odd)
        refusals = [Refused(newest.subject, _odd_reason(last, newest, odd))]
        odd = {key for key in odd if key in prices and _is_dear(prices, key)}
    if odd:
        raw = {"status": "suspect", "reason": _odd_reason(last, newest, odd)}
        return [_new_row(newest, raw, last, _ratios(last.prices, newest.prices))]
    if refusals:
        newest = replace(newest, prices=prices)
    is_own = newest.source.family == newest.subject.market
    if _states_nothing_new(last, newest) and not (is_own and _withdrawn(last, newest)):
        return refusals
    ratios = _ratios(last.prices, newest.prices)
    if len(rows) > 1 and _was_momentary(rows[-2], last, newest):
        raw = raw_prices(newest.prices, newest.conditions) | {
            "corrects": last.entry,
            "reason": f"A momentary offer: the price before was back on {newest.seen_at}.",
            "revision": 2,
        }
        correction = _new_row(newest, raw, last, ratios)
        start = {"effective_from": _short(last.effective_from)}
        return [replace(correction, raw={**correction.raw, **start}), *refusals]
    raw = raw_prices(newest.prices, newest.conditions)
    return [_new_row(newest, raw, last, ratios), *refusals]


def _settle(rows: Sequence[Row], newest: Observation, backing: int) -> Decision:
    """A price after a row that has none: it needs two sources, or to be near the last price."""
    last = rows[-1]
    before = next((row for row in reversed(rows) if row.status is None), None)
    is_near = before is not None and not _steep(_ratios(before.prices, newest.prices))
    if any(newest.prices.values()) and (backing > 1 or is_near):
        return _new_row(newest, raw_prices(newest.prices, newest.conditions), last)
    reason = (
        f"{last.entry} is {last.status}, and one source alone does not settle it: {last.reason}"
    )
    return Refused(newest.subject, reason)


def raw_row(step: Step) -> dict[str, Any]:
    """A step as a row of a price file."""
    raw: dict[str, Any] = {"effective_from": _short(format_instant(step.start))}
    if step.status is not None:
        raw |= {"status": step.status, "reason": step.reason}
    else:
        raw |= raw_prices(step.prices, step.conditions)
    raw["provenance"] = provenance(step.source, step.last, step.basis, step.not_before)
    if step.also:
        raw["provenance"]["also"] = step.also
    return raw


def provenance(
    source: Source, seen_at: date, basis: Basis, not_before: date | None
) -> dict[str, Any]:
    """Who says so, as in a price file."""
    raw = {
        "source": source.name,
        **({"url": source.url} if source.url else {}),
        "seen_at": seen_at.isoformat(),
        "basis": basis,
    }
    return raw if not_before is None else raw | {"not_before": not_before.isoformat()}


def raw_prices(prices: Prices, conditions: Sequence[ConditionalPrice]) -> dict[str, Any]:
    """Prices and conditional prices as in a price file: in its order of units, as exact text."""
    raw = _tables(prices)
    overrides = []
    for condition in conditions:
        override: dict[str, Any] = {"when": dict(condition.when), **_tables(condition.prices)}
        if condition.multiply is not None:
            override["multiply"] = format(condition.multiply.normalize(), "f")
        overrides.append(override)
    return raw | ({"overrides": overrides} if overrides else {})


def _tables(prices: Prices) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for unit in UNITS:
        if unit.key in prices:
            text = format(prices[unit.key].normalize(), "f")
            tables.setdefault(unit.table, {})[unit.key] = text
    return tables


def _new_row(
    seen: Observation,
    raw: Mapping[str, Any],
    last: Row | None,
    ratios: Mapping[str, Decimal] | None = None,
) -> NewRow:
    not_before = seen.not_before
    if not_before is None and last is not None and last.provenance is not None:
        not_before = min(date.fromisoformat(last.provenance.seen_at), seen.seen_at)
    start = _short(format_instant(_start(seen)))
    basis = seen.basis if seen.starts else "snapshot"
    row = {"effective_from": start, **raw}
    row["provenance"] = provenance(seen.source, seen.seen_at, basis, not_before)
    return NewRow(seen.subject, row, ratios or {})


def _step(seen: Observation, previous: date | None) -> Step:
    return Step(
        start=_start(seen),
        prices=dict(seen.prices),
        conditions=seen.conditions,
        source=seen.source,
        last=seen.seen_at,
        basis=seen.basis if seen.starts else "snapshot",
        not_before=seen.not_before or previous,
    )


def _continues(step: Step, seen: Observation) -> bool:
    """Whether an observation states no other price than a step: it may state less, or more."""
    if not seen.prices or not close(step.prices, seen.prices):
        return False
    if step.source.name == seen.source.name and step.prices.get("request") != seen.prices.get(
        "request"
    ):
        return False
    if step.conditions and seen.conditions and step.conditions != seen.conditions:
        return False
    return all(
        abs(step.prices[key] - seen.prices[key]) <= _ROUNDING
        for key in _PARTIAL
        if key in step.prices and key in seen.prices
    )


def _merge(step: Step, seen: Observation) -> None:
    if seen.source.name != step.source.name and "archived" in step.source.name:
        # The archive rounds; the API itself is exact.
        step.prices.update({key: seen.prices[key] for key in _ROOTS if key in seen.prices})
        step.source = seen.source
    step.prices = dict(seen.prices) | step.prices
    step.conditions = step.conditions or seen.conditions
    step.last = max(step.last, seen.seen_at)


def drop_momentary(steps: list[Step], *, listed: bool) -> None:
    """Drop the steps that were momentary offers; of a list price only those of other units."""
    while _drop_one(steps, listed=listed):
        pass


def _drop_one(steps: list[Step], *, listed: bool) -> bool:
    """Drop one momentary step; False if there is none."""
    for index, (before, offer, after) in enumerate(zip(steps, steps[1:], steps[2:], strict=False)):
        if before.roots == after.roots and after.start - offer.start <= timedelta(days=FLAP_DAYS):
            if offer.roots == before.roots and not _same_stated(before, after):
                continue
            if listed and offer.roots != before.roots:
                continue
            if _same_stated(before, after):
                before.last = after.last
                before.prices = dict(after.prices) | before.prices
                before.conditions = before.conditions or after.conditions
                del steps[index + 1 : index + 3]
            else:
                after.not_before = offer.not_before
                del steps[index + 1]
            return True
    if listed:
        return False
    for index in range(1, len(steps) - 1):
        # The longest that it can have stood: a monthly snapshot alone shows no short step.
        last_of_old = steps[index].not_before or steps[index - 1].last
        if steps[index + 1].start - midnight(last_of_old) < timedelta(days=STEP_DAYS):
            steps[index + 1].not_before = steps[index].not_before
            del steps[index]
            return True
    return False


def _same_stated(first: Step, second: Step) -> bool:
    return first.roots == second.roots and all(
        first.prices[key] == second.prices[key]
        for key in (*_PARTIAL, "request")
        if key in first.prices and key in second.prices
    )


def _join_equal(steps: list[Step]) -> None:
    index = 0
    while index < len(steps) - 1:
        step, following = steps[index], steps[index + 1]
        same_request = step.prices.get("request") == following.prices.get("request")
        if _same_stated(step, following) and same_request:
            step.prices = dict(following.prices) | step.prices
            step.conditions = step.conditions or following.conditions
            step.last = following.last
            del steps[index + 1]
        else:
            index += 1


def _spread_later_statements(steps: Sequence[Step]) -> None:
    for step, following in reversed(list(pairwise(steps))):
        if step.roots == following.roots:
            step.conditions = step.conditions or following.conditions


def close(first: Prices, second: Prices) -> bool:
    """Whether two prices are one, but for rounding, in input and output."""
    # Some state 0 for the output of a model that puts out no tokens, others nothing.
    return all(
        abs(first.get(key, Decimal(0)) - second.get(key, Decimal(0))) <= _ROUNDING for key in _ROOTS
    )


def _states_nothing_new(last: Row, seen: Observation) -> bool:
    return close(last.prices, seen.prices) and all(
        abs(last.prices[key] - price) <= _ROUNDING if key in last.prices else False
        for key, price in seen.prices.items()
        if key not in _ROOTS
    )


def _withdrawn(last: Row, seen: Observation) -> bool:
    """Whether it no longer states a price that differs from what else the tokens would cost."""
    return any(
        key not in seen.prices and price != last.prices.get(UNITS_BY_KEY[key].parent or "")
        for key, price in last.prices.items()
        # The endpoints API does not state it; the row has it from the model.
        if not (seen.subject.endpoint and key == "cache_write_1h")
    )


def _is_free_of_price(seen: Observation) -> bool:
    return (
        seen.source.family != seen.subject.market
        and not seen.subject.model.endswith(":free")
        and not any(seen.prices.values())
    )


def _ratios(old: Prices, new: Prices) -> dict[str, Decimal]:
    return {
        key: new[key] / old[key] for key in new if key in old and old[key] and new[key] != old[key]
    }


def _steep(ratios: Mapping[str, Decimal]) -> bool:
    return any(ratio > STEEP or ratio * STEEP < 1 for ratio in ratios.values())


def _odd_units(last: Row, newest: Observation, stated: Sequence[Observation]) -> set[str]:
    """The units whose price is more than `STEEP` times apart, as one family alone says."""
    return {
        key
        for key, price in newest.prices.items()
        if (_steep(_ratios(last.prices, {key: price})) or _is_dear(newest.prices, key))
        and len({seen.source.family for seen in stated if _states(seen.prices, key, price)}) < 2
    }


def _states(prices: Prices, key: str, price: Decimal) -> bool:
    return key in prices and abs(prices[key] - price) <= _ROUNDING


def _is_dear(prices: Prices, key: str) -> bool:
    """Whether cached tokens cost more than any cache does of what the others cost."""
    whole = prices.get("input") or prices[key]
    return key.startswith("cache") and prices[key] > _DEAREST_CACHE * whole


def _without_odd(last: Row, newest: Observation, odd: Iterable[str]) -> dict[str, Decimal]:
    """The prices, with that of the row before in place of an odd one."""
    kept = {key: last.prices[key] for key in odd if key in last.prices}
    return {key: price for key, price in newest.prices.items() if key not in odd} | kept


def _odd_reason(last: Row, seen: Observation, odd: Iterable[str]) -> str:
    told = ", ".join(
        f"{unit.key} {seen.prices[unit.key]:f} after {last.prices.get(unit.key, 'none')}"
        for unit in UNITS
        if unit.key in odd
    )
    return (
        f"{seen.source.name} states {told}: more than {STEEP} times, and no other source says so."
    )


def pair(prices: Prices) -> str:
    return "/".join(format(prices[key].normalize(), "f") for key in _ROOTS if key in prices)


def unpriced(status: str, reason: str, seen: Observation, created: date | None) -> Step:
    start = seen.starts or midnight(seen.seen_at)
    if created is not None:
        start = min(start, midnight(created))
    return Step(
        start=start,
        prices={},
        conditions=(),
        source=seen.source,
        last=max(seen.seen_at, start.date()),
        basis="derived" if created else "snapshot",
        status=status,
        reason=reason,
    )


def day_of(seen: Observation) -> date:
    """The day from which a source states its price."""
    return seen.starts.date() if seen.starts else seen.seen_at


def times(seen: Observation, other: Observation | Step) -> Decimal:
    """How many times apart two prices are, up or down, in input or output."""
    ratios = [Decimal(1)]
    for key in ("input", "output"):
        new, old = seen.prices.get(key), other.prices.get(key)
        if new and old:
            ratios.append(max(new / old, old / new))
    return max(ratios)


def also(name: str, group: Iterable[Observation]) -> list[str]:
    """The other sources that state a price, one of each family: who copied does not count."""
    families = {seen.source.family: seen.source.name for seen in group}
    own = {seen.source.family for seen in group if seen.source.name == name}
    return sorted(other for family, other in families.items() if family not in own)


def _was_momentary(before: Row, offer: Row, seen: Observation) -> bool:
    return (
        before.status is None
        and _states_nothing_new(before, seen)
        and _start(seen) - _row_start(offer) <= timedelta(days=FLAP_DAYS)
    )


def _row_start(row: Row) -> datetime:
    return parse_instant(row.effective_from)


def _start(seen: Observation) -> datetime:
    return seen.starts or midnight(seen.seen_at)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _short(instant: str) -> str:
    """An instant as price files write it: a day where it is midnight."""
    return instant.removesuffix("T00:00:00Z")
