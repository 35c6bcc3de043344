"""Let a snapshot of a model have the prices that catalogs state only for the name without its day.

Providers answer with the name of the snapshot whatever was asked, and catalogs state the prices of
long prompts, service tiers, cached tokens and searches less often for it. What it does not state,
the name without the day tells, if both have the same input and output price. Nothing that it states
is replaced. Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from .agreement import ROOTS
from .decision import NewModel

__all__ = ["complete_row", "complete_snapshots", "undated"]

_DAY: Final = re.compile(r"[-@](20\d{6}|20\d\d-\d\d-\d\d)$")
_TABLES: Final = ("usd_per_mtok", "usd_per_unit")


def undated(model: str) -> str | None:
    """The id without the day that it ends with; None if it ends with none."""
    plain = _DAY.sub("", model)
    return plain if plain != model else None


def complete_snapshots(models: Sequence[NewModel]) -> list[NewModel]:
    """The same models, the snapshots among them completed from the names without their days."""
    rows = {(model.market, model.raw["id"]): model.raw["prices"] for model in models}
    completed = []
    for model in models:
        whole = rows.get((model.market, undated(model.raw["id"]) or ""), ())
        prices = [complete_row(row, whole) or row for row in model.raw["prices"]]
        completed.append(replace(model, raw={**model.raw, "prices": prices}))
    return completed


def complete_row(
    row: Mapping[str, Any], undated_rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """A price row of a snapshot with what the name without its day states besides.

    Args:
        row: as in a price file.
        undated_rows: the rows in force of the name without the day, oldest first; of those with
            the same input and output price the newest tells.

    Returns:
        The row in full; None if nothing is to be added.
    """
    roots = _roots(row)
    same = [other for other in undated_rows if _roots(other) == roots]
    if roots is None or not same:
        return None
    whole = same[-1]
    full = dict(row)
    untold = row.get("unknown", ())
    for table in _TABLES:
        more = {
            unit: price
            for unit, price in whole.get(table, {}).items()
            if unit not in row.get(table, {}) and unit not in untold
        }
        if more:
            full[table] = {**row.get(table, {}), **more}
    if overrides := _complete_overrides(row.get("overrides", ()), whole.get("overrides", ())):
        full["overrides"] = overrides
    return full if full != row else None


def _complete_overrides(
    own: Sequence[Mapping[str, Any]], whole: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The conditional prices of both; where the conditions are the same, the units of both."""
    full: list[Mapping[str, Any]] = []
    for override in own:
        same = [other for other in whole if other["when"] == override["when"]]
        if same and _roots(same[0]) == _roots(override):
            tables = {
                table: {**same[0].get(table, {}), **override.get(table, {})}
                for table in _TABLES
                if table in same[0] or table in override
            }
            full.append({**override, **tables})
        else:
            full.append(override)
    whens = [override["when"] for override in own]
    more = [other for other in whole if other["when"] not in whens]
    return _ordered([*full, *more]) if more else full


def _roots(row: Mapping[str, Any]) -> tuple[Decimal, ...] | None:
    stated = row.get("usd_per_mtok", {})
    if "status" in row or not all(key in stated for key in ROOTS):
        return None
    return tuple(Decimal(stated[key]) for key in ROOTS)


def _ordered(overrides: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By size first, then by variant, then by both, so that the last wins."""
    return sorted(
        overrides,
        key=lambda one: (
            len(one["when"]) > 1,
            "prompt_over" not in one["when"] and "prompt_from" not in one["when"],
        ),
    )
