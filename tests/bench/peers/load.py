"""The sender of a benchmark, in a process of its own: a steady rate, or as fast as answers come."""

from __future__ import annotations

import gzip
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import grpc

from bench.peers.workload import Stamper

__all__ = ["EXPORT", "Load", "Sender", "Sent", "sender"]

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_TIMEOUT_S = 30.0
_RETRY_S = 0.05
_GZIP_LEVEL = 1
_LATE = 2.0
"""A server that is too slow for the rate gets the load for so many times as long, and no longer."""


@dataclass(frozen=True, slots=True)
class Load:
    """How a workload is sent. A rate of 0 is as fast as answers come on each connection."""

    target: str  # host:port for gRPC, http://host:port for HTTP
    template: bytes
    spans: int  # in each request
    seconds: float
    spans_per_s: float = 0.0
    connections: int = 4
    gzip: bool = False
    patience_s: float = 10.0  # for how long one request is sent again


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent."""

    spans: int  # of acknowledged requests
    retries: int
    seconds: float
    answers_ns: list[int]  # how long each request took until it was acknowledged


class Sender:
    """The sending process as the benchmark sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, load: Load) -> Sent:
        """Send it all.

        Raises:
            RuntimeError: a request was refused for good.
        """
        self._connection.send(load)
        try:
            answer = self._connection.recv()
        except EOFError:
            raise RuntimeError("the sender ended without a word") from None
        if not isinstance(answer, Sent):
            raise RuntimeError(f"the load could not be sent: {answer}")
        return answer


@contextmanager
def sender() -> Iterator[Sender]:
    """A process that sends one load after the other, each over connections of its own."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that a process that ends is seen
    try:
        yield Sender(ours)
    finally:
        ours.close()
        process.join(10)


def _serve(connection: Connection) -> None:
    while True:
        try:
            load = connection.recv()
        except EOFError:
            return
        try:
            connection.send(_Sending(load).run())
        except Exception as error:  # noqa: BLE001 - told to the process that asked
            connection.send(repr(error))


class _Sending:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._requests = 0
        self._retries = 0
        self._answers_ns: list[int] = []
        self._error: Exception | None = None
        self._began_ns = time.monotonic_ns()

    def run(self) -> Sent:
        threads = [threading.Thread(target=self._send) for _ in range(self._load.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error
        seconds = (time.monotonic_ns() - self._began_ns) / 1e9
        spans = len(self._answers_ns) * self._load.spans
        return Sent(spans, self._retries, seconds, self._answers_ns)

    def _send(self) -> None:
        try:
            connected = _http if "://" in self._load.target else _grpc
            stamper = Stamper(self._load.template)
            with connected(self._load) as call:
                while self._wait_for_turn() and self._error is None:
                    sent_ns, patience_s = time.monotonic_ns(), self._load.patience_s
                    payload = stamper.request(sent_ns)
                    while not call(payload):
                        if time.monotonic_ns() - sent_ns > patience_s * 1e9:
                            raise TimeoutError(f"a request was refused for {patience_s:g} s")
                        self._retries += 1
                        time.sleep(_RETRY_S)
                    with self._lock:
                        self._answers_ns.append(time.monotonic_ns() - sent_ns)
        except Exception as error:  # noqa: BLE001 - raised by `run`
            self._error = error

    def _wait_for_turn(self) -> bool:
        load = self._load
        with self._lock:
            number = self._requests
            self._requests += 1
        now_ns = time.monotonic_ns()
        due_ns = now_ns
        if load.spans_per_s:
            due_ns = self._began_ns + round(number * load.spans / load.spans_per_s * 1e9)
        if due_ns - self._began_ns >= load.seconds * 1e9:
            return False
        if now_ns - self._began_ns >= _LATE * load.seconds * 1e9:
            return False
        time.sleep(max(due_ns - now_ns, 0) / 1e9)
        return True


@contextmanager
def _grpc(load: Load) -> Iterator[Callable[[bytes], bool]]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    compression = grpc.Compression.Gzip if load.gzip else grpc.Compression.NoCompression
    with grpc.insecure_channel(load.target, options) as channel:
        export = channel.unary_unary(EXPORT, None, None)

        def call(payload: bytes) -> bool:
            try:
                export(payload, timeout=_TIMEOUT_S, compression=compression)
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    return False
                raise
            return True

        yield call


@contextmanager
def _http(load: Load) -> Iterator[Callable[[bytes], bool]]:
    headers = {"Content-Type": "application/x-protobuf"}
    if load.gzip:
        headers["Content-Encoding"] = "gzip"
    address = urlsplit(load.target).netloc
    with closing(http.client.HTTPConnection(address, timeout=_TIMEOUT_S)) as connection:

        def call(payload: bytes) -> bool:
            body = gzip.compress(payload, _GZIP_LEVEL, mtime=0) if load.gzip else payload
            connection.request("POST", "/v1/traces", body, headers)
            with connection.getresponse() as answer:
                answer.read()
                if answer.status == 503:
                    return False
                if answer.status != 200:
                    raise RuntimeError(f"HTTP {answer.status}")
            return True

        yield call
