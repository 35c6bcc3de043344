"""What waits longer than `max_age` is dropped, whatever clocks and processes do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from genops_enricher.config.model import OnFull, QueueConfig, Storage
from genops_enricher.errors import RetryableError
from genops_enricher.queue import Ended
from genops_enricher.telemetry import Telemetry
from queues import (
    FRAME_HEADER_BYTES,
    assert_books_balance,
    batch,
    drain,
    opened,
    segments,
    stepping,
)

A, B = "otlp_grpc/a", "otlp_http/b"


def aged(max_age_s: float | None, **settings: object) -> QueueConfig:
    return QueueConfig(max_age_s=max_age_s, **settings)  # type: ignore[arg-type]


def expired(telemetry: Telemetry, exporter: str = A) -> float:
    return telemetry.value(
        "genops_exporter_dropped_items_total", exporter=exporter, signal="traces", reason="expired"
    )


@pytest.mark.parametrize("storage", [Storage.DURABLE, Storage.MEMORY])
def test_what_waited_too_long_is_dropped_counted_and_logged(
    tmp_path: Path, storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    clock, telemetry = stepping(), Telemetry()
    exporters: Mapping[str, QueueConfig] = {A: aged(60, storage=storage), B: aged(None)}
    with opened(tmp_path / "traces", exporters, telemetry, clock=clock) as queue:
        queue.consume(batch("old", items=3))
        clock.pass_s(40)
        queue.consume(batch("young", items=2))
        clock.pass_s(20.1)

        assert drain(queue.reader(A)) == [b"young"]
        assert drain(queue.reader(B)) == [b"old", b"young"]
        assert expired(telemetry) == 3
        assert_books_balance(telemetry, A)
    assert "otlp_grpc/a (traces): 3 items lost: they waited longer than" in caplog.text


def test_age_goes_on_while_no_process_runs(tmp_path: Path) -> None:
    folder, clock = tmp_path / "traces", stepping()
    with opened(folder, {A: aged(60)}, clock=clock) as queue:
        queue.consume(batch("old"))
        clock.pass_s(30)
        queue.consume(batch("young"))

    telemetry = Telemetry()
    clock.pass_s(40)
    with opened(folder, {A: aged(60)}, telemetry, clock=clock.restarted()) as queue:
        assert drain(queue.reader(A)) == [b"young"]
    assert expired(telemetry) == 1


@pytest.mark.parametrize("jump_s", [-1e9, 1e9])
def test_a_clock_that_is_set_while_the_process_runs_makes_nothing_older(
    tmp_path: Path, jump_s: float
) -> None:
    clock, telemetry = stepping(), Telemetry()
    with opened(tmp_path / "traces", {A: aged(60)}, telemetry, clock=clock) as queue:
        queue.consume(batch("1"))
        clock.set_s(jump_s)
        clock.pass_s(59)
        queue.consume(batch("2"))
        assert expired(telemetry) == 0

        clock.pass_s(2)
        assert drain(queue.reader(A)) == [b"2"]
        assert expired(telemetry) == 1


def test_a_clock_that_was_set_back_between_two_runs_drops_nothing(tmp_path: Path) -> None:
    folder, clock = tmp_path / "traces", stepping()
    with opened(folder, {A: aged(60)}, clock=clock) as queue:
        queue.consume(batch("1"))
    clock.set_s(-1e6)
    clock = clock.restarted()

    telemetry = Telemetry()
    with opened(folder, {A: aged(60)}, telemetry, clock=clock) as queue:
        clock.pass_s(59)
        queue.consume(batch("2"))
        assert expired(telemetry) == 0
        clock.pass_s(2)
        assert drain(queue.reader(A)) == [b"2"]


def test_a_clock_corrected_after_the_start_counts_for_what_came_after_it(tmp_path: Path) -> None:
    """A machine without a clock of its own starts in the past, and NTP sets it."""
    folder, clock = tmp_path / "traces", stepping(wall_s=0)
    with opened(folder, {A: aged(60)}, clock=clock) as queue:
        clock.set_s(1_790_000_000)
        queue.consume(batch("1"))

    with opened(folder, {A: aged(60)}, clock=clock.restarted()) as queue:
        assert drain(queue.reader(A)) == [b"1"]


def test_the_dropped_stay_dropped_and_their_files_go(tmp_path: Path) -> None:
    folder, clock = tmp_path / "traces", stepping()
    with opened(folder, {A: aged(60)}, clock=clock, segment_bytes=200) as queue:
        for _ in range(10):
            queue.consume(batch(b"x" * 100))
        assert len(segments(folder)) == 5
        clock.pass_s(61)
        queue.consume(batch("new"))
        assert len(segments(folder)) == 1

    with opened(folder, {A: aged(None)}) as queue:
        assert drain(queue.reader(A)) == [b"new"]


def test_a_full_queue_takes_again_when_what_is_in_it_has_expired(tmp_path: Path) -> None:
    clock = stepping()
    config = aged(60, queue_size_bytes=FRAME_HEADER_BYTES + 10)
    with opened(tmp_path / "traces", {A: config}, clock=clock) as queue:
        queue.consume(batch(b"x" * 10))
        with pytest.raises(RetryableError):
            queue.consume(batch(b"y"))
        clock.pass_s(61)
        queue.consume(batch(b"y"))

        assert drain(queue.reader(A)) == [b"y"]


def test_what_is_being_sent_is_for_its_exporter_to_give_up(tmp_path: Path) -> None:
    clock, telemetry = stepping(), Telemetry()
    with opened(tmp_path / "traces", {A: aged(60)}, telemetry, clock=clock) as queue:
        for payload in ("1", "2"):
            queue.consume(batch(payload))
        reader = queue.reader(A)
        entry = reader.take(0)
        assert entry is not None
        assert not reader.expired(entry)
        clock.pass_s(61)

        assert reader.expired(entry)
        assert expired(telemetry) == 1  # the other one
        assert not reader.wait_until_empty(0)
        reader.finish(Ended(entry, {"expired": 1}))
        assert reader.wait_until_empty(0)
        assert_books_balance(telemetry, A)


def test_the_last_one_to_expire_ends_the_wait_for_an_empty_queue(tmp_path: Path) -> None:
    clock = stepping()
    with opened(tmp_path / "traces", {A: aged(60)}, clock=clock) as queue:
        queue.consume(batch("1"))
        clock.pass_s(61)
        assert queue.reader(A).take(0) is None

        assert queue.reader(A).wait_until_empty(0)


def test_drop_oldest_and_max_age_count_apart(tmp_path: Path) -> None:
    clock, telemetry = stepping(), Telemetry()
    config = aged(60, queue_size_bytes=2 * (FRAME_HEADER_BYTES + 1), on_full=OnFull.DROP_OLDEST)
    with opened(tmp_path / "traces", {A: config}, telemetry, clock=clock) as queue:
        for payload in "123":
            queue.consume(batch(payload))
        clock.pass_s(61)
        queue.consume(batch("4"))

        assert drain(queue.reader(A)) == [b"4"]
        assert expired(telemetry) == 2
        assert_books_balance(telemetry, A)


@pytest.mark.parametrize("storage", [Storage.DURABLE, Storage.MEMORY])
def test_the_age_of_the_oldest_is_a_metric(tmp_path: Path, storage: Storage) -> None:
    clock, telemetry = stepping(), Telemetry()

    def age() -> float:
        return telemetry.value(
            "genops_exporter_oldest_item_age_seconds", exporter=A, signal="traces"
        )

    exporters = {A: aged(None, storage=storage)}
    with opened(tmp_path / "traces", exporters, telemetry, clock=clock) as queue:
        assert age() == 0
        queue.consume(batch("1"))
        clock.pass_s(40)
        queue.consume(batch("2"))
        clock.pass_s(2)
        assert age() == 42
        first = queue.reader(A).take(0)
        assert age() == 42  # it is being sent
        assert first is not None
        queue.reader(A).finish(Ended(first))
        assert age() == 2
        drain(queue.reader(A))
        assert age() == 0
