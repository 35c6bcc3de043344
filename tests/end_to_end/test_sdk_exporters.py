"""The exporters of the OpenTelemetry SDKs for Python, Node and Go: gRPC, protobuf, JSON, gzip."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from enricher_process import EnricherProcess, running, serve_http, write_config
from genops_enricher.demo.sink import Sink
from heavy import require
from real_parts.build import go_app

_PACKAGES = (
    "@opentelemetry/sdk-trace-node@2",
    "@opentelemetry/exporter-trace-otlp-grpc@0",
    "@opentelemetry/exporter-trace-otlp-http@0",
    "@opentelemetry/exporter-trace-otlp-proto@0",
)

# An application makes one call inside a request. It is told how to export, where to, gzip or none,
# and the id of the response.
_PYTHON = """
import sys
from grpc import Compression as Grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc
from opentelemetry.exporter.otlp.proto.http import Compression as Http
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

protocol, endpoint, compression, response_id = sys.argv[1:]
if protocol == "grpc":
    packed = Grpc.Gzip if compression == "gzip" else Grpc.NoCompression
    exporter = OverGrpc(endpoint=endpoint, insecure=True, compression=packed)
else:
    packed = Http.Gzip if compression == "gzip" else Http.NoCompression
    exporter = OverHttp(endpoint=f"http://{endpoint}/v1/traces", compression=packed)
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("python")
with tracer.start_as_current_span("POST /ask"), tracer.start_as_current_span("chat") as call:
    call.set_attributes({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openrouter",
        "gen_ai.request.model": "openai/gpt-4o", "gen_ai.response.model": "openai/gpt-4o",
        "gen_ai.response.id": response_id, "server.address": "openrouter.ai",
        "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
    })
provider.shutdown()
"""
_NODE = """
import { trace, context } from "@opentelemetry/api";
import { CompressionAlgorithm } from "@opentelemetry/otlp-exporter-base";
import { NodeTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { OTLPTraceExporter as Grpc } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as Json } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as Protobuf } from "@opentelemetry/exporter-trace-otlp-proto";

const [protocol, endpoint, compression, responseId] = process.argv.slice(2);
const Exporter = { grpc: Grpc, json: Json, protobuf: Protobuf }[protocol];
const url = protocol === "grpc" ? `http://${endpoint}` : `http://${endpoint}/v1/traces`;
const packed = compression === "gzip" ? CompressionAlgorithm.GZIP : CompressionAlgorithm.NONE;
const exporter = new Exporter({ url, compression: packed });
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
const tracer = provider.getTracer("node");
const request = tracer.startSpan("POST /ask");
const attributes = {
  "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openrouter",
  "gen_ai.request.model": "openai/gpt-4o", "gen_ai.response.model": "openai/gpt-4o",
  "gen_ai.response.id": responseId, "server.address": "openrouter.ai",
  "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
};
tracer.startSpan("chat", { attributes }, trace.setSpan(context.active(), request)).end();
request.end();
await provider.shutdown();
"""


@dataclass(frozen=True, slots=True)
class Case:
    """An SDK's exporter. `port` is the enricher's that it sends to."""

    sdk: str
    protocol: str

    @property
    def port(self) -> str:
        return "grpc" if self.protocol == "grpc" else "http"


CASES = (
    Case("python", "grpc"),
    Case("python", "protobuf"),
    Case("node", "grpc"),
    Case("node", "protobuf"),
    Case("node", "json"),
    Case("go", "grpc"),
    Case("go", "protobuf"),
)


@pytest.fixture(scope="module")
def node_app(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    npm = require("npm", reason="the exporters for Node are npm packages")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text("{}")
    (folder / "app.mjs").write_text(_NODE)
    install = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", *_PACKAGES]
    subprocess.run(install, cwd=folder, check=True, timeout=300)
    return ["node", str(folder / "app.mjs")]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EnricherProcess, Sink]]:
    with Sink() as backend:
        config = write_config(tmp_path_factory.mktemp("exporters"), backend.grpc_endpoint)
        serve_http(config)
        with running(config) as enricher:
            yield enricher, backend


@pytest.mark.heavy
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.sdk}-{case.protocol}")
def test_the_spans_of_every_exporter_arrive_and_are_priced(
    case: Case,
    compression: str,
    parts: tuple[EnricherProcess, Sink],
    request: pytest.FixtureRequest,
) -> None:
    enricher, backend = parts
    command: dict[str, Callable[[], Sequence[str]]] = {
        "python": lambda: [sys.executable, "-c", _PYTHON],
        "node": lambda: request.getfixturevalue("node_app"),
        "go": lambda: [str(go_app())],
    }
    endpoint = {"grpc": enricher.grpc, "http": enricher.http}[case.port]
    response_id = f"gen-{case.sdk}-{case.protocol}-{compression}"

    before = backend.wait_for_spans(0)
    app = [*command[case.sdk](), case.protocol, endpoint, compression, response_id]
    subprocess.run(app, check=True, timeout=60)
    spans = backend.wait_for_spans(len(before) + 2)[len(before) :]

    by_name = {span.name: span for span in spans}
    call, parent = by_name["chat"], by_name["POST /ask"]
    assert call.attributes["gen_ai.response.id"] == response_id
    assert call.attributes["genops.cost.total"] == 0.0035
    assert call.parent_span_id == parent.span_id
    assert not [name for name in parent.attributes if name.startswith("genops.")]
