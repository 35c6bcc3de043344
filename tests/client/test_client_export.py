"""Spans leave over real gRPC and HTTP, and a backend that is gone harms nobody."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from client.scripted_server import ScriptedServer, completion
from otlp import plain_attributes, spans_of

APP = """
import sys, genops, openai
status = genops.init(service_name="app", otlp_endpoint=sys.argv[2], otlp_headers={"X-Key": "k"},
                     openrouter_base_url=sys.argv[1], default_team="a")
client = openai.OpenAI(base_url=sys.argv[1], api_key="k", max_retries=0)
print(client.chat.completions.create(model="openai/gpt-4o", messages=[]).id, flush=True)
"""


def run_app(
    server: ScriptedServer, endpoint: str, *, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    server.answer(completion())
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "GENOPS_"))}
    return subprocess.run(
        [sys.executable, "-c", APP, server.url, endpoint],
        # Were the exit not bounded, it would wait for the exporter for ten minutes.
        env={**clean, "OTEL_EXPORTER_OTLP_TIMEOUT": "600"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.received: queue.Queue[tuple[dict[str, object], bytes]] = queue.Queue()

    def Export(  # noqa: N802 - the name of the RPC
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        self.received.put((dict(context.invocation_metadata()), request.SerializeToString()))
        return ExportTraceServiceResponse()


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


def test_spans_of_a_short_process_arrive_over_grpc(server: ScriptedServer) -> None:
    collector = Collector()
    grpc_server = grpc.server(futures.ThreadPoolExecutor(1))
    add = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(collector, grpc_server)  # type: ignore[no-untyped-call]
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    try:
        result = run_app(server, f"127.0.0.1:{port}")
    finally:
        grpc_server.stop(None).wait()

    assert (result.returncode, result.stdout, result.stderr) == (0, "gen-1\n", "")
    metadata, payload = collector.received.get_nowait()
    assert metadata["x-key"] == "k"
    check(payload)


def test_spans_of_a_short_process_arrive_over_http(server: ScriptedServer) -> None:
    received: queue.Queue[tuple[str, str | None, bytes]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.put((self.path, self.headers["x-key"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as backend:
        threading.Thread(target=backend.serve_forever, args=(0.01,), daemon=True).start()
        result = run_app(server, f"http://127.0.0.1:{backend.server_port}")
        backend.shutdown()

    assert (result.returncode, result.stdout, result.stderr) == (0, "gen-1\n", "")
    path, key, payload = received.get_nowait()
    assert (path, key) == ("/v1/traces", "k")
    check(payload)


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "http://127.0.0.1:{}"])
def test_a_backend_that_never_answers_holds_up_neither_call_nor_exit(
    server: ScriptedServer, silent_port: int, form: str
) -> None:
    result = run_app(server, form.format(silent_port), timeout=25)

    assert (result.returncode, result.stdout) == (0, "gen-1\n")


@pytest.mark.parametrize("endpoint", ["127.0.0.1:1", "http://127.0.0.1:1"])
def test_a_backend_that_is_not_there_holds_up_neither_call_nor_exit(
    server: ScriptedServer, endpoint: str
) -> None:
    result = run_app(server, endpoint, timeout=25)

    assert (result.returncode, result.stdout) == (0, "gen-1\n")
