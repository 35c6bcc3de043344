"""The body of an OTLP/HTTP request while it arrives: piece by piece, in time or never.

Who is to be hurried, because others have no room, is decided in `http_app`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from genops_enricher.receive.http_body import TooLargeError

__all__ = ["Body", "GoneError", "Receive"]

Receive = Callable[[], Awaitable[Any]]
Take = Callable[[int], None]


class GoneError(Exception):
    """The sender has left; nobody waits for an answer."""


class Body:
    """The body of one request, which arrives in time or never."""

    def __init__(self, receive: Receive, began_s: float, timeout_s: float) -> None:
        """`began_s` is of the loop's clock."""
        self._receive = receive
        self._waiting: asyncio.Timeout | None = None
        self._deadline_s = began_s + timeout_s
        self.began_s = began_s
        self.size = 0  # of what is held
        self.complete = False  # all of it has arrived

    async def read(self, limit: int, take: Take) -> bytes:
        """All of it, of at most `limit` bytes, each told to `take`."""
        data = bytearray()
        while not self.complete:
            piece = await self._next()
            if len(data) + len(piece) > limit:
                raise TooLargeError.of_bytes(limit)
            take(len(piece))
            data += piece
            self.size = len(data)
        return bytes(data)

    def end(self) -> None:
        """Let its time be over."""
        self._deadline_s = asyncio.get_running_loop().time()
        if self._waiting is not None:
            self._waiting.reschedule(self._deadline_s)

    async def skip(self, limit: int | None) -> None:
        """Throw the rest away, up to `limit` bytes if there is one."""
        skipped = 0
        while not self.complete and (limit is None or skipped <= limit):
            skipped += len(await self._next())

    async def _next(self) -> bytes:
        async with asyncio.timeout_at(self._deadline_s) as self._waiting:
            message = await self._receive()
        self._waiting = None
        if message["type"] == "http.disconnect":
            raise GoneError
        self.complete = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece
