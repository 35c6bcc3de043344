"""What the enricher has spans of: requests from receipt to the queue, and attempts to send.

    POST /v1/traces, or …TraceService/Export    the request as its sender sees it
      └ enrich traces                           reading and pricing, and what follows
          └ queue traces                        until it is synced to disk
    …TraceService/Export, or POST               an attempt, linked to the `queue` spans it carries

Names are those of the semantic conventions for RPC, HTTP and OpenTelemetry's own components. No
span has any content of a request, a header, or a text that another side wrote.

Receivers and exporters know nothing of it: it is put around them, where it is on. A sender's
`traceparent` decides whether its request is traced. An attempt is traced if it carries a request
that is; one that carries only requests whose senders decided against it says so to the next
receiver. So no request that exists because of own spans ever begins a trace, over any number of
enrichers. Which requests are traced is remembered for the last thousands only, in memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from genops_enricher.config.endpoint import addresses
from genops_enricher.config.model import ExporterConfig, Protocol
from genops_enricher.export.attempt import AttemptTracer, label_of
from genops_enricher.export.otlp import SERVICES
from genops_enricher.export.outcome import Delivered, Outcome
from genops_enricher.pipeline import Batch, Consumer, Intake, PartialSuccess, Signal
from genops_enricher.tracing.own_spans import OwnSpans, traceparent

__all__ = ["CARRIED_MAX", "Tracing"]

_PROPAGATOR = TraceContextTextMapPropagator()
_PROPAGATED = frozenset({"traceparent", "tracestate"})
_METHODS = {service.grpc_method: service.grpc_method[1:] for service in SERVICES.values()}
_WORK = {Signal.TRACES: "enrich", Signal.METRICS: "pass", Signal.LOGS: "pass"}
_COMPONENTS = {Signal.TRACES: "span", Signal.METRICS: "metric", Signal.LOGS: "log"}

# The codes that are the server's failure, by the conventions for gRPC.
_SERVER_ERRORS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
CARRIED_MAX = 4096  # about 2 MB

App = Callable[[Any, Any, Any], Awaitable[None]]


class Tracing:
    """Puts spans around what it is given, from the beginning to `stop`."""

    def __init__(self, own: OwnSpans) -> None:
        self._own = own
        self._tracer = own.tracer
        self._carried = _Carried()

    def stop(self, timeout_s: float) -> None:
        """Send what waits, for `timeout_s` seconds at most."""
        self._own.stop(timeout_s)

    def interceptor(self) -> grpc.ServerInterceptor[bytes, bytes]:
        """Traces the requests of a gRPC server."""
        return _Interceptor(self._tracer)

    def around_http(self, app: App, paths: Iterable[str]) -> App:
        """The ASGI application with spans of the requests to these paths."""
        traced = frozenset(paths)

        async def call(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] not in traced:
                await app(scope, receive, send)
                return
            headers = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in scope["headers"]
                if name.decode("latin-1") in _PROPAGATED
            }
            status = 0

            async def answer(message: Any) -> None:
                nonlocal status
                status = message.get("status", status)
                await send(message)

            method = scope["method"] if scope["method"] in ("POST", "PUT") else "_OTHER"
            name = f"{method if method != '_OTHER' else 'HTTP'} {scope['path']}"
            attributes = {
                "http.request.method": method,
                "http.route": scope["path"],
                "url.path": scope["path"],
                "url.scheme": scope["scheme"],
            }
            with _serving(self._tracer, name, headers, attributes) as span:
                try:
                    await app(scope, receive, answer)
                finally:
                    if status:
                        span.set_attribute("http.response.status_code", status)
                    if not 0 < status < 500:
                        _fail(span, str(status or "_OTHER"))

        return call

    def around_intake(self, intake: Intake, signal: Signal) -> Intake:
        """The intake with spans of its work."""
        return _Intake(intake, f"{_WORK[signal]} {signal}", self._tracer)

    def around_queue(self, queue: Consumer) -> Consumer:
        """The queue with spans of what it takes, which attempts are then linked to."""
        return _Queue(queue, self._tracer, self._carried)

    def attempts(self, exporter: ExporterConfig, signal: Signal) -> AttemptTracer:
        """What traces the attempts of an exporter."""
        return _Attempts(exporter, signal, self._tracer, self._carried)


class _Carried:
    """Which requests that wait in the queue belong to a trace, and to which. Thread safe.

    A request is known again by the hash of its bytes, as it may come back from the disk.
    """

    def __init__(self) -> None:
        self._contexts: OrderedDict[int, SpanContext] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, payload: bytes, context: SpanContext) -> None:
        with self._lock:
            self._contexts[hash(payload)] = context
            if len(self._contexts) > CARRIED_MAX:
                self._contexts.popitem(last=False)

    def find(self, payloads: Iterable[bytes]) -> list[SpanContext | None]:
        if not self._contexts:
            return []
        keys = dict.fromkeys(hash(payload) for payload in payloads)
        with self._lock:
            return [self._contexts.get(key) for key in keys]


class _Interceptor(grpc.ServerInterceptor):  # type: ignore[type-arg]  # only the stubs have any
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        method = _METHODS.get(details.method)
        if handler is None or method is None:
            return handler
        headers = {key: value for key, value in details.invocation_metadata if key in _PROPAGATED}
        attributes = {"rpc.system.name": "grpc", "rpc.method": method}

        def export(messages: Iterator[bytes], context: Any) -> bytes:
            with _serving(self._tracer, method, headers, attributes) as span:
                code = "CANCELLED"  # unless it is answered
                try:
                    response: bytes = handler.stream_unary(messages, context)
                    code = "OK"
                    return response
                finally:
                    if code != "OK" and (answered := context.code()) is not None:
                        code = answered.name
                    span.set_attribute("rpc.response.status_code", code)
                    if code in _SERVER_ERRORS:
                        _fail(span, code)

        return grpc.stream_unary_rpc_method_handler(export)


class _Intake:
    def __init__(self, intake: Intake, name: str, tracer: Tracer) -> None:
        self._intake = intake
        self._name = name
        self._tracer = tracer

    def accept(self, payload: bytes) -> PartialSuccess | None:
        """Pass the request on. See `Intake.accept`."""
        if not get_current_span().get_span_context().is_valid:
            return self._intake.accept(payload)
        with _working(self._tracer, self._name) as span:
            span.set_attribute("genops.request.bytes", len(payload))
            return self._intake.accept(payload)


class _Queue:
    def __init__(self, queue: Consumer, tracer: Tracer, carried: _Carried) -> None:
        self._queue = queue
        self._tracer = tracer
        self._carried = carried

    def consume(self, batch: Batch) -> PartialSuccess | None:
        """Pass the batch on. See `Consumer.consume`."""
        if not get_current_span().get_span_context().is_valid:
            return self._queue.consume(batch)
        with _working(self._tracer, f"queue {batch.signal}") as span:
            span.set_attribute("genops.request.items", batch.items)
            # Before: it may be on its way to the destination when the queue returns.
            self._carried.add(batch.payload, span.get_span_context())
            return self._queue.consume(batch)


class _Attempts:
    def __init__(
        self, exporter: ExporterConfig, signal: Signal, tracer: Tracer, carried: _Carried
    ) -> None:
        self._tracer = tracer
        self._carried = carried
        endpoint = exporter.endpoint
        over_grpc = endpoint.protocol is Protocol.GRPC
        self._status = "rpc.response.status_code" if over_grpc else "http.response.status_code"
        self._success = "OK" if over_grpc else "200"
        host, port = addresses(endpoint)[0]
        kind = "grpc" if over_grpc else "http"
        self._attributes: dict[str, str | int] = {
            "otel.component.name": exporter.id,
            "otel.component.type": f"otlp_{kind}_{_COMPONENTS[signal]}_exporter",
            "server.address": host,
            "server.port": port,
        }
        if over_grpc:
            self._name = _METHODS[SERVICES[signal].grpc_method]
            self._attributes |= {"rpc.system.name": "grpc", "rpc.method": self._name}
        else:
            self._name = "POST"
            self._attributes |= {
                "http.request.method": "POST",
                "url.full": endpoint.urls[signal].partition("?")[0],
            }

    def attempt(
        self, send: Callable[[Mapping[str, str]], Outcome], carries: Iterable[bytes]
    ) -> Outcome:
        """Send, with a span if what is carried has one. See `AttemptTracer`."""
        # Without a queue this is the thread of the request.
        here = get_current_span()
        links: list[Link] = []
        if not here.get_span_context().is_valid:
            found = self._carried.find(carries)
            links = [Link(each) for each in found if each and each.trace_flags.sampled]
            if not links:
                first = found[0] if found and all(found) else None
                return send(traceparent(first) if first else {})
        elif not here.is_recording():
            return send(traceparent(here.get_span_context()))
        span = self._tracer.start_span(
            self._name,
            context=set_span_in_context(here, Context()) if not links else Context(),
            kind=SpanKind.CLIENT,
            attributes=self._attributes,
            links=links,
        )
        try:
            outcome = send(traceparent(span.get_span_context()))
            self._describe(span, outcome)
            return outcome
        finally:
            span.end()

    def _describe(self, span: Span, outcome: Outcome) -> None:
        span.set_attribute("genops.export.outcome", label_of(outcome))
        if code := outcome.code or (self._success if isinstance(outcome, Delivered) else ""):
            span.set_attribute(self._status, int(code) if code.isdecimal() else code)
        if not isinstance(outcome, Delivered):
            _fail(span, outcome.code or "_OTHER")


@contextmanager
def _serving(
    tracer: Tracer, name: str, headers: Mapping[str, str], attributes: Mapping[str, str]
) -> Iterator[Span]:
    """A span of a request, as the child of what its headers name.

    It is the current one if it is recorded, or if its sender decided that it is not: the stages
    behind have nothing to do for all others.
    """
    parent = _PROPAGATOR.extract(headers, Context())
    span = tracer.start_span(name, context=parent, kind=SpanKind.SERVER, attributes=attributes)
    if not span.is_recording() and not get_current_span(parent).get_span_context().is_valid:
        yield span
        return
    token = contexts.attach(set_span_in_context(span, parent))
    try:
        yield span
    finally:
        contexts.detach(token)
        span.end()


@contextmanager
def _working(tracer: Tracer, name: str) -> Iterator[Span]:
    """A span below the current one. Of an error it has the type alone: its text is not for it."""
    with tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            _fail(span, type(error).__name__)
            raise


def _fail(span: Span, error_type: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(StatusCode.ERROR)
