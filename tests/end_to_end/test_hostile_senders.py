"""The real process goes on, stays small and keeps its log short whatever senders throw at it."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import grpc
import pytest
import yaml

from enricher_process import EnricherProcess, running, serve_http, write_config
from life import wait_until
from otlp import chat, request, span
from soak.fuzz import taking_everything

CERTIFICATES = Path(__file__).parents[1] / "certificates"
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
RSS_MAX_BYTES = 700 << 20  # far above what is used, far below what the bombs hold
BOMB_BYTES = 300 << 20


class Target:
    def __init__(self, process: EnricherProcess, http: str) -> None:
        self.process = process
        self.http = http

    def export(self, payload: bytes, **more: object) -> grpc.StatusCode:
        options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.process.grpc, options) as channel:
            try:
                channel.unary_unary(TRACES, None, None)(payload, timeout=60, **more)  # type: ignore[arg-type]
            except grpc.RpcError as error:
                assert isinstance(error, grpc.Call)
                return error.code()
        return grpc.StatusCode.OK

    def post(self, body: bytes, **headers: str) -> int:
        connection = HTTPConnection(self.http, timeout=60)
        sent = {"Content-Type": "application/x-protobuf"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        try:
            connection.request("POST", "/v1/traces", body, sent)
            return connection.getresponse().status
        finally:
            connection.close()

    def assert_well(self) -> None:
        assert self.export(request(span(chat()))) is grpc.StatusCode.OK
        assert self.post(request(span(chat()))) == 200
        assert "Traceback" not in self.process.log.read_text()
        assert self.process.metric("process_resident_memory_bytes") < RSS_MAX_BYTES
        peak = Path(f"/proc/{self.process.pid}/status").read_text()
        (kilobytes,) = [line.split()[1] for line in peak.splitlines() if line.startswith("VmHWM")]
        assert int(kilobytes) << 10 < RSS_MAX_BYTES


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("hostile")
    with taking_everything() as port:
        config = write_config(folder, f"127.0.0.1:{port}")
        http = serve_http(config)
        with running(config) as process:
            yield Target(process, http)


def test_decompression_bombs(target: Target) -> None:
    bomb = bytes(BOMB_BYTES)
    packed = gzip.compress(bomb, 9)
    assert len(packed) < BOMB_BYTES // 900

    for _ in range(3):
        code = target.export(bomb, compression=grpc.Compression.Gzip)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert target.post(packed, Content_Encoding="gzip") == 413
        assert target.post(gzip.compress(packed, 9), Content_Encoding="gzip") == 400

    target.assert_well()


def nested_protobuf(levels: int) -> bytes:
    """A span with an attribute of lists in lists."""

    def field(number: int, content: bytes) -> bytes:
        size, length = b"", len(content)
        while length > 0x7F:
            size += bytes([length & 0x7F | 0x80])
            length >>= 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + content

    value = b""
    for _ in range(levels):
        value = field(5, field(1, value))  # AnyValue.array_value.values
    attribute = field(1, b"gen_ai.operation.name") + field(2, value)
    return field(1, field(2, field(2, field(9, attribute))))


def test_deeply_nested_messages(target: Target) -> None:
    deep = nested_protobuf(20_000)
    nested = '{"arrayValue":{"values":[' * 20_000 + "]}}" * 20_000
    document = (
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a","value":'
        + nested
        + "}]}]}]}]}"
    )

    assert target.export(deep) in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT)
    assert target.post(deep) in (200, 400)
    assert target.post(document.encode(), Content_Type="application/json") == 400
    assert target.post(b"[" * 1_000_000, Content_Type="application/json") in (400, 413)

    target.assert_well()


def test_floods_of_headers(target: Target) -> None:
    for flood in ({"X-Flood": "x" * 1_000_000}, {f"X-{n}": "x" * 100 for n in range(10_000)}):
        try:
            status = target.post(b"", **flood)
        except (ConnectionError, OSError):
            continue  # cut off while it still wrote
        assert status == 400
    metadata = tuple((f"x-{n}", "x" * 100) for n in range(10_000))
    assert target.export(b"", metadata=metadata) in (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
    )

    target.assert_well()


def test_requests_that_stall_at_their_end_hold_no_memory_of_others(target: Target) -> None:
    """Many large bodies without their last byte: what they may hold together is bounded."""
    host, _, port = target.http.rpartition(":")
    stalled = []
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
    body = bytes(32 << 20)
    try:
        for _ in range(20):
            connection = socket.create_connection((host, int(port)), timeout=60)
            stalled.append(connection)
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % (len(body) + 1))
            connection.settimeout(5)
            with suppress(OSError):  # when it takes no more of this one
                connection.sendall(body)
        assert target.export(request(span(chat()))) is grpc.StatusCode.OK
        assert target.process.metric("process_resident_memory_bytes") < RSS_MAX_BYTES
    finally:
        for connection in stalled:
            connection.close()

    target.assert_well()


def test_headers_that_grpc_can_not_read_fill_no_log(target: Target) -> None:
    """They are read before any token is looked at."""

    def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
        head = len(content).to_bytes(3, "big") + bytes([kind, flags])
        return head + stream.to_bytes(4, "big") + content

    before = len(target.process.log.read_text().splitlines())
    headers = b"\x83\x86\x00\x0cgrpc-timeout\x01x"  # POST, http, and what is no time
    ping = frame(6, 0, 0, b"the last")
    host, _, port = target.process.grpc.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        for number in range(100):
            connection.sendall(frame(1, 5, 1 + 2 * number, headers))
        connection.sendall(ping)
        answer = b""
        while b"the last" not in answer:  # all before it is read
            piece = connection.recv(1 << 16)
            assert piece
            answer += piece
    after = target.process.log.read_text().splitlines()

    assert len(after) - before < 20, after
    target.assert_well()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[EnricherProcess]:
    """With TLS on both receivers."""
    shutil.copytree(CERTIFICATES, tmp_path, dirs_exist_ok=True)
    with taking_everything() as backend:
        config = write_config(tmp_path, f"127.0.0.1:{backend}")
        serve_http(config)
        settings = yaml.safe_load(config.read_text())
        for protocol in settings["receivers"]["otlp"]["protocols"].values():
            protocol["tls"] = {"cert_file": "server.pem", "key_file": "server.key"}
        config.write_text(json.dumps(settings))
        with running(config) as process:
            yield process


def address_of_http(config: Path) -> str:
    protocols = yaml.safe_load(config.read_text())["receivers"]["otlp"]["protocols"]
    address: str = protocols["http"]["endpoint"]
    return address


def fail_handshakes(address: str, count: int) -> None:
    host, _, port = address.rpartition(":")
    for number in range(count):
        garbage = b"GET / HTTP/1.1\r\n\r\n" if number % 2 else b"\x16\x03\x01\x00"
        with (
            suppress(ConnectionError),  # when more are open than may be
            socket.create_connection((host, int(port)), timeout=60) as connection,
        ):
            connection.sendall(garbage)


def test_handshakes_that_fail_fill_no_log(secure: EnricherProcess, tmp_path: Path) -> None:
    before = len(secure.log.read_text().splitlines())
    http = address_of_http(tmp_path / "enricher.yaml")
    for address in (secure.grpc, http):
        fail_handshakes(address, 100)
    trusting = ssl.create_default_context(cafile=CERTIFICATES / "ca.pem")
    connection = HTTPSConnection(http, timeout=60, context=trusting)
    connection.request("POST", "/v1/traces", b"", {"Content-Type": "application/x-protobuf"})
    status = connection.getresponse().status
    connection.close()
    after = secure.log.read_text().splitlines()

    assert status == 200
    assert len(after) - before < 20, after


def test_a_flood_of_handshakes_during_a_rotation_ends_no_process(
    secure: EnricherProcess, tmp_path: Path
) -> None:
    """gRPC frees a certificate that it replaces while other threads may still use it."""
    rotated = threading.Event()

    def flood() -> None:
        while secure.is_running() and not rotated.is_set():
            fail_handshakes(secure.grpc, 50)

    senders = [threading.Thread(target=flood) for _ in range(4)]
    for sender in senders:
        sender.start()
    of_the_receiver = 'genops_file_reloads_total{key="receivers.otlp.protocols.grpc.tls"'
    for name in ("other", "server"):
        for kind in ("pem", "key"):
            before = secure.metric(of_the_receiver)
            shutil.copyfile(CERTIFICATES / f"{name}.{kind}", tmp_path / f"server.{kind}")
            wait_until(
                lambda before=before: secure.metric(of_the_receiver) > before,  # type: ignore[misc]
                "the new file is not looked at",
            )
    rotated.set()
    for sender in senders:
        sender.join()

    assert secure.is_running()
    assert secure.metric(f'{of_the_receiver},outcome="applied"') >= 1
    credentials = grpc.ssl_channel_credentials((CERTIFICATES / "ca.pem").read_bytes())
    with grpc.secure_channel(secure.grpc, credentials) as channel:
        answer = channel.unary_unary(TRACES, None, None)(b"", timeout=60, wait_for_ready=True)
    assert answer == b""
