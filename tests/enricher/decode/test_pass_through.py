"""Metrics and logs on their way through: counted, and otherwise left alone."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from genops_enricher.decode.pass_through import PassThrough
from genops_enricher.errors import PermanentError
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.telemetry import Telemetry


class Collecting:
    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def consume(self, batch: Batch) -> None:
        self.batches.append(batch)


def passed(signal: Signal, payload: bytes) -> list[Batch]:
    collecting, telemetry = Collecting(), Telemetry()
    PassThrough(signal, collecting, telemetry).accept(payload)
    assert telemetry.value("genops_received_items_total", signal=signal) == sum(
        batch.items for batch in collecting.batches
    )
    return collecting.batches


def metrics_of(*metrics: Metric) -> bytes:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.extend(metrics)
    return request.SerializeToString()


def test_data_points_of_every_kind_are_counted() -> None:
    metrics = [Metric(name=kind) for kind in ("gauge", "sum", "histogram", "summary")]
    for metric in metrics:
        getattr(metric, metric.name).data_points.add()
        getattr(metric, metric.name).data_points.add()
    payload = metrics_of(*metrics)

    assert passed(Signal.METRICS, payload) == [Batch(Signal.METRICS, payload, 8)]


def test_a_metric_of_a_kind_that_is_not_known_passes_and_counts_as_one() -> None:
    of_the_future = Metric.FromString(b"\x0a\x01m" + b"\xfa\x01\x02\x0a\x00")  # field 31
    payload = metrics_of(of_the_future)

    assert passed(Signal.METRICS, payload) == [Batch(Signal.METRICS, payload, 1)]


def test_log_records_are_counted() -> None:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add(severity_text="INFO")
    records.add()
    payload = request.SerializeToString()

    assert passed(Signal.LOGS, payload) == [Batch(Signal.LOGS, payload, 2)]


@pytest.mark.parametrize("signal", [Signal.METRICS, Signal.LOGS])
@pytest.mark.parametrize("payload", [b"", b"\x0a\x00", b"\x0a\x02\x12\x00"])
def test_empty_envelopes_are_accepted_and_not_passed_on(signal: Signal, payload: bytes) -> None:
    assert passed(signal, payload) == []


@pytest.mark.parametrize("signal", [Signal.METRICS, Signal.LOGS])
def test_a_broken_envelope_can_never_be_accepted(signal: Signal) -> None:
    with pytest.raises(PermanentError, match=f"can't be read as OTLP {signal}"):
        passed(signal, b"\x0a\x05\x12")
