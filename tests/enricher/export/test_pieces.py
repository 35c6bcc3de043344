"""Requests taken apart: nothing is lost, nothing changes, nothing is larger than it may be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genops_enricher.export.pieces import halve, split
from genops_enricher.pipeline import Signal
from otlp import span

# resources of scopes of sizes of spans, in characters
SHAPES = st.lists(st.lists(st.lists(st.integers(0, 300), max_size=5), max_size=3), max_size=3)


def traces(shape: list[list[list[int]]]) -> bytes:
    message = ExportTraceServiceRequest()
    number = 0
    for scopes in shape:
        resource = message.resource_spans.add(schema_url="r")
        resource.resource.attributes.add(key="service.name").value.string_value = f"s{number}"
        for sizes in scopes:
            scope = resource.scope_spans.add(schema_url="s")
            scope.scope.name = f"scope {number}"
            for size in sizes:
                number += 1
                scope.spans.append(span({"text": "x" * size}, number=number))
    return message.SerializeToString()


def places(payload: bytes) -> list[tuple[bytes, bytes, str, bytes]]:
    """Every span with the resource and scope that it stands in."""
    return [
        (
            resource_spans.resource.SerializeToString(),
            scope_spans.scope.SerializeToString(),
            resource_spans.schema_url + scope_spans.schema_url,
            item.SerializeToString(),
        )
        for resource_spans in ExportTraceServiceRequest.FromString(payload).resource_spans
        for scope_spans in resource_spans.scope_spans
        for item in scope_spans.spans
    ]


@given(SHAPES, st.integers(100, 2000))
def test_every_span_is_in_one_piece_below_its_resource_and_scope(
    shape: list[list[list[int]]], limit: int
) -> None:
    payload = traces(shape)
    pieces = [*split(Signal.TRACES, payload, limit)]

    assert [p for piece in pieces for p in places(piece.payload)] == places(payload)
    assert [piece.items for piece in pieces] == [len(places(piece.payload)) for piece in pieces]
    assert all(len(piece.payload) <= limit or piece.items == 1 for piece in pieces)


@given(SHAPES)
def test_two_halves_are_the_whole(shape: list[list[list[int]]]) -> None:
    payload = traces(shape)
    halves = halve(Signal.TRACES, payload)

    if halves is None:
        assert len(places(payload)) < 2
    else:
        assert [p for half in halves for p in places(half.payload)] == places(payload)
        assert all(half.items for half in halves)


def test_halves_are_of_equal_size_and_not_of_equal_number() -> None:
    halves = halve(Signal.TRACES, traces([[[3000, 1000, 1000, 1000]]]))

    assert halves is not None
    assert [half.items for half in halves] == [1, 3]


def test_metrics_are_divided_between_metrics_and_counted_by_data_points() -> None:
    message = ExportMetricsServiceRequest()
    scope = message.resource_metrics.add().scope_metrics.add()
    for number in range(4):
        metric = scope.metrics.add(name=f"m{number}")
        metric.gauge.data_points.add(as_int=1)
        metric.gauge.data_points.add(as_int=2)
    pieces = [*split(Signal.METRICS, message.SerializeToString(), 20)]

    assert [piece.items for piece in pieces] == [2, 2, 2, 2]
    assert [
        ExportMetricsServiceRequest.FromString(piece.payload)
        .resource_metrics[0]
        .scope_metrics[0]
        .metrics[0]
        .name
        for piece in pieces
    ] == ["m0", "m1", "m2", "m3"]


def test_logs_are_divided_between_records() -> None:
    message = ExportLogsServiceRequest()
    records = message.resource_logs.add().scope_logs.add().log_records
    for number in range(3):
        records.add(time_unix_nano=number)
    pieces = [*split(Signal.LOGS, message.SerializeToString(), 20)]

    assert [
        ExportLogsServiceRequest.FromString(piece.payload)
        .resource_logs[0]
        .scope_logs[0]
        .log_records[0]
        .time_unix_nano
        for piece in pieces
    ] == [0, 1, 2]


def test_fields_of_later_versions_stay_in_every_piece() -> None:
    later = b"\xc2\x3e\x05later"  # field 1000, bytes
    resource_spans = ExportTraceServiceRequest.FromString(traces([[[1, 1]]])).resource_spans[0]
    body = resource_spans.SerializeToString() + later
    assert 0x80 <= len(body) < 0x4000  # so that its length takes two bytes
    payload = b"\x0a" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body
    pieces = [*split(Signal.TRACES, payload, 150)]

    assert len(pieces) == 2
    assert all(later in piece.payload for piece in pieces)


@pytest.mark.parametrize("payload", [b"", b"no protobuf"])
def test_what_holds_no_items_gives_no_pieces(payload: bytes) -> None:
    assert [*split(Signal.TRACES, payload, 1)] == []
    assert halve(Signal.TRACES, payload) is None


@pytest.mark.parametrize("signal", Signal)
def test_an_envelope_over_the_limit_is_not_repeated_with_every_item(signal: Signal) -> None:
    """It goes with each piece, so that dividing would multiply it: 1,000 spans, 20 MB, 20 GB."""
    items = b"".join(field(2, field(3, b"name")) for _ in range(1000))
    resource = field(1, field(1, b"r" * 20_000))
    other = field(1, field(1, field(1, b"small")) + field(2, items))
    payload = field(1, field(1, resource) + field(2, items) + field(3, b"schema")) + other

    pieces = [*split(signal, payload, 10_000)]

    assert b"".join(piece.payload for piece in pieces).count(b"name") == 2000
    assert sum(len(piece.payload) > 10_000 for piece in pieces) == 1
    assert sum(len(piece.payload) for piece in pieces) < len(payload) + 1000


def test_pieces_are_made_one_by_one() -> None:
    """Together they are 500 times the request: a resource of 9 kB goes with each of 500 spans."""
    resource = field(1, b"r" * 9_000)
    spans = b"".join(field(2, field(3, b"x" * 900)) for _ in range(500))
    pieces = split(Signal.TRACES, field(1, field(1, resource) + field(2, spans)), 10_000)

    assert isinstance(pieces, Iterator)
    assert sum(piece.items for piece in pieces) == 500


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])
