"""Who sends: telemetrygen, an application with the thin client, recordings of other emitters."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from dialects.accounts import RECORDINGS
from genops_enricher.demo.fake_openrouter import FakeOpenRouter
from real_parts.build import telemetrygen

# What a call of telemetrygen says, and what it costs: 1,000 tokens in and 100 out of gpt-4o at 2.5
# and 10 USD per million, or ten times as many of both.
CALL: Mapping[str, str | int] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openrouter",
    "gen_ai.request.model": "openai/gpt-4o",
    "gen_ai.response.model": "openai/gpt-4o",
    "server.address": "openrouter.ai",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
    "genops.team": "load",
}


def generate(
    endpoint: str, traces: int, attributes: Mapping[str, str | int] = CALL, *options: str
) -> int:
    """Traces by telemetrygen; how many spans were sent.

    A trace is a span in another one, with the same attributes: one call that is told twice, as
    frameworks do, and costs once. `endpoint` is host:port, `options` are of telemetrygen.
    """
    told = [
        f'--telemetry-attributes={key}="{value}"'
        if isinstance(value, str)
        else f"--telemetry-attributes={key}={value}"
        for key, value in attributes.items()
    ]
    how = [f"--traces={traces}", "--rate=0", "--child-spans=1", "--otlp-insecure", *options]
    subprocess.run(
        [telemetrygen(), "traces", f"--otlp-endpoint={endpoint}", *how, *told],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return 2 * traces


def run_client(endpoint: str, openrouter: FakeOpenRouter) -> int:
    """The demo's application, which is a user of the thin client; how many spans it made.

    `endpoint` is what an application is told in OTEL_EXPORTER_OTLP_ENDPOINT.
    """
    own = ("OTEL_", "GENOPS_", "OPENAI_", "OPENROUTER_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    app = subprocess.run(
        [sys.executable, "-m", "genops_enricher.demo.app"],
        env=clean
        | {
            "OPENROUTER_API_KEY": "sk-or-fake",
            "GENOPS_OPENROUTER_BASE_URL": openrouter.base_url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        },
        check=True,
        capture_output=True,
        text=True,
        timeout=180,
    )
    return int(app.stdout.rpartition('"spans": ')[2].rstrip("}\n"))


def replay(
    emitter: str, base_url: str, *, ca: Path | None = None, headers: Mapping[str, str] = {}
) -> int:
    """Post a recording as OTLP/JSON, request by request, as it was sent; how many spans it has."""
    context = None if ca is None else ssl.create_default_context(cafile=str(ca))
    spans = 0
    for line in (RECORDINGS / f"{emitter}.jsonl").read_text(encoding="utf-8").splitlines():
        request = urllib.request.Request(
            f"{base_url}/v1/traces",
            line.encode(),
            {"Content-Type": "application/json", **headers},
        )
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            answer.read()
        spans += line.count('"spanId"')
    return spans
