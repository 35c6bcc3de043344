"""Plain-text tables that fit the terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Column", "render_table"]

GAP = "  "
SMALLEST = 8  # characters that a shortened column keeps


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its side, and whether its texts may be cut to fit."""

    heading: str
    right: bool = False
    shrinks: bool = False


def render_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> str:
    """Lay out the rows under their headings.

    Where the natural widths exceed `width` characters, the widest column that shrinks is cut,
    again and again. Numbers are never cut, so that a very narrow terminal wraps lines instead.
    """
    cells = [[column.heading for column in columns], *rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    excess = sum(widths) + len(GAP) * (len(columns) - 1) - width
    while excess > 0:
        index = max(
            (index for index, column in enumerate(columns) if column.shrinks),
            key=lambda index: widths[index],
            default=None,
        )
        if index is None or widths[index] <= SMALLEST:
            break
        widths[index] -= 1
        excess -= 1
    cells.insert(1, ["─" * size for size in widths])
    return "\n".join(
        GAP.join(
            _fit(text, size, column.right)
            for text, size, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in cells
    )


def _fit(text: str, size: int, right: bool) -> str:
    if len(text) > size:
        text = text[: size - 1] + "…"
    return text.rjust(size) if right else text.ljust(size)
