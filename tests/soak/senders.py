"""Senders of numbered spans over OTLP/gRPC that try again as an SDK's exporter does.

They send the same bytes again after the statuses that the OTLP specification calls retryable, wait
ever longer with jitter or as long as RetryInfo says, and give a request up after ten seconds, the
SDK's default. The first wait is shorter than the SDK's one second, so that the load is back soon
after a kill.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status

from otlp import chat, request, span
from soak.account import Account

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPANS_PER_REQUEST = 200
_LLM_EVERY = 4
_GIVE_UP_S = 10.0
_FIRST_WAIT_S, _WAIT_MAX_S = 0.1, 2.0

# OTLP specification, "OTLP/gRPC response"; RESOURCE_EXHAUSTED only with RetryInfo.
_RETRYABLE = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}


def numbered_spans(first: int, count: int) -> bytes:
    """A request; the span id of each span is its sequence number."""
    return request(
        *(
            span(
                chat(more={"gen_ai.response.id": f"gen-{number}"})
                if number % _LLM_EVERY == 0
                else {"http.request.method": "GET", "url.path": f"/orders/{number}"},
                number=number,
            )
            for number in range(first, first + count)
        )
    )


class Senders:
    """Threads that together offer `spans_per_s`, and catch up after a pause."""

    def __init__(self, target: str, account: Account, spans_per_s: float, *, threads: int) -> None:
        self.retries = 0  # counted without a lock: a figure for people
        self.refused: set[str] = set()
        """Statuses at which requests were thrown away, as the protocol demands. None is right."""
        self._target = target
        self._account = account
        self._every_s = SPANS_PER_REQUEST / spans_per_s
        self._next_s = time.monotonic()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(threads)]

    def start(self) -> None:
        self._next_s = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish or give up what is under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        jitter = random.Random(number)
        options = [
            ("grpc.use_local_subchannel_pool", 1),  # a connection for each sender
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        with grpc.insecure_channel(self._target, options) as channel:
            call = channel.unary_unary(EXPORT, None, None)
            while not self._stopping.wait(self._turn_s()):
                first = self._account.send(SPANS_PER_REQUEST)
                if self._export(call, numbered_spans(first, SPANS_PER_REQUEST), jitter):
                    self._account.acknowledge(first, SPANS_PER_REQUEST)

    def _turn_s(self) -> float:
        with self._lock:
            turn_s = self._next_s
            self._next_s += self._every_s
        return max(turn_s - time.monotonic(), 0)

    def _export(
        self,
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes],
        payload: bytes,
        jitter: random.Random,
    ) -> bool:
        deadline_s = time.monotonic() + _GIVE_UP_S
        wait_s = _FIRST_WAIT_S
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                call(payload, timeout=left_s)
            except grpc.RpcError as error:
                asked_s = retry_delay_s(error)
                code = error.code()
                if code not in _RETRYABLE or (
                    code is grpc.StatusCode.RESOURCE_EXHAUSTED and asked_s is None
                ):
                    self.refused.add(f"{code.name}: {error.details()}")
                    return False
                self.retries += 1
                self._stopping.wait(asked_s or wait_s * jitter.uniform(0.8, 1.2))
                wait_s = min(wait_s * 2, _WAIT_MAX_S)
            else:
                return True
        return False


def retry_delay_s(error: grpc.RpcError) -> float | None:
    """How long the answer asks to wait, in seconds."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type] # an error is a call too
    for detail in status.details if status else ():
        info = RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None


@contextmanager
def sending(
    target: str, account: Account, spans_per_s: float, *, threads: int = 8
) -> Iterator[Senders]:
    senders = Senders(target, account, spans_per_s, threads=threads)
    senders.start()
    try:
        yield senders
    finally:
        senders.stop()
