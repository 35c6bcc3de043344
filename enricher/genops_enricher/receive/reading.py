"""The time that gRPC senders may take for a request.

A handler waits for its request in a thread, and there are `max_workers` of them. So that a few
senders who never end a request can't hold all of them for long, what has waited for too long is
cancelled, which senders take as a reason to try again; and earlier if no thread is left.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

__all__ = ["Reading"]

_LOG = logging.getLogger(__name__)

_CROWDED_S = 5.0
_LOOKS = 10  # in the time that is allowed


class Reading:
    """Cancels requests that take too long to arrive, from `start` to `stop`. Thread safe."""

    def __init__(self, workers: int, timeout_s: float) -> None:
        self._workers = workers
        self._timeout_s = timeout_s
        self._crowded_s = min(timeout_s, _CROWDED_S)
        self._lock = threading.Lock()
        self._since_s: dict[grpc.ServicerContext, float] = {}  # in the order of their start
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="otlp-grpc-reading", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more. Safe to call without a start."""
        self._stopped.set()

    @contextmanager
    def of(self, context: grpc.ServicerContext) -> Iterator[None]:
        """The time from the headers of a request to its end."""
        with self._lock:
            self._since_s[context] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._since_s[context]

    def _watch(self) -> None:
        while not self._stopped.wait(self._crowded_s / _LOOKS):
            now_s = time.monotonic()
            with self._lock:
                crowded = len(self._since_s) >= self._workers
                allowed_s = self._crowded_s if crowded else self._timeout_s
                late = [c for c, since_s in self._since_s.items() if now_s - since_s > allowed_s]
            if late:
                _LOG.warning("%d requests over gRPC did not arrive in time; cancelled", len(late))
            for context in late:
                context.cancel()  # type: ignore[no-untyped-call]
