"""Runs an example as a user does: a process of its own, with settings in its environment.

The real SDK calls the fake OpenRouter; spans and metrics go through a real enricher to a backend.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from destinations import Destination, grpc_destination
from enricher_process import EnricherProcess, running, write_config
from genops_enricher.demo.fake_openrouter import FakeOpenRouter
from genops_enricher.demo.fake_openrouter.server import Asked
from genops_enricher.spans import Span, spans_of
from pages import KEY, clean_environment

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "openrouter"
TIMEOUT_S = 120


@dataclass(frozen=True)
class Run:
    """What an example did."""

    exit_code: int
    output: str  # stdout
    log: str  # stderr
    asked: tuple[Asked, ...]
    spans: tuple[Span, ...]  # at the backend, in the order of their start
    metrics: Mapping[str, Any]  # at the backend: the OTLP metric by name

    @property
    def bodies(self) -> list[Any]:
        return [request.body for request in self.asked]

    @property
    def attributes(self) -> list[Mapping[str, Any]]:
        return [span.attributes for span in self.spans]


class Guide:
    """The services around an example."""

    def __init__(self, router: FakeOpenRouter, enricher: EnricherProcess, backend: Destination):
        self._router, self._enricher, self._backend = router, enricher, backend
        self.base_url = router.base_url
        self.otlp_endpoint = enricher.grpc  # without scheme: gRPC

    def run(self, *command: str, code: int = 0, environment: Mapping[str, str] = {}) -> Run:
        """Run Python with these arguments; `environment` is added to a production-like one."""
        mark = uuid.uuid4().hex
        asked_before = len(self._router.asked)
        settings = {
            "OPENROUTER_API_KEY": KEY,
            "GENOPS_OPENROUTER_BASE_URL": self.base_url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp_endpoint,
            "OTEL_RESOURCE_ATTRIBUTES": f"test.run={mark}",
            **environment,
        }
        done = subprocess.run(
            [sys.executable, *command],
            env={**clean_environment(), **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == code, done.stderr + done.stdout
        self._enricher.wait_until_empty()
        return Run(
            exit_code=done.returncode,
            output=done.stdout,
            log=done.stderr,
            asked=tuple(self._router.asked[asked_before:]),
            spans=tuple(spans_with(self._backend, mark)),
            metrics=dict(metrics_with(self._backend, mark)),
        )

    def example(self, name: str, **environment: str) -> Run:
        """Run an example of the documentation."""
        return self.run(str(EXAMPLES / name), environment=environment)


def spans_with(backend: Destination, mark: str) -> list[Span]:
    """The spans that a run sent to a backend."""
    spans = [
        span
        for request in backend.received
        if "trace" in request.path.lower()
        for span in spans_of(ExportTraceServiceRequest.FromString(request.payload))
        if span.resource.get("test.run") == mark
    ]
    return sorted(spans, key=lambda span: span.start_time_unix_nano)


def metrics_with(backend: Destination, mark: str) -> Iterator[tuple[str, Any]]:
    """The metrics that a run sent to a backend."""
    for request in backend.received:
        if "metric" not in request.path.lower():
            continue
        export = ExportMetricsServiceRequest.FromString(request.payload)
        for resource_metrics in export.resource_metrics:
            resource = {a.key: a.value.string_value for a in resource_metrics.resource.attributes}
            if resource.get("test.run") == mark:
                for scope_metrics in resource_metrics.scope_metrics:
                    for metric in scope_metrics.metrics:
                        yield metric.name, metric


@pytest.fixture(scope="session")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guide]:
    folder = tmp_path_factory.mktemp("guide")
    with (
        FakeOpenRouter() as router,
        grpc_destination() as backend,
        running(write_config(folder, f"127.0.0.1:{backend.port}")) as enricher,
    ):
        yield Guide(router, enricher, backend)
