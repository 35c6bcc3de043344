"""What a run found, as it stands in the JSON file: how to ask it, and how runs are joined."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Results", "Spread", "joined"]

Round = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of the rounds, and between what they lie."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None of no values."""
        if not values:
            return None
        return cls(statistics.median(values), min(values), max(values))


class Results:
    """The results of a run. What was not measured is None, or empty."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self._rounds = {(row["cell"], row["server"]): row["rounds"] for row in raw["rows"]}

    def cell(self, name: str) -> Mapping[str, Any] | None:
        """What is known of a cell."""
        found: Mapping[str, Any] | None = self.raw["cells"].get(name)
        return found

    def rounds(self, cell: str, server: str) -> list[Round]:
        """The rounds of a server that went well."""
        return [one for one in self._rounds.get((cell, server), ()) if "failed" not in one]

    def failure(self, cell: str, server: str) -> str:
        """Why there are no figures; empty where it was not tried, or went well."""
        failed = [one["failed"] for one in self._rounds.get((cell, server), ()) if "failed" in one]
        return failed[0] if failed and not self.rounds(cell, server) else ""

    def spread(self, cell: str, server: str, key: str, part: int | None = None) -> Spread | None:
        """A figure over the rounds; `part` of it where it is a pair."""
        values = [one[key] for one in self.rounds(cell, server) if key in one]
        return Spread.of([value if part is None else value[part] for value in values])

    def median(self, cell: str, server: str, key: str, part: int | None = None) -> float | None:
        """The median of a figure over the rounds."""
        found = self.spread(cell, server, key, part)
        return found.median if found else None

    def ratio(self, cell: str, server: str, other: str) -> Spread | None:
        """CPU time for a span by that of the other: of the medians, with that of each round."""
        ours, theirs = self.spread(cell, server, _CPU), self.spread(cell, other, _CPU)
        if ours is None or theirs is None:
            return None
        pairs = zip(self._rounds[cell, server], self._rounds[cell, other], strict=False)
        each = [mine[_CPU] / yours[_CPU] for mine, yours in pairs if _CPU in mine and _CPU in yours]
        if not each:
            return None
        return Spread(ours.median / theirs.median, min(each), max(each))

    def hot_path(self, spans: int, batch: str) -> Mapping[str, Any] | None:
        """What the in-process benchmark found with so many spans a request."""
        for run in self.raw.get("hot_path", ()):
            if run["spans"] == spans:
                return next((row for row in run["rows"] if row["batch"] == batch), None)
        return None


_CPU = "cpu_us_per_span"


def joined(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The old results, with the new ones in place of those of the same cells.

    Raises:
        ValueError: they are of different machines or versions, and can't be compared.
    """
    for part in ("machine", "versions"):
        if old[part] != new[part]:
            raise ValueError(
                f"the file has results of another {part.rstrip('s')}: {old[part]}, this is "
                f"{new[part]}; run without --only, which makes the file anew"
            )
    kept = [row for row in old["rows"] if row["cell"] not in new["cells"]]
    return {**old, **new, "cells": {**old["cells"], **new["cells"]}, "rows": kept + new["rows"]}
