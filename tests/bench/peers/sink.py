"""The destination of a benchmark, in a process of its own: takes everything and counts."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection

import grpc

from bench.peers.workload import stamps
from genops_enricher.decode.lens import parse_traces

__all__ = ["Sink", "Taken", "sink"]

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_COST = b"genops.cost.total"
_OPTIONS = [("grpc.max_receive_message_length", 1 << 30), ("grpc.so_reuseport", 0)]


class Taken:
    """What arrived since the last question."""

    def __init__(self) -> None:
        self.requests = 0
        self.spans = 0
        self.priced = 0  # spans with a cost, as far as a search of the bytes can tell
        self.delays_ns: list[int] = []

    def add(self, payload: bytes, now_ns: int) -> None:
        self.requests += 1
        self.spans += sum(
            len(scope.spans)
            for resource in parse_traces(payload).resource_spans
            for scope in resource.scope_spans
        )
        self.priced += payload.count(_COST)
        self.delays_ns += [now_ns - sent_ns for sent_ns in stamps(payload)]


class Sink:
    """The sink as the benchmark sees it."""

    def __init__(self, connection: Connection, grpc_port: int, http_port: int) -> None:
        self._connection = connection
        self.grpc_port = grpc_port
        self.http_port = http_port

    def taken(self) -> Taken:
        """What arrived since the last call."""
        self._connection.send("taken")
        answer = self._connection.recv()
        assert isinstance(answer, Taken)
        return answer


@contextmanager
def sink() -> Iterator[Sink]:
    """A running sink."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that a sink that ends is seen
    try:
        grpc_port, http_port = ours.recv()
        yield Sink(ours, grpc_port, http_port)
    finally:
        ours.send("stop")
        process.join(10)


def _serve(connection: Connection) -> None:
    lock = threading.Lock()
    taken = Taken()

    def take(payload: bytes) -> None:
        now_ns = time.monotonic_ns()
        with lock:
            taken.add(payload, now_ns)

    def export(payload: bytes, _context: grpc.ServicerContext) -> bytes:
        take(payload)
        return b""

    server = grpc.server(ThreadPoolExecutor(8), options=_OPTIONS)
    handler = grpc.unary_unary_rpc_method_handler(export)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_SERVICE, {"Export": handler}),)
    )
    grpc_port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    http_server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    connection.send((grpc_port, http_server.server_address[1]))
    while connection.recv() == "taken":
        with lock:
            answer, taken = taken, Taken()
        connection.send(answer)
