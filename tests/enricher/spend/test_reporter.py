"""What is reported as OTLP, and when a report counts as made."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from genops_enricher.decode.lens import count_data_points
from genops_enricher.errors import RetryableError
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.spend import Amounts, Ledger, Reporter
from genops_enricher.spend.ledger import FEMTODOLLARS

NAMES = ("genops.team",)


class Taker:
    """Takes batches, or refuses them when told to."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.refuse_from = 1 << 30  # the number of batches after which it refuses
        self.came = threading.Event()

    def consume(self, batch: Batch) -> None:
        if len(self.batches) >= self.refuse_from:
            raise RetryableError("full")
        self.batches.append(batch)
        self.came.set()


def clock() -> Iterator[int]:
    return iter(range(100, 10_000, 100))


def reporter(ledger: Ledger, taker: Taker, *, delta: bool, interval_s: float = 3600.0) -> Reporter:
    times = clock()
    return Reporter(
        ledger,
        taker,
        interval_s=interval_s,
        delta=delta,
        resource={"service.name": "genops-enricher"},
        now_ns=lambda: next(times),
    )


def points(batch: Batch) -> dict[tuple[str, str], tuple[float, int, int]]:
    """(metric, team) -> (value, start, end)."""
    found = {}
    message = ExportMetricsServiceRequest.FromString(batch.payload)
    for metric in message.resource_metrics[0].scope_metrics[0].metrics:
        assert metric.sum.is_monotonic
        for point in metric.sum.data_points:
            team = point.attributes[0].value.string_value
            value = point.as_double if metric.name == "genops.cost" else float(point.as_int)
            span = (value, point.start_time_unix_nano, point.time_unix_nano)
            found[metric.name, team] = span
    return found


def temporality(batch: Batch) -> set[int]:
    message = ExportMetricsServiceRequest.FromString(batch.payload)
    metrics = message.resource_metrics[0].scope_metrics[0].metrics
    return {metric.sum.aggregation_temporality for metric in metrics}


def test_cumulative_sums_run_from_the_start_and_are_repeated() -> None:
    ledger, taker = Ledger(NAMES, 10), Taker()
    reports = reporter(ledger, taker, delta=False)
    ledger.add({("a",): Amounts(FEMTODOLLARS, 10, 1)})
    reports.report()
    ledger.add({("b",): Amounts(None, 5, 1, cache_read=2)})
    reports.report()

    first, second = taker.batches
    assert points(first) == {
        ("genops.cost", "a"): (1.0, 100, 200),
        ("genops.tokens.input", "a"): (10.0, 100, 200),
        ("genops.tokens.output", "a"): (1.0, 100, 200),
    }
    assert points(second) == {
        ("genops.cost", "a"): (1.0, 100, 300),
        ("genops.tokens.input", "a"): (10.0, 100, 300),
        ("genops.tokens.output", "a"): (1.0, 100, 300),
        ("genops.tokens.input", "b"): (5.0, 100, 300),
        ("genops.tokens.output", "b"): (1.0, 100, 300),
        ("genops.tokens.cache_read", "b"): (2.0, 100, 300),
    }
    assert temporality(first) == {AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE}
    assert second.signal is Signal.METRICS
    assert second.items == count_data_points(second.payload) == 6


def test_deltas_say_only_what_is_new_since_the_last_report() -> None:
    ledger, taker = Ledger(NAMES, 10), Taker()
    reports = reporter(ledger, taker, delta=True)
    ledger.add({("a",): Amounts(FEMTODOLLARS, 10, 1), ("b",): Amounts(FEMTODOLLARS, 1, 1)})
    reports.report()
    ledger.add({("a",): Amounts(2 * FEMTODOLLARS, 5, 0)})
    reports.report()
    reports.report()

    first, second = taker.batches  # with nothing new there is no third
    assert points(second) == {
        ("genops.cost", "a"): (2.0, 200, 300),
        ("genops.tokens.input", "a"): (5.0, 200, 300),
        ("genops.tokens.output", "a"): (0.0, 200, 300),
    }
    assert temporality(first) == {AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA}


def test_a_refused_delta_is_in_the_next_report() -> None:
    ledger, taker = Ledger(NAMES, 10), Taker()
    reports = reporter(ledger, taker, delta=True)
    taker.refuse_from = 0
    ledger.add({("a",): Amounts(FEMTODOLLARS, 10, 1)})
    reports.report()
    taker.refuse_from = 1 << 30
    ledger.add({("a",): Amounts(FEMTODOLLARS, 1, 1)})
    reports.report()

    (only,) = taker.batches
    assert points(only)["genops.cost", "a"] == (2.0, 100, 300)


def test_many_rows_go_out_in_several_requests_and_each_counts_once_when_one_is_refused() -> None:
    ledger, taker = Ledger(NAMES, 2000), Taker()
    reports = reporter(ledger, taker, delta=True)
    ledger.add({(f"team {n}",): Amounts(FEMTODOLLARS, 1, 1) for n in range(1200)})
    taker.refuse_from = 2
    reports.report()
    taker.refuse_from = 1 << 30
    reports.report()

    assert [batch.items for batch in taker.batches] == [1500, 1500, 600]
    total = sum(
        value
        for batch in taker.batches
        for (metric, _), (value, _, _) in points(batch).items()
        if metric == "genops.cost"
    )
    assert total == 1200.0
    assert max(len(batch.payload) for batch in taker.batches) < 1 << 20


def test_counts_beyond_64_bits_stay_at_their_limit() -> None:
    ledger, taker = Ledger(NAMES, 10), Taker()
    ledger.add({("a",): Amounts(None, 1 << 70)})
    reporter(ledger, taker, delta=False).report()

    assert points(taker.batches[0])["genops.tokens.input", "a"][0] == float((1 << 63) - 1)


def test_reports_come_at_the_interval() -> None:
    ledger, taker = Ledger(NAMES, 10), Taker()
    ledger.add({("a",): Amounts(FEMTODOLLARS, 1, 1)})
    reports = reporter(ledger, taker, delta=True, interval_s=0.01)
    reports.start()

    assert taker.came.wait(60)
    reports.stop(10)
    assert len(taker.batches) == 1


@pytest.mark.parametrize("delta", [True, False])
def test_a_stop_reports_what_is_left(delta: bool) -> None:
    ledger, taker = Ledger(NAMES, 10), Taker()
    reports = reporter(ledger, taker, delta=delta)
    reports.start()
    ledger.add({("a",): Amounts(FEMTODOLLARS, 1, 1)})
    reports.stop(10)

    assert points(taker.batches[-1])["genops.cost", "a"][0] == 1.0
