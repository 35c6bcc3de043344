"""What tracing remembers is bounded, and no header of a sender upsets it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destinations import http_destination, http_exporter
from genops_enricher.pipeline import Batch, PartialSuccess, Signal
from genops_enricher.telemetry import Telemetry
from genops_enricher.tracing.around import CARRIED_MAX, Tracing
from genops_enricher.tracing.own_spans import OwnSpans
from otlp import spans_of

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01"


class Sent:
    """An exporter of own spans to a real destination, and what it got once all was sent."""

    def __init__(self, ratio: float) -> None:
        self._opened = http_destination()
        self._destination = self._opened.__enter__()
        self._own = OwnSpans(
            http_exporter(self._destination.port), ratio, {"service.name": "x"}, Telemetry()
        )
        self.tracing = Tracing(self._own)

    def names(self) -> list[str]:
        self.close()
        return [span.name for payload in self._destination.payloads for span in spans_of(payload)]

    def close(self) -> None:
        self.tracing.stop(20)
        self._opened.__exit__(None, None, None)


@pytest.fixture
def sent() -> Iterator[Sent]:
    sent = Sent(0.0)
    yield sent
    sent.close()


@pytest.fixture(scope="module")
def untraced() -> Iterator[Tracing]:
    sent = Sent(0.0)
    yield sent.tracing
    sent.close()


class Accepts:
    """A queue and an intake that take everything."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def accept(self, payload: bytes) -> PartialSuccess | None:
        self.taken.append(payload)
        return None

    def consume(self, batch: Batch) -> PartialSuccess | None:
        self.taken.append(batch.payload)
        return None


def served(tracing: Tracing, headers: list[tuple[bytes, bytes]], work: Any) -> list[Any]:
    """What the server sends for a request whose handling is `work`."""
    messages: list[Any] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        work()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http", "path": "/v1/traces", "method": "POST", "scheme": "http",
        "headers": headers,
    }  # fmt: skip

    async def serve() -> None:
        await tracing.around_http(app, ["/v1/traces"])(scope, None, send)

    asyncio.run(serve())
    return messages


@given(
    parent=st.one_of(
        st.binary(max_size=80),
        st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.{0,3}", fullmatch=True),
    ),
    state=st.binary(max_size=80),
)
def test_no_header_of_a_sender_fails_its_request(
    parent: bytes, state: bytes, untraced: Tracing
) -> None:
    headers = [(b"traceparent", parent), (b"tracestate", state)]

    assert len(served(untraced, headers, lambda: None)) == 1


def test_the_ids_of_the_latest_requests_are_kept_and_no_more(sent: Sent) -> None:
    tracing = sent.tracing
    queue = tracing.around_queue(Accepts())
    attempts = tracing.attempts(http_exporter(1), Signal.TRACES)

    def fill() -> None:
        for number in range(CARRIED_MAX + 1):
            queue.consume(Batch(Signal.TRACES, b"%d" % number, 1))

    served(tracing, [(b"traceparent", f"00-{TRACE}-{PARENT}-00".encode())], fill)
    told: list[bool] = []

    def send(headers: Any) -> Any:
        told.append("traceparent" in headers)
        raise InterruptedError

    for number in (0, 1, CARRIED_MAX):
        with pytest.raises(InterruptedError):
            attempts.attempt(send, [b"%d" % number])

    assert told == [False, True, True]


def test_an_attempt_that_raises_still_ends_its_span(sent: Sent) -> None:
    tracing = sent.tracing
    queue = tracing.around_queue(Accepts())
    attempts = tracing.attempts(http_exporter(1), Signal.TRACES)
    served(
        tracing,
        [(b"traceparent", SAMPLED.encode())],
        lambda: queue.consume(Batch(Signal.TRACES, b"x", 1)),
    )

    def send(_headers: Any) -> Any:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        attempts.attempt(send, [b"x"])

    assert sent.names() == ["queue traces", "POST /v1/traces", "POST"]


def test_where_no_request_is_traced_stages_are_called_and_nothing_is_remembered(
    sent: Sent,
) -> None:
    stage = Accepts()
    intake = sent.tracing.around_intake(stage, Signal.TRACES)
    queue = sent.tracing.around_queue(stage)

    served(
        sent.tracing, [], lambda: (intake.accept(b"a"), queue.consume(Batch(Signal.LOGS, b"b", 1)))
    )

    assert stage.taken == [b"a", b"b"]
    headers: list[Any] = []
    attempts = sent.tracing.attempts(http_exporter(1), Signal.LOGS)
    attempts.attempt(lambda given: headers.append(given), [b"b"])  # type: ignore[arg-type,return-value]
    assert headers == [{}]
    assert sent.names() == []
