"""Waiting for small requests that are to go out together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from genops_enricher.queue import Reader, SignalQueue
from queues import batch, opened

A = "otlp_grpc/a"
LONG_S = 60.0  # to wait for what comes; what must not come by itself takes longer


class Gathering:
    """A thread that gathers 10 bytes, or 3 records."""

    def __init__(self, reader: Reader, timeout_s: float) -> None:
        self._ended = threading.Event()
        self._reader, self._timeout_s = reader, timeout_s
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._reader.gather(10, 3, self._timeout_s)
        self._ended.set()

    def goes_on(self) -> bool:
        return not self._ended.wait(0.2)

    def ends(self) -> bool:
        return self._ended.wait(LONG_S)


def test_it_ends_when_enough_has_arrived(tmp_path: Path) -> None:
    with opened(tmp_path) as queue:
        gathering = Gathering(queue.reader(A), 3600)
        assert gathering.goes_on()
        queue.consume(batch("123456"))
        assert gathering.goes_on()
        queue.consume(batch("7890"))
        assert gathering.ends()


def test_it_ends_when_as_many_have_arrived_as_go_out_together(tmp_path: Path) -> None:
    with opened(tmp_path) as queue:
        gathering = Gathering(queue.reader(A), 3600)
        queue.consume(batch("1"))
        queue.consume(batch("2"))
        assert gathering.goes_on()
        queue.consume(batch("3"))
        assert gathering.ends()


def test_it_ends_after_the_timeout(tmp_path: Path) -> None:
    with opened(tmp_path) as queue:
        assert Gathering(queue.reader(A), 0.01).ends()


def test_it_does_not_wait_while_a_record_is_there(tmp_path: Path) -> None:
    with opened(tmp_path) as queue:
        queue.consume(batch("1"))
        assert Gathering(queue.reader(A), 3600).ends()


@pytest.mark.parametrize(
    "hurry",
    [
        lambda queue: queue.close(),
        lambda queue: threading.Thread(
            target=queue.reader(A).wait_until_empty, args=[LONG_S], daemon=True
        ).start(),
    ],
    ids=["closed", "draining"],
)
def test_it_ends_when_there_is_no_time(
    tmp_path: Path, hurry: Callable[[SignalQueue], None]
) -> None:
    with opened(tmp_path) as queue:
        queue.consume(batch("out"))
        entry = queue.reader(A).take(0)
        assert entry is not None
        gathering = Gathering(queue.reader(A), 3600)
        assert gathering.goes_on()
        hurry(queue)
        assert gathering.ends()
