"""Histories of prices by who sells or made a model: what `dating` concludes from.

Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from genops_pricing.instants import midnight, parse_instant
from genops_pricing.model import Row

from .days import without_day
from .history import STEP_DAYS

__all__ = ["Past", "Pasts", "Stood", "past_of_raw", "past_of_rows", "settled"]


@dataclass(frozen=True, slots=True)
class Stood:
    """A price that stood for a time, as one history shows it.

    Attributes:
        start: instant of its start; None: before the history begins.
        prices: by unit key; empty where the history states none (dynamic, suspect).
        not_before: last day on which the price before it was seen.
        source: name of who states it.
        url: where.
        seen_at: day on which it was last seen there.
    """

    start: datetime | None
    prices: Mapping[str, Decimal]
    not_before: date | None = None
    source: str = ""
    url: str = ""
    seen_at: date | None = None


Past = Sequence[Stood]


class Pasts:
    """Histories by who sells or made the model, and its name."""

    def __init__(self) -> None:
        self._pasts: dict[tuple[str, str], list[Past]] = defaultdict(list)

    def add(self, owner: str, model: str, past: Past) -> None:
        """Add a history; the first of a name counts before later ones."""
        self._pasts[owner, _fold(model)].append(past)

    def find(self, owner: str, model: str) -> list[Past]:
        """The histories of a model by its own name, then by that without its day."""
        found = list(self._pasts.get((owner, _fold(model)), ()))
        bare = without_day(model)
        if bare != model.lower():
            found += self._pasts.get((owner, _fold(bare)), ())
        return found


def past_of_rows(rows: Iterable[Row]) -> list[Stood]:
    """The history that the rows of a model tell."""
    return [
        Stood(
            start=parse_instant(row.effective_from),
            prices=row.prices if row.status is None else {},
            not_before=_day_of(row.provenance.not_before if row.provenance else None),
            source=row.provenance.source if row.provenance else "",
            url=(row.provenance.url or "") if row.provenance else "",
            seen_at=_day_of(row.provenance.seen_at if row.provenance else None),
        )
        for row in rows
    ]


def past_of_raw(rows: Iterable[Mapping[str, Any]]) -> list[Stood]:
    """The history that rows tell which are still as in a price file."""
    return [
        Stood(
            start=parse_instant(row["effective_from"]),
            prices={key: Decimal(text) for key, text in row.get("usd_per_mtok", {}).items()},
            not_before=_day_of(row["provenance"].get("not_before")),
            source=row["provenance"]["source"],
            url=row["provenance"].get("url", ""),
            seen_at=_day_of(row["provenance"]["seen_at"]),
        )
        for row in rows
    ]


def settled(past: Past) -> list[Stood]:
    """A history of a seller without what stood too short between others to be the maker's price."""
    kept = list(past)
    index = 1
    while index < len(kept) - 1:
        step, following = kept[index], kept[index + 1]
        last_of_old = step.not_before or kept[index - 1].seen_at
        if (
            last_of_old
            and following.start
            and following.start - midnight(last_of_old) < timedelta(days=STEP_DAYS)
        ):
            kept[index + 1] = replace(following, not_before=step.not_before)
            del kept[index]
            index = 1
        else:
            index += 1
    return kept


def _day_of(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _fold(name: str) -> str:
    return re.sub(r"[-._@]+", "", name.lower())
