"""The time in which a gRPC request has to arrive.

gRPC for Python gives a thread to a call before its message is there, and has no limit of its own on
how long that takes: a few senders that never finish would hold every thread, and the receiver with
them. More threads would not do: each may hold a message of the largest size, of which all but the
last byte is there. So what takes too long is cancelled, and much earlier when no thread is free.
Senders send again after CANCELLED (OTLP specification, "Failures").
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Arrivals"]

_LOOK_S = 0.25
_CROWDED_S = 2.0


class Arrivals:
    """Watches calls whose message has not arrived. Thread safe."""

    def __init__(self, timeout_s: float, threads: int) -> None:
        """Give a message so many seconds to arrive, less where that holds all the threads."""
        self._timeout_s = timeout_s
        self._threads = threads
        self._waiting: dict[object, tuple[float, Callable[[], object]]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to cancel."""
        threading.Thread(target=self._watch, name="otlp-grpc-arrivals", daemon=True).start()

    def stop(self) -> None:
        """Cancel no more."""
        self._stopped.set()

    @contextmanager
    def watched(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Call `cancel` unless the block ends in time."""
        call = object()
        with self._lock:
            self._waiting[call] = (time.monotonic(), cancel)
        try:
            yield
        finally:
            with self._lock:
                self._waiting.pop(call, None)

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            now_s = time.monotonic()
            with self._lock:
                crowded = len(self._waiting) >= self._threads
                longest_s = min(_CROWDED_S, self._timeout_s) if crowded else self._timeout_s
                late = [
                    call
                    for call, (since_s, _) in self._waiting.items()
                    if now_s - since_s > longest_s
                ]
                cancels = [self._waiting.pop(call)[1] for call in late]
            for cancel in cancels:
                cancel()
