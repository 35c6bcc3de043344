"""Exporters that are made where they are used: at the first export, and anew in a forked child.

A prefork server (gunicorn) starts the client in the parent and forks. A connection must not be
shared by two processes. And gRPC, once started, works in a child only with its fork support
(https://github.com/grpc/grpc/blob/master/doc/fork_support.md); without it the child hangs in the
first call. So a parent that exports nothing does not start gRPC, its fork support is switched on
where it still can be, and where a child would hang nothing is exported and a warning says so.

Loads the SDK: import it only inside functions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from genops.core.guard import warn_once

__all__ = [
    "PerProcessSpanExporter",
    "SwitchedMetricExporter",
    "before_grpc_is_loaded",
    "before_grpc_is_used",
]

_FORK_SUPPORT: Final = "GRPC_ENABLE_FORK_SUPPORT"
_TRUE: Final = frozenset({"1", "true", "yes"})

_grpc_used_in: int | None = None  # the process that used gRPC last: this one or an ancestor


def before_grpc_is_loaded() -> None:
    """Switch gRPC's fork support on, unless it is loaded already or the variable is set."""
    if "grpc" not in sys.modules:
        os.environ.setdefault(_FORK_SUPPORT, "1")


def before_grpc_is_used() -> None:
    """Note that this process uses gRPC.

    Raises:
        RuntimeError: it would hang, because an ancestor used it too.
    """
    global _grpc_used_in
    survives_fork = os.environ.get(_FORK_SUPPORT, "").lower() in _TRUE
    if _grpc_used_in not in (None, os.getpid()) and not survives_fork:
        raise RuntimeError(
            "this process was forked after gRPC had been used without its fork support. "
            f"Set {_FORK_SUPPORT}=1 before the start, or use http/protobuf"
        )
    _grpc_used_in = os.getpid()


class _Stoppable(Protocol):
    def shutdown(self) -> None: ...


E = TypeVar("E", bound=_Stoppable)


class _PerProcess(Generic[E]):
    """The exporter of the process that asks. Exports of one processor never overlap: no lock."""

    def __init__(self, make: Callable[[], E]) -> None:
        self._make = make
        self._made: tuple[int, E] | None = None

    def here(self) -> E | None:
        """The exporter; None if it cannot be made."""
        if self._made is None or self._made[0] != os.getpid():
            try:
                self._made = (os.getpid(), self._make())
            except Exception as error:  # noqa: BLE001 - whatever the exporters raise
                warn_once(("exporter", type(error)), "nothing is exported: %s", error)
                return None
        return self._made[1]

    def shutdown(self) -> None:
        if self._made is not None and self._made[0] == os.getpid():
            self._made[1].shutdown()


class PerProcessSpanExporter(SpanExporter):
    """Exports spans with an exporter of the process's own."""

    def __init__(self, make: Callable[[], SpanExporter]) -> None:
        self._target = _PerProcess(make)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        exporter = self._target.here()
        return SpanExportResult.FAILURE if exporter is None else exporter.export(spans)

    def shutdown(self) -> None:
        """See `SpanExporter`."""
        self._target.shutdown()


class SwitchedMetricExporter(MetricExporter):
    """Exports metrics with an exporter of the process's own, while it is switched on.

    OpenTelemetry sets the meter provider once, and applications keep its meters: it outlives what
    it exports to.
    """

    def __init__(self, like: MetricExporter) -> None:
        """`like` knows which temporality and aggregation the environment asks for."""
        super().__init__(like._preferred_temporality, like._preferred_aggregation)
        self._target: _PerProcess[MetricExporter] | None = None

    def switch_on(self, make: Callable[[], MetricExporter]) -> Callable[[], None]:
        """Export from now on with what `make` returns.

        Returns:
            What ends that. It leaves alone what was switched on since.
        """
        target = self._target = _PerProcess(make)

        def switch_off() -> None:
            if self._target is target:
                self._target = None
            target.shutdown()

        return switch_off

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """See `MetricExporter`."""
        target = self._target
        exporter = target.here() if target else None
        if exporter is None:
            return MetricExportResult.FAILURE
        return exporter.export(metrics_data, timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - the base's
        """See `MetricExporter`: nothing is buffered here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:  # noqa: ARG002
        """See `MetricExporter`: the application shut its meter provider, which is ours, down."""
        if self._target is not None:
            self._target.shutdown()
