"""The bound on the bytes of requests in work, so that many large ones can't fill the memory.

A request takes bytes as they arrive and again as they are unpacked, and gives all back when it is
answered. Above the bound senders are told to try again. A request that is alone is never refused:
how large one may be is decided by the size limit of a request, and one that is within it must get
through some time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from genops_enricher.errors import RetryableError

__all__ = ["InFlight"]


class InFlight:
    """Counts the bytes of all requests in work. Thread safe."""

    def __init__(self, limit_bytes: int, admit: Callable[[], None] = lambda: None) -> None:
        """`admit` is asked first, about any request: it raises RetryableError to refuse it."""
        self._limit = limit_bytes
        self._admit = admit
        self._taken = 0
        self._lock = threading.Lock()

    @contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """One request: gives what takes so many bytes more for it, until the block ends.

        Taking raises RetryableError where there would be too many together with other requests.
        """
        self._admit()
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            with self._lock:
                if self._taken > mine and self._taken + size > self._limit:
                    raise RetryableError("too many requests at a time; try again")
                self._taken += size
                mine += size

        try:
            yield take
        finally:
            with self._lock:
                self._taken -= mine
