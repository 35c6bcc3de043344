"""A market that keeps its price and states other conditional prices than before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from genops_pricing.model import Override, Row, build_rows
from genops_pricing.units import UNITS_BY_KEY

from .agreement import STEEP
from .decision import NewRow, Refused
from .observation import Observation, Subject
from .steps import provenance, raw_prices

__all__ = ["new_conditions"]


def new_conditions(
    subject: Subject, last: Sequence[Row], seen: Observation
) -> list[NewRow | Refused]:
    """A row where a market keeps its price and states other conditional prices than before."""
    if not last or not seen.prices or not (seen.conditions or _has_lost(last[0], seen)):
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


def _has_lost(last: Row, seen: Observation) -> bool:
    """Whether a model has no conditional prices any more; the endpoints API states none."""
    return bool(last.overrides) and seen.subject.endpoint is None


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
