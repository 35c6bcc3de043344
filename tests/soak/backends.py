"""Backends that fail most calls in every way they can, and tell an account what they took.

They speak TLS: over plain text a byte that changes on the way may reach a backend unnoticed, which
would say nothing about the sender of it.
"""

from __future__ import annotations

import gzip
import random
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from otlp import spans_of

Take = Callable[[list[int]], None]

CERTIFICATES = Path(__file__).parents[1] / "certificates"
TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"

_SLOW_S = 0.3
_HANG_S = 5.0

# Every answer that may pass, those too that could mean a broken request: UNKNOWN, INTERNAL and 500.
# Not those that refuse the data itself, such as 400.
_GRPC_ERRORS = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.NOT_FOUND,
)
_HTTP_ERRORS = (429, 502, 503, 504, 401, 500, 403)
_CHOICES = 6 * len(_GRPC_ERRORS)


class Mood:
    """How calls fare: `failing` of them fail until `calm`. Thread safe.

    Some that fail are taken all the same, because a backend may break after it has stored.
    """

    def __init__(self, failing: float, *, seed: int) -> None:
        self.calls = 0
        self.failures = 0
        self._failing = failing
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._calm = threading.Event()

    def calm(self) -> None:
        """Answer every call at once from now on; those that hang end."""
        self._calm.set()

    def meet(self, payload: bytes, take: Take) -> int | None:
        """None for success, else a number that chooses the error. Takes what is to be taken."""
        with self._lock:
            self.calls += 1
            fails = not self._calm.is_set() and self._random.random() < self._failing
            self.failures += fails
            choice, chance = self._random.randrange(_CHOICES), self._random.random()
        if not self._calm.is_set():
            if fails and chance < 0.03:
                self._calm.wait(_HANG_S)
            elif chance > 0.9:
                self._calm.wait(_SLOW_S)
        if not fails or 0.1 < chance < 0.2:
            take([struct.unpack(">Q", span.span_id)[0] for span in spans_of(payload)])
        return choice if fails else None


@contextmanager
def grpc_backend(mood: Mood, take: Take) -> Iterator[int]:
    """The port of an OTLP/gRPC backend for traces."""

    def export(payload: bytes, context: grpc.ServicerContext) -> bytes:
        error = mood.meet(payload, take)
        if error is not None and error % 6 == 0:  # 429 with a wait, in gRPC's words
            status = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
            status.details.add().Pack(
                error_details_pb2.RetryInfo(retry_delay=Duration(nanos=100_000_000))
            )
            context.abort_with_status(rpc_status.to_status(status))
        elif error is not None:
            context.abort(_GRPC_ERRORS[error % len(_GRPC_ERRORS)], "this backend is in a bad mood")
        return b""

    key, certificate = CERTIFICATES / "server.key", CERTIFICATES / "server.pem"
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    with ThreadPoolExecutor(32) as pool:
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        handlers = {"Export": grpc.unary_unary_rpc_method_handler(export)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(TRACES, handlers),))
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield port
        finally:
            mood.calm()
            server.stop(None).wait(60)


@contextmanager
def http_backend(mood: Mood, take: Take) -> Iterator[int]:
    """The port of an OTLP/HTTP backend for traces."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            error = mood.meet(body, take)
            if error is not None and error % 6 == 0:  # hang up without an answer
                self.close_connection = True
                return
            self.send_response(200 if error is None else _HTTP_ERRORS[error % len(_HTTP_ERRORS)])
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *args: object) -> None:
            pass  # connections that break are what this is for

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    with Server(("127.0.0.1", 0), Handler) as server:
        # The handshake is left to the thread of the connection: one that hangs must not stop all.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            mood.calm()
            server.shutdown()
            thread.join(60)
