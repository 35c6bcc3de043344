from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from destinations import HttpAnswer, HttpScript, Received, http_destination, http_exporter
from free_ports import free_port
from genops_enricher.config.endpoint import resolve
from genops_enricher.config.model import ClientTls, Endpoint, ExporterConfig, Protocol
from genops_enricher.errors import StartError
from genops_enricher.export.otlp_http import HttpSender, retry_after_s
from genops_enricher.export.outcome import Delivered, Hold, Outcome, Rejected, Retry
from genops_enricher.pipeline import Signal
from genops_enricher.telemetry.logs import set_up_logging

CERTIFICATES = Path(__file__).parents[2] / "certificates"
WAIT_S = 20.0
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def send(config: ExporterConfig, payload: bytes = b"x", signal: Signal = Signal.TRACES) -> Outcome:
    sender = HttpSender(config, signal, "genops-enricher/test")
    try:
        return sender.send(payload)
    finally:
        sender.close()


def answering(answer: HttpAnswer) -> HttpScript:
    return lambda _number, _request: answer


@pytest.mark.parametrize("compression", ["gzip", "none"])
@pytest.mark.parametrize("signal", Signal)
def test_the_payload_arrives_at_the_url_of_its_signal(signal: Signal, compression: str) -> None:
    payload = bytes(range(256)) * 40
    with http_destination() as destination:
        config = http_exporter(destination.port, compression=compression, headers={"k": "v"})
        outcome = send(config, payload, signal)

    assert outcome == Delivered()
    (request,) = destination.received
    assert (request.path, request.payload) == (f"/v1/{signal}", payload)
    assert request.headers["Content-Type"] == "application/x-protobuf"
    assert request.headers.get("Content-Encoding") == ("gzip" if compression == "gzip" else None)
    assert request.headers["User-Agent"] == "genops-enricher/test"
    assert request.headers["k"] == "v"


@pytest.mark.usefixtures("restored_logging")
def test_an_answer_with_broken_headers_brings_none_of_them_into_the_log() -> None:
    """The library quotes them: a destination may repeat the key there."""
    stream = io.StringIO()
    set_up_logging("info", "console", stream)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nx: 1\r\nyou sent t0ken-t0ken\r\nContent-Length: 0\r\n\r\n"
                )
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):  # else what is unread resets the connection
                    pass

        answering_one = pool.submit(answer)
        config = http_exporter(server.getsockname()[1], headers={"key": "t0ken-t0ken"})
        outcome = send(config)
        answering_one.result(WAIT_S)

    assert outcome == Delivered()
    assert "t0ken" not in stream.getvalue()
    assert "HeaderParsingError, not shown" in stream.getvalue()
    assert "Traceback" not in stream.getvalue()


@pytest.mark.parametrize("between", ["\x07", "\x1b", "\xad"])
def test_a_key_that_is_repeated_with_signs_in_between_is_not_shown(between: str) -> None:
    status = Status(message=f"bad key t0ken{between}-t0ken")
    answer = HttpAnswer(400, status.SerializeToString(), PROTOBUF)
    with http_destination(answering(answer)) as destination:
        outcome = send(http_exporter(destination.port, headers={"key": "t0ken-t0ken"}))

    assert isinstance(outcome, Rejected)
    assert outcome.reason.endswith("bad key ***")


@pytest.mark.parametrize("said", ["pr0xy-pass", "dXNlcjpwcjB4eS1wYXNz", "user:pr0xy-pass"])
def test_the_password_of_a_proxy_is_not_shown_when_the_proxy_repeats_it(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = HttpAnswer(400, Status(message=f"no {said} here").SerializeToString(), PROTOBUF)
    with http_destination(answering(answer)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:pr0xy-pass@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        config = http_exporter(1)
        outcome = send(
            replace(config, endpoint=resolve("http://backend.invalid", protocol=Protocol.HTTP))
        )

    assert isinstance(outcome, Rejected)
    assert outcome.reason.endswith("no *** here")


def test_accepted_with_202_and_json_is_delivered() -> None:
    answer = HttpAnswer(202, b"{}", {"Content-Type": "application/json"})
    with http_destination(answering(answer)) as destination:
        assert send(http_exporter(destination.port)) == Delivered()


def test_a_partial_success_is_read() -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 2
    response.partial_success.error_message = "too old"
    answer = HttpAnswer(200, response.SerializeToString(), PROTOBUF)
    with http_destination(answering(answer)) as destination:
        assert send(http_exporter(destination.port)) == Delivered(2, "too old")


def test_a_warning_that_repeats_the_key_does_not_show_it() -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.error_message = "key hunter2 expires"
    answer = HttpAnswer(200, response.SerializeToString(), PROTOBUF)
    with http_destination(answering(answer)) as destination:
        outcome = send(http_exporter(destination.port, headers={"api-key": "hunter2"}))

    assert outcome == Delivered(0, "key *** expires")


def test_the_reason_of_a_refusal_comes_from_the_status_in_the_body() -> None:
    body = Status(message="span 3 has no name, key hunter2").SerializeToString()
    with http_destination(answering(HttpAnswer(400, body, PROTOBUF))) as destination:
        outcome = send(http_exporter(destination.port, headers={"api-key": "hunter2"}))

    assert outcome == Rejected("HTTP 400 Bad Request: span 3 has no name, key ***")


def test_a_refusal_without_a_body_is_known_by_its_status() -> None:
    with http_destination(answering(HttpAnswer(403))) as destination:
        assert send(http_exporter(destination.port)) == Hold("HTTP 403 Forbidden")


def test_retry_after_in_seconds_is_read() -> None:
    answer = HttpAnswer(503, headers={"Retry-After": "17"})
    with http_destination(answering(answer)) as destination:
        outcome = send(http_exporter(destination.port))

    assert outcome == Retry("HTTP 503 Service Unavailable", after_s=17)


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Sun, 22 Nov 2026 12:00:30 +99999999999999999999", None),
        ("Sun, 22 Nov 99999999999999 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_s(header, now=lambda: NOON) == seconds


def test_a_redirect_is_not_followed() -> None:
    with http_destination() as elsewhere:
        location = {"Location": f"http://127.0.0.1:{elsewhere.port}/v1/traces"}
        with http_destination(answering(HttpAnswer(307, headers=location))) as destination:
            outcome = send(http_exporter(destination.port, headers={"api-key": "secret"}))

    assert outcome == Hold("HTTP 307 Temporary Redirect")
    assert elsewhere.received == []


@pytest.mark.parametrize(
    "text",
    [
        b"Client sent an HTTP request to an HTTPS server.\n",  # Go's net/http
        b"<center>The plain HTTP request was sent to HTTPS port</center>",  # nginx
        b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",  # Apache
    ],
)
def test_a_port_that_wants_tls_holds_and_nothing_becomes_a_dead_letter(text: bytes) -> None:
    with http_destination(answering(HttpAnswer(400, text))) as destination:
        outcome = send(http_exporter(destination.port))

    assert isinstance(outcome, Hold)
    assert outcome.reason.startswith("HTTP 400 Bad Request: the destination speaks TLS")


def test_what_is_wrong_with_data_is_no_matter_of_tls() -> None:
    with http_destination(answering(HttpAnswer(400, b"HTTPS is fine, the span is not"))) as there:
        assert isinstance(send(http_exporter(there.port)), Rejected)


def test_cookies_are_not_kept() -> None:
    answer = HttpAnswer(headers={"Set-Cookie": "session=1"})
    with http_destination(answering(answer)) as destination:
        sender = HttpSender(http_exporter(destination.port), Signal.TRACES, "test")
        sender.send(b"1")
        sender.send(b"2")
        sender.close()

    assert all("Cookie" not in request.headers for request in destination.received)


def test_a_netrc_file_does_not_replace_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with http_destination() as destination:
        send(http_exporter(destination.port, headers={"Authorization": "Bearer key"}))

    assert destination.received[0].headers["Authorization"] == "Bearer key"


def test_a_header_that_can_not_be_sent_holds_and_is_not_shown() -> None:
    outcome = send(http_exporter(1, headers={"api-key": "hunter2\n"}))

    assert isinstance(outcome, Hold)
    assert "hunter2" not in outcome.reason


def test_a_hang_up_and_nobody_listening_are_retried() -> None:
    with http_destination(answering(HttpAnswer(status=0))) as destination:
        assert isinstance(send(http_exporter(destination.port)), Retry)
    assert isinstance(send(http_exporter(free_port())), Retry)


def test_an_answer_cut_short_is_retried() -> None:
    answer = HttpAnswer(200, b"half", {**PROTOBUF, "Content-Length": "8"})

    def script(_number: int, _request: Received) -> HttpAnswer:
        return answer

    with http_destination(script) as destination:
        outcome = send(http_exporter(destination.port, timeout_s=0.2))

    assert isinstance(outcome, Retry)


def test_a_chunked_answer_is_read() -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 2
    body = response.SerializeToString()
    chunks = b"1\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (body[:1], len(body) - 1, body[1:])
    headers = {**PROTOBUF, "Transfer-Encoding": "chunked"}
    with http_destination(answering(HttpAnswer(200, chunks, headers))) as destination:
        assert send(http_exporter(destination.port)) == Delivered(2)


def test_a_response_over_the_limit_is_not_read_to_its_end() -> None:
    answer = HttpAnswer(200, b"\0" * ((4 << 20) + 1), PROTOBUF)
    with http_destination(answering(answer)) as destination:
        outcome = send(http_exporter(destination.port))

    assert isinstance(outcome, Delivered)
    assert "too long" in outcome.message


@contextmanager
def dripping() -> Iterator[int]:
    """A server that sends a body byte by byte, without an end; gives its port."""
    gone = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not gone.wait(0.005):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        gone.set()
        thread.join(60)


def test_a_body_that_drips_can_not_outlast_the_timeout() -> None:
    with dripping() as port:
        outcome = send(http_exporter(port, timeout_s=0.1))

    assert outcome == Delivered(message="the response is too long or too slow; it was not read")


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_an_answer_whose_head_drips_can_not_outlast_the_timeout(beginning: bytes) -> None:
    gone = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(beginning)
            while not gone.wait(0.02):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        sender = HttpSender(http_exporter(port, timeout_s=0.3), Signal.TRACES, "test")
        outcomes: list[Outcome] = []
        attempt = threading.Thread(target=lambda: outcomes.append(sender.send(b"x")))
        attempt.start()
        attempt.join(60)  # for ever, as far as the server is concerned
        gone.set()
        thread.join(60)
        attempt.join(60)
        sender.close()

    (outcome,) = outcomes
    assert isinstance(outcome, Retry)
    assert "timed out" in outcome.reason


def test_a_failure_is_told_without_the_objects_of_the_library() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = send(http_exporter(silent.getsockname()[1], timeout_s=0.2))
    port = free_port()
    refused = send(http_exporter(port))
    base = "http://no-such-host.invalid:4318"
    urls = {signal: f"{base}/v1/{signal}" for signal in Signal}
    unknown = send(http_exporter(port, endpoint=Endpoint(Protocol.HTTP, base, False, urls)))
    with http_destination(tls=server_tls()) as destination:
        untrusted = send(secure(destination.port))

    assert isinstance(slow, Retry)
    assert slow.reason.startswith("ReadTimeout: Read timed out.")
    assert isinstance(refused, Retry)
    start = "ConnectionError: Failed to establish a new connection: [Errno "
    assert refused.reason.startswith(start)
    assert refused.reason.endswith("Connection refused")
    assert isinstance(unknown, Retry)
    assert unknown.reason.startswith("ConnectionError: Failed to resolve 'no-such-host.invalid'")
    assert isinstance(untrusted, Hold)
    assert untrusted.reason.startswith("TLS: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify")


def server_tls(*, mutual: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATES / "ca.pem")
    return context


def secure(port: int, **tls: object) -> ExporterConfig:
    base = f"https://127.0.0.1:{port}"
    endpoint = Endpoint(Protocol.HTTP, base, True, {s: f"{base}/v1/{s}" for s in Signal})
    return http_exporter(port, endpoint=endpoint, tls=ClientTls(**tls))  # type: ignore[arg-type]


class TestTls:
    def test_a_trusted_server_is_delivered_to(self) -> None:
        with http_destination(tls=server_tls()) as destination:
            assert send(secure(destination.port, ca_file=CERTIFICATES / "ca.pem")) == Delivered()

    def test_another_server_is_held_until_someone_corrects_it(self) -> None:
        with http_destination(tls=server_tls()) as destination:
            assert isinstance(send(secure(destination.port)), Hold)

    def test_unless_verification_is_skipped(self) -> None:
        with http_destination(tls=server_tls()) as destination:
            assert send(secure(destination.port, insecure_skip_verify=True)) == Delivered()

    def test_a_client_certificate_and_another_server_name_are_used(self) -> None:
        with http_destination(tls=server_tls(mutual=True)) as destination:
            config = secure(
                destination.port,
                ca_file=CERTIFICATES / "ca.pem",
                cert_file=CERTIFICATES / "client.pem",
                key_file=CERTIFICATES / "client.key",
                server_name_override="otlp.test",
            )
            assert send(config) == Delivered()

    def test_the_wrong_server_name_is_not_accepted(self) -> None:
        with http_destination(tls=server_tls()) as destination:
            config = secure(
                destination.port,
                ca_file=CERTIFICATES / "ca.pem",
                server_name_override="other.test",
            )
            assert isinstance(send(config), Hold)

    def test_a_server_without_tls_is_held(self) -> None:
        with http_destination() as destination:
            assert isinstance(send(secure(destination.port)), Hold)

    def test_a_connection_that_ends_during_the_handshake_is_tried_again(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            hanging_up = threading.Thread(target=lambda: server.accept()[0].close())
            hanging_up.start()
            assert isinstance(send(secure(server.getsockname()[1])), Retry)
            hanging_up.join(60)

    def test_a_missing_file_is_a_start_error_that_names_key_and_file(self) -> None:
        with pytest.raises(
            StartError, match=r"otlp_http/b\.tls: ca_file: can't read /nowhere: No such"
        ):
            send(secure(1, ca_file=Path("/nowhere")))


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_a_destination_may_have_an_ipv6_address() -> None:
    with http_destination(host="::1") as destination:
        endpoint = resolve(f"http://[::1]:{destination.port}", protocol=Protocol.HTTP)
        assert send(http_exporter(0, endpoint=endpoint)) == Delivered()

    assert len(destination.received) == 1


def test_a_connection_that_the_server_closed_while_it_was_idle_costs_no_attempt() -> None:
    """Servers end idle connections without a word; the wait after a failed attempt is seconds."""
    peers = set()
    handled = threading.Semaphore(0)

    def serve(listener: socket.socket) -> None:
        for _ in range(3):
            connection, peer = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                peers.add(peer)
            handled.release()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        sender = HttpSender(http_exporter(listener.getsockname()[1]), Signal.TRACES, "test")
        for _ in range(3):
            assert sender.send(b"x") == Delivered()
            assert handled.acquire(timeout=60)  # the end has been sent
        sender.close()
        thread.join(60)

    assert len(peers) == 3


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_a_connection_is_kept_for_the_next_attempt_whatever_the_answer() -> None:
    threads = set()

    def script(number: int, _request: Received) -> HttpAnswer:
        threads.add(threading.get_ident())  # one for each connection
        return HttpAnswer((200, 503, 400, 202, 413)[number % 5], b"text", PROTOBUF)

    with http_destination(script) as destination:
        sender = HttpSender(http_exporter(destination.port), Signal.TRACES, "test")
        before = open_files()
        for _ in range(50):
            sender.send(b"x")
        after = open_files()
        sender.close()

    assert len(threads) == 1
    assert after - before <= 2  # of our end and of the server's


def test_a_destination_that_moves_to_another_address_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name is looked up for each new connection; one that works is kept."""
    address = "127.0.0.1"
    real = socket.getaddrinfo

    def look_up(host: str, *arguments: object, **named: object) -> object:
        return real(address if host == "backend.test" else host, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    goodbye = HttpAnswer(headers={"Connection": "close"})
    with http_destination(answering(goodbye), port=free_port()) as before:
        endpoint = resolve(f"http://backend.test:{before.port}", protocol=Protocol.HTTP)
        sender = HttpSender(http_exporter(0, endpoint=endpoint), Signal.TRACES, "test")
        assert sender.send(b"1") == Delivered()
    address = "127.0.0.2"
    with http_destination(host=address, port=before.port) as after:
        assert sender.send(b"2") == Delivered()
        sender.close()

    assert after.payloads == [b"2"]


@pytest.mark.parametrize("way", ["direct", "over TLS", "through a proxy"])
def test_closing_ends_an_attempt_under_way(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, ended = threading.Event(), threading.Event()

    def hang(_number: int, _request: Received) -> HttpAnswer:
        reached.set()
        ended.wait(WAIT_S)
        return HttpAnswer()

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    with http_destination(hang, tls=tls if way == "over TLS" else None) as destination:
        config = http_exporter(destination.port)
        endpoint = f"http://127.0.0.1:{destination.port}"
        if way == "over TLS":
            endpoint = f"https://localhost:{destination.port}"
        elif way == "through a proxy":
            monkeypatch.setenv("http_proxy", endpoint)
            monkeypatch.delenv("no_proxy", raising=False)
            endpoint = "http://backend.example"
        config = replace(
            config,
            endpoint=resolve(endpoint, protocol=Protocol.HTTP),
            tls=ClientTls(ca_file=CERTIFICATES / "ca.pem") if way == "over TLS" else ClientTls(),
            timeout_s=10 * WAIT_S,
        )
        sender = HttpSender(config, Signal.TRACES, "genops-enricher/test")
        with ThreadPoolExecutor(1) as pool:
            attempt = pool.submit(sender.send, b"x")
            assert reached.wait(WAIT_S)
            sender.close()
            try:
                outcome = attempt.result(WAIT_S)
            finally:
                ended.set()

    assert isinstance(outcome, Retry)
