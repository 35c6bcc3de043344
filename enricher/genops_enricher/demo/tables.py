"""Plain-text tables that fit the terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Column", "natural_width", "render_table"]

GAP = "  "
INDENT = "    "
SMALLEST = 8  # characters that a shortened column keeps


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its side, and whether its texts may be cut to fit."""

    heading: str
    right: bool = False
    shrinks: bool = False


def natural_width(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> int:
    """The characters that the table needs to show every text whole."""
    return _line_width(_widths(columns, rows))


def render_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    width: int,
    details: Sequence[str] | None = None,
) -> str:
    """Lay out the rows under their headings, each with its line of details below it, if any.

    Where the natural widths exceed `width` characters, the widest column that shrinks is cut,
    again and again. Numbers are never cut, so that a very narrow terminal wraps lines instead.
    """
    widths = _widths(columns, rows)
    while _line_width(widths) > width:
        index = max(
            (index for index, column in enumerate(columns) if column.shrinks),
            key=lambda index: widths[index],
            default=None,
        )
        if index is None or widths[index] <= SMALLEST:
            break
        widths[index] -= 1

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, columns, strict=True)
        return GAP.join(_fit(text, size, column.right) for text, size, column in cells).rstrip()

    lines = [line([column.heading for column in columns]), line(["─" * size for size in widths])]
    for index, row in enumerate(rows):
        lines.append(line(row))
        if details is not None:
            lines.append(_cut(INDENT + details[index], width))
    return "\n".join(lines)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(len(column.heading), *(len(row[index]) for row in rows), 0)
        for index, column in enumerate(columns)
    ]


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _fit(text: str, size: int, right: bool) -> str:
    text = _cut(text, size)
    return text.rjust(size) if right else text.ljust(size)


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"
