"""The sink is an OTLP backend that real exporters can talk to, in process and as a process."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from typing import Any

import grpc
import pytest
import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from free_ports import free_port
from genops_enricher.demo.sink import Sink
from genops_enricher.pipeline import Signal
from genops_enricher.spans import Span, span_from_json, span_to_json

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def request(
    *names: str, attributes: dict[str, AnyValue] | None = None
) -> ExportTraceServiceRequest:
    pairs = [KeyValue(key=key, value=value) for key, value in (attributes or {}).items()]
    spans = [
        OtlpSpan(trace_id=bytes(16), span_id=bytes(8), name=name, attributes=pairs)
        for name in names
    ]
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])]
    )


def export(endpoint: str, message: ExportTraceServiceRequest) -> Any:
    with grpc.insecure_channel(endpoint) as channel:
        call = channel.unary_unary(
            EXPORT,
            request_serializer=ExportTraceServiceRequest.SerializeToString,
            response_deserializer=ExportTraceServiceResponse.FromString,
        )
        return call(message, timeout=60)


def post(sink: Sink, signal_name: str, body: bytes, **headers: str) -> requests.Response:
    return requests.post(
        f"{sink.http_endpoint}/v1/{signal_name}",
        data=body,
        headers={"Content-Type": "application/x-protobuf"} | headers,
        timeout=60,
    )


def test_spans_arrive_over_grpc_with_typed_attributes() -> None:
    attributes = {
        "text": AnyValue(string_value="a"),
        "int": AnyValue(int_value=2**53 + 1),
        "double": AnyValue(double_value=0.5),
        "bool": AnyValue(bool_value=True),
        "bytes": AnyValue(bytes_value=b"\x01\xff"),
        "list": AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)])),
        "map": AnyValue(
            kvlist_value=KeyValueList(values=[KeyValue(key="k", value=AnyValue(string_value="v"))])
        ),
        "empty": AnyValue(),
    }
    with Sink() as sink:
        export(sink.grpc_endpoint, request("chat", attributes=attributes))
        [span] = sink.spans

    assert (span.trace_id, span.span_id, span.name) == ("0" * 32, "0" * 16, "chat")
    assert span.attributes == {
        "text": "a",
        "int": 2**53 + 1,
        "double": 0.5,
        "bool": True,
        "bytes": "Af8=",
        "list": [1],
        "map": {"k": "v"},
        "empty": None,
    }
    assert span_from_json(span_to_json(span)) == span


def test_spans_arrive_over_http_plain_and_compressed() -> None:
    with Sink() as sink:
        plain = post(sink, "traces", request("a").SerializeToString())
        zipped = post(
            sink,
            "traces",
            gzip.compress(request("b").SerializeToString()),
            **{"Content-Encoding": "gzip"},
        )

        assert [span.name for span in sink.spans] == ["a", "b"]
    assert (plain.status_code, zipped.status_code) == (200, 200)
    assert plain.headers["Content-Type"] == "application/x-protobuf"
    assert ExportTraceServiceResponse.FromString(plain.content) == ExportTraceServiceResponse()


def test_metrics_and_logs_are_counted_by_item() -> None:
    gauge = Gauge(data_points=[NumberDataPoint(as_int=1), NumberDataPoint(as_int=2)])
    metrics = ExportMetricsServiceRequest(
        resource_metrics=[
            ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[Metric(name="m", gauge=gauge)])])
        ]
    )
    logs = ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[LogRecord()])])]
    )
    with Sink() as sink:
        post(sink, "metrics", metrics.SerializeToString())
        post(sink, "logs", logs.SerializeToString())

        assert [sink.items(each) for each in Signal] == [0, 2, 1]


def test_scripted_failures_refuse_on_both_transports_and_take_nothing() -> None:
    with Sink() as sink:
        sink.fail_next(2)
        with pytest.raises(grpc.RpcError) as caught:
            export(sink.grpc_endpoint, request("refused"))
        refused = post(sink, "traces", request("refused").SerializeToString())
        export(sink.grpc_endpoint, request("taken"))

        assert [span.name for span in sink.spans] == ["taken"]
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refused.status_code == 503


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("traces", b"\xff\xff", {}, 400),
        ("traces", b"not gzip", {"Content-Encoding": "gzip"}, 400),
        ("traces", b"{}", {"Content-Type": "application/json"}, 415),
        ("profiles", b"", {}, 404),
    ],
)
def test_what_is_not_otlp_protobuf_is_refused(
    path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    with Sink() as sink:
        assert post(sink, path, body, **headers).status_code == status
        assert sink.spans == ()


def test_waiting_ends_with_the_last_span_or_says_how_many_came() -> None:
    with Sink() as sink:
        export(sink.grpc_endpoint, request("a", "b"))

        assert len(sink.wait_for_spans(2)) == 2
        with pytest.raises(TimeoutError, match="2 of 3 spans"):
            sink.wait_for_spans(3, timeout_s=0.01)


def test_a_backend_can_come_back_on_its_port() -> None:
    port = free_port()
    with Sink(grpc_port=port):
        pass
    with pytest.raises(grpc.RpcError):
        export(f"127.0.0.1:{port}", request("lost"))

    with Sink(grpc_port=port) as second:
        export(second.grpc_endpoint, request("found"))

        assert [span.name for span in second.spans] == ["found"]


def test_a_taken_port_is_an_error() -> None:
    with Sink() as sink, pytest.raises(OSError, match="taken"):
        Sink(grpc_port=sink.grpc_port)


def test_the_process_announces_itself_and_writes_a_line_for_each_span() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "genops_enricher.demo.sink"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        where = json.loads(process.stdout.readline())
        export(where["grpc"], request("a", "b"))
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        code = process.wait(timeout=60)

    assert [span_from_json(line).name for line in lines] == ["a", "b"]
    assert isinstance(span_from_json(lines[0]), Span)
    assert (rest, code) == ("", 0)
