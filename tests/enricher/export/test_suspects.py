"""Requests that fail while others get through: they hold up nobody, and who is healthy arrives."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from destinations import (
    GrpcAnswer,
    HttpAnswer,
    Received,
    grpc_destination,
    grpc_exporter,
    http_destination,
    http_exporter,
)
from genops_enricher.config.model import ExporterConfig, QueueConfig
from genops_enricher.export import Exporter, build_exporter
from genops_enricher.pipeline import Signal
from genops_enricher.queue import SignalQueue
from genops_enricher.telemetry import Telemetry
from otlp import plain_attributes, request, span, spans_of
from queues import assert_books_balance, batch, list_letters, opened

WAIT_S = 300


def spans(*numbers: int) -> bytes:
    return request(*(span({"number": n}, number=n) for n in numbers))


def numbers(payload: bytes) -> list[int]:
    return [int(str(plain_attributes(s)["number"])) for s in spans_of(payload)]


@contextmanager
def running(
    folder: Path, config: ExporterConfig, telemetry: Telemetry
) -> Iterator[tuple[SignalQueue, Exporter]]:
    with opened(folder / "queue", {config.id: config.queue}, telemetry) as queue:
        exporter = build_exporter(config, Signal.TRACES, queue.reader(config.id), folder, telemetry)
        exporter.start()
        try:
            yield queue, exporter
        finally:
            exporter.stop(10)
    assert_books_balance(telemetry, config.id)


def until(condition: Callable[[], object], *, meanwhile: Callable[[], None]) -> None:
    """Wait for the condition, and keep the destination supplied with other requests."""
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        meanwhile()
        time.sleep(0.01)


class Traffic:
    """Healthy requests with numbers from 1000 on, and which of them arrived."""

    def __init__(self, queue: SignalQueue) -> None:
        self.sent = 0
        self._queue = queue

    def __call__(self) -> None:
        self._queue.consume(batch(spans(1000 + self.sent)))
        self.sent += 1

    @property
    def numbers(self) -> set[int]:
        return set(range(1000, 1000 + self.sent))


class Picky:
    """Answers `answer` to what holds a poisonous span, and takes the rest."""

    def __init__(self, answer: HttpAnswer, *poison: int) -> None:
        self.accepted: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self._answer = answer
        self._poison = set(poison)
        self._lock = threading.Lock()

    def __call__(self, _number: int, received: Received) -> HttpAnswer:
        found = numbers(received.payload)
        poisonous = self._poison & set(found)
        with self._lock:
            (self.refused if poisonous else self.accepted).update(found)
        return self._answer if poisonous else HttpAnswer()


@pytest.mark.parametrize("status", [0, 503, 504, 500, 403])
def test_what_always_fails_does_not_starve_what_is_behind_it(tmp_path: Path, status: int) -> None:
    """Status 0 hangs up, as a server does that a request crashes; 403 may be a firewall's."""
    picky = Picky(HttpAnswer(status), *range(12))
    telemetry = Telemetry()
    with (
        http_destination(picky) as destination,
        running(tmp_path, http_exporter(destination.port), telemetry) as (queue, _),
    ):
        traffic = Traffic(queue)
        for n in range(12):  # three times as many as consumers
            traffic()
            queue.consume(batch(spans(n)))
        for _ in range(200):
            traffic()
        until(lambda: traffic.numbers <= picky.accepted.keys(), meanwhile=lambda: None)

        assert not picky.accepted.keys() & set(range(12))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (HttpAnswer(500), "HTTP 500 Internal Server Error"),
        (HttpAnswer(403), "HTTP 403 Forbidden"),
    ],
)
def test_the_one_span_that_breaks_the_destination_is_given_up_and_nothing_else(
    tmp_path: Path, answer: HttpAnswer, reason: str
) -> None:
    picky = Picky(answer, 3)
    telemetry = Telemetry()
    letters_before: list[object] | None = None

    def script(number: int, received: Received) -> HttpAnswer:
        nonlocal letters_before
        if letters_before is None and len(picky.accepted.keys() & set(range(8))) == 7:
            letters_before = [*list_letters(tmp_path)]
        return picky(number, received)

    with (
        http_destination(script) as destination,
        running(tmp_path, http_exporter(destination.port), telemetry) as (queue, exporter),
    ):
        traffic = Traffic(queue)
        queue.consume(batch(spans(*range(8)), items=8))
        until(lambda: [*list_letters(tmp_path)], meanwhile=traffic)
        assert exporter.flush(WAIT_S)

    (letter,) = list_letters(tmp_path)
    assert letters_before == []  # its neighbours do not wait for the verdict
    assert numbers(letter.payload) == [3]
    assert letter.reason == f"{reason} (again and again, while others get through)"
    assert {0, 1, 2, 4, 5, 6, 7} | traffic.numbers == picky.accepted.keys()


@pytest.mark.parametrize("status", [429, 503])
def test_what_is_put_off_is_never_given_up(tmp_path: Path, status: int) -> None:
    """Large requests may fail at a rate limit for as long as small ones use it up."""
    picky = Picky(HttpAnswer(status, headers={"Retry-After": "0"}), 3)
    telemetry = Telemetry()

    with (
        http_destination(picky) as destination,
        running(tmp_path, http_exporter(destination.port), telemetry) as (queue, exporter),
    ):
        traffic = Traffic(queue)
        queue.consume(batch(spans(3)))
        until(lambda: picky.refused[3] > 60, meanwhile=traffic)
        assert not [*list_letters(tmp_path)]
        picky._poison.clear()
        assert exporter.flush(WAIT_S)
    assert picky.accepted[3] == 1


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_healthy_request_is_never_given_up_because_the_destination_is_flaky(
    tmp_path: Path, protocol: str
) -> None:
    """Seven calls in ten fail in the ways that may mean anything; ten failures in a row happen."""
    chance = random.Random(4)
    lock = threading.Lock()
    codes = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)

    def fails() -> bool:
        with lock:
            return chance.random() < 0.7

    def over_grpc(number: int, _request: Received) -> GrpcAnswer:
        return GrpcAnswer(codes[number % 2] if fails() else grpc.StatusCode.OK)

    def over_http(_number: int, _request: Received) -> HttpAnswer:
        return HttpAnswer(500 if fails() else 200)

    telemetry = Telemetry()
    with (
        grpc_destination(over_grpc) as grpc_there,
        http_destination(over_http) as http_there,
    ):
        there = grpc_there if protocol == "grpc" else http_there
        make = grpc_exporter if protocol == "grpc" else http_exporter
        config = make(there.port, queue=QueueConfig(num_consumers=8))
        with running(tmp_path, config, telemetry) as (queue, exporter):
            for n in range(400):
                queue.consume(batch(spans(n)))
            assert exporter.flush(WAIT_S)

    assert not [*list_letters(tmp_path)]
    assert telemetry.total("genops_exporter_delivered_items_total") == 400
    failures = Counter(n for payload in there.payloads for n in numbers(payload))
    assert max(failures.values()) > 10  # some failed more often than the old limit


def test_where_the_slow_lane_is_full_those_go_of_which_there_is_no_doubt(tmp_path: Path) -> None:
    """503 is an answer to be retried for ever; with too many of them nothing else would go."""
    picky = Picky(HttpAnswer(503), *range(80))
    telemetry = Telemetry()

    def waiting() -> float:
        return telemetry.total("genops_exporter_waiting_apart")

    with (
        http_destination(picky) as destination,
        running(tmp_path, http_exporter(destination.port), telemetry) as (queue, _),
    ):
        traffic = Traffic(queue)
        for n in range(60):
            queue.consume(batch(spans(n)))
            traffic()

        until(lambda: all(picky.refused[n] > 45 for n in range(60)), meanwhile=traffic)
        assert waiting() >= 58
        assert not [*list_letters(tmp_path)]
        for n in range(60, 80):
            queue.consume(batch(spans(n)))
        until(lambda: len([*list_letters(tmp_path)]) >= 14, meanwhile=traffic)
        until(lambda: traffic.numbers <= picky.accepted.keys(), meanwhile=lambda: None)

        assert waiting() <= 64
    assert all(numbers(letter.payload)[0] < 60 for letter in list_letters(tmp_path))


def test_what_waits_apart_is_there_after_a_restart(tmp_path: Path) -> None:
    picky = Picky(HttpAnswer(503), 3)
    telemetry = Telemetry()
    with http_destination(picky) as destination:
        config = http_exporter(destination.port)
        with running(tmp_path, config, telemetry) as (queue, _):
            traffic = Traffic(queue)
            queue.consume(batch(spans(3)))
            until(lambda: telemetry.total("genops_exporter_waiting_apart"), meanwhile=traffic)
            until(lambda: traffic.numbers <= picky.accepted.keys(), meanwhile=lambda: None)
        assert not telemetry.total("genops_exporter_waiting_apart")
        picky._poison.clear()
        with running(tmp_path, config, Telemetry()) as (queue, exporter):
            assert exporter.flush(WAIT_S)

    assert picky.accepted[3] == 1
    assert set(picky.accepted) == traffic.numbers | {3}
