"""What a request, a span and a byte cost, fitted to cells that differ in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Fit", "Point", "fit"]


@dataclass(frozen=True, slots=True)
class Point:
    """A cell: what its requests are, and what one of them cost."""

    name: str
    spans: int
    kib: float
    us: float

    @property
    def terms(self) -> tuple[float, float, float]:
        """By what the fitted costs are multiplied."""
        return 1.0, float(self.spans), self.kib


@dataclass(frozen=True, slots=True)
class Fit:
    """Costs in microseconds, and by how much each point is off."""

    request_us: float
    span_us: float
    kib_us: float
    deviations: tuple[tuple[str, float], ...]  # 0.1: 10 % more than the costs add up to

    @property
    def largest(self) -> tuple[str, float]:
        """The point that is furthest off."""
        return max(self.deviations, key=lambda each: abs(each[1]))


def fit(points: Sequence[Point]) -> Fit:
    """The costs of least squares, where the square is that of the relative deviation.

    Requests cost from less than a millisecond to a hundred: with absolute deviations the largest
    would decide alone.

    Raises:
        ValueError: the points do not determine the costs.
    """
    rows = [[term / point.us for term in point.terms] for point in points]
    size = 3
    matrix = [
        [sum(row[i] * row[j] for row in rows) for j in range(size)] + [sum(row[i] for row in rows)]
        for i in range(size)
    ]
    costs = _solved(matrix)
    deviations = tuple(
        (point.name, point.us / sum(c * t for c, t in zip(costs, point.terms, strict=True)) - 1)
        for point in points
    )
    return Fit(*costs, deviations)


def _solved(matrix: list[list[float]]) -> tuple[float, float, float]:
    """Solve the linear equations by elimination; the last column is the right side."""
    size = len(matrix)
    scale = max(abs(value) for row in matrix for value in row) if matrix else 0.0
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        if abs(matrix[pivot][column]) <= 1e-12 * scale:
            raise ValueError("the points do not differ enough in requests, spans and bytes")
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(size):
            if row != column:
                factor = matrix[row][column] / matrix[column][column]
                matrix[row] = [
                    a - factor * b for a, b in zip(matrix[row], matrix[column], strict=True)
                ]
    first, second, third = (matrix[n][size] / matrix[n][n] for n in range(size))
    return first, second, third
