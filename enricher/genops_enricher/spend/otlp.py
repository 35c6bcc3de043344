"""The sums as an ExportMetricsServiceRequest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, NumberDataPoint

from genops_enricher.pipeline import Batch, Signal
from genops_enricher.spend.ledger import METRICS, Amounts

__all__ = ["Interval", "encode"]

_SCOPE = "genops.enricher"
_INT64_MAX = (1 << 63) - 1  # one count may be up to 2**53, and there may be many


@dataclass(frozen=True, slots=True)
class Interval:
    """What the sums are over, in Unix nanoseconds."""

    start_ns: int
    end_ns: int
    delta: bool  # from the end of the last report; else from the start of the process


def encode(
    rows: Sequence[tuple[Mapping[str, str | bool], Amounts]],
    interval: Interval,
    resource: Mapping[str, str],
) -> Batch:
    """One request, with a data point for each row and metric that has a value."""
    request = ExportMetricsServiceRequest()
    envelope = request.resource_metrics.add()
    envelope.resource.attributes.extend(_attributes(resource))
    scope = envelope.scope_metrics.add()
    scope.scope.name = _SCOPE
    kind = AggregationTemporality
    points = 0
    for metric in METRICS:
        values = [(labels, metric.read(row)) for labels, row in rows]
        found = [_point(labels, v, interval) for labels, v in values if v is not None]
        if not found:
            continue
        points += len(found)
        out = scope.metrics.add(name=metric.name, unit=metric.unit, description=metric.meaning)
        out.sum.is_monotonic = True
        out.sum.aggregation_temporality = (
            kind.AGGREGATION_TEMPORALITY_DELTA
            if interval.delta
            else kind.AGGREGATION_TEMPORALITY_CUMULATIVE
        )
        out.sum.data_points.extend(found)
    return Batch(Signal.METRICS, request.SerializeToString(), points)


def _point(labels: Mapping[str, str | bool], value: float, interval: Interval) -> NumberDataPoint:
    point = NumberDataPoint(
        attributes=_attributes(labels),
        start_time_unix_nano=interval.start_ns,
        time_unix_nano=interval.end_ns,
    )
    if isinstance(value, int):
        point.as_int = min(value, _INT64_MAX)
    else:
        point.as_double = value
    return point


def _attributes(values: Mapping[str, str | bool]) -> list[KeyValue]:
    return [
        KeyValue(
            key=key,
            value=AnyValue(bool_value=value)
            if isinstance(value, bool)
            else AnyValue(string_value=value),
        )
        for key, value in values.items()
    ]
