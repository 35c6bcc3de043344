"""Plot a price over time as text, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

__all__ = ["plot"]

_HEIGHT: Final = 6
_STEEP: Final = 5  # from which ratio on the scale is logarithmic

Step = tuple[datetime, Decimal | None]


def plot(title: str, steps: Sequence[Step], *, until: datetime, width: int) -> Iterator[str]:
    """A price as a line of steps, with gaps; nothing where it never changed.

    Args:
        title: what is plotted, with its unit.
        steps: instants from which prices hold, rising; None for a gap, from where there is none.
        until: where the plot ends, not before the last step.
        width: columns to fit in.
    """
    prices = [price for _, price in steps if price is not None]
    if len(set(prices)) < 2:
        return
    low, high = min(prices), max(prices)
    log = low > 0 and high > low * _STEEP
    labels = [f"{high:f}", f"{low:f}"]
    margin = max(map(len, labels))
    columns = max(width - margin - 5, 20)
    start, end = steps[0][0], max(until, steps[-1][0])
    span = (end - start).total_seconds() or 1.0
    rows = [
        _height(_price_at(steps, start.timestamp() + span * column / (columns - 1)), low, high, log)
        for column in range(columns)
    ]
    gaps = ", gaps where unpriced" if len(prices) < len(steps) else ""
    yield f"{title}{', log scale' if log else ''}{gaps}"
    for level in range(_HEIGHT - 1, -1, -1):
        label = labels[0] if level == _HEIGHT - 1 else labels[1] if level == 0 else ""
        line = "".join(
            "─" if row == level else "│" if _passes(rows, column, level) else " "
            for column, row in enumerate(rows)
        )
        yield f"{label:>{margin}} ┤{line}".rstrip()
    first, last = f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"
    yield f"{'':{margin}} └{first}{'':{columns - len(first) - len(last)}}{last}"


def _price_at(steps: Sequence[Step], moment: float) -> Decimal | None:
    instant = datetime.fromtimestamp(moment, UTC)
    return [price for start, price in steps if start <= instant or start == steps[0][0]][-1]


def _height(price: Decimal | None, low: Decimal, high: Decimal, log: bool) -> int | None:
    if price is None:
        return None
    if log:
        part = math.log(price / low) / math.log(high / low)
    else:
        part = float((price - low) / (high - low))
    return round(part * (_HEIGHT - 1))


def _passes(rows: Sequence[int | None], column: int, level: int) -> bool:
    """Whether the line falls or rises through a level at a column."""
    before, after = rows[column - 1] if column else None, rows[column]
    if before is None or after is None:
        return False
    return min(before, after) < level < max(before, after)
