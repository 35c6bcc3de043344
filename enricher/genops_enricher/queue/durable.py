"""The durable queue of one signal: one log on disk, shared by the exporters of that signal.

Decides what is accepted, when it counts as safe, and when a file is no longer needed. What an
exporter still has to deliver is the reader's business; the bytes are those of `segment`, `frame`.
See docs/adr/0002-durable-queue.md for why it is a log of our own.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from genops_enricher.config.model import QueueConfig
from genops_enricher.errors import RetryableError, StartError
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.queue.frame import HEADER_BYTES, Frame
from genops_enricher.queue.group_commit import GroupCommit
from genops_enricher.queue.position import PositionFile, list_positions, read_state
from genops_enricher.queue.reader import Reader
from genops_enricher.queue.segment import (
    Position,
    Segment,
    SegmentWriter,
    list_segments,
    load,
    sync_directory,
)
from genops_enricher.queue.set_aside import SetAside
from genops_enricher.telemetry import Telemetry

__all__ = ["DurableQueue"]

_log = logging.getLogger(__name__)

# Large enough that starting a segment (two syncs) is rare, small enough that the space of delivered
# records comes back soon.
SEGMENT_BYTES = 64 << 20

_LOG_INTERVAL_S = 10.0

# Data and file size are what has to survive; macOS has no fdatasync.
_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


class DurableQueue:
    """Accepts batches for good: `consume` returns once the batch is synced to disk. Thread safe.

    One process at a time may use a folder; the service holds the lock for its data folder.
    """

    def __init__(
        self,
        directory: Path,
        signal: Signal,
        exporters: Mapping[str, QueueConfig],
        telemetry: Telemetry,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        sync: Callable[[int], None] = _sync,
    ) -> None:
        """Touches no disk yet.

        Args:
            directory: the folder of this queue alone; made by `open`.
            signal: what is in it.
            exporters: the queue settings of each exporter of the signal, by exporter id.
            telemetry: where the books are kept.
            segment_bytes: a segment of this size is ended.
            sync: makes what was written to a descriptor durable.
        """
        self._directory = directory
        self._signal = signal
        self._exporters = exporters
        self._telemetry = telemetry
        self._segment_bytes = segment_bytes
        self._sync = sync
        self._set_aside = SetAside(
            directory / "corrupt",
            lambda: telemetry.add("genops_queue_damaged_ranges_total", signal=signal.value),
        )
        self._lock = threading.Lock()
        self._reserved = 0  # bytes admitted and not yet committed
        self._readers: dict[str, Reader] = {}
        self._segments: list[Segment] = []  # oldest first; the last one is being written
        self._commits: GroupCommit[Batch] = GroupCommit(self._commit)
        self._disk = threading.Lock()  # held while writing, so that `close` waits for it
        self._writer: SegmentWriter | None = None  # None: start a new segment before the next write
        self._refusing = False  # whether the log says that the disk refuses
        self._refusal_logged_s = -_LOG_INTERVAL_S  # monotonic clock
        self._closed = False

    def open(self) -> None:
        """Make the folder or recover what an earlier process left in it.

        An exporter that is new here starts at the tail: it gets what arrives from now on. One that
        is no longer configured keeps its position file, but holds no records any more.

        Raises:
            StartError: the folder can't be used, or a later version wrote it.
        """
        try:
            self._open()
        except OSError as error:
            raise StartError(
                f"can't use the queue folder {self._directory}: {error.strerror or error}. "
                "Make it readable and writable for this user, or choose another service.data_dir."
            ) from error

    def consume(self, batch: Batch) -> None:
        """Put the batch into the queue of every exporter.

        Raises:
            RetryableError: the queue of an exporter is full, or the disk refuses. Nothing is kept.
        """
        self._admit(_size(batch))
        try:
            self._commits.submit(batch)
        except OSError as error:
            raise RetryableError(
                f"can't write {self._signal} to {self._directory}: {error.strerror}"
            ) from error

    def reader(self, exporter_id: str) -> Reader:
        """The queue as one exporter sees it."""
        return self._readers[exporter_id]

    def close(self) -> None:
        """Accept no more, wake blocked readers, write the positions. Safe to call twice."""
        with self._disk, self._lock:
            if self._closed:
                return
            self._closed = True
        for reader in self._readers.values():
            reader.close()
        with self._disk, self._lock:
            for reader in self._readers.values():
                reader.shut()
            if self._writer is not None:
                self._writer.close()

    def _open(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(self._directory.parent)
        known = list_positions(self._directory)
        states = {exporter: read_state(path) for exporter, path in known.items()}
        paths = list_segments(self._directory)
        for path in paths:
            segment = load(path, last=path == paths[-1], set_aside=self._set_aside)
            self._append_segment(segment)
        # Numbers are never used twice: a position may be all that is left of a segment.
        used = [segment.number for segment in self._segments]
        used += [state.next.segment for state in states.values() if state is not None]
        self._writer = SegmentWriter(self._directory, max(used, default=0) + 1, self._sync)
        self._append_segment(self._writer.segment)
        tail = Position(self._writer.segment.number, 0)
        for exporter, config in self._exporters.items():
            reader = Reader(
                exporter,
                self._signal,
                config,
                PositionFile(self._directory, exporter, tail=tail),
                self._telemetry,
                lock=self._lock,
                release=self._release,
                set_aside=self._set_aside,
            )
            reader.restore(self._segments)
            self._readers[exporter] = reader
        for exporter in known.keys() - self._exporters.keys():
            _log.warning(
                "%s: the exporter %s is no longer configured; what it had not delivered is removed "
                "as soon as no other exporter needs it",
                self._directory,
                exporter,
            )
        with self._lock:
            self._release()

    def _append_segment(self, segment: Segment) -> None:
        if self._segments:
            self._segments[-1].next = segment
        self._segments.append(segment)

    def _admit(self, size: int) -> None:
        with self._lock:
            if self._closed:
                raise RetryableError("shutting down")
            for reader in self._readers.values():
                if reader.refuses(self._reserved, size):
                    raise RetryableError(
                        f"the {self._signal} queue of {reader.exporter} is full: its destination "
                        "is down or too slow"
                    )
            self._reserved += size

    def _commit(self, batches: Sequence[Batch]) -> None:
        """Write a group: one write, one sync, then all of it is there."""
        size = sum(map(_size, batches))
        try:
            with self._disk:
                frames = self._write(batches)
        except BaseException as error:  # also for want of memory
            with self._lock:
                self._reserved -= size
            self._note(getattr(error, "strerror", None) or repr(error))
            raise
        self._note("")
        with self._lock:
            self._reserved -= size
            for frame in frames:
                self._segments[-1].add(frame)
            for reader in self._readers.values():
                reader.arrived(frames)

    def _write(self, batches: Sequence[Batch]) -> list[Frame]:
        if self._closed:
            raise OSError(errno.ESHUTDOWN, "shutting down")
        writer = self._writer
        if writer is None or writer.size >= self._segment_bytes:
            writer = self._start_segment()
        try:
            return writer.append([(batch.payload, batch.items) for batch in batches])
        except BaseException:
            self._writer = None
            writer.close()
            raise

    def _start_segment(self) -> SegmentWriter:
        writer = SegmentWriter(self._directory, self._segments[-1].number + 1, self._sync)
        if self._writer is not None:
            self._writer.close()
        self._writer = writer
        with self._lock:
            self._append_segment(writer.segment)
        return writer

    def _release(self) -> None:
        """Delete the segments that no exporter needs. The lock is held."""
        for segment in self._segments[:-1]:
            if any(reader.holds(segment.number) for reader in self._readers.values()):
                continue
            try:
                segment.path.unlink(missing_ok=True)
            except OSError as error:
                _log.warning("can't remove the delivered segment %s: %s", segment.path, error)
            self._segments.remove(segment)

    def _note(self, refusal: str) -> None:
        """Log when the disk begins and ceases to refuse: two lines in ten seconds at most."""
        now_s = time.monotonic()
        if refusal and not self._refusing and now_s - self._refusal_logged_s >= _LOG_INTERVAL_S:
            _log.error(
                "can't write %s to %s: %s. Senders are told to try again, nothing accepted is lost",
                self._signal,
                self._directory,
                refusal,
            )
            self._refusing, self._refusal_logged_s = True, now_s
        elif self._refusing and not refusal:
            _log.info("%s are written to %s again", self._signal, self._directory)
            self._refusing = False


def _size(batch: Batch) -> int:
    return HEADER_BYTES + len(batch.payload)
