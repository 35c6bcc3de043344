"""gRPC calls frame by frame, for what no gRPC client sends."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

import grpc
import h2.config
import h2.connection
import h2.events

_TIMEOUT_S = 60
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
_ERRORS = {
    0: "NO_ERROR",
    1: "PROTOCOL_ERROR",
    2: "INTERNAL_ERROR",
    8: "CANCEL",
    11: "ENHANCE_YOUR_CALM",
}


def framed(message: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """A message as gRPC puts it into HTTP/2: a flag that says compressed, its length, itself."""
    return struct.pack(">BI", flag, len(message) if length is None else length) + message


def call(target: str, path: str, data: bytes, headers: Iterable[tuple[str, str]] = ()) -> str:
    """What is answered to one call with this data: a gRPC status, or what came instead of one."""
    sent = {
        ":method": "POST",
        ":scheme": "http",
        ":authority": target,
        ":path": path,
        "content-type": "application/grpc",
        "te": "trailers",
    } | dict(headers)
    # Not checked: some of what is sent is wrong on purpose.
    config = h2.config.H2Configuration(validate_outbound_headers=False)
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as link:
        connection.send_headers(1, list(sent.items()), end_stream=not data)
        for start in range(0, len(data), 16384):
            piece = data[start : start + 16384]
            connection.send_data(1, piece, end_stream=start + 16384 >= len(data))
        link.sendall(connection.data_to_send())
        while received := link.recv(65536):
            for event in connection.receive_data(received):
                if (answer := _answer(event)) is not None:
                    return answer
            link.sendall(connection.data_to_send())
    return "connection closed"


def _answer(event: h2.events.Event) -> str | None:
    match event:
        case (
            h2.events.ResponseReceived(headers=headers)
            | h2.events.TrailersReceived(headers=headers)
        ):
            found = {name.decode(): value.decode() for name, value in headers or ()}
            if "grpc-status" in found:
                return _NAMES[int(found["grpc-status"])]
            if found.get(":status", "200") != "200":
                return f"HTTP {found[':status']}"
        case h2.events.StreamReset(error_code=code):
            return f"RST_STREAM {_ERRORS.get(int(code or 0), code)}"
        case h2.events.ConnectionTerminated(error_code=code):
            return f"GOAWAY {_ERRORS.get(int(code or 0), code)}"
    return None


def speak(target: str, data: bytes) -> bytes:
    """All that is answered to these bytes until the connection is closed."""
    host, _, port = target.rpartition(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as link:
        link.sendall(data)
        try:
            while received := link.recv(65536):
                answer += received
        except ConnectionError:
            pass
    return answer
