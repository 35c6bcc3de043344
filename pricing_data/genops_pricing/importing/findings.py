"""Say what an import found: as records for programs, as lines for people. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from genops_pricing.units import UNITS

from .decision import NewEndpoint, NewModel, NewRow, Removal
from .observation import Subject
from .review import Review, doubt_of

__all__ = ["review_lines", "review_records"]

_MARKS: Final = {
    "new_model": "+",
    "new_endpoint": "+",
    "new_row": "~",
    "flagged": "!",
    "refused": "x",
    "removed": "-",
}


def review_records(found: Review) -> Iterator[dict[str, Any]]:
    """One record for each finding, the most urgent last."""
    for item in found.additions:
        if isinstance(item, Removal):
            continue
        doubt = doubt_of(item)
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
            "old_overrides": len(old.overrides) if old else 0,
            "overrides": [_plain(override) for override in raws[-1].get("overrides", ())],
            "reason": doubt or raws[-1].get("reason"),
        }
    for refused in found.refused:
        yield _bare("refused", refused.subject, refused.reason)
    for item in found.additions:
        if isinstance(item, Removal):
            reason = "the market no longer lists it"
            yield _bare("removed", item.subject, reason) | {"effective_from": item.day.isoformat()}


def review_lines(found: Review) -> Iterator[str]:
    """The findings for people, and how many there are of each kind."""
    counts = dict.fromkeys(_MARKS, 0)
    for record in review_records(found):
        counts[record["finding"]] += 1
        what = [_change(record["old"], record["new"])]
        before, count = record["old_overrides"], len(record["overrides"])
        if before > count:
            what.append(f"conditional prices {before} -> {count}")
        elif count:
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
        "old_overrides": 0,
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
