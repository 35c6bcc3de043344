"""Backends of vendors on loopback: the key, the limits and the answers that their pages document.

What is refused is not kept, so what is kept is what a vendor would have.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from threading import Lock

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from destinations import HttpAnswer, Received, http_destination
from genops_enricher.spans import Span, spans_of

KEY = "key-of-a-test"


@dataclass(frozen=True, slots=True)
class Vendor:
    """How a vendor answers OTLP/HTTP."""

    name: str
    header: str  # of the key
    max_request_bytes: int
    ok: int = 200
    unauthorized: int = 401


# https://docs.honeycomb.io/send-data/opentelemetry/
HONEYCOMB = Vendor("Honeycomb", "x-honeycomb-team", 15_000_000)
# https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest/traces: 3.2 MB, 202, and 403 without
# access.
DATADOG = Vendor("Datadog", "dd-api-key", 3_200_000, ok=202, unauthorized=403)


@dataclass
class Backend:
    """What a vendor took. `refused` are the statuses of what it did not take."""

    endpoint: str = ""
    refused: list[int] = field(default_factory=list)
    _traces: list[bytes] = field(default_factory=list)
    _metrics: list[bytes] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def take(self, request: Received) -> None:
        kept = {"/v1/traces": self._traces, "/v1/metrics": self._metrics}.get(request.path)
        if kept is not None:
            with self._lock:
                kept.append(request.payload)

    def refuse(self, status: int) -> HttpAnswer:
        with self._lock:
            self.refused.append(status)
        return HttpAnswer(status)

    @property
    def requests(self) -> list[bytes]:
        """The requests with traces."""
        with self._lock:
            return list(self._traces)

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for payload in self.requests
            for span in spans_of(ExportTraceServiceRequest.FromString(payload))
        ]

    def wait_for_spans(self, count: int, *, timeout_s: float = 120.0) -> list[Span]:
        """The spans, once at least `count` are there."""
        deadline_s = time.monotonic() + timeout_s
        while len(spans := self.spans) < count:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{len(spans)} of {count} spans arrived in {timeout_s:.0f} s")
            time.sleep(0.05)
        return spans

    def latest_sum(self, name: str) -> Decimal:
        """The sum over all series of a cumulative metric, from the latest point of each."""
        latest: dict[tuple[str, ...], float] = {}
        with self._lock:
            payloads = list(self._metrics)
        for payload in payloads:
            for resource in ExportMetricsServiceRequest.FromString(payload).resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        for point in metric.sum.data_points if metric.name == name else ():
                            labels = sorted(f"{p.key}={p.value}" for p in point.attributes)
                            latest[tuple(labels)] = point.as_double or point.as_int
        return sum((Decimal(repr(value)) for value in latest.values()), Decimal())


@contextmanager
def backend(vendor: Vendor) -> Iterator[Backend]:
    """A vendor that is there while the block runs."""
    taken = Backend()

    def answer(_number: int, request: Received) -> HttpAnswer:
        headers: Mapping[str, str] = {k.lower(): v for k, v in request.headers.items()}
        if headers.get(vendor.header) != KEY:
            return taken.refuse(vendor.unauthorized)
        if len(request.payload) > vendor.max_request_bytes:
            return taken.refuse(413)
        taken.take(request)
        return HttpAnswer(vendor.ok, headers={"Content-Type": "application/x-protobuf"})

    with http_destination(answer) as destination:
        taken.endpoint = f"http://127.0.0.1:{destination.port}"
        yield taken


def cost_of(spans: list[Span]) -> Decimal:
    """USD of all spans, each span once however often it came."""
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    costs = [span.attributes.get("genops.cost.total") for span in by_id.values()]
    return sum((Decimal(repr(cost)) for cost in costs if cost is not None), Decimal())
