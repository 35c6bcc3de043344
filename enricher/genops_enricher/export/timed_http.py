"""HTTP connections on which attempts end: in time, and when we stop.

The timeout of a socket is that of one read. A server, or what stands in between, that sends a byte
now and then would keep an attempt, and its consumer, for as long as it likes: so the head of an
answer has to arrive in time as a whole. To close a pool closes what is idle only, and an attempt
that hangs would keep the process as long as its timeout is: so all of its sockets can be shut down.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
import time
from typing import Any
from weakref import WeakSet

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

__all__ = ["POOLS", "end_all"]


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


class _EndingPool(HTTPConnectionPool):
    """Knows the connections that it made, also those that are in use."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._made: WeakSet[HTTPConnection] = WeakSet()
        self._lock = threading.Lock()

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        with self._lock:
            self._made.add(connection)  # type: ignore[arg-type]  # urllib3 says a protocol
        return connection

    def end(self) -> None:
        """Let what is under way fail now."""
        with self._lock:
            made = [*self._made]
        for connection in made:
            if (sock := connection.sock) is not None:
                with contextlib.suppress(OSError):  # it has ended already
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS, which would wait


class TimedPool(_EndingPool):
    ConnectionCls = _Connection


class TimedSecurePool(_EndingPool, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def end_all(manager: PoolManager) -> None:
    """Let all attempts of a manager of such pools fail now."""
    pools = manager.pools
    for key in pools.keys():  # noqa: SIM118 - no mapping; it can't be iterated while others use it
        if isinstance(pool := pools.get(key), _EndingPool):
            pool.end()


# For `urllib3.PoolManager.pool_classes_by_scheme`.
POOLS: dict[str, Any] = {"http": TimedPool, "https": TimedSecurePool}
