"""Spans leave over real gRPC and HTTP, and a backend that is gone harms nobody."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from client.otlp_receiver import PROTOCOLS, receiving
from client.processes import python
from client.scripted_server import ScriptedServer, completion
from otlp import plain_attributes, spans_of

APP = """
import sys, genops, openai
from opentelemetry import metrics
genops.init(service_name="app", otlp_endpoint=sys.argv[2], otlp_headers={"X-Key": "k"},
            openrouter_base_url=sys.argv[1], default_team="a")
client = openai.OpenAI(base_url=sys.argv[1], api_key="k", max_retries=0)
print(client.chat.completions.create(model="openai/gpt-4o", messages=[]).id, flush=True)
metrics.get_meter("app").create_counter("requests").add(1)
"""


def run_app(
    server: ScriptedServer, endpoint: str, *, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    server.answer(completion())
    # Were the exit not bounded, it would wait for the exporter for ten minutes.
    return python(APP, server.url, endpoint, timeout_s=timeout_s, OTEL_EXPORTER_OTLP_TIMEOUT="600")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def check(payload: bytes) -> None:
    request = ExportTraceServiceRequest.FromString(payload)
    (span,) = spans_of(payload)
    attributes = plain_attributes(span)
    (resource,) = request.resource_spans
    assert plain_attributes(resource.resource)["service.name"] == "app"  # type: ignore[arg-type]
    assert resource.scope_spans[0].scope.name == "genops"
    assert span.name == "chat openai/gpt-4o"
    assert span.kind == span.SPAN_KIND_CLIENT
    assert 0 < span.start_time_unix_nano < span.end_time_unix_nano
    assert attributes["genops.team"] == "a"
    assert attributes["gen_ai.usage.input_tokens"] == 1000
    assert attributes["genops.cost.reported"] == 0.0123


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_spans_of_a_short_process_arrive(server: ScriptedServer, protocol: str) -> None:
    with receiving(protocol) as receiver:
        result = run_app(server, receiver.endpoint)

    assert (result.returncode, result.stdout, result.stderr) == (0, "gen-1\n", "")
    metadata, payload = receiver.traces.get_nowait()
    assert metadata["x-key"] == "k"
    check(payload)


EXPORT_TWICE = """
import sys, genops
from opentelemetry import trace

genops.init("app", otlp_endpoint=sys.argv[1])
trace.get_tracer("app").start_span("before").end()
trace.get_tracer_provider().force_flush()
trace.get_tracer("app").start_span("at the end").end()
"""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_export_at_the_end_after_others_leaves_no_connection_open(protocol: str) -> None:
    with receiving(protocol) as receiver:
        result = python(EXPORT_TWICE, receiver.endpoint)

        assert (result.returncode, result.stderr) == (0, "")
        assert [span.name for span in receiver.spans()] == ["before", "at the end"]


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "http://127.0.0.1:{}"])
def test_a_backend_that_never_answers_holds_up_neither_call_nor_exit(
    server: ScriptedServer, silent_port: int, form: str
) -> None:
    result = run_app(server, form.format(silent_port), timeout_s=120)

    assert (result.returncode, result.stdout) == (0, "gen-1\n")


@pytest.mark.parametrize("endpoint", ["127.0.0.1:1", "http://127.0.0.1:1"])
def test_a_backend_that_is_not_there_holds_up_neither_call_nor_exit(
    server: ScriptedServer, endpoint: str
) -> None:
    result = run_app(server, endpoint, timeout_s=120)

    assert (result.returncode, result.stdout) == (0, "gen-1\n")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_environment_alone_says_where_how_and_for_whom(protocol: str) -> None:
    with receiving(protocol) as receiver:
        result = python(
            "import genops; from opentelemetry import metrics, trace\n"
            "genops.init()\n"
            "trace.get_tracer('app').start_span('own').end()\n"
            "metrics.get_meter('app').create_counter('requests').add(1)\n",
            OTEL_SERVICE_NAME="app",
            OTEL_RESOURCE_ATTRIBUTES="env=production",
            OTEL_EXPORTER_OTLP_ENDPOINT="http://" + receiver.endpoint.removeprefix("http://"),
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc" if protocol == "grpc" else "http/protobuf",
            OTEL_EXPORTER_OTLP_HEADERS="x-key=all",
            OTEL_EXPORTER_OTLP_METRICS_HEADERS="x-key=metrics",
        )

    assert (result.returncode, result.stderr) == (0, "")
    metadata, payload = receiver.traces.get_nowait()
    (resource,) = ExportTraceServiceRequest.FromString(payload).resource_spans
    assert metadata["x-key"] == "all"
    assert plain_attributes(resource.resource)["env"] == "production"  # type: ignore[arg-type]
    assert receiver.metrics.queue[0][0]["x-key"] == "metrics"
    assert receiver.sums() == [("app", "requests", 1)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_headers_of_init_go_beside_those_of_the_environment(protocol: str) -> None:
    with receiving(protocol) as receiver:
        result = python(
            "import genops; from opentelemetry import trace\n"
            "genops.init(otlp_headers={'X-Key': 'own', 'x-more': 'b'})\n"
            "trace.get_tracer('app').start_span('own').end()\n",
            OTEL_EXPORTER_OTLP_ENDPOINT="http://" + receiver.endpoint.removeprefix("http://"),
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc" if protocol == "grpc" else "http/protobuf",
            OTEL_EXPORTER_OTLP_HEADERS="x-key=all,x-team=a",
            OTEL_METRICS_EXPORTER="none",
        )

    assert (result.returncode, result.stderr) == (0, "")
    metadata, _ = receiver.traces.get_nowait()
    sent = [metadata.get(name) for name in ("x-key", "x-team", "x-more")]
    assert sent == ["own", "a", "b"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("own", ["None", "{'k': 'v'}"])
def test_a_header_of_the_environment_that_is_none_stays_out_of_the_log(
    protocol: str, own: str
) -> None:
    """The SDK quotes it: written with a colon, it has the key in it."""
    app = (
        "import logging, genops\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        f"genops.init(otlp_headers={own})\n"
        "genops.shutdown()\n"
    )
    headers = "Authorization: Basic s3cret="

    ended = python(
        app,
        OTEL_EXPORTER_OTLP_HEADERS=headers,
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc" if protocol == "grpc" else "http/protobuf",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
    )

    assert "OTEL_EXPORTER_OTLP_HEADERS: an entry is not name=value" in ended.stderr
    assert "s3cret" not in ended.stderr
