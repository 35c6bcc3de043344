"""The bound on the bytes of requests in work, so that many large ones can't fill the memory.

A request takes bytes as they arrive, again as they are unpacked, and for as long as it is read from
JSON what that needs; it gives all back when it is answered. Above the bound senders are told to try
again. A request that is alone is never refused: how large one may be is decided by the size limit
of a request, and one that is within it must get through some time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from genops_enricher.errors import RetryableError

__all__ = ["CrowdedError", "InFlight", "Share"]


class CrowdedError(RetryableError):
    """There is no room beside the requests that are in work."""


class InFlight:
    """Counts the bytes of all requests in work. Thread safe."""

    def __init__(self, limit_bytes: int, admit: Callable[[], None] = lambda: None) -> None:
        """`admit` is asked first, about any request: it raises RetryableError to refuse it."""
        self.limit = limit_bytes
        self.taken = 0
        self.lock = threading.Lock()
        self._admit = admit

    def request(self) -> Share:
        """What one request takes, until the block ends that is entered with it.

        Raises:
            RetryableError: no request is admitted now.
        """
        self._admit()
        return Share(self)


class Share:
    """What one request has taken. Used by one thread at a time.

    A class, and no generator: it is entered for every request, and a generator costs three times as
    much.
    """

    __slots__ = ("_all", "_mine")

    def __init__(self, of: InFlight) -> None:
        self._all = of
        self._mine = 0

    def __enter__(self) -> Share:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.give_back(self._mine)

    def take(self, size: int) -> None:
        """Take so many bytes more.

        Raises:
            CrowdedError: that would be too many together with other requests.
        """
        together = self._all
        with together.lock:
            if together.taken > self._mine and together.taken + size > together.limit:
                raise CrowdedError("too many requests at a time; try again")
            together.taken += size
            self._mine += size

    def give_back(self, size: int) -> None:
        """Give so many of them back before the end."""
        with self._all.lock:
            self._all.taken -= size
            self._mine -= size
