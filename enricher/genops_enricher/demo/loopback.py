"""A threaded HTTP server on 127.0.0.1 that leaves nothing behind: what the fake and the sink share.

`close` ends idle keep-alive connections too and returns when every handler thread has ended.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["LOOPBACK", "Handler", "LoopbackServer"]

LOOPBACK = "127.0.0.1"


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive and no log."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # buffered, so that headers and body leave together; flushed after each request
    disable_nagle_algorithm = True  # small answers leave at once

    def read_body(self) -> bytes:
        """Read the request body; only bodies with a Content-Length are understood."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send one complete answer."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: tests and the demo have their own output."""


class LoopbackServer(ThreadingHTTPServer):
    """Serves from its constructor on until `close`."""

    daemon_threads = False  # so that server_close waits for the handlers
    allow_reuse_address = True

    def __init__(self, port: int, handler: Any) -> None:
        """Bind 127.0.0.1:`port` (0: any free one) and start to serve.

        Raises:
            OSError: the port is taken.
        """
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__((LOOPBACK, port), handler)
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="http-server"
        )
        self._thread.start()

    def close(self) -> None:
        """Stop, end every connection and wait for the threads."""
        self.shutdown()
        self._thread.join()
        with self._connections_lock:
            for connection in self._connections:
                with suppress(OSError):  # the client was quicker
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection and remember it."""
        connection, address = super().get_request()
        with self._connections_lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that ends."""
        with self._connections_lock:
            self._connections.discard(request)
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
