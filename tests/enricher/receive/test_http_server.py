"""The OTLP/HTTP receiver, over real connections: more of H1-H6 than tests/otlp_duties has."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from genops_enricher.config.model import HttpReceiverConfig
from genops_enricher.decode.otlp_json import to_json
from genops_enricher.errors import PermanentError, RetryableError, StartError
from genops_enricher.pipeline import Signal
from genops_enricher.receive.http_server import HttpReceiver
from genops_enricher.telemetry import Telemetry
from otlp import chat, request, span, spans_of

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
REFUSED = "genops_refused_requests_total"


class Recorder:
    """An intake that keeps what it is given, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.payloads: list[bytes] = []
        self.error = error

    def accept(self, payload: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.payloads.append(payload)


class Gate:
    """An intake that holds what comes until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def accept(self, payload: bytes) -> None:
        self.reached.set()
        assert self.opened.wait(60)


@contextmanager
def serving(
    intake: Recorder | Gate, *, telemetry: Telemetry | None = None, **settings: Any
) -> Iterator[HttpReceiver]:
    config = replace(HttpReceiverConfig(endpoint="127.0.0.1:0"), **settings)
    intakes = dict.fromkeys((Signal.TRACES, Signal.METRICS), intake)
    receiver = HttpReceiver(config, intakes, telemetry or Telemetry())
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop(0)


def ask(
    receiver: HttpReceiver,
    body: Any = b"",
    *,
    method: str = "POST",
    path: str = "/v1/traces",
    content_type: str | None = PROTOBUF,
    headers: Mapping[str, str] = {},
    chunked: bool = False,
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", receiver.port, timeout=60)
    try:
        sent = dict(headers) | ({"Content-Type": content_type} if content_type else {})
        connection.request(method, path, body, sent, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def status_of(answer: HTTPResponse, body: bytes) -> Status:
    """The google.rpc.Status of a refusal, in the encoding that its content type says."""
    if answer.headers["Content-Type"] == PROTOBUF:
        return Status.FromString(body)
    assert answer.headers["Content-Type"] == JSON
    return ParseDict(json.loads(body), Status())


def json_of(payload: bytes) -> bytes:
    return json.dumps(to_json(ExportTraceServiceRequest.FromString(payload))).encode()


# H1, H2


def test_h1_paths_are_configurable_and_a_signal_without_pipeline_is_not_found() -> None:
    recorder = Recorder()
    paths = {Signal.TRACES: "/otlp/t", Signal.METRICS: "/otlp/m", Signal.LOGS: "/otlp/l"}
    with serving(recorder, url_paths=paths) as receiver:
        statuses = {
            path: ask(receiver, b"x", path=path)[0].status
            for path in ("/otlp/t", "/otlp/m", "/otlp/l", "/v1/traces", "/")
        }

    assert statuses == {
        "/otlp/t": 200, "/otlp/m": 200, "/otlp/l": 404, "/v1/traces": 404, "/": 404
    }  # fmt: skip


@pytest.mark.parametrize("chunked", [False, True])
def test_h2_a_body_above_the_limit_is_413(chunked: bool) -> None:
    recorder = Recorder()
    telemetry = Telemetry()
    body = bytes(1 << 20)  # what sockets buffer would hide a connection that is reset
    with serving(recorder, telemetry=telemetry, max_request_body_bytes=1 << 16) as receiver:
        pieces = (body[:1000] for _ in range(1000))
        answer, text = ask(receiver, pieces if chunked else body, chunked=chunked)

    assert answer.status == 413
    assert "max_request_body_size" in status_of(answer, text).message
    assert recorder.payloads == []
    assert telemetry.value(REFUSED, signal="traces", code="RESOURCE_EXHAUSTED") == 1


def test_h2_the_limit_holds_after_decompression() -> None:
    recorder = Recorder()
    bomb = gzip.compress(bytes(64 << 20))
    with serving(recorder, max_request_body_bytes=1 << 20) as receiver:
        answer, _ = ask(receiver, bomb, headers={"Content-Encoding": "gzip"})
        fits, _ = ask(receiver, gzip.compress(bytes(1 << 20)), headers={"Content-Encoding": "gzip"})

    assert (answer.status, fits.status) == (413, 200)
    assert [len(payload) for payload in recorder.payloads] == [1 << 20]


@pytest.mark.parametrize("form", ["http://{}/v1/traces", "HTTP://x:1/v1/traces?a=http://b/"])
def test_h1_a_target_in_absolute_form_is_the_same_path(form: str) -> None:
    recorder = Recorder()
    with serving(recorder) as receiver:
        answer, _ = ask(receiver, b"x", path=form.format(f"127.0.0.1:{receiver.port}"))

    assert (answer.status, recorder.payloads) == (200, [b"x"])


# H3, H4, H5


def test_h3_another_media_type_is_415_and_says_which_are_taken() -> None:
    with serving(Recorder()) as receiver:
        for kind in ("text/plain", None):
            answer, body = ask(receiver, b"x", content_type=kind)

            assert answer.status == 415
            assert PROTOBUF in answer.headers["Accept"]
            assert PROTOBUF in status_of(answer, body).message


def test_h3_a_wrong_method_is_405_and_says_which_is_right() -> None:
    with serving(Recorder()) as receiver:
        answer, _ = ask(receiver, method="DELETE")

    assert (answer.status, answer.headers["Allow"]) == (405, "POST, PUT")


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_h4_bad_data_is_400_with_bad_request(kind: str) -> None:
    telemetry = Telemetry()
    with serving(Recorder(PermanentError("cut short")), telemetry=telemetry) as receiver:
        answer, body = ask(receiver, b"{}", content_type=kind)
    status = status_of(answer, body)
    detail = BadRequest()

    assert (answer.status, status.message) == (400, "cut short")
    assert status.details[0].Unpack(detail)
    assert detail.field_violations[0].description == "cut short"
    assert telemetry.value(REFUSED, signal="traces", code="INVALID_ARGUMENT") == 1


def test_h4_overload_is_503_with_the_time_to_wait() -> None:
    with serving(Recorder(RetryableError("queue is full", retry_after_s=2.5))) as receiver:
        answer, body = ask(receiver, b"x")
    status = status_of(answer, body)
    detail = RetryInfo()

    assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
    assert status.details[0].Unpack(detail)
    assert detail.retry_delay.ToTimedelta().total_seconds() == 2.5


def test_h5_a_defect_of_ours_never_makes_the_sender_drop_its_data(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(Recorder(ZeroDivisionError("secret detail"))) as receiver:
        answer, body = ask(receiver, b"x")

    assert answer.status == 503
    assert b"secret detail" not in body
    (logged,) = [record for record in caplog.records if "refused" in record.getMessage()]
    assert logged.exc_info


def test_what_the_sender_drops_because_of_the_answer_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(Recorder()) as receiver:
        answer, _ = ask(receiver, b"x", headers={"Content-Encoding": "zstd"})

    assert answer.status == 415
    (logged,) = [record for record in caplog.records if "refused" in record.getMessage()]
    assert logged.getMessage().startswith("refused traces for good: the content encoding")


def test_h5_what_a_stop_interrupts_is_never_answered_500() -> None:
    gate = Gate()
    answers: list[int] = []
    with serving(gate) as receiver:
        sender = threading.Thread(target=lambda: answers.append(ask(receiver, b"x")[0].status))
        sender.start()
        assert gate.reached.wait(60)
        receiver.stop(0)
        sender.join(60)
        gate.opened.set()

    assert answers == [503]


def test_a_stop_waits_for_what_is_under_way() -> None:
    gate = Gate()
    answers: list[int] = []
    with serving(gate) as receiver:
        sender = threading.Thread(target=lambda: answers.append(ask(receiver, b"x")[0].status))
        sender.start()
        assert gate.reached.wait(60)
        stopping = threading.Thread(target=receiver.stop, args=(3600.0,))
        stopping.start()
        gate.opened.set()
        stopping.join(60)
        sender.join(60)

    assert answers == [200]


# H6


def test_h6_gzip_and_chunked_bodies_arrive_whole() -> None:
    recorder = Recorder()
    data = request(*[span(chat(), number=n) for n in range(500)])
    packed = gzip.compress(data)
    members = gzip.compress(data[:1000]) + gzip.compress(data[1000:])
    gzipped = {"Content-Encoding": "gzip"}
    with serving(recorder) as receiver:
        ask(receiver, packed, headers=gzipped)
        ask(receiver, members, headers=gzipped)
        ask(receiver, (packed[n : n + 7] for n in range(0, len(packed), 7)), headers=gzipped)
        ask(receiver, iter([data[:10], data[10:]]), chunked=True)

    assert recorder.payloads == [data] * 4


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("", b"x"),
        ("identity", b"x"),
        ("GZIP", gzip.compress(b"x", mtime=0)),
        ("x-gzip", gzip.compress(b"x", mtime=0)),
        ("gzip", b""),
    ],
)
def test_h6_the_names_of_encodings_are_those_of_http(name: str, body: bytes) -> None:
    recorder = Recorder()
    with serving(recorder) as receiver:
        answer, _ = ask(receiver, body, headers={"Content-Encoding": name})

    assert (answer.status, recorder.payloads) == (200, [b"x" if body else b""])


def test_h6_broken_gzip_is_400() -> None:
    good = gzip.compress(b"x" * 1000)
    recorder = Recorder()
    with serving(recorder) as receiver:
        for broken in (b"x", good[:-1], good[:20], good + b"x", zlib.compress(b"x")):
            answer, _ = ask(receiver, broken, headers={"Content-Encoding": "gzip"})
            assert answer.status == 400, broken

    assert recorder.payloads == []


def test_a_gzip_body_of_very_many_members_is_refused() -> None:
    with serving(Recorder()) as receiver:
        body = gzip.compress(b"") * 2000
        answer, _ = ask(receiver, body, headers={"Content-Encoding": "gzip"})

    assert answer.status == 400


# What OpenRouter's Broadcast does


def test_an_empty_body_is_an_empty_request_and_put_is_like_post() -> None:
    recorder = Recorder()
    data = request(span(chat()))
    with serving(recorder) as receiver:
        test, _ = ask(receiver, content_type=None, headers={"X-Test-Connection": "true"})
        put, _ = ask(receiver, json_of(data), content_type=JSON, method="PUT")

    assert (test.status, put.status) == (200, 200)
    assert [len(spans_of(payload)) for payload in recorder.payloads] == [0, 1]


# Limits


def test_requests_above_the_bytes_in_flight_are_told_to_come_again() -> None:
    gate = Gate()
    with serving(gate, max_in_flight_bytes=1000) as receiver:
        first = threading.Thread(target=ask, args=(receiver, bytes(900)))
        first.start()
        assert gate.reached.wait(60)
        answer, _ = ask(receiver, bytes(900))
        gate.opened.set()
        first.join(60)
        again, _ = ask(receiver, bytes(900))
        alone, _ = ask(receiver, bytes(5000))

    assert (answer.status, again.status, alone.status) == (503, 200, 200)
    assert answer.headers["Retry-After"] == "1"


def test_what_json_takes_while_it_is_read_counts() -> None:
    gate = Gate()
    document = json_of(request(span(chat())))
    with serving(gate, max_in_flight_bytes=1000 + 3 * len(document)) as receiver:
        first = threading.Thread(target=ask, args=(receiver, bytes(1000)))
        first.start()
        assert gate.reached.wait(60)
        beside, _ = ask(receiver, document, content_type=JSON)
        gate.opened.set()
        first.join(60)
        alone, _ = ask(receiver, document, content_type=JSON)

    assert (beside.status, alone.status) == (503, 200)
    assert beside.headers["Retry-After"] == "1"


def test_what_json_takes_is_given_back_when_it_is_read() -> None:
    gate = Gate()
    document = json_of(request(span(chat())))
    with serving(gate, max_in_flight_bytes=1000 + 3 * len(document)) as receiver:
        read = threading.Thread(target=partial(ask, receiver, document, content_type=JSON))
        read.start()
        assert gate.reached.wait(60)
        gate.reached.clear()
        other = threading.Thread(target=ask, args=(receiver, bytes(1000)))
        other.start()
        reached = gate.reached.wait(60)
        gate.opened.set()
        read.join(60)
        other.join(60)

    assert reached, "it was refused"


def raw(receiver: HttpReceiver, data: bytes) -> bytes:
    """All that is answered to `data` until the receiver closes the connection."""
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as connection:
        connection.sendall(data)
        answer = bytearray()
        while piece := connection.recv(65536):
            answer += piece
        return bytes(answer)


def test_headers_that_do_not_end_are_cut_off() -> None:
    with serving(Recorder(), read_header_timeout_s=0.2) as receiver:
        assert raw(receiver, b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n") == b""
        assert raw(receiver, b"") == b""


def test_senders_that_never_finish_hold_up_no_other() -> None:
    start = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
    recorder = Recorder()
    with serving(recorder) as receiver, ExitStack() as held:
        for number in range(400):
            slow = socket.create_connection(("127.0.0.1", receiver.port), timeout=60)
            held.enter_context(slow)
            slow.sendall(start if number % 2 else start + b"\r\nx")
        answer, _ = ask(receiver, b"x")

    assert (answer.status, recorder.payloads) == (200, [b"x"])


def test_a_body_that_does_not_end_is_answered_503_and_cut_off() -> None:
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n12"
    with serving(Recorder(), read_timeout_s=0.2) as receiver:
        answer = raw(receiver, head)

    assert answer.startswith(b"HTTP/1.1 503")
    assert b"connection: close" in answer.lower()


def test_an_idle_connection_is_closed() -> None:
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    with serving(Recorder(), idle_timeout_s=0.2) as receiver:
        assert raw(receiver, head).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("age_s", "answers"), [(None, 5), (1e6, 5), (0.0, 1)])
def test_an_old_connection_ends_with_an_answer_that_says_so(
    age_s: float | None, answers: int
) -> None:
    intake = Recorder()
    with serving(intake, max_connection_age_s=age_s) as receiver:
        connection = HTTPConnection("127.0.0.1", receiver.port, timeout=60)
        connection.connect()
        on_it = 0
        for _ in range(5):
            connection.request("POST", "/v1/traces", b"", {"Content-Type": PROTOBUF})
            on_it += connection.sock is not None
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
            if answer.will_close:
                break
        assert (answer.headers["Connection"] == "close") is (age_s == 0.0)
        connection.close()

    assert len(intake.payloads) == answers == on_it


@pytest.mark.parametrize(
    "flood",
    [
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 1_000_000 + b"\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\na: " + b"b" * 5_000_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01 not HTTP at all\r\n\r\n",
        b"POST /v1/traces HTTP/1.1\r\n\r\n",  # no host
    ],
)
def test_what_is_not_http_or_has_too_many_headers_is_refused_in_otlp_form(flood: bytes) -> None:
    with serving(Recorder()) as receiver:
        try:
            answer = raw(receiver, flood)
        except ConnectionError:  # it was closed while we still wrote
            answer = b""
        after, _ = ask(receiver, b"x")

    if len(flood) < 1000:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert Status.FromString(body).message
    assert after.status == 200


def test_a_broken_chunk_ends_the_connection_and_nothing_else() -> None:
    recorder = Recorder()
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(recorder) as receiver:
        answer = raw(receiver, head + b"5\r\nhello\r\nnonsense\r\n")
        after, _ = ask(receiver, b"x")

    assert answer.startswith(b"HTTP/1.1 400")
    assert (after.status, recorder.payloads) == (200, [b"x"])


def test_connections_have_a_bound() -> None:
    with serving(Recorder()) as receiver:
        held = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(512)]
        try:
            with pytest.raises(ConnectionError):
                ask(receiver, b"x")
        finally:
            for connection in held:
                connection.close()


def test_a_taken_http_port_is_an_error_that_names_it_and_the_key() -> None:
    with serving(Recorder()) as receiver:
        address = f"127.0.0.1:{receiver.port}"
        second = HttpReceiver(HttpReceiverConfig(endpoint=address), {}, Telemetry())
        with pytest.raises(StartError, match=rf"protocols\.http\.endpoint.*{address}"):
            second.start()


def test_the_http_exporter_of_the_opentelemetry_sdk_is_understood() -> None:
    recorder = Recorder()
    with serving(recorder) as receiver:
        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{receiver.port}/v1/traces")
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        provider.get_tracer("test").start_span("chat openai/gpt-4o").end()
        provider.shutdown()

    assert [s.name for s in spans_of(recorder.payloads[0])] == ["chat openai/gpt-4o"]
