"""HTTP connections on which the head of an answer has to arrive in time as a whole.

The timeout of a socket is that of one read. A server, or what stands in between, that sends a byte
now and then would keep an attempt, and its consumer, for as long as it likes.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

__all__ = ["POOLS"]


class _Timed(io.RawIOBase):
    """Reads a socket until `deadline_s` on the monotonic clock, which may be lifted."""

    def __init__(self, sock: socket.socket, raw: Any) -> None:
        self._sock = sock
        self._raw = raw
        self._timeout_s = sock.gettimeout()
        self._deadline_s = None if self._timeout_s is None else time.monotonic() + self._timeout_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline_s is not None:
            left_s = self._deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the head of the answer took too long")
            self._sock.settimeout(left_s)
        read: int | None = self._raw.readinto(buffer)
        return read

    def lift(self) -> None:
        self._deadline_s = None
        self._sock.settimeout(self._timeout_s)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """The timeout that the socket has as reading begins counts for the whole head."""

    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self._timed = _Timed(sock, self.fp.detach())
        self.fp = io.BufferedReader(self._timed)

    def begin(self) -> None:
        super().begin()
        self._timed.lift()


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class TimedPool(HTTPConnectionPool):
    ConnectionCls = _Connection


class TimedSecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


# For `urllib3.PoolManager.pool_classes_by_scheme`.
POOLS: dict[str, Any] = {"http": TimedPool, "https": TimedSecurePool}
