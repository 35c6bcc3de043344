"""What makes the enricher degraded, in words that say what to do, and until when."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from genops_enricher.config.model import OnFull, QueueConfig
from genops_enricher.errors import RetryableError
from genops_enricher.pipeline import Signal
from genops_enricher.queue import DeadLetters, Ended
from queues import (
    FRAME_HEADER_BYTES,
    ONE,
    TWO,
    batch,
    bounded,
    drain,
    opened,
    segments,
)

A, B = "otlp_grpc/a", "otlp_http/b"


def test_a_quiet_queue_has_none(tmp_path: Path) -> None:
    with opened(tmp_path / "traces", TWO) as queue:
        queue.consume(batch("1"))

        assert queue.troubles() == []


def test_a_full_queue_is_one_until_there_is_room(tmp_path: Path) -> None:
    size = FRAME_HEADER_BYTES + 10
    with opened(tmp_path / "traces", {A: bounded(2 * size), B: QueueConfig()}) as queue:
        for _ in range(2):
            queue.consume(batch(b"x" * 10))
        assert queue.troubles() == []  # nobody was refused
        with pytest.raises(RetryableError):
            queue.consume(batch(b"x" * 10))

        assert queue.troubles() == [
            f"otlp_grpc/a (traces): its queue is full ({2 * size} bytes): senders of traces are "
            "told to try again. Repair or speed up its destination, or raise "
            "sending_queue.queue_size"
        ]
        entry = queue.reader(A).take(0)
        assert entry is not None
        queue.reader(A).finish(Ended(entry))
        assert queue.troubles() == []


def test_a_queue_that_drops_is_one_until_a_request_finds_room(tmp_path: Path) -> None:
    config = bounded(2 * (FRAME_HEADER_BYTES + 1), OnFull.DROP_OLDEST)
    with opened(tmp_path / "traces", {A: config}) as queue:
        for payload in "12":
            queue.consume(batch(payload))
        assert queue.troubles() == []
        queue.consume(batch("3"))

        (trouble,) = queue.troubles()
        assert "the oldest traces for it are lost. Repair or speed up" in trouble
        entry = queue.reader(A).take(0)
        assert entry is not None
        queue.reader(A).finish(Ended(entry))
        assert queue.troubles() == [trouble]  # one that goes and one that comes
        queue.consume(batch("4"))
        assert queue.troubles() == []


def test_what_is_dropped_for_want_of_room_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = bounded(2 * (FRAME_HEADER_BYTES + 1), OnFull.DROP_OLDEST)
    with opened(tmp_path / "traces", {A: config}) as queue:
        for payload in "12345":
            queue.consume(batch(payload))

    lines = [line for line in caplog.messages if "items lost: the queue is full" in line]
    assert [line.split()[2] for line in lines] == ["1", "2"]  # the first at once, then the sum


def test_a_disk_that_refuses_is_one_until_it_takes_again(tmp_path: Path) -> None:
    fails = False

    def sync(descriptor: int) -> None:
        if fails:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with opened(tmp_path / "traces", sync=sync) as queue:
        fails = True
        for _ in range(3):
            with pytest.raises(RetryableError):
                queue.consume(batch("1"))
            (trouble,) = queue.troubles()
            assert trouble.startswith(f"traces: can't write to {tmp_path}/traces: Read-only file")
        fails = False
        queue.consume(batch("1"))

        assert queue.troubles() == []


def test_damage_is_one_until_a_person_has_taken_it_away(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    with opened(folder) as queue:
        for payload in ("first", "second"):
            queue.consume(batch(payload))
    (path,) = segments(folder)
    path.write_bytes(path.read_bytes().replace(b"first", b"fIrst"))

    for _ in range(2):  # a restart does not make it better
        with opened(folder, ONE) as queue:
            drain(queue.reader(A))
            (trouble,) = queue.troubles()
            assert trouble.startswith("traces: 1 damaged ranges of the queue")
            assert f"are in {folder}/corrupt. Check the disk, and move" in trouble
    with opened(folder, ONE) as queue:
        for file in (folder / "corrupt").iterdir():
            file.unlink()
        assert queue.troubles() == []


def test_damage_that_could_not_be_kept_is_one_too(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    with opened(folder, fresh_bytes=0) as queue:
        queue.consume(batch("first"))
        (path,) = segments(folder)
        path.write_bytes(path.read_bytes().replace(b"first", b"fIrst"))
        (folder / "corrupt").write_text("in the way")
        assert drain(queue.reader(A)) == []

        (trouble,) = queue.troubles()
        assert trouble.startswith("traces: 1 damaged ranges")


def test_dead_letters_at_their_bound_are_one_until_some_are_gone(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, Signal.TRACES, A, 1000)
    assert letters.trouble() == ""
    assert letters.keep(b"1" * 500, 1, "no")
    assert letters.trouble() == ""
    assert not letters.keep(b"2" * 500, 1, "no")

    assert letters.trouble().startswith("its dead letters are at their bound (1000 bytes)")
    for path in tmp_path.rglob("*.letter"):
        path.unlink()
    assert letters.trouble() == ""
    assert letters.keep(b"2" * 500, 1, "no")
    assert letters.trouble() == ""
