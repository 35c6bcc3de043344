"""The exporter of the OpenTelemetry SDK for Node, which sends JSON in chunks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from enricher_process import running, serve_http, write_config
from genops_enricher.demo.sink import Sink
from heavy import require

_PACKAGES = ("@opentelemetry/sdk-trace-node@2", "@opentelemetry/exporter-trace-otlp-http@0")
_APP = """
import { NodeTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";

const exporter = new OTLPTraceExporter({ url: process.argv[2], compression: process.argv[3] });
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
const attributes = {
  "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openrouter",
  "gen_ai.request.model": "openai/gpt-4o", "gen_ai.response.model": "openai/gpt-4o",
  "gen_ai.response.id": "gen-" + process.argv[3], "server.address": "openrouter.ai",
  "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100,
};
provider.getTracer("node").startSpan("chat", { attributes }).end();
await provider.shutdown();
"""


@pytest.mark.heavy
def test_the_node_exporter_is_understood_and_its_spans_are_priced(tmp_path: Path) -> None:
    npm = require("npm", reason="the exporter is an npm package")
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "app.mjs").write_text(_APP)
    install = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", *_PACKAGES]
    subprocess.run(install, cwd=tmp_path, check=True, timeout=300)
    with Sink() as backend:
        config = write_config(tmp_path, backend.grpc_endpoint)
        url = f"http://{serve_http(config)}/v1/traces"
        with running(config):
            for compression in ("none", "gzip"):
                app = ["node", "app.mjs", url, compression]
                subprocess.run(app, cwd=tmp_path, check=True, timeout=60)
            arrived = backend.wait_for_spans(2)

    assert [s.attributes["genops.cost.total"] for s in arrived] == [0.0035, 0.0035]
