"""Queues in memory: the same bounds and books, and nothing on disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from genops_enricher.config.model import OnFull, QueueConfig, Storage
from genops_enricher.errors import RetryableError
from genops_enricher.pipeline import Signal
from genops_enricher.queue import Ended, MemoryStore, SignalQueue
from genops_enricher.telemetry import Telemetry
from queues import FRAME_HEADER_BYTES, assert_books_balance, batch, bounded, drain, opened

A, B = "otlp_grpc/a", "otlp_http/b"
MEMORY = QueueConfig(storage=Storage.MEMORY)
MIXED: Mapping[str, QueueConfig] = {A: QueueConfig(), B: MEMORY}


def in_memory(size: int, on_full: OnFull = OnFull.REFUSE) -> QueueConfig:
    return replace(bounded(size, on_full), storage=Storage.MEMORY)


def dropped(telemetry: Telemetry, exporter: str, reason: str) -> float:
    return telemetry.value(
        "genops_exporter_dropped_items_total", exporter=exporter, signal="traces", reason=reason
    )


def test_records_come_out_oldest_first_and_no_folder_is_made(tmp_path: Path) -> None:
    telemetry = Telemetry()
    with opened(tmp_path / "data" / "traces", {A: MEMORY}, telemetry) as queue:
        for payload in "123":
            queue.consume(batch(payload))
        assert_books_balance(telemetry, A)

        assert drain(queue.reader(A)) == [b"1", b"2", b"3"]
        assert queue.reader(A).wait_until_empty(0)
        assert_books_balance(telemetry, A)
    assert list(tmp_path.iterdir()) == []


def test_a_full_queue_refuses_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    size = FRAME_HEADER_BYTES + 10
    with opened(tmp_path / "traces", {A: in_memory(2 * size)}) as queue:
        for _ in range(2):
            queue.consume(batch(b"x" * 10))
        with pytest.raises(RetryableError, match=r"traces queue of otlp_grpc/a is full"):
            queue.consume(batch("x"))

        drain(queue.reader(A))
        queue.consume(batch(b"x" * 10))


def test_drop_oldest_keeps_the_newest_and_what_is_being_sent(tmp_path: Path) -> None:
    telemetry = Telemetry()
    config = in_memory(2 * (FRAME_HEADER_BYTES + 1), OnFull.DROP_OLDEST)
    with opened(tmp_path / "traces", {A: config}, telemetry) as queue:
        queue.consume(batch("1"))
        sending = queue.reader(A).take(0)
        for payload in "2345":
            queue.consume(batch(payload))
        assert sending is not None
        queue.reader(A).finish(Ended(sending))

        assert drain(queue.reader(A)) == [b"5"]
        assert dropped(telemetry, A, "queue_full") == 3
        assert_books_balance(telemetry, A)


def test_what_is_left_at_the_end_is_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = Telemetry()
    with opened(tmp_path / "traces", {A: MEMORY}, telemetry) as queue:
        for items in (1, 2, 3):
            queue.consume(batch("x", items))
        sending = queue.reader(A).take(0)
    assert sending is not None
    queue.reader(A).finish(Ended(sending))  # an attempt that outlasted the stop

    assert dropped(telemetry, A, "shutdown") == 6
    assert_books_balance(telemetry, A)
    assert "otlp_grpc/a (traces): 6 items lost: their queue ends" in caplog.text


def test_a_pipeline_may_mix_both_and_only_the_durable_part_is_there_again(tmp_path: Path) -> None:
    telemetry = Telemetry()
    with opened(tmp_path / "traces", MIXED, telemetry) as queue:
        queue.consume(batch("1"))
        queue.consume(batch("2"))
        first = queue.reader(B).take(0)
        assert first is not None
        queue.reader(B).finish(Ended(first))
    assert_books_balance(telemetry, A)
    assert_books_balance(telemetry, B)
    assert dropped(telemetry, B, "shutdown") == 1

    with opened(tmp_path / "traces", MIXED) as queue:
        assert drain(queue.reader(A)) == [b"1", b"2"]
        assert drain(queue.reader(B)) == []


def test_nothing_is_in_memory_before_the_durable_part_is_synced(tmp_path: Path) -> None:
    seen: list[int] = []
    failing = False

    def sync(descriptor: int) -> None:
        seen.append(queue.reader(B).queued_items)
        if failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with opened(tmp_path / "traces", MIXED, sync=sync) as queue:
        queue.consume(batch("1"))
        failing = True
        with pytest.raises(RetryableError, match="No space left"):
            queue.consume(batch("2"))

        assert seen == [0, 1]
        assert drain(queue.reader(B)) == [b"1"]


def test_what_a_durable_queue_left_is_said_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "traces"
    with opened(folder, {A: QueueConfig()}) as queue:
        queue.consume(batch("1"))
    with opened(folder, {A: MEMORY}):
        pass
    assert "traces holds requests that were not delivered" in caplog.text

    with opened(folder, {A: QueueConfig()}) as queue:
        assert drain(queue.reader(A)) == [b"1"]


def test_senders_and_consumers_at_once_lose_and_repeat_nothing(tmp_path: Path) -> None:
    telemetry = Telemetry()
    count = 2000
    with (
        opened(tmp_path / "traces", {A: MEMORY}, telemetry) as queue,
        ThreadPoolExecutor(8) as pool,
    ):
        reader = queue.reader(A)

        def receive() -> list[bytes]:
            payloads = []
            while (entry := reader.take(60)) is not None:
                payloads.append(entry.payload)
                reader.finish(Ended(entry))
            return payloads

        receivers = [pool.submit(receive) for _ in range(4)]
        list(pool.map(lambda n: queue.consume(batch(b"%d" % n)), range(count)))
        assert reader.wait_until_empty(60)
        reader.close()
        got = [payload for receiver in receivers for payload in receiver.result(timeout=60)]

        assert sorted(got) == sorted(b"%d" % n for n in range(count))
        assert_books_balance(telemetry, A)


def reopened(
    store: MemoryStore, folder: Path, exporters: Mapping[str, QueueConfig], telemetry: Telemetry
) -> SignalQueue:
    queue = SignalQueue(folder, Signal.TRACES, exporters, telemetry, memory=store)
    queue.open()
    return queue


def test_what_waits_outlives_a_queue_that_is_opened_again_with_other_settings(
    tmp_path: Path,
) -> None:
    store, telemetry = MemoryStore(), Telemetry()
    queue = reopened(store, tmp_path / "traces", MIXED, telemetry)
    for payload in "12345":
        queue.consume(batch(payload, items=2))
    out = [queue.reader(B).take(0) for _ in range(3)]
    assert out[1] is not None
    queue.reader(B).finish(Ended(out[1]))
    drain(queue.reader(A))
    queue.close(lose_memory=False)
    assert out[0] is not None
    queue.reader(B).finish(Ended(out[0]))  # an attempt that outlasted the change is made again

    with_bound = {**MIXED, B: in_memory(1 << 20)}
    queue = reopened(store, tmp_path / "traces", with_bound, telemetry)
    assert_books_balance(telemetry, A)
    assert_books_balance(telemetry, B)
    assert telemetry.value("genops_exporter_recovered_items", exporter=B, signal="traces") == 0
    queue.consume(batch("6"))

    assert drain(queue.reader(B)) == [b"1", b"3", b"4", b"5", b"6"]
    queue.close()
    assert dropped(telemetry, B, "shutdown") == 0
    assert_books_balance(telemetry, B)


def test_what_an_exporter_had_in_memory_is_lost_and_counted_when_it_becomes_durable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, telemetry = MemoryStore(), Telemetry()
    queue = reopened(store, tmp_path / "traces", {A: MEMORY, B: MEMORY}, telemetry)
    queue.consume(batch("1", items=3))
    queue.close(lose_memory=False)

    queue = reopened(store, tmp_path / "traces", {A: QueueConfig()}, telemetry)
    queue.close()

    assert dropped(telemetry, A, "shutdown") == 3
    assert_books_balance(telemetry, A)
    assert "otlp_grpc/a (traces): 3 items lost" in caplog.text
