"""Senders that mean harm, or are broken in the same way: what they hold is bounded and given back.

Slow ones, silent ones, many of them, and floods of headers. Bombs and oversize requests are in
test_grpc_server.py and test_http_server.py, broken bytes in tests/soak.
"""

from __future__ import annotations

import io
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import pytest

from genops_enricher.config.model import HttpReceiverConfig, ReceiverConfig, ServerTls
from genops_enricher.pipeline import Signal
from genops_enricher.receive import arrival, grpc_server, http_app
from genops_enricher.receive.grpc_server import GrpcReceiver
from genops_enricher.receive.http_server import HttpReceiver
from genops_enricher.telemetry import Telemetry
from genops_enricher.telemetry.logs import set_up_logging

CERTIFICATES = Path(__file__).parents[2] / "certificates"
TLS = ServerTls(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
CA = CERTIFICATES / "ca.pem"
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WAIT_S = 60


class Recorder:
    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def accept(self, payload: bytes) -> None:
        self.payloads.append(payload)


@contextmanager
def grpc_receiver(intake: Any = None, **settings: Any) -> Iterator[int]:
    config = ReceiverConfig("127.0.0.1:0", **settings)
    intakes = {Signal.TRACES: intake or Recorder()}
    receiver = GrpcReceiver(config, intakes, Telemetry(), lambda server: None)
    receiver.start()
    try:
        yield receiver.port
    finally:
        receiver.stop(0)


@contextmanager
def http_receiver(**settings: Any) -> Iterator[int]:
    config = HttpReceiverConfig("127.0.0.1:0", **settings)
    receiver = HttpReceiver(config, {Signal.TRACES: Recorder()}, Telemetry())
    receiver.start()
    try:
        yield receiver.port
    finally:
        receiver.stop(0)


@contextmanager
def channel_to(port: int, *options: tuple[str, int]) -> Iterator[grpc.Channel]:
    """A connection of its own."""
    own = [("grpc.use_local_subchannel_pool", 1), *options]
    with grpc.insecure_channel(f"127.0.0.1:{port}", own) as channel:
        yield channel


def export(channel: grpc.Channel, payload: bytes = b"", **more: Any) -> bytes:
    answer: bytes = channel.unary_unary(TRACES, None, None)(
        payload, timeout=WAIT_S, wait_for_ready=True, **more
    )
    return answer


def export_until_taken(channel: grpc.Channel, payload: bytes = b"") -> bytes:
    """As a sender does whose request did not arrive in time either: the machine may be busy."""
    while True:
        try:
            return export(channel, payload)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.CANCELLED:
                raise


def closed_by_the_other_side(connection: socket.socket) -> bool:
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    return True  # a timeout is an error


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)


class Unfinished:
    """Requests over gRPC whose message does not come before they are ended."""

    def __init__(self, channel: grpc.Channel, count: int) -> None:
        self._ended = threading.Event()
        call = channel.stream_unary(TRACES, None, None)
        self.calls = [call.future(self._nothing(), timeout=WAIT_S) for _ in range(count)]

    def _nothing(self) -> Iterator[bytes]:
        self._ended.wait(WAIT_S)
        yield from ()

    def error(self, number: int) -> grpc.Call:
        error = self.calls[number].exception(WAIT_S)  # type: ignore[call-arg]
        assert isinstance(error, grpc.Call)
        return error

    def end(self) -> None:
        self._ended.set()


def test_requests_over_grpc_that_never_end_are_cancelled_which_is_retryable() -> None:
    with (
        grpc_receiver(max_workers=2, read_timeout_s=0.2) as port,
        channel_to(port) as channel,
    ):
        slow = Unfinished(channel, 6)  # more than there are workers
        with channel_to(port) as other:
            assert export_until_taken(other) == b""
        codes = {slow.error(number).code() for number in range(6)}
        slow.end()

    assert codes == {grpc.StatusCode.CANCELLED}


def test_a_slow_request_over_grpc_has_less_time_while_others_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrival, "_CROWDED_S", 0.2)
    with (
        grpc_receiver(max_workers=2, read_timeout_s=3600.0) as port,
        channel_to(port) as channel,
    ):
        slow = Unfinished(channel, 4)
        with channel_to(port) as other:
            assert export_until_taken(other) == b""
        slow.end()


def test_half_a_message_over_grpc_is_cancelled_too() -> None:
    """The headers and the first bytes of a message, written by hand."""
    settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    # HPACK, literal without indexing: each name and value as it is.
    fields = {
        b":method": b"POST", b":scheme": b"http", b":path": TRACES.encode(), b":authority": b"x",
        b"content-type": b"application/grpc", b"te": b"trailers",
    }  # fmt: skip
    block = b"".join(
        bytes([0, len(name)]) + name + bytes([len(value)]) + value for name, value in fields.items()
    )
    headers = len(block).to_bytes(3) + bytes([1, 4, 0, 0, 0, 1]) + block
    data = (10).to_bytes(3) + bytes([0, 0, 0, 0, 0, 1]) + bytes([0, 0, 1, 0, 0]) + b"begin"
    recorder = Recorder()
    with grpc_receiver(recorder, max_workers=1, read_timeout_s=0.2) as port, dial(port) as slow:
        slow.sendall(PREFACE + settings + headers + data)
        with channel_to(port) as other:
            assert export_until_taken(other, b"whole") == b""
        seen = b""
        while bytes([3, 0, 0, 0, 0, 1]) not in seen and bytes([1, 5, 0, 0, 0, 1]) not in seen:
            piece = slow.recv(1 << 16)  # RST_STREAM, or trailers that end the stream
            assert piece, "the connection ended without an answer"
            seen += piece

    assert recorder.payloads == [b"whole"]


SILENT = (b"", PREFACE[:10], b"\x16\x03\x01\x02\x00")  # and the beginning of a ClientHello


@pytest.mark.parametrize("said", SILENT)
@pytest.mark.parametrize("tls", [None, TLS])
def test_a_grpc_connection_that_falls_silent_in_its_beginning_is_closed(
    monkeypatch: pytest.MonkeyPatch, tls: ServerTls | None, said: bytes
) -> None:
    monkeypatch.setattr(grpc_server, "_HANDSHAKE_MAX_S", 0.3)
    with grpc_receiver(tls=tls) as port, dial(port) as silent:
        silent.sendall(said)

        assert closed_by_the_other_side(silent)


@pytest.mark.parametrize("said", SILENT)
@pytest.mark.parametrize("tls", [None, TLS])
def test_an_http_connection_that_falls_silent_in_its_beginning_is_closed(
    tls: ServerTls | None, said: bytes
) -> None:
    with http_receiver(tls=tls, read_header_timeout_s=0.3) as port, dial(port) as silent:
        silent.sendall(said)

        assert closed_by_the_other_side(silent)


@pytest.mark.parametrize("tls", [None, TLS])
@pytest.mark.parametrize("receiver", [grpc_receiver, http_receiver])
def test_connections_are_bounded_those_in_their_handshake_included(
    receiver: Callable[..., Any], tls: ServerTls | None
) -> None:
    with receiver(tls=tls, max_connections=5) as port, ExitStack() as held:
        for _ in range(5):
            silent = held.enter_context(dial(port))
            silent.sendall(b"\x16" if tls else b"P")
        with dial(port) as sixth:
            assert closed_by_the_other_side(sixth)


@pytest.mark.parametrize("receiver", [grpc_receiver, http_receiver])
def test_a_connection_that_ends_makes_room(receiver: Callable[..., Any]) -> None:
    with receiver(tls=TLS, max_connections=5) as port:
        for _ in range(3):
            held = [dial(port) for _ in range(5)]
            with dial(port) as sixth:
                assert closed_by_the_other_side(sixth)
            for connection in held:
                connection.close()
            gone = False
            while not gone:  # it takes the server a moment to see
                with dial(port) as probe:
                    probe.settimeout(0.3)
                    try:
                        gone = bool(probe.recv(1 << 16))
                    except TimeoutError:
                        gone = True
                    except ConnectionError:
                        gone = False


def test_metadata_over_grpc_has_a_bound() -> None:
    with grpc_receiver() as port:
        for flood in ([("x-flood", "x" * 100_000)], [(f"x-{n}", "x") for n in range(5000)]):
            with channel_to(port) as channel, pytest.raises(grpc.RpcError) as caught:
                export(channel, metadata=flood)
            assert isinstance(caught.value, grpc.Call)
            assert caught.value.code() in (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                grpc.StatusCode.UNAVAILABLE,
            )
        with channel_to(port) as channel:
            assert export(channel, metadata=[("x-usual", "x" * 4000)]) == b""


def test_an_old_connection_is_replaced_without_a_failure() -> None:
    states: list[grpc.ChannelConnectivity] = []
    left = threading.Event()

    def follow(state: grpc.ChannelConnectivity) -> None:
        if state is grpc.ChannelConnectivity.IDLE and grpc.ChannelConnectivity.READY in states:
            left.set()
        states.append(state)

    with (
        grpc_receiver(max_connection_age_s=0.3, max_connection_age_grace_s=5.0) as port,
        channel_to(port) as channel,
    ):
        channel.subscribe(follow)
        assert export(channel) == b""
        assert left.wait(WAIT_S), "the connection was never closed"
        assert export(channel) == b""


def test_what_outlives_the_grace_of_an_old_connection_is_told_to_try_again() -> None:
    with (
        grpc_receiver(max_connection_age_s=0.2, max_connection_age_grace_s=0.2) as port,
        channel_to(port) as channel,
    ):
        slow = Unfinished(channel, 1)
        error = slow.error(0)
        slow.end()

    assert error.code() is grpc.StatusCode.UNAVAILABLE


class Gate:
    """An intake that holds what comes until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def accept(self, payload: bytes) -> None:
        assert self.opened.wait(WAIT_S)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_sender_that_pings_too_often_is_cut_off_as_min_time_says(allowed: bool) -> None:
    gate = Gate()
    often = (
        ("grpc.keepalive_time_ms", 50),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    )
    with (
        grpc_receiver(gate, ping_min_time_s=0.001 if allowed else 3600.0) as port,
        channel_to(port, *often) as channel,
    ):
        call = channel.unary_unary(TRACES, None, None).future(b"", timeout=WAIT_S)
        try:
            error = call.exception(3 if allowed else WAIT_S)  # type: ignore[call-arg]
        except grpc.FutureTimeoutError:
            error = None
        gate.opened.set()
        if allowed:
            assert error is None
            assert call.result(WAIT_S) == b""

    if not allowed:
        assert "ping" in str(error).lower()


def test_slow_headers_over_https_are_closed_and_hold_up_nobody() -> None:
    trusting = ssl.create_default_context(cafile=CA)
    with http_receiver(tls=TLS, read_header_timeout_s=1.0) as port, dial(port) as plain:
        slow = trusting.wrap_socket(plain, server_hostname="localhost")
        slow.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        connection = HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        connection.sock = trusting.wrap_socket(dial(port), server_hostname="localhost")
        connection.request("POST", "/v1/traces", b"", {"Content-Type": "application/x-protobuf"})
        status = connection.getresponse().status
        connection.close()

        assert status == 200
        assert closed_by_the_other_side(slow)
        slow.close()


def test_uploads_that_hold_all_there_is_for_requests_and_stall_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_app, "_CROWDED_S", 0.2)
    headers = {"Content-Type": "application/x-protobuf"}
    with (
        http_receiver(max_in_flight_bytes=1000, read_timeout_s=3600.0) as port,
        ExitStack() as held,
    ):
        for size in (400, 500):  # together nearly all
            slow = held.enter_context(dial(port))
            slow.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            slow.sendall(b"x" * size)
        answers = []
        deadline_s = time.monotonic() + WAIT_S
        while 200 not in answers and time.monotonic() < deadline_s:
            connection = HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
            connection.request("POST", "/v1/traces", b"x" * 300, headers)
            answers.append(connection.getresponse().status)
            connection.close()
            time.sleep(0.05)  # as a sender that is told to try again

        assert answers[-1] == 200
        assert set(answers) <= {503, 200}
        said = slow.recv(1 << 16)  # of the larger: it is told to come again, and to hang up

    assert b" 503 " in said
    assert b"connection: close" in said


def literal(name: bytes, value: bytes) -> bytes:
    """A header as HPACK writes one that stands in no table (RFC 7541, 6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """An HTTP/2 frame (RFC 9113, 4.1)."""
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload
    )


@pytest.mark.usefixtures("restored_logging")
def test_a_token_with_bytes_that_are_no_text_stays_out_of_the_log() -> None:
    """A client library would not send one, but a proxy, or a file with a broken secret in it."""
    stream = io.StringIO()
    set_up_logging("info", "console", stream)
    recorder = Recorder()
    headers = b"".join(
        literal(name, value)
        for name, value in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", TRACES.encode()),
            (b":authority", b"x"),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
            (b"authorization", b"Bearer t0ken-\xe9"),
        )
    )
    with grpc_receiver(recorder) as port, dial(port) as connection:
        connection.sendall(PREFACE + frame(4, 0, 0, b""))
        connection.sendall(frame(1, 4, 1, headers) + frame(0, 1, 1, b"\0\0\0\0\0"))
        answer = b""
        while b"grpc-status" not in answer:
            answer += connection.recv(1 << 16)

    assert recorder.payloads == [b""]
    assert "t0ken" not in stream.getvalue()
    assert "14 bytes, not shown" in stream.getvalue()
    assert "Traceback" not in stream.getvalue()
