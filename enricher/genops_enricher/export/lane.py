"""The slow lane: requests that failed a few times wait here, and hold up nobody.

Bounded in number, because each of them keeps the file of the queue that it lies in; and in bytes,
because they stay in memory. Who finds no room waits with its consumer. At most half of the
consumers are busy with what comes from here: a request that makes the destination hang takes the
whole timeout at each attempt.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Lane"]

_REQUESTS_MAX = 64
_BYTES_MAX = 32 << 20

T = TypeVar("T")


class _Waiting(NamedTuple, Generic[T]):
    due_s: float
    order: int  # items are never compared
    item: T
    size: int


class Lane(Generic[T]):
    """What waits apart, by the time at which it is due. Thread safe."""

    def __init__(self, consumers: int) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting[T]] = []
        self._order = itertools.count()
        self._bytes = 0
        self._busy = 0
        self._busy_max = max(consumers // 2, 1)

    def add(self, item: T, size: int, due_s: float) -> bool:
        """Let it wait here until `due_s` on the caller's clock; False if there is no room."""
        with self._lock:
            if len(self._waiting) >= _REQUESTS_MAX or self._bytes + size > _BYTES_MAX:
                return False
            heapq.heappush(self._waiting, _Waiting(due_s, next(self._order), item, size))
            self._bytes += size
            return True

    def take(self, now_s: float) -> T | None:
        """One that is due, if a consumer may be busy with it; then call `done`."""
        with self._lock:
            if not self._waiting or self._busy >= self._busy_max or self._waiting[0].due_s > now_s:
                return None
            waiting = heapq.heappop(self._waiting)
            self._bytes -= waiting.size
            self._busy += 1
            return waiting.item

    def evict(self, may_go: Callable[[T], bool]) -> T | None:
        """Take one out for which that is so, due or not."""
        with self._lock:
            for at, waiting in enumerate(self._waiting):
                if may_go(waiting.item):
                    del self._waiting[at]
                    heapq.heapify(self._waiting)
                    self._bytes -= waiting.size
                    return waiting.item
            return None

    def done(self) -> None:
        """The consumer that took one is free again."""
        with self._lock:
            self._busy -= 1

    def until_due_s(self, now_s: float) -> float | None:
        """Seconds until the first is due, 0 if it is; None if nothing waits or may be taken."""
        with self._lock:
            if not self._waiting or self._busy >= self._busy_max:
                return None
            return max(self._waiting[0].due_s - now_s, 0.0)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._waiting.clear()
            self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)
