from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from genops_enricher.config.model import OnFull
from genops_enricher.errors import RetryableError, StartError
from genops_enricher.queue import Ended, SignalQueue
from genops_enricher.telemetry import Telemetry
from queues import (
    FILE_HEADER_BYTES,
    FRAME_HEADER_BYTES,
    ONE,
    TWO,
    assert_books_balance,
    batch,
    bounded,
    drain,
    opened,
    segments,
)

A, B = "otlp_grpc/a", "otlp_http/b"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "queue" / "traces"


def put(queue: SignalQueue, *payloads: str | bytes) -> None:
    for payload in payloads:
        queue.consume(batch(payload))


class TestOrderAndRestart:
    def test_records_come_out_oldest_first_for_every_exporter(self, folder: Path) -> None:
        with opened(folder, TWO) as queue:
            put(queue, "1", "2", "3")

            assert drain(queue.reader(A)) == [b"1", b"2", b"3"]
            assert drain(queue.reader(B)) == [b"1", b"2", b"3"]

    def test_what_was_not_delivered_is_there_after_a_restart(self, folder: Path) -> None:
        with opened(folder, TWO) as queue:
            put(queue, "1", "2", "3")
            drain(queue.reader(B))
            first = queue.reader(A).take(0)
            assert first is not None
            queue.reader(A).finish(Ended(first))

        telemetry = Telemetry()
        with opened(folder, TWO, telemetry) as queue:
            put(queue, "4")

            assert drain(queue.reader(A)) == [b"2", b"3", b"4"]
            assert drain(queue.reader(B)) == [b"4"]
        recovered = "genops_exporter_recovered_items"
        assert telemetry.value(recovered, exporter=A, signal="traces") == 2
        assert telemetry.value(recovered, exporter=B, signal="traces") == 0

    def test_only_what_was_under_way_is_repeated_after_a_restart(self, folder: Path) -> None:
        with opened(folder) as queue:
            put(queue, "1", "2", "3", "4")
            reader = queue.reader(A)
            entries = [reader.take(0) for _ in range(3)]
            for entry in entries:
                assert entry is not None
                if entry.payload != b"2":
                    reader.finish(Ended(entry))

        with opened(folder) as queue:
            assert queue.reader(A).queued_items == 2
            assert drain(queue.reader(A)) == [b"2", b"4"]

    def test_restarts_without_traffic_leave_no_files_behind(self, folder: Path) -> None:
        for _ in range(5):
            with opened(folder):
                pass

        assert segments(folder) == []

    def test_an_empty_payload_and_a_batch_without_items_pass(self, folder: Path) -> None:
        with opened(folder) as queue:
            queue.consume(batch(b"", items=0))
            assert not queue.reader(A).wait_until_empty(0)

            assert drain(queue.reader(A)) == [b""]
            assert queue.reader(A).wait_until_empty(0)

    def test_a_new_exporter_gets_what_arrives_from_now_on(self, folder: Path) -> None:
        with opened(folder, ONE) as queue:
            put(queue, "before")

        with opened(folder, TWO) as queue:
            put(queue, "after")

            assert drain(queue.reader(B)) == [b"after"]
            assert drain(queue.reader(A)) == [b"before", b"after"]

    def test_a_removed_exporter_holds_no_files_and_goes_on_where_it_can(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with opened(folder, TWO) as queue:
            put(queue, "0")
            drain(queue.reader(B))
            put(queue, "1")
            drain(queue.reader(A))
        with opened(folder, ONE) as queue:
            put(queue, "2")
            assert len(segments(folder)) == 1
        assert "otlp_http/b is no longer configured" in caplog.text
        assert "; 1 items that it had not delivered are removed" in caplog.text

        with opened(folder, TWO) as queue:
            assert drain(queue.reader(B)) == [b"2"]


class TestWaiting:
    def test_a_waiting_reader_is_woken_by_a_record(self, folder: Path) -> None:
        with opened(folder) as queue, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(queue.reader(A).take, 60)
            put(queue, "1")

            entry = waiting.result(timeout=60)
            assert entry is not None
            assert entry.payload == b"1"

    def test_waiting_readers_are_woken_by_the_end(self, folder: Path) -> None:
        with ThreadPoolExecutor(4) as pool:
            with opened(folder) as queue:
                waiting = [pool.submit(queue.reader(A).take, 60) for _ in range(4)]
            assert [future.result(timeout=60) for future in waiting] == [None] * 4

    def test_wait_until_empty_ends_with_the_last_record(self, folder: Path) -> None:
        with opened(folder) as queue, ThreadPoolExecutor(1) as pool:
            put(queue, "1")
            waiting = pool.submit(queue.reader(A).wait_until_empty, 60)
            assert not waiting.done()

            drain(queue.reader(A))
            assert waiting.result(timeout=60)

    def test_after_close_nothing_is_accepted(self, folder: Path) -> None:
        with opened(folder) as queue:
            pass
        with pytest.raises(RetryableError, match="shutting down"):
            put(queue, "late")
        queue.close()  # twice is fine

    def test_records_that_are_out_may_be_finished_after_close_of_the_reader(
        self, folder: Path
    ) -> None:
        with opened(folder) as queue:
            put(queue, "1", "2")
            reader = queue.reader(A)
            entry = reader.take(0)
            assert entry is not None
            reader.close()
            assert reader.take(0) is None
            reader.finish(Ended(entry))

        with opened(folder) as queue:
            assert drain(queue.reader(A)) == [b"2"]


class TestBounds:
    def test_a_full_queue_refuses_for_all_and_takes_again_when_there_is_room(
        self, folder: Path
    ) -> None:
        telemetry = Telemetry()
        exporters = {A: bounded(3 * (FRAME_HEADER_BYTES + 10)), B: bounded(1 << 30)}
        with opened(folder, exporters, telemetry) as queue:
            put(queue, *[b"x" * 10] * 3)
            with pytest.raises(RetryableError, match=r"traces queue of otlp_grpc/a is full"):
                put(queue, "x")
            assert queue.reader(B).queued_items == 3

            entry = queue.reader(A).take(0)
            assert entry is not None
            queue.reader(A).finish(Ended(entry))
            put(queue, b"x" * 10)

            assert queue.reader(A).queued_items == 3
            assert queue.reader(B).queued_items == 4
            assert_books_balance(telemetry, A)
            assert_books_balance(telemetry, B)

    def test_an_empty_queue_takes_a_record_larger_than_the_bound(self, folder: Path) -> None:
        with opened(folder, {A: bounded(10)}) as queue:
            put(queue, b"x" * 100)
            with pytest.raises(RetryableError):
                put(queue, b"x")

            assert drain(queue.reader(A)) == [b"x" * 100]

    def test_concurrent_senders_do_not_pass_the_bound_together(self, folder: Path) -> None:
        size = FRAME_HEADER_BYTES + 100
        with opened(folder, {A: bounded(10 * size)}) as queue:

            def send(_: int) -> bool:
                try:
                    put(queue, b"x" * 100)
                except RetryableError:
                    return False
                return True

            with ThreadPoolExecutor(16) as pool:
                accepted = list(pool.map(send, range(64)))

            assert sum(accepted) == 10
            assert queue.reader(A).queued_bytes == 10 * size

    def test_drop_oldest_keeps_the_newest_and_counts_the_rest(self, folder: Path) -> None:
        telemetry = Telemetry()
        size = FRAME_HEADER_BYTES + 1
        exporters = {A: bounded(3 * size, OnFull.DROP_OLDEST), B: bounded(1 << 30)}
        with opened(folder, exporters, telemetry, segment_bytes=100) as queue:
            put(queue, *"123456789")

            assert drain(queue.reader(A)) == [b"7", b"8", b"9"]
            assert len(drain(queue.reader(B))) == 9
            dropped = telemetry.value(
                "genops_exporter_dropped_items_total",
                exporter=A,
                signal="traces",
                reason="queue_full",
            )
            assert dropped == 6
            assert_books_balance(telemetry, A)

    def test_drop_oldest_leaves_what_is_being_sent_and_what_came_last(self, folder: Path) -> None:
        with opened(folder, {A: bounded(30, OnFull.DROP_OLDEST)}) as queue:
            put(queue, "1")
            sending = queue.reader(A).take(0)
            put(queue, "2", "3", "4")

            assert drain(queue.reader(A)) == [b"4"]
            assert sending is not None
            queue.reader(A).finish(Ended(sending))
            assert queue.reader(A).wait_until_empty(0)

    def test_dropped_records_stay_dropped_after_a_restart(self, folder: Path) -> None:
        exporters = {A: bounded(2 * (FRAME_HEADER_BYTES + 1), OnFull.DROP_OLDEST)}
        with opened(folder, exporters) as queue:
            put(queue, *"12345")

        with opened(folder, exporters) as queue:
            assert drain(queue.reader(A)) == [b"4", b"5"]


class TestFiles:
    def test_files_are_for_their_owner_only(self, folder: Path) -> None:
        with opened(folder) as queue:
            put(queue, "secret prompt")
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]
            }

        assert modes.pop("traces") == 0o700
        assert set(modes.values()) == {0o600}

    def test_a_segment_goes_when_the_last_exporter_has_passed_it(self, folder: Path) -> None:
        with opened(folder, TWO, segment_bytes=200) as queue:
            put(queue, *[b"x" * 100] * 10)
            assert len(segments(folder)) == 5
            drain(queue.reader(A))
            assert len(segments(folder)) == 5
            drain(queue.reader(B))
            assert len(segments(folder)) == 1

    def test_one_record_that_is_retried_for_long_pins_one_segment_only(self, folder: Path) -> None:
        with opened(folder, segment_bytes=200) as queue:
            put(queue, "poison", *[b"x" * 100] * 20)
            stuck = queue.reader(A).take(0)
            drain(queue.reader(A))

            assert len(segments(folder)) == 2
            assert stuck is not None
            queue.reader(A).finish(Ended(stuck))
            assert len(segments(folder)) == 1

    def test_no_descriptors_are_kept_of_segments_left_behind(self, folder: Path) -> None:
        def descriptors() -> int:
            return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

        with opened(folder, TWO, segment_bytes=100) as queue:
            before = descriptors()
            put(queue, *[b"x" * 100] * 50)
            drain(queue.reader(A))

            assert descriptors() <= before + 1
            drain(queue.reader(B))
        assert descriptors() < before

    def test_no_descriptors_are_kept_after_the_end(self, folder: Path) -> None:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        with opened(folder, TWO, segment_bytes=100) as queue:
            put(queue, *[b"x" * 100] * 5)
            out = [queue.reader(A).take(0) for _ in range(4)]  # attempts that outlast the stop
        for entry in out:
            assert entry is not None
            queue.reader(A).finish(Ended(entry))

        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208

    def test_nor_after_a_start_that_failed(self, folder: Path) -> None:
        with opened(folder, TWO):
            pass
        (path,) = folder.glob("otlp_http*.position")
        path.write_bytes(path.read_bytes().replace(b"GPOS\x00\x01", b"GPOS\x00\x09"))
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

        with pytest.raises(StartError, match="position format 9"), opened(folder, TWO):
            pass
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
        assert segments(folder) == []

    def test_an_unusable_folder_is_a_start_error_that_names_it(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")

        with (
            pytest.raises(StartError, match=r"file/traces: Not a directory.*service\.data_dir"),
            opened(tmp_path / "file" / "traces"),
        ):
            pass

    def test_a_segment_of_a_later_format_is_a_start_error_and_stays(self, folder: Path) -> None:
        with opened(folder) as queue:
            put(queue, "1")
        (path,) = segments(folder)
        path.write_bytes(b"GENOPSQ\x03" + path.read_bytes()[FILE_HEADER_BYTES:])

        with pytest.raises(StartError, match="queue format 3"), opened(folder):
            pass
        assert path.exists()


class TestDamage:
    def test_a_torn_tail_of_any_length_costs_only_the_torn_record(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with opened(folder) as queue:
            put(queue, "first", "second", "the last one")
        (path,) = segments(folder)
        whole = path.read_bytes()
        start = len(whole) - FRAME_HEADER_BYTES - len("the last one")

        for size in range(start, len(whole)):
            copy = folder.with_name(f"cut at {size}")
            shutil.copytree(folder, copy)
            (copy / path.name).write_bytes(whole[:size])
            for restart in ("1", "2"):
                with opened(copy) as queue:
                    put(queue, restart)
            with opened(copy) as queue:
                assert drain(queue.reader(A)) == [b"first", b"second", b"1", b"2"], size
            assert not (copy / "corrupt").exists()

        assert "damaged" not in caplog.text

    def test_a_damaged_payload_is_set_aside_counted_and_passed(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        telemetry = Telemetry()
        with opened(folder, ONE, telemetry, segment_bytes=50, fresh_bytes=0) as queue:
            for payload in ("first", "second", "third"):
                queue.consume(batch(payload, items=7))
            path = segments(folder)[0]
            path.write_bytes(path.read_bytes().replace(b"second", b"sEcond"))

            assert drain(queue.reader(A)) == [b"first", b"third"]
            dropped = telemetry.value(
                "genops_exporter_dropped_items_total", exporter=A, signal="traces", reason="corrupt"
            )
            assert dropped == 7
            assert telemetry.value("genops_queue_damaged_ranges_total", signal="traces") == 1
            assert_books_balance(telemetry, A)
        (kept,) = (folder / "corrupt").iterdir()
        assert b"sEcond" in kept.read_bytes()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert "is damaged" in caplog.text

    def test_what_can_not_be_read_now_is_no_damage_and_stays(self, folder: Path) -> None:
        telemetry = Telemetry()
        with opened(folder, ONE, telemetry, fresh_bytes=0) as queue:
            put(queue, "1")
            (path,) = segments(folder)
            moved = path.rename(folder / "moved")
            path.mkdir()
            for _ in range(2):
                with pytest.raises(IsADirectoryError):
                    queue.reader(A).take(0)
            assert telemetry.value("genops_queue_damaged_ranges_total", signal="traces") == 0
            assert_books_balance(telemetry, A)
            path.rmdir()
            moved.rename(path)

        with opened(folder) as queue:
            assert drain(queue.reader(A)) == [b"1"]

    @pytest.mark.parametrize("last", [True, False], ids=["last segment", "sealed segment"])
    def test_damage_found_at_start_is_passed_and_set_aside_once(
        self, folder: Path, caplog: pytest.LogCaptureFixture, last: bool
    ) -> None:
        with opened(folder, segment_bytes=80) as queue:
            put(queue, "first", "second", "third")
            if not last:
                put(queue, "fourth")
        path = segments(folder)[0]
        data = bytearray(path.read_bytes())
        data[data.index(b"second") - FRAME_HEADER_BYTES + 4] ^= 1  # the length of the record
        path.write_bytes(data)

        telemetry = Telemetry()
        for _ in range(2):
            with opened(folder, ONE, telemetry) as queue:
                assert queue.reader(A).queued_items == (2 if last else 3)
        with opened(folder) as queue:
            rest = [] if last else [b"fourth"]
            assert drain(queue.reader(A)) == [b"first", b"third", *rest]
        assert len(list((folder / "corrupt").iterdir())) == 1
        assert caplog.text.count("is damaged") == 1
        assert telemetry.value("genops_queue_damaged_ranges_total", signal="traces") == 1

    def test_a_segment_of_garbage_is_no_crash(self, folder: Path) -> None:
        with opened(folder, segment_bytes=50) as queue:
            put(queue, "first", "second", "third", "fourth")
        segments(folder)[0].write_bytes(os.urandom(5000))

        with opened(folder) as queue:
            assert drain(queue.reader(A)) == [b"third", b"fourth"]

    @pytest.mark.parametrize("size", range(FILE_HEADER_BYTES + 1))
    def test_a_segment_that_was_just_begun_is_no_crash(self, folder: Path, size: int) -> None:
        with opened(folder) as queue:
            put(queue, "1")
        begun = folder / f"{2:016d}.segment"
        begun.write_bytes(b"GENOPSQ\x01"[:size])

        with opened(folder) as queue:
            put(queue, "2")
            assert drain(queue.reader(A)) == [b"1", b"2"]


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """The kernel writes up to this size, and then refuses: a full disk, for this process alone."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class TestDiskThatRefuses:
    def test_a_write_that_stops_half_way_is_refused_and_cut_back(self, folder: Path) -> None:
        telemetry = Telemetry()
        with opened(folder, ONE, telemetry) as queue:
            put(queue, "before")
            with (
                files_limited_to(1 << 16),
                pytest.raises(RetryableError, match=r"can't write traces to .*: No space left"),
            ):
                put(queue, b"x" * (1 << 17))
            (path, *_) = segments(folder)
            assert path.stat().st_size == FILE_HEADER_BYTES + FRAME_HEADER_BYTES + len("before")

            put(queue, "after")

            assert drain(queue.reader(A)) == [b"before", b"after"]
            assert_books_balance(telemetry, A)

    def test_after_a_failed_sync_the_file_is_not_trusted_again(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        failing = threading.Event()

        def sync(descriptor: int) -> None:
            if failing.is_set():
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            os.fsync(descriptor)

        with opened(folder, sync=sync) as queue:
            put(queue, "before")
            failing.set()
            for _ in range(3):
                with pytest.raises(RetryableError, match="Input/output error"):
                    put(queue, "lost")
            failing.clear()
            put(queue, "after")
            assert len(segments(folder)) == 2
        assert caplog.text.count("can't write traces") == 1

        with opened(folder) as queue:
            assert drain(queue.reader(A)) == [b"before", b"after"]

    def test_retries_on_a_disk_that_refuses_for_long_leave_nothing_behind(
        self, folder: Path
    ) -> None:
        fails = False

        def sync(descriptor: int) -> None:
            if fails:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)

        with opened(folder, sync=sync) as queue:
            put(queue, "before")  # nobody delivers it meanwhile
            fails = True
            for _ in range(100):
                with pytest.raises(RetryableError):
                    put(queue, "refused")
            assert queue._log is not None
            assert len(queue._log._segments) == 1
            assert len(segments(folder)) == 1
            fails = False
            put(queue, "after")

            assert drain(queue.reader(A)) == [b"before", b"after"]
        with opened(folder) as queue:
            assert drain(queue.reader(A)) == []

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
    def test_an_opening_that_fails_leaves_nothing_open_and_no_file_behind(
        self, folder: Path
    ) -> None:
        with opened(folder, ONE) as queue:
            put(queue, "before")
        descriptors = Path("/proc/self/fd")
        before, open_before = sorted(folder.iterdir()), len([*descriptors.iterdir()])
        for _ in range(3):  # as a reload that can't go back tries again and again
            with (
                files_limited_to(4096),  # enough for a segment, and not for the position of B
                pytest.raises(StartError, match="can't use the queue folder"),
                opened(folder, TWO),
            ):
                pass

        assert sorted(folder.iterdir()) == before
        assert len([*descriptors.iterdir()]) == open_before

    def test_a_segment_that_can_not_be_removed_is_no_reason_not_to_close(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As on a disk that has become read-only."""
        with opened(folder):
            (unused,) = segments(folder)
            unused.unlink()
            unused.mkdir()  # which can't be removed as a file

        assert f"can't remove the segment {unused}" in caplog.text

    def test_a_segment_that_can_not_be_begun_is_begun_later(self, folder: Path) -> None:
        with opened(folder, segment_bytes=50) as queue:
            put(queue, b"1" * 50)
            with files_limited_to(4), pytest.raises(RetryableError, match="No space left"):
                put(queue, b"refused")
            (folder / f"{2:016d}.segment").write_bytes(b"what could not be removed")
            put(queue, b"2")

            assert drain(queue.reader(A)) == [b"1" * 50, b"2"]

    def test_a_refused_write_does_not_count_against_the_bound(self, folder: Path) -> None:
        failing = True

        def sync(descriptor: int) -> None:
            if failing:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

        with opened(folder, {A: bounded(100)}, sync=sync) as queue:
            for _ in range(10):
                with pytest.raises(RetryableError, match="can't write"):
                    put(queue, b"x" * 60)
            failing = False
            put(queue, b"x" * 60)

    def test_a_write_that_ends_for_want_of_memory_is_as_if_it_had_not_begun(
        self, folder: Path
    ) -> None:
        failing = False

        def sync(descriptor: int) -> None:
            if failing:
                raise MemoryError

        with opened(folder, {A: bounded(200)}, sync=sync) as queue:
            put(queue, "before")
            failing = True
            for _ in range(10):
                with pytest.raises(MemoryError):
                    put(queue, b"x" * 60)
            failing = False
            put(queue, b"y" * 60)

            assert drain(queue.reader(A)) == [b"before", b"y" * 60]


class TestConcurrency:
    def test_concurrent_senders_share_syncs_and_nothing_is_mixed_up(self, folder: Path) -> None:
        syncs: list[int] = []
        first, others = threading.Event(), threading.Event()

        def sync(descriptor: int) -> None:
            syncs.append(descriptor)
            if len(syncs) == 1:
                first.set()
                assert others.wait(60)
            os.fsync(descriptor)

        with opened(folder, TWO, sync=sync) as queue, ThreadPoolExecutor(16) as pool:
            sent = [pool.submit(put, queue, b"%d" % n * 1000) for n in range(16)]
            assert first.wait(60)
            # All others have arrived once their bytes are reserved.
            while queue._reserved < sum(
                FRAME_HEADER_BYTES + len(b"%d" % n * 1000) for n in range(16)
            ):
                threading.Event().wait(0.001)
            others.set()
            for future in sent:
                future.result(timeout=60)

            assert len(syncs) < 16
            for exporter in TWO:
                assert sorted(drain(queue.reader(exporter))) == sorted(
                    b"%d" % n * 1000 for n in range(16)
                )

    def test_senders_readers_and_rotation_at_once_lose_and_repeat_nothing(
        self, folder: Path
    ) -> None:
        telemetry = Telemetry()
        count = 400
        with (
            opened(folder, TWO, telemetry, segment_bytes=2_000, sync=lambda _: None) as queue,
            ThreadPoolExecutor(12) as pool,
        ):

            def receive(exporter: str) -> list[bytes]:
                reader, payloads = queue.reader(exporter), []
                while (entry := reader.take(60)) is not None:
                    payloads.append(entry.payload)
                    reader.finish(Ended(entry))
                return payloads

            receivers = [pool.submit(receive, e) for e in TWO for _ in range(3)]
            list(pool.map(lambda n: put(queue, b"%d" % n * 40), range(count)))
            for exporter in TWO:
                assert queue.reader(exporter).wait_until_empty(60)
                queue.reader(exporter).close()
            got = [payload for receiver in receivers for payload in receiver.result(timeout=60)]

            assert sorted(got) == sorted([b"%d" % n * 40 for n in range(count)] * 2)
            assert len(segments(folder)) <= 2
            for exporter in TWO:
                assert_books_balance(telemetry, exporter)


class TestFreshRecords:
    def test_what_is_wanted_at_once_is_not_read_back(self, folder: Path) -> None:
        with opened(folder, TWO, fresh_bytes=10) as queue:
            put(queue, "12345", "67890")
            (path,) = segments(folder)
            path.write_bytes(b"")
            assert drain(queue.reader(A)) == drain(queue.reader(B)) == [b"12345", b"67890"]

    def test_only_so_much_is_kept_in_memory(self, folder: Path) -> None:
        with opened(folder, fresh_bytes=10) as queue:
            for turn in ("a", "b"):
                put(queue, turn + "2345", turn + "78901", turn + "2345")
                (path,) = segments(folder)
                whole = path.read_bytes()
                path.write_bytes(whole.replace(turn.encode() + b"78901", b"******"))
                assert drain(queue.reader(A)) == [turn.encode() + b"2345"] * 2

    def test_what_is_dropped_makes_room(self, folder: Path) -> None:
        config = {A: bounded(2 * (FRAME_HEADER_BYTES + 5), OnFull.DROP_OLDEST)}
        with opened(folder, config, fresh_bytes=15) as queue:
            put(queue, "12345", "67890", "abcde", "fghij")
            (path,) = segments(folder)
            path.write_bytes(b"")
            assert drain(queue.reader(A)) == [b"abcde", b"fghij"]
