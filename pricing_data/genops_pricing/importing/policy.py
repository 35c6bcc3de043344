"""Decide what new observations of a price add to the rows that are there. Pure: no I/O, no clock.

A price is taken from the market's own statement first. Other catalogs count where it is silent,
and then by how many that do not copy from each other say the same. What can't be told is stated as
`suspect`, never guessed. Rows that are there are never changed: everything is an addition.

- A change of more than `STEEP` times needs a second source that did not copy the first, or is
  stated as suspect.
- One odd price beside sound ones, as of cached tokens, is left out: the row before prices them on,
  and the review says so. Where that would cost more than any cache does, the row is suspect.
- What a market itself no longer states (a cache price, a long-context price) no longer holds.
- A price that is back soon (`history`) corrects the row of the momentary one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from genops_pricing.instants import format_instant, parse_instant
from genops_pricing.model import Row
from genops_pricing.units import UNITS, UNITS_BY_KEY

from .agreement import ROOTS, ROUNDING, STEEP, Prices, close
from .authors import is_list_priced
from .decision import Decision, NewRow, Refused
from .history import FLAP_DAYS
from .observation import Observation
from .steps import provenance, raw_prices, short

__all__ = ["decide"]

# Of the price of input: writing to a cache that keeps tokens for an hour.
_DEAREST_CACHE: Final = 2


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
    if newest.holds_from < _row_start(last):
        return [Refused(newest.subject, f"stated for a time before the row {last.entry}")]
    backing = {seen.source.family for seen in current if close(seen.prices, newest.prices)}
    if last.status is not None:
        return [_settle(rows, newest, len(backing))]
    prices, refusals = newest.prices, list[Decision]()
    odd = _odd_units(last, newest, current)
    if odd and not odd & set(ROOTS):
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
        start = {"effective_from": short(last.effective_from)}
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


def _new_row(
    seen: Observation,
    raw: Mapping[str, Any],
    last: Row | None,
    ratios: Mapping[str, Decimal] | None = None,
) -> NewRow:
    not_before = seen.not_before
    if not_before is None and last is not None and last.provenance is not None:
        not_before = min(date.fromisoformat(last.provenance.seen_at), seen.seen_at)
    start = short(format_instant(seen.holds_from))
    basis = seen.basis if seen.starts else "snapshot"
    row = {"effective_from": start, **raw}
    row["provenance"] = provenance(seen.source, seen.seen_at, basis, not_before)
    return NewRow(seen.subject, row, ratios or {})


def _states_nothing_new(last: Row, seen: Observation) -> bool:
    return close(last.prices, seen.prices) and all(
        abs(last.prices[key] - price) <= ROUNDING if key in last.prices else False
        for key, price in seen.prices.items()
        if key not in ROOTS
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
    return key in prices and abs(prices[key] - price) <= ROUNDING


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


def _was_momentary(before: Row, offer: Row, seen: Observation) -> bool:
    if is_list_priced(seen.subject.market, seen.subject.model) and not close(
        before.prices, offer.prices
    ):
        return False
    return (
        before.status is None
        and _states_nothing_new(before, seen)
        and seen.holds_from - _row_start(offer) <= timedelta(days=FLAP_DAYS)
    )


def _row_start(row: Row) -> datetime:
    return parse_instant(row.effective_from)
