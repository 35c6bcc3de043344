"""The OTLP/HTTP receiver: the server, its connections and their limits.

Uvicorn with h11 serves (docs/adr/0007-http-server.md). What it lacks is here: the time that a
sender may take for the headers of a request, a bound on connections, an answer to broken HTTP in
OTLP's form, and certificates that change while it serves. What requests are answered is decided in
`http_app`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import grpc
import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from genops_enricher.config.credentials import server_context
from genops_enricher.config.model import HttpReceiverConfig, ServerTls
from genops_enricher.config.values import split_address
from genops_enricher.errors import StartError
from genops_enricher.host.followed import Followed
from genops_enricher.pipeline import Intake, Signal
from genops_enricher.receive.auth import BearerTokens
from genops_enricher.receive.http_app import PROTOBUF, App, OtlpHttpApp, encode_refusal
from genops_enricher.receive.status import Refusal
from genops_enricher.telemetry import Telemetry

__all__ = ["HttpReceiver"]

_LOG = logging.getLogger(__name__)

_KEY = "receivers.otlp.protocols.http"
_HEADERS_MAX_BYTES = 32 << 10
_CLOSE = (b"connection", b"close")
_ANSWER_MAX_S = 1.0  # how long the answer to an interrupted request may take
_GOODBYE_MAX_S = 5.0  # how long the end of TLS waits for the word of the peer
_GRACE_MAX_S = 2.0  # as for gRPC: a request ends with a sync, in milliseconds


class HttpReceiver:
    """Serves the signals that have an intake; the paths of the others are not found."""

    def __init__(
        self,
        config: HttpReceiverConfig,
        intakes: Mapping[Signal, Intake],
        telemetry: Telemetry,
        admit: Callable[[], None] = lambda: None,
        wrap: Callable[[App, Iterable[str]], App] | None = None,
        *,
        share_port: bool = False,
    ) -> None:
        """Nothing is bound before `start`.

        `admit` is asked before each request, see `InFlight`. `wrap` puts something around the
        requests to our paths. With `share_port` others may listen on the same port, if they do so
        too.
        """
        self._config = config
        self._share_port = share_port
        self._pool = ThreadPoolExecutor(config.max_workers, thread_name_prefix="otlp-http")
        tokens = BearerTokens(_KEY, config.auth, telemetry) if config.auth else None
        tls = _follow(config.tls, telemetry).get if config.tls else None
        app: App = OtlpHttpApp(config, intakes, telemetry, self._pool, admit, tokens)
        self._server = uvicorn.Server(
            uvicorn.Config(
                wrap(app, config.url_paths.values()) if wrap else app,
                http=_connection_type(config, tls),
                h11_max_incomplete_event_size=_HEADERS_MAX_BYTES,
                timeout_keep_alive=math.ceil(config.idle_timeout_s),
                interface="asgi3",
                loop="asyncio",
                lifespan="off",
                ws="none",
                proxy_headers=False,
                server_header=False,
                date_header=False,
                access_log=False,
                log_config=None,
                log_level="error",  # it warns once for each broken request: a flood of them
            )
        )
        self._thread: threading.Thread | None = None
        self.port = 0
        """The TCP port that is served, once started."""

    def start(self) -> None:
        """Bind and serve.

        Raises:
            StartError: the endpoint can't be bound.
        """
        host, port = split_address(self._config.endpoint)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server(
                (host, port), family=family, backlog=128, reuse_port=self._share_port
            )
        except OSError as error:
            why = str(error.strerror).partition(" (while")[0]  # `create_server` adds the address
            raise StartError(
                f"receivers.otlp.protocols.http.endpoint: can't listen on {self._config.endpoint}: "
                f"{why}. Stop what uses the port, or choose another: 127.0.0.1:14318 "
                "beside an OpenTelemetry Collector"
            ) from error
        self.port = int(listener.getsockname()[1])
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="otlp-http", daemon=True
        )
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Finish what is under way; senders of what is not finished then are told to try again."""
        if self._thread:
            self._server.config.timeout_graceful_shutdown = math.ceil(min(grace_s, _GRACE_MAX_S))
            self._server.should_exit = True
            self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _serve(self, listener: socket.socket) -> None:
        with listener:
            try:
                asyncio.run(self._serve_until_stopped(listener))
            except Exception:  # noqa: BLE001 - a thread that ends in silence would be worse
                _LOG.exception("the OTLP/HTTP receiver ended")

    async def _serve_until_stopped(self, listener: socket.socket) -> None:
        await self._server.serve(sockets=[listener])
        if tasks := self._server.server_state.tasks:
            await asyncio.wait(tasks, timeout=_ANSWER_MAX_S)  # cancelled, they still answer
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()  # its end of TLS would wait for the peer's


def _follow(tls: ServerTls, telemetry: Telemetry) -> Followed[ssl.SSLContext]:
    def make() -> ssl.SSLContext:
        context = server_context(tls)
        context.set_alpn_protocols(["http/1.1"])
        return context

    files = [file for file in (tls.cert_file, tls.key_file, tls.client_ca_file) if file]
    return Followed(f"{_KEY}.tls", files, make, telemetry, interval_s=tls.reload_interval_s)


def _connection_type(
    config: HttpReceiverConfig, tls: Callable[[], ssl.SSLContext] | None
) -> type[H11Protocol]:
    class Connection(H11Protocol):
        """One connection of a sender.

        It makes TLS of itself, in place of the server: so connections in their handshake count
        too, and each one gets the certificates as they are when it begins.
        """

        _header_timeout: asyncio.TimerHandle | None = None
        _handshake: asyncio.Task[None] | None = None
        _opened_s = math.inf  # the loop's clock
        _early = b""  # what arrived between the end of the handshake and our hearing of it

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self.connections.add(self)
            self.transport = transport
            if len(self.connections) > config.max_connections:
                transport.abort()
            elif tls is None:
                self._opened(transport)
            else:
                self._handshake = self.loop.create_task(self._shake_hands(transport, tls()))

        async def _shake_hands(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
            try:
                secure = await self.loop.start_tls(
                    transport,
                    self,
                    context,
                    server_side=True,
                    ssl_handshake_timeout=config.read_header_timeout_s,
                    ssl_shutdown_timeout=_GOODBYE_MAX_S,
                )
            except (OSError, asyncio.CancelledError) as error:
                _LOG.debug("a TLS handshake failed: %s", error)
                self.connections.discard(self)
                transport.abort()
                return
            finally:
                self._handshake = None
            if secure is None or self not in self.connections:
                transport.abort()  # it is lost already
                return
            self._opened(secure)
            if self._early:
                data, self._early = self._early, b""
                self.data_received(data)

        def _opened(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._opened_s = self.loop.time()
            self._start_header_timeout()

        def data_received(self, data: bytes) -> None:
            if self._handshake is not None:
                self._early += data
                return
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._end_header_timeout()
                self._end_when_old(self.cycle)
            elif self._header_timeout is None:
                self._start_header_timeout()

        def _end_when_old(self, cycle: RequestResponseCycle) -> None:
            """Say with the answer that it is the last, as if the sender had asked for that."""
            age_max_s = config.max_connection_age_s
            if age_max_s is not None and self.loop.time() - self._opened_s > age_max_s:
                cycle.scope["headers"] = [*cycle.scope["headers"], _CLOSE]

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_header_timeout()
            super().connection_lost(exc)

        def shutdown(self) -> None:
            """End it when what is under way has been answered."""
            if self._handshake is not None:
                self._handshake.cancel()
            else:
                super().shutdown()

        def send_400_response(self, msg: str) -> None:
            """Answer what is not HTTP, and close."""
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                body = encode_refusal(Refusal(grpc.StatusCode.INVALID_ARGUMENT, msg), PROTOBUF)
                headers = [
                    ("content-type", PROTOBUF),
                    ("content-length", str(len(body))),
                    ("connection", "close"),
                ]
                for event in (
                    h11.Response(status_code=400, headers=headers),
                    h11.Data(data=body),
                    h11.EndOfMessage(),
                ):
                    self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

        def _start_header_timeout(self) -> None:
            self._header_timeout = self.loop.call_later(
                config.read_header_timeout_s, self.transport.close
            )

        def _end_header_timeout(self) -> None:
            if self._header_timeout is not None:
                self._header_timeout.cancel()
                self._header_timeout = None

    return Connection
