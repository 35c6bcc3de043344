"""H1-H6: what OTLP demands of an HTTP server, for each signal, of a running enricher."""

from __future__ import annotations

import gzip
import json

import pytest

from genops_enricher.decode.otlp_json import to_json
from genops_enricher.pipeline import Signal
from otlp_duties.system import JSON, MESSAGES, PROTOBUF, System, message

GZIP = {"Content-Encoding": "gzip"}
RETRYABLE = {"429", "502", "503", "504"}

pytestmark = [
    pytest.mark.parametrize("signal", Signal),
    pytest.mark.parametrize("kind", [PROTOBUF, JSON]),
]


def body_of(signal: Signal, name: str, kind: str) -> bytes:
    request = message(signal, name)
    encoded: bytes = (
        request.SerializeToString() if kind == PROTOBUF else json.dumps(to_json(request)).encode()
    )
    return encoded


def test_h1_both_encodings_are_taken_on_one_port_by_content_type(
    running_system: System, signal: Signal, kind: str
) -> None:
    for parameters in ("", "; charset=utf-8"):
        name = f"h1 {signal} {kind}{parameters}"
        answer = running_system.over_http(signal, body_of(signal, name, kind), kind + parameters)

        assert answer.code == "200"
        assert MESSAGES[signal].FromString(running_system.arrived(name)) == message(signal, name)


def test_h2_success_is_200_in_the_encoding_of_the_request(
    running_system: System, signal: Signal, kind: str
) -> None:
    answer = running_system.over_http(signal, body_of(signal, f"h2 {signal}", kind), kind)

    assert (answer.code, answer.headers["content-type"]) == ("200", kind)
    assert answer.body == (b"" if kind == PROTOBUF else b"{}")  # `partial_success` is unset


@pytest.mark.parametrize("packed", [False, True])
def test_h2_a_body_over_the_limit_is_413_also_after_gunzip(
    running_system: System, signal: Signal, kind: str, packed: bool
) -> None:
    body = body_of(signal, "x" * (2 << 20), kind)
    answer = running_system.over_http(
        signal, gzip.compress(body) if packed else body, kind, headers=GZIP if packed else {}
    )

    assert answer.code == "413"
    assert "max_request_body_size" in answer.status.message


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("400", {"body": b"\xff"}),
        ("400", {"body": b"no gzip", "headers": GZIP}),
        ("404", {"path": "/v1/nothing"}),
        ("405", {"verb": "GET"}),
        ("413", {"body": bytes((2 << 20) + 1)}),
        ("415", {"headers": {"Content-Encoding": "zstd"}}),
    ],
    ids=["bad data", "bad gzip", "path", "method", "size", "compression"],
)
def test_h3_every_refusal_is_a_status_in_the_encoding_of_the_request(
    running_system: System, signal: Signal, kind: str, code: str, how: dict[str, object]
) -> None:
    answer = running_system.over_http(signal, **({"body": b"x", "kind": kind} | how))  # type: ignore[arg-type]

    assert (answer.code, answer.headers["content-type"]) == (code, kind)
    assert answer.status.message


def test_h4_bad_data_is_400_with_bad_request(
    running_system: System, signal: Signal, kind: str
) -> None:
    answer = running_system.over_http(signal, b"\x0a\xff", kind)

    assert answer.code == "400"
    assert answer.is_bad_request


def test_h4_overload_is_503_with_the_time_to_wait(
    full_system: System, signal: Signal, kind: str
) -> None:
    answer = full_system.over_http(signal, body_of(signal, "x" * 200_000, kind), kind)

    assert answer.code == "503"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.retry_after_s is not None


def test_h5_only_what_may_pass_later_has_a_status_that_is_retried(
    running_system: System, full_system: System, signal: Signal, kind: str
) -> None:
    over = full_system.over_http(signal, body_of(signal, "x" * 200_000, kind), kind)
    bad = running_system.over_http(signal, b"\x0a\xff", kind)

    assert over.code in RETRYABLE
    assert bad.code not in RETRYABLE


def test_h6_gzip_bodies_are_taken(running_system: System, signal: Signal, kind: str) -> None:
    name = f"h6 {signal} {kind}"
    body = gzip.compress(body_of(signal, name, kind))

    assert running_system.over_http(signal, body, kind, headers=GZIP).code == "200"
    assert MESSAGES[signal].FromString(running_system.arrived(name)) == message(signal, name)


def test_h6_an_answer_is_not_compressed(running_system: System, signal: Signal, kind: str) -> None:
    for accepted in ({}, {"Accept-Encoding": "gzip"}):
        for body in (b"", b"\x0a\xff"):
            answer = running_system.over_http(signal, body, kind, headers=accepted)

            assert "content-encoding" not in answer.headers
