"""A line plot as SVG: one line a server, values of an axis from left to right."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["line_plot"]

_WIDTH, _HEIGHT = 760, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 250, 36, 50
# Colours that people who see few of them can tell apart (Okabe and Ito), and black.
_COLOURS = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#999933",
)  # fmt: skip
_STEEP = 20.0  # from which ratio on the height is logarithmic

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to places on the page."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def __call__(self, value: float) -> float:
        low, high = self._on(self.low), self._on(self.high)
        share = (self._on(value) - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 1)

    def _on(self, value: float) -> float:
        return math.log10(value) if self.log else value


def line_plot(title: str, axis: str, series: Mapping[str, Sequence[Point]], *, log: bool) -> str:
    """The plot as text.

    Args:
        title: what is plotted, with its unit.
        axis: what the values of the axis are.
        series: by name, points of axis and height; heights are above 0.
        log: the axis is logarithmic; its values are above 0.
    """
    places = sorted({x for points in series.values() for x, _ in points})
    heights = [y for points in series.values() for _, y in points]
    steep = max(heights) / min(heights) > _STEEP
    bottom = _below(min(heights)) if steep else 0.0
    across = _Scale(places[0], places[-1], _LEFT, _WIDTH - _RIGHT, log)
    up = _Scale(bottom, max(heights) * 1.05, _HEIGHT - _BOTTOM, _TOP, steep)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 20, title + (", logarithmic" if steep else ""), size=14),
        *_grid(up),
        *(_text(across(x), _HEIGHT - _BOTTOM + 18, f"{x:,g}", "middle") for x in places),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, axis, "middle"),
        *_lines(series, across, up),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _grid(up: _Scale) -> Iterator[str]:
    for value in _ticks(up.low, up.high, log=up.log):
        y = up(value)
        yield f'<path d="M{_LEFT} {y}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>'
        yield _text(_LEFT - 8, y + 4, f"{value:,g}", "end")


def _lines(series: Mapping[str, Sequence[Point]], across: _Scale, up: _Scale) -> Iterator[str]:
    for number, (name, points) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = "L".join(f"{across(x)} {up(y)}" for x, y in points)
        width = 3 if number == 0 else 1.5
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
        for x, y in points:
            yield f'<circle cx="{across(x)}" cy="{up(y)}" r="3" fill="{colour}"/>'
        y = _TOP + 12 + 20 * number
        start = _WIDTH - _RIGHT + 16
        yield f'<path d="M{start} {y}h20" stroke="{colour}" stroke-width="{width}"/>'
        yield _text(start + 26, y + 4, name)


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    style = f' text-anchor="{anchor}"' if anchor != "start" else ""
    style += f' font-size="{size}"' if size != 12 else ""
    return f'<text x="{x}" y="{y}"{style}>{escape(text)}</text>'


def _ticks(low: float, high: float, *, log: bool) -> Iterator[float]:
    """Round values between the two, some four of them on a linear scale."""
    if log:
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
            yield from (m * 10.0**power for m in (1, 2, 5) if low <= m * 10.0**power <= high)
        return
    rough = high / 4
    step = next(s for s in _rising(rough) if s >= rough)
    yield from (step * n for n in range(math.floor(high / step) + 1))


def _below(value: float) -> float:
    """The largest round value that is no larger."""
    return max(step for step in _rising(value) if step <= value)


def _rising(about: float) -> list[float]:
    power = math.floor(math.log10(about))
    return [m * 10.0**power for m in (1, 2, 5, 10)]
