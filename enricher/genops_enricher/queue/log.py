"""The log of one signal on disk, shared by the exporters whose queue is durable.

Decides when a record counts as safe and when a file is no longer needed. The bytes are those of
`segment` and `frame`; where each exporter is, is known to its cursor.
See docs/adr/0002-durable-queue.md for why it is a log of our own.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from genops_enricher.errors import StartError
from genops_enricher.host.folders import make_folder, sync_folder
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.queue.clock import Clock
from genops_enricher.queue.frame import Frame
from genops_enricher.queue.log_cursor import LogCursor
from genops_enricher.queue.position import PositionFile, State, list_positions, read_state
from genops_enricher.queue.segment import (
    Position,
    Segment,
    SegmentWriter,
    list_segments,
    load,
    path_of,
    remove,
)
from genops_enricher.queue.set_aside import SetAside

__all__ = ["FRESH_BYTES", "SEGMENT_BYTES", "Log", "sync_data"]

_log = logging.getLogger(__name__)

# Large enough that starting a segment (two syncs) is rare, small enough that the space of delivered
# records comes back soon.
SEGMENT_BYTES = 64 << 20

# For each exporter; what it has under way is in memory too, and mostly more.
FRESH_BYTES = 4 << 20

_LOG_INTERVAL_S = 10.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

# Data and file size are what has to survive; macOS has no fdatasync.
sync_data: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


class Log:
    """Segments of records. Written by one thread at a time; the lock is that of the queue.

    One process at a time may use a folder; the service holds the lock for its data folder.
    """

    def __init__(
        self,
        directory: Path,
        signal: Signal,
        *,
        lock: threading.Lock,
        clock: Clock,
        segment_bytes: int,
        fresh_bytes: int,
        sync: Callable[[int], None],
        count_damage: Callable[[], None],
    ) -> None:
        """Touches no disk yet."""
        self._directory = directory
        self._signal = signal
        self._lock = lock
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._fresh_bytes = fresh_bytes
        self._sync = sync
        self._set_aside = SetAside(directory / "corrupt", count_damage)
        self._segments: list[Segment] = []  # oldest first; records are added to the last one
        self._number = 0  # of the segment begun last; none is used twice
        self._cursors: list[LogCursor] = []
        self._disk = threading.Lock()  # held while writing, so that `close` waits for it
        self._writer: SegmentWriter | None = None  # None: start a new segment before the next write
        self._refusal = ""  # why the disk took nothing the last time
        self._refusal_told = False  # whether the log says that the disk refuses
        self._refusal_logged_s = -_LOG_INTERVAL_S  # monotonic clock
        self._closed = False

    def open(self, exporters: Iterable[str]) -> dict[str, LogCursor]:
        """Make the folder or recover what an earlier process left in it; a cursor an exporter.

        An exporter that is new here starts at the tail: it gets what arrives from now on. One that
        is no longer configured keeps its position file, but holds no records any more.

        Raises:
            StartError: the folder can't be used, or a later version wrote it.
        """
        try:
            return self._open(exporters)
        except OSError as error:
            raise StartError(
                f"can't use the queue folder {self._directory}: {error.strerror or error}. "
                "Make it readable and writable for this user, or choose another service.data_dir."
            ) from error

    def write(self, batches: Sequence[Batch]) -> list[Frame]:
        """Write a group and sync it: then all of it is there. Nobody sees it before `add`.

        Raises:
            OSError: nothing is kept.
        """
        try:
            with self._disk:
                frames = self._write(batches)
        except BaseException as error:  # also for want of memory
            if not self._closed:
                self._note(getattr(error, "strerror", None) or repr(error))
            raise
        self._note("")
        return frames

    def add(self, frames: Iterable[Frame]) -> None:
        """Let the cursors see what was written. The lock is held."""
        for frame in frames:
            self._segments[-1].add(frame)

    def troubles(self) -> list[str]:
        """What a person should act on."""
        found = []
        if refusal := self._refusal:
            found.append(
                f"{self._signal}: can't write to {self._directory}: {refusal}. Senders are told to "
                "try again; make room or make the disk writable. This line goes with the next "
                "request that is written"
            )
        if damage := self._set_aside.trouble():
            found.append(f"{self._signal}: {damage}")
        return found

    def stop(self) -> None:
        """Write no more; what is being written ends first."""
        with self._disk:
            self._closed = True

    def close(self) -> None:
        """Close the files, once stopped and the cursors shut. What nobody needs is removed."""
        with self._disk, self._lock:
            # A group that is written and not yet seen is needed, whatever the cursors say.
            seen = self._writer is None or self._writer.size == self._segments[-1].end
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if seen and all(cursor.is_done() for cursor in self._cursors):
                remove(self._segments[-1].path)

    def _open(self, exporters: Iterable[str]) -> dict[str, LogCursor]:
        make_folder(self._directory)
        sync_folder(self._directory.parent)  # who made it may have ended before that
        known = list_positions(self._directory)
        states = {exporter: read_state(path) for exporter, path in known.items()}
        paths = list_segments(self._directory)
        for path in paths:
            self._append_segment(
                load(
                    path,
                    last=path == paths[-1],
                    set_aside=self._set_aside,
                    now_ms=self._clock.now_ms(),
                )
            )
        # Numbers are never used twice: a position may be all that is left of a segment.
        used = [segment.number for segment in self._segments]
        used += [state.next.segment for state in states.values() if state is not None]
        self._number = max(used, default=0)
        with ExitStack() as undo:
            self._append_segment(self._begin_last())
            if self._writer is not None:
                undo.callback(self._writer.close)
            tail = Position(self._segments[-1].number, 0)
            cursors = {}
            for exporter in exporters:
                positions = PositionFile(self._directory, exporter, tail=tail)
                undo.callback(positions.close)
                cursors[exporter] = LogCursor(
                    exporter,
                    positions,
                    self._segments,
                    lock=self._lock,
                    release=self._release,
                    set_aside=self._set_aside,
                    fresh_bytes=self._fresh_bytes,
                )
            undo.pop_all()
        self._cursors = [*cursors.values()]
        for exporter in known.keys() - cursors.keys():
            _log.warning(
                "%s: the exporter %s is no longer configured with a durable queue; %d items that "
                "it had not delivered are removed as soon as no other exporter needs them",
                self._directory,
                exporter,
                self._items_behind(states[exporter] or State(Position(0, 0))),
            )
        with self._lock:
            self._release()
        return cursors

    def _items_behind(self, state: State) -> int:
        """How many items an exporter in that state still has to deliver."""
        return sum(
            frame.items
            for segment in self._segments
            for frame in map(segment.frame, range(len(segment)))
            if (place := Position(segment.number, frame.offset)) >= state.next
            or place in state.unfinished
        )

    def _begin_last(self) -> Segment:
        """The segment for what comes. On a full disk it has no file, and takes nothing.

        What waits can go out all the same, and nothing else makes room.
        """
        try:
            self._writer = self._begin_segment()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            _log.warning(
                "can't write %s to %s: %s. What waits there is delivered; senders are told to try "
                "again until there is room",
                self._signal,
                self._directory,
                error.strerror,
            )
            return Segment(path_of(self._directory, self._number), self._number)
        return self._writer.segment

    def _append_segment(self, segment: Segment) -> None:
        if self._segments:
            self._segments[-1].next = segment
        self._segments.append(segment)

    def _write(self, batches: Sequence[Batch]) -> list[Frame]:
        if self._closed:
            raise OSError(errno.ESHUTDOWN, "shutting down")
        writer = self._writer
        if writer is None or writer.size >= self._segment_bytes:
            writer = self._begin_segment()
            if self._writer is not None:
                self._writer.close()
            self._writer = writer
        try:
            frames = writer.append([(batch.payload, batch.items) for batch in batches], self._clock)
        except BaseException:
            self._writer = None
            writer.close()
            raise
        # Not before: a disk that refuses for hours would leave a segment for every request.
        if writer.segment is not self._segments[-1]:
            with self._lock:
                self._append_segment(writer.segment)
        return frames

    def _begin_segment(self) -> SegmentWriter:
        self._number += 1
        return SegmentWriter(self._directory, self._number, self._sync)

    def _release(self) -> None:
        """Delete the segments that no exporter needs. The lock is held."""
        for segment in self._segments[:-1]:
            if not any(cursor.holds(segment.number) for cursor in self._cursors):
                remove(segment.path)
                self._segments.remove(segment)

    def _note(self, refusal: str) -> None:
        """Log when the disk begins and ceases to refuse: two lines in ten seconds at most."""
        now_s = time.monotonic()
        self._refusal = refusal
        due = now_s - self._refusal_logged_s >= _LOG_INTERVAL_S
        if refusal and not self._refusal_told and due:
            _log.error(
                "can't write %s to %s: %s. Senders are told to try again, nothing accepted is lost",
                self._signal,
                self._directory,
                refusal,
            )
            self._refusal_told, self._refusal_logged_s = True, now_s
        elif self._refusal_told and not refusal:
            _log.info("%s are written to %s again", self._signal, self._directory)
            self._refusal_told = False
