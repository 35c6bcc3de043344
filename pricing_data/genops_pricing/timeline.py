"""Lay price rows out in time: which row is in force at an instant.

A row ends where the next of its file starts. A row that states its own end (a promotion, a
contract) lies on top of the rows it interrupts, an overlay on top of the catalog, and a correction
takes the place of the row it corrects. Intervals are half-open.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .answers import ALWAYS_NS
from .model import Row

__all__ = ["Timeline", "clashes", "make_timeline"]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The row in force between two instants, for all of time."""

    starts: tuple[int, ...]  # Unix nanoseconds, rising; the first is the start of time
    rows: tuple[Row | None, ...]

    def at(self, at_ns: int) -> tuple[Row | None, int, int]:
        """The row in force at an instant, and the interval [from, until) in which it is."""
        index = bisect_right(self.starts, at_ns) - 1
        last = index + 1 == len(self.starts)
        return (
            self.rows[index],
            self.starts[index],
            (ALWAYS_NS[1] if last else self.starts[index + 1]),
        )


def make_timeline(rows: Iterable[Row]) -> Timeline:
    """Lay out the rows of one model or endpoint, those of overlays included."""
    spans = _spans(rows)
    starts = [ALWAYS_NS[0]]
    in_force: list[Row | None] = [None]
    for edge in sorted({edge for span in spans for edge in (span.start, span.end)}):
        covering = [span for span in spans if span.start <= edge < span.end]
        row = max(covering, key=_Span.rank).row if covering else None
        if row is not in_force[-1]:
            starts.append(edge)
            in_force.append(row)
    return Timeline(tuple(starts), tuple(in_force))


def clashes(rows: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Pairs of rows of one file that claim the same time, so that neither can win."""
    spans = sorted(_spans(rows), key=lambda span: (*span.rank(), span.start))
    return [
        (first.row, second.row)
        for first, second in pairwise(spans)
        if first.rank() == second.rank()
        and (second.start < first.end or second.start == first.start)
    ]


@dataclass(frozen=True, slots=True)
class _Span:
    row: Row
    start: int
    end: int

    def rank(self) -> tuple[int, bool]:
        """What lies on top of what: later overlays, and in one file rows with an end."""
        return self.row.layer, self.row.end_ns is not None


def _spans(rows: Iterable[Row]) -> list[_Span]:
    stated = list(rows)
    replaced = {row.corrects for row in stated}
    current = [row for row in stated if row.entry not in replaced]
    spans = [_Span(row, row.start_ns, row.end_ns) for row in current if row.end_ns is not None]
    for layer in {row.layer for row in current}:
        spans += _chain([row for row in current if row.layer == layer and row.end_ns is None])
    return spans


def _chain(rows: Sequence[Row]) -> list[_Span]:
    ordered = sorted(rows, key=lambda row: row.start_ns)
    ends = [*(row.start_ns for row in ordered[1:]), ALWAYS_NS[1]]
    return [_Span(row, row.start_ns, end) for row, end in zip(ordered, ends, strict=False)]
