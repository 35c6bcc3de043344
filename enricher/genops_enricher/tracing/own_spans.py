"""Own spans on their way out: sampled, held for some seconds within a bound, sent once.

Decides which traces are recorded and how their spans leave; what has a span is decided in
`around`. Own spans are lossy by design: they take no part of the queue, a failed attempt loses
what it carried, and what comes in faster than it can be sent is dropped. They are sent by the
exporter's own sender, so endpoint, headers, TLS and proxies are those of its configuration.

Nothing is ever told about sending them: here nothing has a span, and the request says to whoever
receives it that its trace is not sampled, so that a traced receiver records none either.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.util.types import Attributes

from genops_enricher.config.model import ExporterConfig
from genops_enricher.export import build_sender
from genops_enricher.export.otlp import Sender
from genops_enricher.export.outcome import Delivered
from genops_enricher.pipeline import Signal
from genops_enricher.telemetry import Telemetry

__all__ = ["WAITING_MAX", "OwnSpans", "traceparent"]

_log = logging.getLogger(__name__)

# Said here, since the SDK would otherwise read OTEL_BSP_* and OTEL_SPAN_* variables, which are set
# for applications. A span takes about 2 KB.
WAITING_MAX = 2048
_BATCH = 512
_DELAY_MS = 2000.0
_LIMITS = SpanLimits(
    max_attributes=32, max_span_attributes=32, max_links=64, max_events=0, max_attribute_length=256
)


def traceparent(context: SpanContext) -> Mapping[str, str]:
    """The header by which a request says whose child it is (W3C Trace Context)."""
    flags = int(context.trace_flags)
    return {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"}


class OwnSpans:
    """Records spans by `tracer`, and sends them until `stop`."""

    def __init__(
        self,
        exporter: ExporterConfig,
        ratio: float,
        resource: Mapping[str, str],
        telemetry: Telemetry,
    ) -> None:
        """Begins to send at once.

        Args:
            exporter: where to; its queue and retries are not used.
            ratio: the share of traces to record where no sender has decided.
            resource: who we are. OTEL_RESOURCE_ATTRIBUTES adds to it.
            telemetry: counts what is recorded and sent.

        Raises:
            StartError: the TLS settings can't be used.
        """
        self._exporter = _Exporter(build_sender(exporter, Signal.TRACES), exporter.id, telemetry)
        provider = TracerProvider(
            sampler=_Sampler(ratio),
            resource=Resource.create(dict(resource)),
            shutdown_on_exit=False,
            span_limits=_LIMITS,
        )
        provider.add_span_processor(_Processor(self._exporter, telemetry))
        self._provider = provider
        self.tracer = provider.get_tracer("genops_enricher", version("genops-ai"))

    def stop(self, timeout_s: float) -> None:
        """Send what waits, for `timeout_s` seconds at most; the rest is lost."""
        self._exporter.end_at(time.monotonic() + timeout_s)
        # The SDK has a limit of its own, which is longer, and in older versions none.
        last = threading.Thread(target=self._provider.shutdown, name="own spans", daemon=True)
        last.start()
        last.join(timeout_s)
        self._exporter.close()


class _Sampler(Sampler):
    """What is linked to a recorded trace is recorded; else the parent decides, else the ratio."""

    def __init__(self, ratio: float) -> None:
        self._unlinked = ParentBased(TraceIdRatioBased(ratio))

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,  # noqa: ARG002 - the SDK gives it
    ) -> SamplingResult:
        sampler: Sampler = ALWAYS_ON if links else self._unlinked
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links)

    def get_description(self) -> str:
        return "Linked or ParentBased{TraceIdRatioBased}"


class _Processor(BatchSpanProcessor):
    """The SDK's, which counts what it is given."""

    def __init__(self, exporter: SpanExporter, telemetry: Telemetry) -> None:
        super().__init__(
            exporter,
            max_queue_size=WAITING_MAX,
            schedule_delay_millis=_DELAY_MS,
            max_export_batch_size=_BATCH,
            export_timeout_millis=30_000,  # not used by the SDK; the exporter has its timeout
        )
        self._telemetry = telemetry

    def on_end(self, span: ReadableSpan) -> None:
        self._telemetry.add("genops_own_spans_recorded_total")
        super().on_end(span)


class _Exporter(SpanExporter):
    """One attempt for each batch."""

    def __init__(self, sender: Sender, name: str, telemetry: Telemetry) -> None:
        self._sender = sender
        self._name = name
        self._telemetry = telemetry
        self._ids = RandomIdGenerator()
        self._deadline_s: float | None = None
        for counter in ("genops_own_spans_recorded_total", "genops_own_spans_sent_total"):
            telemetry.add(counter, 0)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
            return SpanExportResult.FAILURE
        not_sampled = SpanContext(
            self._ids.generate_trace_id(),
            self._ids.generate_span_id(),
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.DEFAULT),
        )
        payload = encode_spans(spans).SerializeToString()
        outcome = self._sender.send(payload, traceparent(not_sampled))
        if not isinstance(outcome, Delivered):
            _log.warning("%d own spans are lost: %s: %s", len(spans), self._name, outcome.reason)
            return SpanExportResult.FAILURE
        if outcome.rejected:
            _log.warning(
                "%d own spans are lost: %s rejected them: %s",
                outcome.rejected,
                self._name,
                outcome.message,
            )
        sent = max(len(spans) - outcome.rejected, 0)
        self._telemetry.add("genops_own_spans_sent_total", sent)
        return SpanExportResult.SUCCESS

    def end_at(self, deadline_s: float) -> None:
        """Begin no attempt after that time of the monotonic clock."""
        self._deadline_s = deadline_s

    def close(self) -> None:
        """End what is under way, and let go of the connections. Safe to call twice."""
        self._sender.close()
