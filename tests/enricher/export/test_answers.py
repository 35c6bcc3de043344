"""What a destination refuses is sent in smaller parts, until only what is wrong is left over."""

from __future__ import annotations

import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from destinations import (
    GrpcAnswer,
    HttpAnswer,
    Received,
    grpc_destination,
    grpc_exporter,
    http_destination,
    http_exporter,
)
from genops_enricher.config.model import (
    BatchConfig,
    ExporterConfig,
    QueueConfig,
)
from genops_enricher.export import Exporter, build_exporter
from genops_enricher.pipeline import Signal
from genops_enricher.queue import SignalQueue
from genops_enricher.telemetry import Telemetry
from life import wait_until
from otlp import plain_attributes, request, span, spans_of
from queues import assert_books_balance, batch, list_letters, opened

MIB = 1 << 20


def sized(number: int, size: int = 0, **more: float) -> bytes:
    return request(span({"number": number, "text": "x" * size, **more}, number=number))


def many(numbers: range, size: int = 0) -> bytes:
    return request(*(span({"number": n, "text": "x" * size}, number=n) for n in numbers))


def numbers(payload: bytes) -> list[object]:
    return [plain_attributes(s)["number"] for s in spans_of(payload)]


@dataclass
class Delivery:
    """What came of it: `accepted` are the numbers of the spans that the destination took."""

    telemetry: Telemetry
    folder: Path
    exporter: str

    def count(self, what: str) -> float:
        return self.telemetry.value(
            f"genops_exporter_{what}_items_total", exporter=self.exporter, signal="traces"
        )

    @property
    def dead(self) -> list[object]:
        return [n for letter in list_letters(self.folder) for n in numbers(letter.payload)]


def deliver(folder: Path, config: ExporterConfig, *payloads: bytes) -> Delivery:
    """Send payloads through a real queue; return when all of them are done with."""
    telemetry = Telemetry()
    with opened(folder / "queue", {config.id: config.queue}, telemetry) as queue:
        for payload in payloads:
            queue.consume(batch(payload, items=len(spans_of(payload))))
        exporter = build_exporter(config, Signal.TRACES, queue.reader(config.id), folder, telemetry)
        exporter.start()
        assert exporter.flush(60)
        exporter.stop(10)
    assert_books_balance(telemetry, config.id)
    return Delivery(telemetry, folder, config.id)


class Taker:
    """Answers by a rule on the request, and remembers the spans that it took."""

    def __init__(self, answer: Callable[[Received], HttpAnswer]) -> None:
        self.accepted: list[object] = []
        self._answer = answer

    def __call__(self, _number: int, received: Received) -> HttpAnswer:
        answer = self._answer(received)
        if answer.status < 300:
            self.accepted += numbers(received.payload)
        return answer


def at_most(limit: int) -> Taker:
    return Taker(lambda received: HttpAnswer(413 if len(received.payload) > limit else 200))


def poisoned_by(*poison: int) -> Taker:
    return Taker(
        lambda received: HttpAnswer(400 if set(poison) & set(numbers(received.payload)) else 200)
    )


def test_a_request_is_split_before_it_is_sent(tmp_path: Path) -> None:
    taker = at_most(10_000)
    with http_destination(taker) as destination:
        config = http_exporter(destination.port, batch=BatchConfig(0, max_size_bytes=10_000))
        delivery = deliver(tmp_path, config, many(range(100), size=1000))

    assert taker.accepted == [*range(100)]
    assert len(destination.received) == 12  # eight spans and their envelope fit, and nine do not
    assert delivery.count("delivered") == 100


def test_requests_that_wait_go_out_as_one(tmp_path: Path) -> None:
    with http_destination() as destination:
        config = http_exporter(
            destination.port,
            batch=BatchConfig(min_size_bytes=MIB),
            queue=QueueConfig(num_consumers=1),
        )
        delivery = deliver(tmp_path, config, *(sized(n) for n in range(120)))

    assert [len(numbers(payload)) for payload in destination.payloads] == [50, 50, 20]
    assert [n for payload in destination.payloads for n in numbers(payload)] == [*range(120)]
    assert delivery.count("delivered") == 120


@pytest.mark.parametrize("consumers", [1, 4])
def test_small_requests_wait_for_others_as_long_as_is_configured(
    tmp_path: Path, consumers: int
) -> None:
    telemetry = Telemetry()
    with http_destination() as destination:
        config = http_exporter(
            destination.port,
            batch=BatchConfig(min_size_bytes=MIB, flush_timeout_s=3600),
            queue=QueueConfig(num_consumers=consumers),
        )
        with running(tmp_path, config, telemetry) as (queue, exporter):
            for n in range(100):  # one by one, while consumers wait for them
                queue.consume(batch(sized(n)))
                time.sleep(0.001)
            # Fifty are as many as may be joined: no need to wait longer.
            wait_until(lambda: queue.reader(config.id).queued_items == 0, "they still wait")
            queue.consume(batch(sized(100)))
            time.sleep(0.3)
            assert queue.reader(config.id).queued_items == 1
            queue.consume(batch(sized(101, 2 * MIB)))  # no room for it beside the other
            assert exporter.flush(60)

    assert [len(numbers(payload)) for payload in destination.payloads[:2]] == [50, 50]
    assert sorted(map(numbers, destination.payloads[2:])) == [[100], [101]]


def test_while_it_drains_no_request_waits_for_others(tmp_path: Path) -> None:
    with http_destination() as destination:
        config = http_exporter(
            destination.port, batch=BatchConfig(min_size_bytes=MIB, flush_timeout_s=3600)
        )
        with running(tmp_path, config, Telemetry()) as (queue, exporter):
            queue.consume(batch(sized(1)))
            assert exporter.flush(60)
            queue.consume(batch(sized(2)))
            time.sleep(0.3)
            assert queue.reader(config.id).queued_items == 1  # the drain is over
            assert exporter.flush(60)

    assert list(map(numbers, destination.payloads)) == [[1], [2]]


def test_after_that_time_a_small_request_goes_out_alone(tmp_path: Path) -> None:
    with http_destination() as destination:
        config = http_exporter(
            destination.port, batch=BatchConfig(min_size_bytes=MIB, flush_timeout_s=0.05)
        )
        delivery = deliver(tmp_path, config, sized(1))

    assert delivery.count("delivered") == 1


def test_a_request_too_large_for_the_destination_is_halved(tmp_path: Path) -> None:
    taker = at_most(20_000)
    with http_destination(taker) as destination:
        delivery = deliver(tmp_path, http_exporter(destination.port), many(range(64), size=1000))

    assert sorted(taker.accepted, key=str) == sorted(range(64), key=str)
    assert len(destination.received) == 7  # 1 + 2 refused, 4 accepted
    assert delivery.count("delivered") == 64


def test_a_request_far_too_large_is_halved_as_often_as_it_takes(tmp_path: Path) -> None:
    taker = at_most(1500)  # one span
    with http_destination(taker) as destination:
        delivery = deliver(tmp_path, http_exporter(destination.port), many(range(200), size=1000))

    assert Counter(taker.accepted) == Counter(range(200))
    assert delivery.count("delivered") == 200


def test_a_grpc_server_with_its_usual_limit_gets_everything(tmp_path: Path) -> None:
    """4 MiB, which grpc-core, grpc-go and with them the Collector take if nothing else is set."""
    with grpc_destination() as destination:
        delivery = deliver(
            tmp_path, grpc_exporter(destination.port), many(range(100), size=100_000)
        )

    assert sorted(n for p in destination.payloads for n in map(str, numbers(p))) == sorted(
        map(str, range(100))
    )
    assert delivery.count("delivered") == 100
    assert delivery.count("dead_lettered") == 0


def test_a_span_that_is_too_large_by_itself_becomes_a_dead_letter(tmp_path: Path) -> None:
    taker = at_most(20_000)
    payload = request(
        *(span({"number": n, "text": "x" * (50_000 if n == 3 else 9)}, number=n) for n in range(8))
    )
    with http_destination(taker) as destination:
        delivery = deliver(tmp_path, http_exporter(destination.port), payload)

    assert Counter(taker.accepted) == Counter({0, 1, 2, 4, 5, 6, 7})
    assert delivery.dead == [3]
    assert delivery.count("dead_lettered") == 1
    assert delivery.count("delivered") == 7


@pytest.mark.parametrize("known", [True, False])
def test_a_span_that_may_be_shortened_arrives_with_its_cost(tmp_path: Path, known: bool) -> None:
    with http_destination(at_most(20_000)) as destination:
        config = http_exporter(
            destination.port,
            batch=BatchConfig(0, 20_000 if known else MIB),
            truncate=("text",),
        )
        delivery = deliver(tmp_path, config, sized(1, 100_000, **{"genops.cost.total": 0.25}))

    (arrived,) = spans_of(destination.payloads[-1])
    assert plain_attributes(arrived)["genops.cost.total"] == 0.25
    assert delivery.count("delivered") == delivery.count("truncated") == 1
    assert len(destination.received) == (1 if known else 4)
    assert delivery.dead == []


def test_spans_that_are_refused_are_found_and_the_others_arrive(tmp_path: Path) -> None:
    taker = poisoned_by(5, 77)
    with http_destination(taker) as destination:
        config = http_exporter(destination.port, batch=BatchConfig(min_size_bytes=MIB))
        delivery = deliver(tmp_path, config, *(many(range(n, n + 10)) for n in range(0, 100, 10)))

    assert Counter(taker.accepted) == Counter(set(range(100)) - {5, 77})
    assert sorted(map(str, delivery.dead)) == ["5", "77"]
    assert delivery.count("delivered") == 98
    assert delivery.count("dead_lettered") == 2


def test_a_span_that_breaks_the_destination_does_not_take_its_neighbours_along(
    tmp_path: Path,
) -> None:
    taker = Taker(lambda received: HttpAnswer(500 if 3 in numbers(received.payload) else 200))
    telemetry = Telemetry()
    with http_destination(taker) as destination:
        config = http_exporter(destination.port)
        with running(tmp_path, config, telemetry) as (queue, exporter):
            queue.consume(batch(many(range(8)), items=8))
            for n in range(1000, 21_000):  # far more than it takes: others must get through
                queue.consume(batch(sized(n)))
                if [*list_letters(tmp_path)]:
                    break
            assert exporter.flush(60)

    assert [numbers(letter.payload) for letter in list_letters(tmp_path)] == [[3]]
    assert {0, 1, 2, 4, 5, 6, 7} <= set(taker.accepted)


def test_a_destination_that_refuses_everything_is_not_asked_for_every_span(tmp_path: Path) -> None:
    with http_destination(Taker(lambda _: HttpAnswer(400))) as destination:
        delivery = deliver(tmp_path, http_exporter(destination.port), many(range(4000)))

    assert len(destination.received) < 200
    assert Counter(delivery.dead) == Counter(range(4000))
    assert delivery.count("dead_lettered") == 4000


def test_however_many_spans_are_wrong_their_neighbours_arrive(tmp_path: Path) -> None:
    wrong = range(0, 400, 8)
    taker = poisoned_by(*wrong)
    with http_destination(taker) as destination:
        delivery = deliver(tmp_path, http_exporter(destination.port), many(range(400)))

    assert sorted(taker.accepted, key=str) == sorted(set(range(400)) - set(wrong), key=str)
    assert Counter(delivery.dead) == Counter(wrong)


def test_rejected_spans_of_a_joined_request_are_counted_and_not_sent_again(
    tmp_path: Path,
) -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 3
    with grpc_destination(lambda _n, _r: GrpcAnswer(body=response.SerializeToString())) as there:
        config = grpc_exporter(
            there.port,
            batch=BatchConfig(min_size_bytes=MIB),
            queue=QueueConfig(num_consumers=1),
        )
        delivery = deliver(tmp_path, config, many(range(2)), many(range(2, 10)))

    assert len(there.received) == 1
    assert delivery.count("delivered") == 7


def test_a_quota_without_a_time_is_waited_for(tmp_path: Path) -> None:
    def script(number: int, _request: Received) -> GrpcAnswer:
        if number < 20:
            return GrpcAnswer(grpc.StatusCode.RESOURCE_EXHAUSTED, details="quota exceeded")
        return GrpcAnswer()

    with grpc_destination(script) as destination:
        delivery = deliver(tmp_path, grpc_exporter(destination.port), sized(1))

    assert delivery.count("delivered") == 1


class TestDeadLetters:
    def test_they_are_for_the_owner_only(self, tmp_path: Path) -> None:
        with http_destination(Taker(lambda _: HttpAnswer(400))) as destination:
            deliver(tmp_path, http_exporter(destination.port), sized(1))

        (letter,) = list_letters(tmp_path)
        assert stat.S_IMODE(letter.path.stat().st_mode) == 0o600
        assert all(
            stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in list(letter.path.parents)[:3]
        )

    def test_beyond_their_bound_what_is_refused_is_lost_and_counted(self, tmp_path: Path) -> None:
        with http_destination(Taker(lambda _: HttpAnswer(400))) as destination:
            config = http_exporter(destination.port, dead_letter_size_bytes=3000)
            delivery = deliver(tmp_path, config, sized(1, 1000), sized(2, 1000), sized(3, 1000))

        assert len(delivery.dead) == delivery.count("dead_lettered") == 2
        lost = delivery.telemetry.value(
            "genops_exporter_dropped_items_total",
            exporter="otlp_http/b",
            signal="traces",
            reason="dead_letters_full",
        )
        assert lost == 1

    def test_the_same_one_again_is_kept_once(self, tmp_path: Path) -> None:
        with http_destination(Taker(lambda _: HttpAnswer(400))) as destination:
            deliver(tmp_path, http_exporter(destination.port), sized(1), sized(1))

        assert len([*list_letters(tmp_path)]) == 1

    def test_as_long_as_the_disk_refuses_them_nothing_is_lost(self, tmp_path: Path) -> None:
        """A file stands where their folder should be; it goes away while the exporter waits."""
        blocked = tmp_path / "dead_letters"
        blocked.touch()

        telemetry = Telemetry()
        with http_destination(Taker(lambda _: HttpAnswer(400))) as destination:
            config = http_exporter(destination.port)
            with running(tmp_path, config, telemetry) as (queue, exporter):
                queue.consume(batch(sized(1)))
                while exporter.status()[0]:
                    assert not exporter.flush(0.01)
                assert "can't write a dead letter" in exporter.status()[1]
                blocked.unlink()
                assert exporter.flush(60)
        assert [numbers(letter.payload) for letter in list_letters(tmp_path)] == [[1]]


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
