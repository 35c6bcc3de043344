"""The OTLP/gRPC receiver.

Handlers take and return raw bytes. With a deserializer in between, gRPC would answer INTERNAL to a
message that does not parse, and the sender would throw its data away without a word from us.

A request is acknowledged when the next stage has accepted it, and an acknowledgement is the empty
message: `partial_success` stays unset, as the protocol demands of full success. Only where there is
no queue a destination may have more to say.

Export takes one message, but is served as if it took a stream of them. A handler of one message is
called when all of it has arrived; a handler of a stream is called with the headers, and asks for
the message when it wants it. So a sender without a token is refused before we take in anything, and
one that never ends its request is told to try again after `read_timeout`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, NamedTuple, NoReturn

import grpc

from genops_enricher.config.credentials import server_context
from genops_enricher.config.model import ReceiverConfig, ServerTls
from genops_enricher.errors import RetryableError, StartError
from genops_enricher.host.followed import Followed
from genops_enricher.pipeline import Intake, Signal
from genops_enricher.receive.arrival import Arrivals
from genops_enricher.receive.auth import UNAUTHENTICATED, BearerTokens
from genops_enricher.receive.in_flight import InFlight
from genops_enricher.receive.status import Refusal, refusal, to_grpc_status, to_response
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
# A client that is silent before, in or after the TLS handshake, in place of gRPC's two minutes.
_HANDSHAKE_MAX_S = 20.0
# After which a connection without a request is closed; clients open another one when they need it.
_IDLE_MAX_S = 600.0
# How long a new certificate waits for threads that still take the old one.
_SETTLE_S = 0.2
# Of one connection at a time. SDKs send one, Collectors ten by default.
_STREAMS_MAX = 100
# Of headers that a request may carry, in bytes; above the second one it is always refused.
_METADATA_BYTES, _METADATA_BYTES_MAX = 16 << 10, 32 << 10

_KEY = "receivers.otlp.protocols.grpc"
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
        interceptors: Sequence[grpc.ServerInterceptor[bytes, bytes]] = (),
        arrival_max_s: float | None = None,
        share_port: bool = False,
    ) -> None:
        """`admit` is asked before each request; see `InFlight`.

        With `share_port` others may listen on the same port, if they do so too.
        """
        self._config = config
        self._telemetry = telemetry
        self._in_flight = InFlight(config.max_in_flight_bytes, self._admit_one)
        self._admit = admit
        threads = _THREADS_PER_WORKER * config.max_workers
        self._arrivals = Arrivals(arrival_max_s or config.read_timeout_s, threads)
        # One for each request that may be handled now. A semaphore is ten times as slow.
        self._turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(config.max_workers):
            self._turns.put(None)
        self._tokens = BearerTokens(_KEY, config.auth, telemetry) if config.auth else None
        self._credentials = _credentials(config.tls, telemetry) if config.tls else None
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="otlp-grpc"),
            interceptors=list(interceptors),
            options=_options(config, share_port=share_port),
        )
        for signal, intake in intakes.items():
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
            if self._credentials is None:
                self.port = self._server.add_insecure_port(endpoint)
            else:
                self.port = self._server.add_secure_port(endpoint, self._credentials)
        except RuntimeError as error:
            raise StartError(
                f"receivers.otlp.protocols.grpc.endpoint: can't listen on {endpoint}: the port is "
                "taken, or the address is none of this machine. Beside an OpenTelemetry Collector "
                "use 127.0.0.1:14317."
            ) from error
        self._server.start()
        self._arrivals.start()

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
            if not self._allowed(context):
                _LOG.warning("refused %s of %s: no valid token", signal, context.peer())
                self._refuse(signal, UNAUTHENTICATED, context)
            payload = told = None
            try:
                with self._in_flight.request() as share:
                    with self._arrivals.watched(context.cancel):
                        payload = next(messages, None)
                    if payload is not None:
                        share.take(len(payload))
                        self._turns.get()
                        try:
                            told = intake.accept(payload)
                        finally:
                            self._turns.put(None)
            except grpc.RpcError:  # it was cancelled while it arrived, by the sender or by us
                raise
            except Exception as error:  # noqa: BLE001 - every escape would be UNKNOWN: data lost
                answer = refusal(error)
                if answer.code is grpc.StatusCode.UNAVAILABLE:
                    expected = isinstance(error, RetryableError)
                    _LOG.warning("refused %s: %s", signal, error, exc_info=not expected)
                else:
                    _LOG.warning("refused %s for good: %s", signal, answer.message)
                self._refuse(signal, answer, context)
            if payload is None:  # or it was too large, which gRPC has answered already
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "Export takes one message")
            return to_response(signal, told).SerializeToString() if told else _SUCCESS

        return export

    def _allowed(self, context: grpc.ServicerContext) -> bool:
        if self._tokens is None:
            return True
        given = [value for key, value in context.invocation_metadata() if key == "authorization"]
        return len(given) == 1 and self._tokens.allow(str(given[0]))

    def _refuse(self, signal: Signal, answer: Refusal, context: grpc.ServicerContext) -> NoReturn:
        self._telemetry.add("genops_refused_requests_total", signal=signal, code=answer.code.name)
        context.abort_with_status(to_grpc_status(answer))
        raise AssertionError("an abort returns")


def _options(config: ReceiverConfig, *, share_port: bool) -> list[tuple[str, int]]:
    """What grpc-core is told; its names are in grpc/impl/channel_arg_names.h."""
    options = [
        # Holds after decompression too; gRPC answers RESOURCE_EXHAUSTED by itself.
        ("grpc.max_receive_message_length", config.max_recv_msg_size_bytes),
        # With it a second process would bind the same port in silence and take its share. Workers
        # may: others are kept away by their supervisor, see workers/ports.py.
        ("grpc.so_reuseport", int(share_port)),
        # Collectors ping often where the operator has set a short keepalive; the default policy
        # would cut them off with too_many_pings.
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(config.ping_min_time_s)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_allowed_incoming_connections", config.max_connections),
        ("grpc.server_handshake_timeout_ms", _ms(_HANDSHAKE_MAX_S)),
        ("grpc.max_connection_idle_ms", _ms(_IDLE_MAX_S)),
        ("grpc.max_concurrent_streams", _STREAMS_MAX),
        ("grpc.max_metadata_size", _METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _METADATA_BYTES_MAX),
    ]
    if config.max_connection_age_s is not None:
        options.append(("grpc.max_connection_age_ms", _ms(config.max_connection_age_s)))
    if config.max_connection_age_grace_s is not None:
        options.append(("grpc.max_connection_age_grace_ms", _ms(config.max_connection_age_grace_s)))
    return options


def _ms(seconds: float) -> int:
    return min(max(round(seconds * 1000), 1), (1 << 31) - 1)


def _credentials(tls: ServerTls, telemetry: Telemetry) -> grpc.ServerCredentials:
    """What follows the files: gRPC asks for the certificate again before each handshake.

    It asks under a lock, and then takes the new certificate in place of the old, which another
    thread may just be about to use outside of the lock (https://github.com/grpc/grpc/issues/36693:
    use after free; a flood of connections crashed the process within a minute when each one
    replaced it). So nothing is replaced that has not changed, and not before those threads, which
    have a few instructions to go, are through: meanwhile the lock holds up all others.
    """
    files = [file for file in (tls.cert_file, tls.key_file, tls.client_ca_file) if file]

    def make() -> _Pem:
        server_context(tls)  # gRPC would find out only in the handshake, and say it to nobody
        authorities = tls.client_ca_file.read_bytes() if tls.client_ca_file else None
        return _Pem(tls.key_file.read_bytes(), tls.cert_file.read_bytes(), authorities)

    followed = Followed(f"{_KEY}.tls", files, make, telemetry, interval_s=tls.reload_interval_s)
    given = followed.get()

    def renew() -> Any:  # a grpc.ServerCertificateConfiguration, or None for no change
        nonlocal given
        now = followed.get()
        if now == given:
            return None
        time.sleep(_SETTLE_S)
        given = now
        return now.to_grpc()

    return grpc.dynamic_ssl_server_credentials(
        given.to_grpc(), renew, tls.client_ca_file is not None
    )


class _Pem(NamedTuple):
    key: bytes
    certificate: bytes
    authorities: bytes | None

    def to_grpc(self) -> grpc.ServerCertificateConfiguration:
        pair = (self.key, self.certificate)
        return grpc.ssl_server_certificate_configuration([pair], self.authorities)
