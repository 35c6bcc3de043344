"""Upgrades: what an earlier version left in a queue folder is delivered by this one."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from genops_enricher.config.model import QueueConfig
from genops_enricher.queue import Ended
from genops_enricher.telemetry import Telemetry
from queues import TWO, assert_books_balance, batch, drain, opened, segments, stepping

FORMAT_1 = Path(__file__).with_name("format_1") / "traces"
A, B = "otlp_grpc/a", "otlp_http/b"


def old(number: int) -> bytes:
    """What format_1/README.md says was written."""
    return b"request %d|" % number + b"x" * (10 * number)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "data" / "traces"
    shutil.copytree(FORMAT_1, copy)
    return copy


def formats(folder: Path) -> list[int]:
    return [path.read_bytes()[7] for path in segments(folder)]


def test_a_folder_of_format_1_is_delivered_in_full_and_replaced(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    telemetry = Telemetry()
    assert formats(folder) == [1] * 6

    with opened(folder, TWO, telemetry) as queue:
        assert queue.reader(A).queued_items == 3 + 6 + sum(range(9, 21))
        queue.consume(batch("new"))
        assert formats(folder) == [1] * 6 + [2]

        assert drain(queue.reader(A)) == [*map(old, [3, 6, *range(9, 21)]), b"new"]
        assert drain(queue.reader(B)) == [*map(old, range(2, 21)), b"new"]
        assert formats(folder) == [2]
        assert_books_balance(telemetry, A)
        assert_books_balance(telemetry, B)
    assert caplog.messages == []
    assert not (folder / "corrupt").exists()


def test_an_upgrade_that_is_killed_half_way_goes_on(folder: Path) -> None:
    with opened(folder, TWO) as queue:
        queue.consume(batch("new"))
        reader = queue.reader(B)
        for _ in range(10):
            entry = reader.take(0)
            assert entry is not None
            reader.finish(Ended(entry))
        copy = folder.with_name("killed here")
        shutil.copytree(folder, copy)

    with opened(copy, TWO) as queue:
        assert drain(queue.reader(A)) == [*map(old, [3, 6, *range(9, 21)]), b"new"]
        assert drain(queue.reader(B)) == [*map(old, range(12, 21)), b"new"]


def test_damage_in_a_segment_of_format_1_costs_the_record_it_touches(folder: Path) -> None:
    path = segments(folder)[2]
    assert b"request 12|" in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"request 12|", b"request_12|"))

    with opened(folder, TWO) as queue:
        assert drain(queue.reader(B)) == [*map(old, [n for n in range(2, 21) if n != 12])]
    assert len(list((folder / "corrupt").iterdir())) == 1


def test_records_of_format_1_age_from_the_last_write_to_their_file(folder: Path) -> None:
    for number, path in enumerate(segments(folder)):
        os.utime(path, (1000 + number, 1000 + number))
    clock = stepping(wall_s=1000 + 3 + 60)
    telemetry = Telemetry()

    exporters = {B: QueueConfig(max_age_s=60.5)}
    with opened(folder, exporters, telemetry, clock=clock) as queue:
        left = drain(queue.reader(B))

    # Segments 4 to 6, which begin with request 15, are 60 s old and younger.
    assert left == [*map(old, range(15, 21))]
    dropped = telemetry.value(
        "genops_exporter_dropped_items_total", exporter=B, signal="traces", reason="expired"
    )
    assert dropped == sum(range(2, 15))


def test_a_drained_queue_leaves_no_records_behind_when_it_is_closed(folder: Path) -> None:
    """So that the version before this one can take the folder over: it reads the positions."""
    with opened(folder, TWO) as queue:
        queue.consume(batch("new"))
        drain(queue.reader(A))
        drain(queue.reader(B))

    assert segments(folder) == []
    assert all(path.read_bytes()[:6] == b"GPOS\x00\x01" for path in folder.glob("*.position"))

    with opened(folder, TWO) as queue:
        queue.consume(batch("later"))
        assert drain(queue.reader(A)) == [b"later"]
        assert drain(queue.reader(B)) == [b"later"]
