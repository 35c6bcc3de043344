"""What gRPC answers by itself, without a word from us: the table in docs/otlp.md, held to it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from genops_enricher.pipeline import Signal
from otlp_duties.raw_grpc import call, framed, speak
from otlp_duties.system import System, message, method

PAGE = Path(__file__).parents[2] / "docs" / "otlp.md"
PATH = method(Signal.TRACES)
SENT = message(Signal.TRACES, "answers").SerializeToString()
PACKED = gzip.compress(SENT)
GZIP = ("grpc-encoding", "gzip")
OVER_BYTES = 3 << 20  # the limit is 2 MiB


def one(data: bytes, *headers: tuple[str, str], path: str = PATH) -> Callable[[str], str]:
    return lambda target: call(target, path, data, headers)


def closed(data: bytes) -> Callable[[str], str]:
    """Whether the connection is closed after no more than HTTP/2's greeting."""

    def tell(target: str) -> str:
        answer = speak(target, data)
        settings_frame = answer[3:4] == b"\x04"
        return "connection closed" if not answer or settings_frame else f"{answer!r}"

    return tell


CASES: Mapping[str, Callable[[str], str]] = {
    "a message, alone": one(framed(SENT)),
    "a message in gzip": one(framed(PACKED, flag=1), GZIP),
    "gzip that is none": one(framed(b"no gzip", flag=1), GZIP),
    "gzip that is cut short": one(framed(PACKED[:-9], flag=1), GZIP),
    "`grpc-encoding: zstd`": one(framed(b"any", flag=1), ("grpc-encoding", "zstd")),
    "`grpc-encoding: snappy`": one(framed(b"any", flag=1), ("grpc-encoding", "snappy")),
    "a message marked as compressed, and no encoding": one(framed(SENT, flag=1)),
    "a message over the size limit": one(framed(b"any", length=OVER_BYTES)),
    "gzip that is over the size limit once unpacked": one(
        framed(gzip.compress(bytes(OVER_BYTES)), flag=1), GZIP
    ),
    "a method that there is not": one(framed(SENT), path=f"{PATH}Twice"),
    "a service that there is not": one(framed(SENT), path="/acme.Service/Export"),
    "no message": one(b""),
    "a message that is cut short": one(framed(SENT, length=len(SENT) + 1)),
    "two messages, of which the first is taken": one(framed(SENT) * 2),
    "the content type of OTLP/HTTP": one(framed(SENT), ("content-type", "application/x-protobuf")),
    "GET": one(framed(SENT), (":method", "GET")),
    "no `te: trailers`": one(framed(SENT), ("te", "none")),
    "a `grpc-timeout` that is none": one(framed(SENT), ("grpc-timeout", "soon")),
    "a `grpc-timeout` that is over": one(framed(SENT), ("grpc-timeout", "0n")),
    "HTTP/1.1": closed(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
    "TLS where there is none": closed(b"\x16\x03\x01\x02\x00\x01\x00" + bytes(600)),
}


def documented() -> dict[str, str]:
    """What is sent -> the answer, of the page."""
    table = PAGE.read_text(encoding="utf-8").partition("| what is sent over gRPC |")[2]
    rows = [
        line.strip("| ").split(" | ") for line in table.splitlines()[2:] if line.startswith("| ")
    ]
    return {row[0]: row[1].strip("`") for row in rows}


def test_the_page_lists_each_answer() -> None:
    assert documented().keys() == CASES.keys()


@pytest.mark.parametrize("case", CASES)
def test_grpc_answers_as_the_page_says(running_system: System, case: str) -> None:
    assert CASES[case](running_system.grpc) == documented()[case]
    assert running_system.over_grpc(Signal.TRACES, SENT).code == "OK"
