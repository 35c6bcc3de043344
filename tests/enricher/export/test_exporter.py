"""From the queue to a real destination: what becomes of a request, whatever the answers are."""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
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
from free_ports import free_port
from genops_enricher.config.model import ExporterConfig, OnFull, QueueConfig, RetryConfig
from genops_enricher.errors import RetryableError
from genops_enricher.export import Exporter, build_exporter
from genops_enricher.pipeline import Signal
from genops_enricher.queue import DeadLetters, SignalQueue
from genops_enricher.telemetry import Telemetry
from otlp import request, span
from queues import FRAME_HEADER_BYTES, assert_books_balance, batch, list_letters, opened

SLOW = RetryConfig(initial_interval_s=3600, max_interval_s=3600)


@contextmanager
def running(
    folder: Path, telemetry: Telemetry, *configs: ExporterConfig
) -> Iterator[tuple[SignalQueue, dict[str, Exporter]]]:
    queues: Mapping[str, QueueConfig] = {config.id: config.queue for config in configs}
    with opened(folder, queues, telemetry) as queue, ExitStack() as stack:
        exporters = {
            config.id: build_exporter(
                config, Signal.TRACES, queue.reader(config.id), folder, telemetry
            )
            for config in configs
        }
        for exporter in exporters.values():
            exporter.start()
            stack.callback(exporter.stop, 10)
        yield queue, exporters
    for name in exporters:
        assert_books_balance(telemetry, name)


def one(exporters: Mapping[str, Exporter]) -> Exporter:
    (exporter,) = exporters.values()
    return exporter


def dropped(telemetry: Telemetry, exporter: str, reason: str) -> float:
    return telemetry.value(
        "genops_exporter_dropped_items_total", exporter=exporter, signal="traces", reason=reason
    )


def dead_lettered(telemetry: Telemetry, exporter: str) -> float:
    return telemetry.value(
        "genops_exporter_dead_lettered_items_total", exporter=exporter, signal="traces"
    )


def attempts(telemetry: Telemetry, exporter: str, outcome: str) -> float:
    return telemetry.value(
        "genops_exporter_attempts_total", exporter=exporter, signal="traces", outcome=outcome
    )


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def test_requests_are_retried_until_they_arrive(tmp_path: Path, telemetry: Telemetry) -> None:
    """A backend that fails in every retryable way still gets everything."""
    chance = random.Random(3)
    failures = [
        GrpcAnswer(grpc.StatusCode.UNAVAILABLE),
        GrpcAnswer(grpc.StatusCode.ABORTED, details="conflict"),
        GrpcAnswer(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after_s=0),
        GrpcAnswer(grpc.StatusCode.UNAUTHENTICATED, details="key expired"),
    ]

    def mostly_failing(_number: int, _request: Received) -> GrpcAnswer:
        return chance.choice(failures) if chance.random() < 0.7 else GrpcAnswer()

    with (
        grpc_destination(mostly_failing) as destination,
        running(tmp_path, telemetry, grpc_exporter(destination.port)) as (queue, exporters),
    ):
        for n in range(50):
            queue.consume(batch(b"%d" % n, items=3))

        assert one(exporters).flush(60)
        assert one(exporters).status() == (True, "")
    assert set(destination.payloads) == {b"%d" % n for n in range(50)}
    assert attempts(telemetry, "otlp_grpc/a", "delivered") == 50
    assert attempts(telemetry, "otlp_grpc/a", "retry") > 0
    assert attempts(telemetry, "otlp_grpc/a", "held") > 0


def test_rejected_data_becomes_a_dead_letter_and_the_rest_goes_on(
    tmp_path: Path, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    def picky(_number: int, request: Received) -> HttpAnswer:
        return HttpAnswer(400 if request.payload == b"bad" else 200)

    with (
        http_destination(picky) as destination,
        running(tmp_path, telemetry, http_exporter(destination.port)) as (queue, exporters),
    ):
        for payload in (b"1", b"bad", b"2"):
            queue.consume(batch(payload, items=5))
        assert one(exporters).flush(60)

    assert Counter(destination.payloads) == {b"1": 1, b"bad": 1, b"2": 1}
    assert dead_lettered(telemetry, "otlp_http/b") == 5
    assert "otlp_http/b (traces): 5 items kept as dead letters: HTTP 400 Bad" in caplog.text
    (letter,) = list_letters(tmp_path)
    assert (letter.payload, letter.items, letter.reason) == (b"bad", 5, "HTTP 400 Bad Request")


def test_items_rejected_in_a_partial_success_are_counted_and_not_sent_again(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 2
    answer = GrpcAnswer(body=response.SerializeToString())
    with (
        grpc_destination(lambda _n, _r: answer) as destination,
        running(tmp_path, telemetry, grpc_exporter(destination.port)) as (queue, exporters),
    ):
        queue.consume(batch(b"1", items=5))
        queue.consume(batch(b"2", items=1))  # more rejected than sent: a backend that miscounts
        assert one(exporters).flush(60)

    assert len(destination.received) == 2
    assert dropped(telemetry, "otlp_grpc/a", "rejected") == 3


def test_data_that_breaks_a_server_which_takes_other_data_is_given_up(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    def breaking(_number: int, request: Received) -> HttpAnswer:
        return HttpAnswer(500 if request.payload == b"poison" else 200)

    with (
        http_destination(breaking) as destination,
        running(tmp_path, telemetry, http_exporter(destination.port)) as (queue, exporters),
    ):
        queue.consume(batch(b"poison"))
        for _ in range(20_000):  # far more than it takes
            queue.consume(batch(b"good"))
            if dead_lettered(telemetry, "otlp_http/b"):
                break
        assert one(exporters).flush(60)

    assert dead_lettered(telemetry, "otlp_http/b") == 1
    assert Counter(destination.payloads)[b"poison"] >= 10


def test_an_outage_that_answers_500_loses_nothing_however_long_it_lasts(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    def broken_for_long(number: int, _request: Received) -> HttpAnswer:
        return HttpAnswer(500 if number < 60 else 200)

    with (
        http_destination(broken_for_long) as destination,
        running(tmp_path, telemetry, http_exporter(destination.port)) as (queue, exporters),
    ):
        for payload in (b"1", b"2", b"3"):
            queue.consume(batch(payload))
        assert one(exporters).flush(60)

    assert set(destination.payloads) == {b"1", b"2", b"3"}
    assert dead_lettered(telemetry, "otlp_http/b") == 0


@pytest.mark.parametrize("retry", [RetryConfig(enabled=False), RetryConfig(max_elapsed_time_s=1)])
def test_data_is_given_up_if_the_configuration_says_so(
    tmp_path: Path, telemetry: Telemetry, retry: RetryConfig
) -> None:
    with (
        http_destination(lambda _n, _r: HttpAnswer(503)) as destination,
        running(tmp_path, telemetry, http_exporter(destination.port, retry=retry)) as (
            queue,
            exporters,
        ),
    ):
        queue.consume(batch(b"1", items=4))
        assert one(exporters).flush(60)

    assert dropped(telemetry, "otlp_http/b", "retries_exhausted") == 4


def test_a_wrong_key_holds_the_data_even_if_retries_are_limited(
    tmp_path: Path, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    refused, repaired = threading.Event(), threading.Event()

    def script(number: int, _request: Received) -> HttpAnswer:
        if number == 3:
            refused.set()
        return HttpAnswer() if repaired.is_set() else HttpAnswer(401)

    retry = RetryConfig(enabled=False, max_interval_s=0.005)
    with (
        http_destination(script) as destination,
        running(
            tmp_path,
            telemetry,
            http_exporter(destination.port, retry=retry, headers={"api-key": "hunter2"}),
        ) as (queue, exporters),
    ):
        queue.consume(batch(b"1"))
        assert refused.wait(60)
        well, reason = one(exporters).status()
        assert not well
        assert reason.startswith("held: HTTP 401 Unauthorized. Correct the endpoint, the headers")
        repaired.set()
        assert one(exporters).flush(60)
        assert one(exporters).status() == (True, "")

    assert caplog.text.count("held: HTTP 401 Unauthorized") == 1
    assert "answers again" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_dead_destination_does_not_hold_up_the_other(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    size = FRAME_HEADER_BYTES + 100
    alive_queue = QueueConfig(num_consumers=2)
    dead_queue = QueueConfig(num_consumers=1, queue_size_bytes=20 * size)
    with (
        http_destination() as destination,
        running(
            tmp_path,
            telemetry,
            http_exporter(destination.port, queue=alive_queue),
            grpc_exporter(free_port(), queue=dead_queue),
        ) as (queue, exporters),
    ):
        for _ in range(20):
            queue.consume(batch(b"x" * 100))
        assert exporters["otlp_http/b"].flush(60)
        with pytest.raises(RetryableError, match="queue of otlp_grpc/a is full"):
            queue.consume(batch(b"x" * 100))
        healthy, message = exporters["otlp_grpc/a"].status()

    assert len(destination.received) == 20
    assert healthy
    assert message == "" or message.startswith("retrying: UNAVAILABLE")


def test_a_dead_destination_that_drops_the_oldest_refuses_nothing(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    dead_queue = QueueConfig(
        1, queue_size_bytes=10 * (FRAME_HEADER_BYTES + 100), on_full=OnFull.DROP_OLDEST
    )
    with (
        http_destination() as destination,
        running(
            tmp_path,
            telemetry,
            http_exporter(destination.port),
            grpc_exporter(free_port(), queue=dead_queue, retry=SLOW),
        ) as (queue, exporters),
    ):
        for _ in range(100):
            queue.consume(batch(b"x" * 100))
        assert exporters["otlp_http/b"].flush(60)

        assert queue.reader("otlp_grpc/a").queued_bytes <= 10 * (FRAME_HEADER_BYTES + 100)
        assert dropped(telemetry, "otlp_grpc/a", "queue_full") >= 89


def test_stop_ends_waits_at_once_and_keeps_what_is_left(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    tried = threading.Event()

    def script(_number: int, _request: Received) -> GrpcAnswer:
        tried.set()
        return GrpcAnswer(grpc.StatusCode.UNAVAILABLE, retry_after_s=3000)

    with grpc_destination(script) as destination:
        config = grpc_exporter(destination.port, retry=SLOW)
        with running(tmp_path, telemetry, config) as (queue, exporters):
            for n in range(5):
                queue.consume(batch(b"%d" % n))
            assert tried.wait(60)
            assert not one(exporters).flush(0)
            one(exporters).stop(3600)  # returns: nothing is under way but a wait
            one(exporters).stop(3600)

    with (
        grpc_destination() as destination,
        running(tmp_path, Telemetry(), grpc_exporter(destination.port)) as (queue, exporters),
    ):
        assert one(exporters).flush(60)
    assert sorted(destination.payloads) == [b"%d" % n for n in range(5)]


def test_an_attempt_under_way_may_finish(tmp_path: Path, telemetry: Telemetry) -> None:
    arrived, answer = threading.Event(), threading.Event()

    def script(_number: int, _request: Received) -> GrpcAnswer:
        arrived.set()
        assert answer.wait(60)
        return GrpcAnswer()

    with (
        grpc_destination(script) as destination,
        running(tmp_path, telemetry, grpc_exporter(destination.port)) as (queue, exporters),
    ):
        queue.consume(batch(b"1"))
        assert arrived.wait(60)
        stopping = threading.Thread(target=one(exporters).stop, args=(30,))
        stopping.start()
        answer.set()
        stopping.join(60)

        assert not stopping.is_alive()
        assert queue.reader("otlp_grpc/a").queued_items == 0


def test_an_attempt_that_hangs_is_cut_off_and_its_data_stays(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    arrived, end = threading.Event(), threading.Event()

    def script(_number: int, _request: Received) -> GrpcAnswer:
        arrived.set()
        end.wait(60)
        return GrpcAnswer()

    with grpc_destination(script) as destination:
        config = grpc_exporter(destination.port, retry=RetryConfig(enabled=False))
        with running(tmp_path, telemetry, config) as (queue, exporters):
            queue.consume(batch(b"1"))
            assert arrived.wait(60)
            one(exporters).stop(0)
            one(exporters).stop(10)  # the cut-off attempt has come to its end

            assert queue.reader("otlp_grpc/a").queued_items == 1
        end.set()


def test_a_restart_during_an_outage_delivers_everything_once_it_is_over(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    with grpc_destination(lambda _n, _r: GrpcAnswer(grpc.StatusCode.UNAVAILABLE)) as down:
        for run in range(3):
            with running(tmp_path, Telemetry(), grpc_exporter(down.port)) as (queue, _):
                for n in range(10):
                    queue.consume(batch(b"%d" % (10 * run + n)))

    with (
        grpc_destination() as destination,
        running(tmp_path, telemetry, grpc_exporter(destination.port)) as (queue, exporters),
    ):
        assert one(exporters).flush(60)
    assert sorted(destination.payloads) == sorted(b"%d" % n for n in range(30))


def test_a_mistake_of_ours_holds_the_data_and_shows(
    tmp_path: Path, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """A destination that is not what the sender thinks must not end the thread or lose the data."""

    class Broken:
        def __init__(self) -> None:
            self.tried = threading.Event()

        def send(self, payload: bytes) -> GrpcAnswer:
            self.tried.set()
            raise ZeroDivisionError

        def close(self) -> None:
            pass

    sender = Broken()
    with opened(tmp_path, {"a": QueueConfig()}, telemetry) as queue:
        exporter = Exporter(
            replace(grpc_exporter(1), id="a"),
            Signal.TRACES,
            queue.reader("a"),
            sender,  # type: ignore[arg-type]
            DeadLetters(tmp_path, Signal.TRACES, "a", 1 << 20),
            telemetry,
        )
        exporter.start()
        queue.consume(batch(b"1"))
        assert sender.tried.wait(60)
        exporter.stop(10)

        assert queue.reader("a").queued_items == 1


@pytest.mark.parametrize("status", [401, 503])
def test_what_is_being_tried_is_given_up_when_it_has_waited_too_long(
    tmp_path: Path, telemetry: Telemetry, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the destination refuses us: a limit that is set holds."""
    aged = QueueConfig(num_consumers=2, max_age_s=1.0)  # time enough to be tried
    with (
        http_destination(lambda _n, _r: HttpAnswer(status)) as destination,
        running(tmp_path, telemetry, http_exporter(destination.port, queue=aged)) as (queue, _),
    ):
        for number in range(5):
            queue.consume(batch(b"%d" % number))
        assert queue.reader("otlp_http/b").wait_until_empty(60)

    assert dropped(telemetry, "otlp_http/b", "expired") == 5
    assert f"they waited longer than sending_queue.max_age: HTTP {status}" in caplog.text


def test_dead_letters_at_their_bound_are_for_a_person_to_act_on(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    with (
        http_destination(lambda _n, _r: HttpAnswer(400)) as destination,
        running(
            tmp_path, telemetry, http_exporter(destination.port, dead_letter_size_bytes=1000)
        ) as (queue, exporters),
    ):
        queue.consume(batch(request(span({"x": "1" * 600}, number=1))))
        assert queue.reader("otlp_http/b").wait_until_empty(60)
        assert one(exporters).status() == (True, "")
        queue.consume(batch(request(span({"x": "2" * 600}, number=2))))
        assert queue.reader("otlp_http/b").wait_until_empty(60)

        well, reason = one(exporters).status()
        assert not well
        assert reason.startswith("its dead letters are at their bound (1000 bytes), and more are")
        for letter in list_letters(tmp_path):
            letter.path.unlink()
        assert one(exporters).status() == (True, "")
