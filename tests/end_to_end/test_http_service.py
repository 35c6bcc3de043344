"""The service as a process, fed over OTLP/HTTP by real exporters and by broken requests."""

from __future__ import annotations

import gzip
import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from enricher_process import EnricherProcess, running, serve_http, write_config
from free_ports import free_port
from genops_enricher.decode.otlp_json import to_json
from genops_enricher.demo.sink import Sink
from genops_enricher.pipeline import Signal
from otlp import chat, request, span

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


def post(address: str, body: bytes, kind: str = PROTOBUF, **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection(address, timeout=60)
    try:
        connection.request("POST", "/v1/traces", body, {"Content-Type": kind, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def parts(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[EnricherProcess, str, Sink]]:
    """An enricher, its OTLP/HTTP address and the backend behind it."""
    folder = tmp_path_factory.mktemp("http")
    with Sink() as backend:
        config = write_config(folder, backend.grpc_endpoint)
        address = serve_http(config)
        with running(config) as enricher:
            yield enricher, address, backend


def test_spans_metrics_and_logs_of_the_sdk_arrive_over_http(
    parts: tuple[EnricherProcess, str, Sink],
) -> None:
    enricher, address, backend = parts
    base = f"http://{address}/v1"
    provider = TracerProvider()
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(f"{base}/traces", compression=Compression.Gzip))
    )
    with provider.get_tracer("over http").start_as_current_span("chat") as one:
        one.set_attributes(chat())
    provider.shutdown()
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(f"{base}/metrics"), export_interval_millis=60_000
    )
    meters = MeterProvider([reader], shutdown_on_exit=False)
    meters.get_meter("app").create_counter("requests").add(3)
    meters.shutdown()
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{base}/logs")))
    logs.get_logger("app").emit(body="hello")
    logs.shutdown()

    enricher.wait_until_empty()
    (arrived,) = [s for s in backend.spans if s.scope == "over http"]
    assert arrived.attributes["genops.cost.total"] == 0.0035
    assert (backend.items(Signal.METRICS), backend.items(Signal.LOGS)) == (1, 1)


def test_json_is_priced_like_protobuf(parts: tuple[EnricherProcess, str, Sink]) -> None:
    enricher, address, backend = parts
    sent = request(span(chat(), number=77))
    document = json.dumps(to_json(ExportTraceServiceRequest.FromString(sent))).encode()

    assert post(address, document, JSON) == (200, b"{}")
    enricher.wait_until_empty()
    (arrived,) = [s for s in backend.spans if s.span_id == f"{77:016x}"]
    assert arrived.attributes["genops.cost.total"] == 0.0035


def test_both_protocols_are_served_at_a_time(parts: tuple[EnricherProcess, str, Sink]) -> None:
    enricher, address, backend = parts
    method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    with grpc.insecure_channel(enricher.grpc) as channel:
        channel.unary_unary(method, None, None)(request(span({}, number=81)), timeout=60)
    post(address, request(span({}, number=82)))

    enricher.wait_until_empty()
    assert {f"{n:016x}" for n in (81, 82)} <= {s.span_id for s in backend.spans}


def test_after_a_sigkill_every_span_acknowledged_over_http_arrives(tmp_path: Path) -> None:
    port = free_port()  # where the backend will be, later
    config = write_config(tmp_path, f"127.0.0.1:{port}")
    address = serve_http(config)
    enricher = EnricherProcess(config)
    for number in range(20):
        assert post(address, request(span(chat(), number=number)))[0] == 200
    enricher.kill()

    with running(config), Sink(grpc_port=port) as backend:
        arrived = backend.wait_for_spans(20, timeout_s=60)
    assert {s.span_id for s in arrived} == {f"{n:016x}" for n in range(20)}


def test_no_request_over_http_is_answered_500_or_ends_the_process(tmp_path: Path) -> None:
    chance = random.Random(7)
    plain = request(span(chat()), span({"a": ["b", "c"]}, number=2))
    document = json.dumps(to_json(ExportTraceServiceRequest.FromString(plain))).encode()
    bodies = {PROTOBUF: plain, JSON: document}
    statuses: Counter[int] = Counter()
    config = write_config(tmp_path, "127.0.0.1:9", shutdown_timeout="100ms")
    address = serve_http(config)
    with running(config) as enricher:
        for _ in range(600):
            kind = chance.choice((PROTOBUF, JSON))
            packed = chance.random() < 0.3
            data = bytearray(gzip.compress(bodies[kind]) if packed else bodies[kind])
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            headers = {"Content-Encoding": "gzip"} if packed else {}
            statuses[post(address, bytes(data), kind, **headers)[0]] += 1
        host, _, port = address.rpartition(":")
        for _ in range(100):  # broken HTTP around a good body
            head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: {len(plain)}\r\n\r\n"
            data = bytearray(head.encode() + plain)
            data[chance.randrange(len(head))] = chance.randrange(256)
            with socket.create_connection((host, int(port)), timeout=60) as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                if answer := connection.recv(65536):
                    statuses[int(answer.split()[1])] += 1

        assert enricher.is_running()
        assert post(address, plain)[0] == 200
    assert set(statuses) <= {200, 400, 404, 405, 413, 415}
    assert "Traceback" not in enricher.log.read_text()


def test_a_taken_http_port_is_named_and_nothing_is_left_running(tmp_path: Path) -> None:
    config = write_config(tmp_path, "127.0.0.1:9")
    address = serve_http(config)
    host, _, port = address.rpartition(":")
    with socket.create_server((host, int(port))), pytest.raises(RuntimeError) as caught:
        EnricherProcess(config)

    assert f"protocols.http.endpoint: can't listen on {address}" in str(caught.value)
