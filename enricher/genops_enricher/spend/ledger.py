"""The sums: cost and tokens of all calls, one row for each set of label values.

See docs/adr/0006-own-sums-for-cost-metrics.md for why these are not the counters of OpenTelemetry's
SDK. Cost is added up exactly, in whole femtodollars, and one bound holds for the page and for OTLP.
The bound and the row beyond it are those of the SDK: `max_series` rows, of which the last is the
one with `otel.metric.overflow`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "FEMTODOLLARS",
    "METRICS",
    "OVERFLOW",
    "Amounts",
    "Labels",
    "Ledger",
    "SpendMetric",
    "page_label",
]

FEMTODOLLARS = 10**15  # in a dollar. The cheapest token on the market costs millions of them.

Labels = tuple[str, ...]
"""The values of the labels, in the order of their names; "" for what a span does not have."""

OVERFLOW: Labels = ()
"""The row of what comes after `max_series` rows are there."""

OVERFLOW_NAME = "otel.metric.overflow"  # as the OpenTelemetry metrics SDK specification names it


class Amounts(NamedTuple):
    """Sums over calls. Token counts include their parts, as those of `Usage` do."""

    cost: int | None = None  # femtodollars; None if no call had a cost, which is not the same as 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    def plus(self, other: Amounts) -> Amounts:
        """The sums of both."""
        return Amounts(_added(self.cost, other.cost), *map(int.__add__, self[1:], other[1:]))

    def minus(self, earlier: Amounts) -> Amounts:
        """What was added since `earlier`."""
        cost = None if self.cost is None else self.cost - (earlier.cost or 0)
        return Amounts(cost, *map(int.__sub__, self[1:], earlier[1:]))


def _added(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


@dataclass(frozen=True, slots=True)
class SpendMetric:
    """One metric: the name for OTLP and that for Prometheus, and how a row's value is read.

    The second follows from the first by OpenTelemetry's rules for Prometheus (a unit in braces
    leaves no trace in a name), so that a query works however the metric came there.
    """

    name: str
    unit: str
    meaning: str
    read: Callable[[Amounts], float | None]  # None: this row has no such series

    @property
    def page_name(self) -> str:
        """The name on the metrics page."""
        return f"{self.name.replace('.', '_')}_total"


def page_label(attribute: str) -> str:
    """The label of an attribute on the metrics page, by the same rules.

    Underscores stand alone: labels that begin with two, such as `__name__`, are Prometheus' own.
    """
    label = re.sub(r"[^a-zA-Z0-9]+", "_", attribute)
    return f"key_{label}" if label[:1].isdigit() else label


def _dollars(row: Amounts) -> float | None:
    return None if row.cost is None else row.cost / FEMTODOLLARS


METRICS: tuple[SpendMetric, ...] = (
    SpendMetric("genops.cost", "{USD}", "Cost of LLM calls in USD.", _dollars),
    SpendMetric(
        "genops.tokens.input",
        "{token}",
        "Tokens of input, cached ones included.",
        lambda row: row.input,
    ),
    SpendMetric(
        "genops.tokens.output",
        "{token}",
        "Tokens of output, reasoning included.",
        lambda row: row.output,
    ),
    SpendMetric(
        "genops.tokens.cache_read",
        "{token}",
        "Tokens of input read from a cache.",
        lambda row: row.cache_read or None,
    ),
    SpendMetric(
        "genops.tokens.cache_write",
        "{token}",
        "Tokens of input written to a cache.",
        lambda row: row.cache_write or None,
    ),
    SpendMetric(
        "genops.tokens.reasoning",
        "{token}",
        "Tokens of output spent on reasoning.",
        lambda row: row.reasoning or None,
    ),
)


class Ledger:
    """The sums since the process started. Thread safe."""

    def __init__(self, names: tuple[str, ...], max_series: int) -> None:
        """`names` are the attributes whose values are the labels."""
        self.names = names
        self.max_series = max_series
        """How many rows there may be. Rows that are there stay when it is set lower."""
        self._lock = threading.Lock()
        self._rows: dict[Labels, Amounts] = {}

    def add(self, amounts: Mapping[Labels, Amounts]) -> None:
        """Add the sums of one request."""
        with self._lock:
            for labels, more in amounts.items():
                row = self._rows.get(labels)
                if row is None and len(self._rows) >= self.max_series - 1:
                    self._rows[OVERFLOW] = self._rows.get(OVERFLOW, Amounts()).plus(more)
                else:
                    self._rows[labels] = row.plus(more) if row else more

    def rows(self) -> dict[Labels, Amounts]:
        """All rows as they stand."""
        with self._lock:
            return dict(self._rows)

    def attributes(self, labels: Labels) -> dict[str, str | bool]:
        """The labels of a row by name, without those that have no value."""
        if labels == OVERFLOW:
            return {OVERFLOW_NAME: True}
        return {name: text for name, text in zip(self.names, labels, strict=True) if text}
