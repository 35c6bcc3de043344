"""Build the OpenTelemetry SDK's part: exporter, processor, tracer provider; and end it in time.

The SDK and the exporters are imported here, inside functions, because `import genops` must stay
cheap. No other module knows them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from opentelemetry import trace

from genops._config import ClientConfig, ExportConfig

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["Export", "existing_provider", "span_exporter"]

_made: TracerProvider | None = None  # the global provider, if it is one of ours


def existing_provider() -> trace.TracerProvider | None:
    """The tracer provider that the application has set up, if there is one."""
    provider = trace.get_tracer_provider()
    unset = isinstance(provider, trace.ProxyTracerProvider)
    return None if unset or provider is _made else provider


class Export:
    """A tracer provider to record with, and the part of it that is ours to stop.

    An existing provider keeps its processors; ours is added only if the application asked for an
    exporter by an argument of `init`, since the environment's is served already. A provider of
    ours becomes the global one, unless an earlier one is: OpenTelemetry sets it once.
    """

    def __init__(self, config: ClientConfig, existing: trace.TracerProvider | None) -> None:
        global _made
        self._processor: SpanProcessor | None = None
        if existing is None or config.export.explicit:
            self._processor = _new_processor(config.export)
        self.provider = existing or _new_provider(config)
        if existing is None and _made is None:
            _made = cast("TracerProvider", self.provider)
            trace.set_tracer_provider(_made)
        if self._processor is not None:
            cast("TracerProvider", self.provider).add_span_processor(self._processor)
        self._finisher = _Finisher(self._finish)

    def stop(self, timeout_s: float) -> bool:
        """Send what is queued and stop; True if that ended within the time (seconds)."""
        return self._finisher.run(timeout_s)

    def _finish(self) -> None:
        if self._processor is not None:
            self._processor.shutdown()
        elif hasattr(self.provider, "force_flush"):
            self.provider.force_flush()


def _new_provider(config: ClientConfig) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    return TracerProvider(resource=Resource.create(config.resource), shutdown_on_exit=False)


def _new_processor(export: ExportConfig) -> SpanProcessor | None:
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SimpleSpanProcessor,
    )

    from genops._processor import DetachableProcessor

    if export.kind == "none":
        return None
    if export.kind == "console":
        return DetachableProcessor(SimpleSpanProcessor(ConsoleSpanExporter()))
    return DetachableProcessor(BatchSpanProcessor(span_exporter(export)))


def span_exporter(export: ExportConfig, timeout_s: float | None = None) -> SpanExporter:
    """The SDK's exporter for an endpoint.

    Args:
        export: Of kind "otlp".
        timeout_s: Seconds that one export may take; None: the environment decides.
    """
    headers = dict(export.headers) or None  # None: the exporter reads the environment's
    if export.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc

        return grpc.OTLPSpanExporter(
            endpoint=export.endpoint, insecure=export.insecure, headers=headers, timeout=timeout_s
        )
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as http

    return http.OTLPSpanExporter(endpoint=export.endpoint, headers=headers, timeout=timeout_s)


class _Finisher:
    """Runs an action once, on a thread of its own, so that its caller can stop waiting.

    The thread is started beforehand and parks: since Python 3.12 none can be started during the
    interpreter's exit. A forked child (a prefork server's worker) gets a new one.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._start()
        if hasattr(os, "register_at_fork"):
            itself = weakref.ref(self)  # a registration lasts for ever

            def start_in_child() -> None:
                finisher = itself()
                if finisher is not None and not finisher._wanted.is_set():
                    finisher._start()

            os.register_at_fork(after_in_child=start_in_child)

    def _start(self) -> None:
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._work, name="genops-shutdown", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        self._wanted.wait()
        self._action()

    def run(self, timeout_s: float) -> bool:
        """Run the action, and wait for at most this long; True if it is done."""
        self._wanted.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()
