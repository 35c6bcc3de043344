"""The OTLP/gRPC receiver.

Handlers take and return raw bytes. With a deserializer in between, gRPC would answer INTERNAL to a
message that does not parse, and the sender would throw its data away without a word from us.

A request is acknowledged when the next stage has accepted it, and an acknowledgement is the empty
message: `partial_success` stays unset, as the protocol demands of full success. Only where there is
no queue a destination may have more to say.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import grpc

from genops_enricher.config.model import ReceiverConfig
from genops_enricher.errors import RetryableError, StartError
from genops_enricher.pipeline import Intake, Signal
from genops_enricher.receive.arrival import Arrivals
from genops_enricher.receive.in_flight import InFlight
from genops_enricher.receive.status import refusal, to_grpc_status, to_response
from genops_enricher.telemetry import Telemetry

__all__ = ["GrpcReceiver"]

_LOG = logging.getLogger(__name__)
_SUCCESS = b""
# A request ends with a sync, in milliseconds. What takes longer would take all the time there is: a
# health watch has no end of its own, nor has a request of which only the beginning arrives.
_GRACE_MAX_S = 2.0
# What arrives in the very moment of the stop gRPC cancels by itself. For so long new requests are
# answered that they are to come again, so that senders are waiting when that moment comes.
_NOTICE_S = 0.2
# A call takes a thread before its message is there, so there are more of them than requests that
# are handled at a time. See `arrival`.
_THREADS_PER_WORKER = 2
_STREAMS_MAX = 100  # of one connection; more wait at the sender
_ARRIVAL_MAX_S = 60.0  # as `read_timeout` of OTLP/HTTP

_SERVICES = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
}


class GrpcReceiver:
    """Serves `Export` of the signals that have an intake; the others are UNIMPLEMENTED."""

    def __init__(
        self,
        config: ReceiverConfig,
        intakes: Mapping[Signal, Intake],
        telemetry: Telemetry,
        add_services: Callable[[grpc.Server], None],
        admit: Callable[[], None] = lambda: None,
        *,
        arrival_max_s: float = _ARRIVAL_MAX_S,
    ) -> None:
        """`admit` is asked before each request; see `InFlight`."""
        self._config = config
        self._telemetry = telemetry
        self._in_flight = InFlight(config.max_in_flight_bytes, self._admit_one)
        self._admit = admit
        threads = _THREADS_PER_WORKER * config.max_workers
        self._arrivals = Arrivals(arrival_max_s, threads)
        self._turns = threading.BoundedSemaphore(config.max_workers)
        limit = config.max_recv_msg_size_bytes
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="otlp-grpc"),
            options=[
                # Holds after decompression too; gRPC answers RESOURCE_EXHAUSTED by itself.
                ("grpc.max_receive_message_length", limit),
                # With it a second process would bind the same port in silence and take its share.
                ("grpc.so_reuseport", 0),
                # Collectors ping often where the operator has set a short keepalive; the default
                # policy would cut them off with too_many_pings.
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
                ("grpc.max_concurrent_streams", _STREAMS_MAX),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        for signal, intake in intakes.items():
            # On the wire a stream of one message is no other than the message. It gives us the call
            # before the message is there.
            handler = grpc.stream_unary_rpc_method_handler(self._handler(signal, intake))
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(_SERVICES[signal], {"Export": handler}),)
            )
        add_services(self._server)
        self._leaving = False
        self.port = 0
        """The TCP port that is served, once started."""

    def start(self) -> None:
        """Bind and serve.

        Raises:
            StartError: the endpoint can't be bound.
        """
        endpoint = self._config.grpc_endpoint
        try:
            self.port = self._server.add_insecure_port(endpoint)
        except RuntimeError as error:
            raise StartError(
                f"receivers.otlp.protocols.grpc.endpoint: can't listen on {endpoint}: the port is "
                "taken, or the address is none of this machine. Beside an OpenTelemetry Collector "
                "use 127.0.0.1:14317."
            ) from error
        self._arrivals.start()
        self._server.start()

    def stop(self, grace_s: float) -> None:
        """Finish what is under way; senders of new requests get UNAVAILABLE and keep them."""
        self._leaving = True
        if self.port:
            time.sleep(min(grace_s, _NOTICE_S))
        self._server.stop(min(grace_s, _GRACE_MAX_S)).wait()
        self._arrivals.stop()

    def _admit_one(self) -> None:
        if self._leaving:
            raise RetryableError("the receiver is stopping; try again")
        self._admit()

    def _handler(
        self, signal: Signal, intake: Intake
    ) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
        def export(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            with self._arrivals.watched(context.cancel):
                payload = next(messages, None)
            if payload is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "Export takes one message")
            try:
                with self._in_flight.request() as take:
                    take(len(payload))
                    with self._turns:
                        told = intake.accept(payload)
            except Exception as error:  # noqa: BLE001 - every escape would be UNKNOWN: data lost
                answer = refusal(error)
                if answer.code is grpc.StatusCode.UNAVAILABLE:
                    expected = isinstance(error, RetryableError)
                    _LOG.warning("refused %s: %s", signal, error, exc_info=not expected)
                self._telemetry.add(
                    "genops_refused_requests_total", signal=signal, code=answer.code.name
                )
                context.abort_with_status(to_grpc_status(answer))
            return to_response(signal, told).SerializeToString() if told else _SUCCESS

        return export
