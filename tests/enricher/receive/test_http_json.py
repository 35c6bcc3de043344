"""What is hard about the JSON encoding over HTTP. J1-J5: tests/otlp_duties/test_json.py."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from genops_enricher.config.model import HttpReceiverConfig
from genops_enricher.pipeline import Signal
from genops_enricher.receive.http_server import HttpReceiver
from genops_enricher.telemetry import Telemetry
from otlp import spans_of


class Sender:
    """Sends documents to a receiver that keeps what it accepts."""

    def __init__(self) -> None:
        self._payloads: list[bytes] = []
        config = HttpReceiverConfig(endpoint="127.0.0.1:0")
        self.receiver = HttpReceiver(config, {Signal.TRACES: self}, Telemetry())

    def accept(self, payload: bytes) -> None:
        self._payloads.append(payload)

    def send(self, text: str | bytes) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.receiver.port, timeout=60)
        body = text.encode() if isinstance(text, str) else text
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def span(self, **fields: Any) -> Span:
        """What arrives of a span that is sent with these fields."""
        assert self.send(_document(fields)) == (200, b"{}")
        return spans_of(self._payloads[-1])[0]

    def refused(self, text: str | bytes) -> str:
        """The message of the refusal."""
        status, content = self.send(text)
        assert status == 400
        message: str = ParseDict(json.loads(content), Status()).message
        return message


@pytest.fixture
def sender() -> Iterator[Sender]:
    sender = Sender()
    sender.receiver.start()
    yield sender
    sender.receiver.stop(0)


def _document(span: dict[str, Any]) -> str:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        b"\xff\xfe",
        b"\x80{}",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"resourceSpans":' + "[" * 3000 + "]" * 3000 + "}",
        _document({"attributes": "no list"}),
        _document({"name": "\ud800"}),
        _document({"name": 5}),
        _document({"kind": 1e300}),
        _document({"kind": float("inf")}),
        _document({"endTimeUnixNano": float("nan")}),
        _document({"endTimeUnixNano": "1" * 5000}),
        _document({"endTimeUnixNano": -1}),
        _document({"flags": 1 << 70}),
        '{"resourceSpans":' + "9" * 5000 + "}",
        _document({"attributes": [{"key": "b", "value": {"intValue": 1, "doubleValue": 1}}]}),
    ],
    ids=range(20),
)
def test_what_is_no_otlp_json_is_400_and_nothing_worse(sender: Sender, text: str | bytes) -> None:
    if text == "":  # an empty body is an empty request
        assert sender.send(text) == (200, b"{}")
    else:
        assert sender.refused(text)


def test_a_document_of_very_many_values_is_413_before_it_fills_the_memory(sender: Sender) -> None:
    status, content = sender.send('{"resourceSpans":[' + "{}," * 2_000_000 + "{}]}")

    assert status == 413
    assert "values of JSON" in json.loads(content)["message"]


def test_marks_in_a_text_are_no_values(sender: Sender) -> None:
    prompt = json.dumps([{"a": 1}]) * 600_000

    assert sender.span(name=prompt).name == prompt


@pytest.mark.parametrize(
    "text", ['"a' + '\\\\"' * 5_000_000 + ",[{" * 600_000, '""' * 5_000_000], ids=("end", "number")
)
def test_texts_without_end_or_number_are_refused_in_linear_time(sender: Sender, text: str) -> None:
    assert sender.send("[{," * 1_000_000 + text)[0] == 413
    assert sender.send(text + "," * 1_000_001)[0] in (400, 413)


def test_json_is_utf_8_with_or_without_a_mark_in_front(sender: Sender) -> None:
    document = _document({"name": "chat"})

    assert sender.send(document.encode("utf-8-sig"))[0] == 200
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        assert sender.refused(document.encode(encoding))


def test_values_nested_deeply_are_refused_or_taken_but_do_no_harm(sender: Sender) -> None:
    for depth in (10, 50, 100, 300, 10_000):
        value = '{"arrayValue":{"values":[' * depth + '{"intValue":1}' + "]}}" * depth
        text = _document({"attributes": [{"key": "deep", "value": None}]}).replace("null", value)
        status, _ = sender.send(text)
        assert status in (200, 400)
    assert sender.span(name="after").name == "after"


_MEASURE = """
import sys
from pathlib import Path
from genops_enricher.pipeline import Signal
from genops_enricher.receive.http_body import json_needs, json_to_protobuf

def highest():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))

json_to_protobuf(Signal.TRACES, b'{"resourceSpans":[]}')
document = Path(sys.argv[1]).read_bytes()
before = highest()
json_to_protobuf(Signal.TRACES, document)
print(len(document), json_needs(document), highest() - before)
"""
_CALL = (
    '{"traceId":"0102030405060708090a0b0c0d0e0f10","name":"chat","endTimeUnixNano":"170000000000",'
    '"attributes":[{"key":"gen_ai.usage.input_tokens","value":{"intValue":"5"}}]}'
)
_TEXT = '{"name":"%s"}'


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("span", "count"),
    [
        ("{}", 490_000),
        (_CALL, 40_000),
        (_TEXT % ("a" * (8 << 20)), 1),
        (_TEXT % ("\U0001f600" + "a" * (8 << 20)), 1),
    ],
    ids=["empty spans", "calls", "a long text", "a long text with one emoji"],
)
def test_reading_a_document_takes_no_more_than_is_counted_for_it(
    tmp_path: Path, span: str, count: int
) -> None:
    document = tmp_path / "document.json"
    document.write_text(
        '{"resourceSpans":[{"scopeSpans":[{"spans":[' + ",".join([span] * count) + "]}]}]}", "utf-8"
    )
    command = [sys.executable, "-c", _MEASURE, str(document)]
    measured = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    size, counted, taken = (int(word) for word in measured.stdout.split())

    print(f"{size:,} bytes take {taken:,}, counted {counted:,}")
    assert size < taken < 1.1 * counted
