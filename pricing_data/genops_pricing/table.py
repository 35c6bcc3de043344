"""Lay out text for a terminal: facts by name, and tables that fit in its width."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence

__all__ = ["columns", "fact", "fit"]

_NARROW = 16  # what is cut short keeps so many characters
_INDENT = 14


def fact(name: str, value: object, width: int | None = None) -> Iterator[str]:
    """A name and its value, over several lines where these are longer than `width`."""
    text = f"  {name:<11} {value}"
    if width is None:
        yield text
    else:
        yield from textwrap.wrap(
            text, width, subsequent_indent=" " * _INDENT, break_on_hyphens=False
        )


def columns(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table, its columns aligned."""
    widths = _widths(table)
    for line in table:
        yield "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()


def fit(
    table: Sequence[Sequence[str]], width: int, *, soft: Collection[str], spare: Sequence[str]
) -> tuple[list[list[str]], list[str]]:
    """A table no wider than `width`, as far as it can be: cut short, then without columns.

    Args:
        table: its first line names the columns.
        width: in characters.
        soft: columns whose cells may be cut short, the widest first.
        spare: columns that may be left out, in this order.

    Returns:
        The table, and the names of the columns that it lacks.
    """
    lines = [list(line) for line in table]
    left_out: list[str] = []
    while True:
        widths = _widths(lines)
        excess = sum(widths) + 2 * (len(widths) - 1) - width
        wide = max(
            (index for index, name in enumerate(lines[0]) if name in soft),
            key=widths.__getitem__,
            default=None,
        )
        if excess <= 0:
            return lines, left_out
        if wide is not None and widths[wide] > _NARROW:
            most = max(_NARROW, widths[wide] - excess)
            for line in lines:
                line[wide] = _cut(line[wide], most)
            continue
        gone = next((name for name in spare if name in lines[0]), None)
        if gone is None:
            return lines, left_out
        left_out.append(gone)
        index = lines[0].index(gone)
        for line in lines:
            del line[index]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*table, strict=True)]
