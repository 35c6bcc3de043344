"""Records the metrics of the table, and writes them as a page for Prometheus.

Values are exact, integers or decimals, until Prometheus writes them as text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from genops_enricher.telemetry.table import METRICS, Instrument, Kind

__all__ = ["Telemetry"]


class Telemetry:
    """Records the metrics of the table. Thread safe.

    A name that is not in the table, or a label set that is not the metric's own, is a mistake in
    the program and raises KeyError; so does counting a gauge or setting a counter.

    `add` with an amount of 0 makes a series visible before anything happened, which lets an alert
    tell "none" from "not there".
    """

    def __init__(self) -> None:
        self._instruments = {metric.name: metric for metric in METRICS}
        self._lock = threading.Lock()
        # int and Decimal for counters, float too for gauges; the two are never added.
        self._numbers: dict[str, dict[tuple[str, ...], Any]] = {m.name: {} for m in METRICS}
        self._readers: dict[str, dict[tuple[str, ...], Callable[[], float]]] = {
            m.name: {} for m in METRICS
        }
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_TableCollector(self))
        ProcessCollector(registry=self.registry)  # process_*: CPU, memory, open files; Linux only

    def add(self, name: str, amount: int | Decimal = 1, /, **labels: str) -> None:
        """Count `amount` more, zero or greater, on a counter."""
        if amount < 0:
            raise ValueError(f"{name}: a counter can't go down (amount {amount})")
        key = self._key(name, Kind.COUNTER, labels)
        with self._lock:
            series = self._numbers[name]
            series[key] = series.get(key, 0) + amount

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge to `value`."""
        key = self._key(name, Kind.GAUGE, labels)
        with self._lock:
            self._numbers[name][key] = value

    def watch(self, name: str, read: Callable[[], float], /, **labels: str) -> None:
        """Let `read` give a gauge whenever someone looks. It must be quick and thread safe."""
        key = self._key(name, Kind.GAUGE, labels)
        with self._lock:
            self._readers[name][key] = read

    def clear(self, name: str, /) -> None:
        """Forget every series of a gauge, because its labels are to be others."""
        self._instrument(name, Kind.GAUGE)
        with self._lock:
            self._numbers[name].clear()
            self._readers[name].clear()

    def unwatch(self, name: str, /, **labels: str) -> None:
        """Let go of what `watch` was given; the series stays at 0."""
        key = self._key(name, Kind.GAUGE, labels)
        with self._lock:
            self._readers[name].pop(key, None)
            self._numbers[name][key] = 0

    def value(self, name: str, /, **labels: str) -> float:
        """What a series stands at; 0 if nothing was ever recorded on it."""
        key = self._key(name, self._instruments[name].kind, labels)
        with self._lock:
            read = self._readers[name].get(key)
            number = self._numbers[name].get(key, 0)
        return number if read is None else read()

    def total(self, name: str, /) -> float:
        """The sum over all series of a metric."""
        return sum(value for _, value in self.series(self._instruments[name]))

    def labelled(self, name: str, /) -> list[tuple[dict[str, str], float]]:
        """Every series of a metric as (labels, value)."""
        metric = self._instruments[name]
        return [
            (dict(zip(metric.labels, values, strict=True)), value)
            for values, value in self.series(metric)
        ]

    def read(self, names: Iterable[str]) -> dict[str, list[tuple[dict[str, str], float]]]:
        """`labelled` of several metrics, by name."""
        return {name: self.labelled(name) for name in names}

    def series(self, metric: Instrument) -> list[tuple[tuple[str, ...], float]]:
        """Every series of a metric as (label values, value)."""
        with self._lock:
            numbers = dict(self._numbers[metric.name])
            readers = dict(self._readers[metric.name])
        # Read without the lock: a reader may take the lock of a queue, and a queue that holds its
        # own lock may be counting here.
        return [*(numbers | {key: read() for key, read in readers.items()}).items()]

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics page and its content type, as the HTTP Accept header `accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _key(self, name: str, kind: Kind, labels: dict[str, str]) -> tuple[str, ...]:
        metric = self._instrument(name, kind)
        if len(labels) != len(metric.labels):
            raise KeyError(f"{name} has the labels {metric.labels}, not {tuple(labels)}")
        return tuple([labels[label] for label in metric.labels])

    def _instrument(self, name: str, kind: Kind) -> Instrument:
        metric = self._instruments.get(name)
        if metric is None:
            raise KeyError(f"{name} is not in the metric table")
        if metric.kind is not kind:
            raise KeyError(f"{name} is a {metric.kind}, not a {kind}")
        return metric


class _TableCollector(Collector):
    """Hands the numbers to prometheus_client.

    Its own metric objects are not used: they keep binary floats, cost more per count, and add a
    `_created` series to each counter.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterator[Metric]:
        for metric in METRICS:
            series = self._telemetry.series(metric)
            family: CounterMetricFamily | GaugeMetricFamily
            if metric.kind is Kind.COUNTER:
                family = CounterMetricFamily(metric.name, metric.meaning, labels=metric.labels)
            else:
                family = GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
            for values, value in series:
                family.add_metric(values, value)
            yield family
