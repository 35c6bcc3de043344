"""The service as a process, between real OpenTelemetry exporters and a real OTLP backend."""

from __future__ import annotations

import json
import random
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from enricher_process import EnricherProcess, running, write_config
from genops_enricher.demo.sink import Sink
from genops_enricher.pipeline import Signal
from otlp import attributes, chat, request, span

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EnricherProcess, Sink]]:
    """An enricher and the backend behind it, shared by the tests of this file."""
    folder = tmp_path_factory.mktemp("service")
    with Sink() as backend, running(write_config(folder, backend.grpc_endpoint)) as enricher:
        yield enricher, backend


def test_spans_of_any_instrumentation_are_priced(parts: tuple[EnricherProcess, Sink]) -> None:
    enricher, backend = parts
    provider = TracerProvider()
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=enricher.grpc, insecure=True))
    )
    tracer = provider.get_tracer("another instrumentation")
    with tracer.start_as_current_span("POST /ask"), tracer.start_as_current_span("chat") as one:
        one.set_attributes(chat())
    provider.shutdown()

    enricher.wait_until_empty()
    by_name = {s.name: s for s in backend.spans if s.scope == "another instrumentation"}
    assert by_name["chat"].attributes["genops.cost.total"] == 0.0035
    assert by_name["chat"].attributes["genops.cost.source"] == "computed"
    assert by_name["POST /ask"].attributes == {}


def test_metrics_and_logs_pass_through(parts: tuple[EnricherProcess, Sink]) -> None:
    enricher, backend = parts
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=enricher.grpc, insecure=True), export_interval_millis=60_000
    )
    meters = MeterProvider([reader], shutdown_on_exit=False)
    meters.get_meter("app").create_counter("requests").add(3)
    meters.shutdown()
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(endpoint=enricher.grpc, insecure=True))
    )
    logs.get_logger("app").emit(body="hello")
    logs.shutdown()

    enricher.wait_until_empty()
    assert backend.items(Signal.METRICS) == 1
    assert backend.items(Signal.LOGS) == 1


def test_no_bytes_are_answered_unknown_or_internal_or_end_the_process(tmp_path: Path) -> None:
    chance = random.Random(7)
    base = request(span(chat()), span({"a": ["b", "c"]}, number=2))
    codes = set()
    config = write_config(tmp_path, "127.0.0.1:9", shutdown_timeout="100ms")
    with running(config) as enricher, grpc.insecure_channel(enricher.grpc) as channel:
        export = channel.unary_unary(TRACES, None, None)
        for _ in range(500):
            data = bytearray(base)
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                export(bytes(data), timeout=60)
                codes.add(grpc.StatusCode.OK)
            except grpc.RpcError as error:
                assert isinstance(error, grpc.Call)
                codes.add(error.code())

        assert codes == {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
        assert enricher.is_running()
        assert "Traceback" not in enricher.log.read_text()


def test_health_is_told_over_grpc_and_http(parts: tuple[EnricherProcess, Sink]) -> None:
    enricher, _ = parts
    with grpc.insecure_channel(enricher.grpc) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())

    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert json.loads(enricher.get("/ready"))["status"] == "ready"
    assert json.loads(enricher.get("/live"))["status"] == "live"


def test_the_books_balance_once_nothing_is_in_flight(parts: tuple[EnricherProcess, Sink]) -> None:
    enricher, _ = parts
    with grpc.insecure_channel(enricher.grpc) as channel:
        data = request(span(chat()), span({}, number=2), span(chat("acme/unknown"), number=3))
        channel.unary_unary(TRACES, None, None)(data, timeout=60)
    enricher.wait_until_empty()

    received = enricher.metric('genops_received_items_total{signal="traces"}')
    assert received == enricher.metric("genops_spans_total{")
    accepted = enricher.metric('genops_exporter_accepted_items_total{exporter="otlp_grpc"')
    assert accepted == enricher.metric("genops_exporter_delivered_items_total{")
    assert enricher.metric("genops_exporter_dropped_items_total{") == 0
    assert enricher.metric('genops_unknown_model_spans_total{market="openrouter"}') >= 1


def test_the_http_exporter_delivers_the_same(tmp_path: Path) -> None:
    with Sink() as backend:
        config = write_config(tmp_path, backend.http_endpoint, exporter="otlp_http")
        with running(config) as enricher, grpc.insecure_channel(enricher.grpc) as channel:
            backend.fail_next(2)
            channel.unary_unary(TRACES, None, None)(request(span(chat())), timeout=60)
            (arrived,) = backend.wait_for_spans(1)

    assert arrived.attributes["genops.cost.total"] == 0.0035


def test_a_span_in_the_backend_is_the_span_that_was_sent_and_the_additions(
    parts: tuple[EnricherProcess, Sink],
) -> None:
    enricher, backend = parts
    sent = span(chat(), number=4711)
    sent.events.add(name="gen_ai.choice").attributes.extend(attributes({"index": 0}))
    sent.status.message = "all well"
    message = ExportTraceServiceRequest.FromString(request(sent))
    with grpc.insecure_channel(enricher.grpc) as channel:
        channel.unary_unary(TRACES, None, None)(message.SerializeToString(), timeout=60)
    enricher.wait_until_empty()

    (arrived,) = [s for s in backend.spans if s.span_id == f"{4711:016x}"]
    assert arrived.events[0]["name"] == "gen_ai.choice"
    assert {k: arrived.attributes[k] for k in chat()} == chat()


def test_an_unknown_page_lists_the_pages(parts: tuple[EnricherProcess, Sink]) -> None:
    enricher, _ = parts
    with pytest.raises(urllib.error.HTTPError) as caught:
        enricher.get("/nowhere")

    with caught.value as answer:
        assert "/metrics" in json.loads(answer.read())["pages"]
