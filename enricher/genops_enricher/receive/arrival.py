"""The time in which a gRPC request has to arrive.

gRPC for Python gives a thread to a call before its message is there, and has no limit of its own on
how long that takes: a few senders that never finish would hold every thread, and the receiver with
them. What takes too long is cancelled; senders send again after CANCELLED (OTLP specification,
"Failures").
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Arrivals"]


class Arrivals:
    """Watches calls whose message has not arrived. Thread safe."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._waiting: dict[object, tuple[float, Callable[[], object]]] = {}  # oldest first
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
            self._waiting[call] = (time.monotonic() + self._timeout_s, cancel)
        try:
            yield
        finally:
            with self._lock:
                self._waiting.pop(call, None)

    def _watch(self) -> None:
        while not self._stopped.wait(self._timeout_s / 10):
            now_s = time.monotonic()
            with self._lock:
                late = [call for call, (by_s, _) in self._waiting.items() if by_s < now_s]
                cancels = [self._waiting.pop(call)[1] for call in late]
            for cancel in cancels:
                cancel()
