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
from collections.abc import Callable
from types import TracebackType

__all__ = ["Arrivals"]

_LOOK_S = 0.25
_CROWDED_S = 2.0


class Arrivals:
    """Watches calls whose message has not arrived. Thread safe."""

    def __init__(self, timeout_s: float, threads: int) -> None:
        """Give a message so many seconds to arrive, less where that holds all the threads."""
        self._timeout_s = timeout_s
        self._threads = threads
        # Without a lock: in CPython to add, to take out and to copy are one step each.
        self._waiting: dict[_Arriving, None] = {}
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to cancel."""
        threading.Thread(target=self._watch, name="otlp-grpc-arrivals", daemon=True).start()

    def stop(self) -> None:
        """Cancel no more."""
        self._stopped.set()

    def watched(self, cancel: Callable[[], object]) -> _Arriving:
        """Call `cancel` unless the block ends in time that is entered with this."""
        return _Arriving(self._waiting, cancel)

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            now_s = time.monotonic()
            waiting = [*self._waiting]
            crowded = len(waiting) >= self._threads
            longest_s = min(_CROWDED_S, self._timeout_s) if crowded else self._timeout_s
            for call in waiting:
                if now_s - call.since_s > longest_s and self._waiting.pop(call, self) is None:
                    call.cancel()


class _Arriving:
    """A call whose message has not arrived, while its block lasts."""

    __slots__ = ("_waiting", "cancel", "since_s")

    def __init__(self, waiting: dict[_Arriving, None], cancel: Callable[[], object]) -> None:
        self._waiting = waiting
        self.cancel = cancel
        self.since_s = time.monotonic()

    def __enter__(self) -> None:
        self._waiting[self] = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._waiting.pop(self, None)
