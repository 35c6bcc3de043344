"""Set up the OpenTelemetry SDK: processor, tracer provider, meter provider; and end it in time.

The SDK is imported inside functions, because `import genops` must stay cheap.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from opentelemetry import trace

from genops._config import ClientConfig, ExportConfig
from genops.core.guard import guard

if TYPE_CHECKING:
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    from genops.export.per_process import SwitchedMetricExporter

__all__ = ["Export", "existing_provider", "span_exporter"]

# The global providers, if they are ours. OpenTelemetry sets them once in a process.
_made: TracerProvider | None = None
_made_meters: tuple[MeterProvider, SwitchedMetricExporter] | None = None


def existing_provider() -> trace.TracerProvider | None:
    """The tracer provider that the application has set up, if there is one."""
    provider = trace.get_tracer_provider()
    unset = isinstance(provider, trace.ProxyTracerProvider)
    return None if unset or provider is _made else provider


def _existing_meter_provider() -> metrics.MeterProvider | None:
    """The meter provider that the application has set up, if there is one."""
    from opentelemetry import metrics

    provider = metrics.get_meter_provider()
    unset = type(provider).__name__ == "_ProxyMeterProvider"  # the API has no public name for it
    ours = _made_meters is not None and provider is _made_meters[0]
    return None if unset or ours else provider


class Export:
    """A tracer provider to record with, and what is ours to stop.

    An existing provider keeps its processors; ours is added only if the application asked for an
    exporter by an argument of `init`, since the environment's is served already. A provider of
    ours becomes the global one, unless an earlier one is: OpenTelemetry sets it once. Metrics are
    exported under the same condition, if the application has no meter provider.
    """

    def __init__(self, config: ClientConfig, existing: trace.TracerProvider | None) -> None:
        global _made
        self.problems: list[str] = []
        self.sends_spans = False
        self._finishers: list[_Finisher] = []
        wanted = existing is None or config.export.explicit
        self.provider = existing or _new_provider(config)
        self._exported = [cast("TracerProvider", self.provider)]
        if existing is None and _made is None:
            (_made,) = self._exported
            trace.set_tracer_provider(_made)
        elif existing is None:  # the application has tracers of an earlier init's
            self._exported.append(cast("TracerProvider", _made))
        self.spans = self._export_spans(config.export) if wanted else ""
        if existing is not None:
            self.spans = "existing tracer provider" + (f", and {self.spans}" if self.spans else "")
            if hasattr(existing, "force_flush"):
                self._finishers.append(_Finisher(existing.force_flush))
        if _existing_meter_provider() is not None:
            self.metrics = "existing meter provider"
        else:
            self.metrics = self._export_metrics(config) if wanted else "none"

    def _export_spans(self, export: ExportConfig) -> str:
        """Returns where they go, for people."""
        try:
            processor = _new_processor(export)
            if processor is not None:
                for provider in self._exported:
                    provider.add_span_processor(processor)
                self._finishers.append(_Finisher(processor.shutdown))
        except Exception as error:  # noqa: BLE001 - e.g. a certificate file from the environment
            self.problems.append(f"the exporter could not be made ({error}). No spans are exported")
            return "none"
        self.sends_spans = export.kind == "otlp"
        return str(export)

    def _export_metrics(self, config: ClientConfig) -> str:
        """Returns where they go, for people."""
        if config.metrics.kind == "none":
            return "none"
        try:
            self._finishers.append(_Finisher(_switch_metrics_on(config)))
        except Exception as error:  # noqa: BLE001 - as above
            self.problems.append(
                f"the exporter could not be made ({error}). No metrics are exported"
            )
            return "none"
        return str(config.metrics)

    def stop(self, timeout_s: float) -> bool:
        """Send what is queued and stop; True if that ended within the time (seconds)."""
        deadline = time.monotonic() + timeout_s
        for finisher in self._finishers:  # all at once: one signal must not use up the time
            finisher.begin()
        done = [finisher.wait(deadline - time.monotonic()) for finisher in self._finishers]
        return all(done)


def _resource(config: ClientConfig) -> Resource:
    from opentelemetry.sdk.resources import Resource

    return Resource.create(config.resource)


def _new_provider(config: ClientConfig) -> TracerProvider:
    from opentelemetry.sdk.trace import TracerProvider

    return TracerProvider(resource=_resource(config), shutdown_on_exit=False)


def _new_processor(export: ExportConfig) -> SpanProcessor | None:
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SimpleSpanProcessor,
    )

    from genops.export.exporters import span_exporter_maker
    from genops.export.per_process import PerProcessSpanExporter
    from genops.export.processor import DetachableProcessor

    if export.kind == "none":
        return None
    if export.kind == "console":
        return DetachableProcessor(SimpleSpanProcessor(ConsoleSpanExporter()))
    exporter = PerProcessSpanExporter(span_exporter_maker(export))
    return DetachableProcessor(BatchSpanProcessor(exporter))


def _switch_metrics_on(config: ClientConfig) -> Callable[[], None]:
    """Export the global meter provider's metrics; returns what sends the last and ends that.

    OpenTelemetry sets a meter provider once, so a later init's metrics keep the first's resource.
    """
    global _made_meters
    from genops.export.exporters import metric_exporter_like, metric_exporter_maker

    make = metric_exporter_maker(config.metrics)
    if _made_meters is None:
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        from genops.export.per_process import SwitchedMetricExporter

        exporter = SwitchedMetricExporter(like=metric_exporter_like(config.metrics))
        provider = MeterProvider(
            [PeriodicExportingMetricReader(exporter)],
            resource=_resource(config),
            shutdown_on_exit=False,
        )
        _made_meters = provider, exporter
        metrics.set_meter_provider(provider)
    provider, exporter = _made_meters
    switch_off = exporter.switch_on(make)

    def finish() -> None:
        provider.force_flush()
        switch_off()

    return finish


def span_exporter(export: ExportConfig, timeout_s: float | None = None) -> SpanExporter:
    """The SDK's exporter for an endpoint.

    Args:
        export: Of kind "otlp".
        timeout_s: Seconds that one export may take; None: the environment decides.

    Raises:
        ValueError: a variable of the environment that the exporter reads is wrong.
        RuntimeError: gRPC would hang in this process.
    """
    from genops.export.exporters import span_exporter_maker

    return span_exporter_maker(export, timeout_s)()


class _Finisher:
    """Runs an action once, on a thread of its own, so that its caller can stop waiting.

    The thread is started beforehand and parks: since Python 3.12 none can be started during the
    interpreter's exit. A forked child (a prefork server's worker) gets a new one.
    """

    def __init__(self, action: Callable[[], object]) -> None:
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
        with guard("sending what is queued"):
            self._action()

    def begin(self) -> None:
        """Run the action, without waiting."""
        self._wanted.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for at most this long; True if the action is done."""
        self._thread.join(max(0, timeout_s))
        return not self._thread.is_alive()
