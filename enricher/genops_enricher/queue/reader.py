"""What one exporter sees of a queue: the records it still has to deliver, oldest first.

Keeps the exporter's position and its books. Which records there are is told by the queue; what
becomes of a record is told by the exporter. All readers of a queue and the queue itself share one
lock, which is never held while a payload is read.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from genops_enricher.config.model import OnFull, QueueConfig
from genops_enricher.pipeline import Signal
from genops_enricher.queue.frame import HEADER_BYTES, Frame
from genops_enricher.queue.position import PositionFile, State
from genops_enricher.queue.segment import Position, Segment, read_payload
from genops_enricher.queue.set_aside import SetAside
from genops_enricher.telemetry import Telemetry

__all__ = ["Entry", "Reader"]

_log = logging.getLogger(__name__)

_DONE = (
    "genops_exporter_delivered_items_total",
    "genops_exporter_dropped_items_total",
    "genops_exporter_dead_lettered_items_total",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that was taken and has to be finished."""

    payload: bytes
    items: int
    position: Position


class Reader:
    """The queue of one exporter. Thread safe. Made by `DurableQueue`."""

    def __init__(
        self,
        exporter: str,
        signal: Signal,
        config: QueueConfig,
        positions: PositionFile,
        telemetry: Telemetry,
        *,
        lock: threading.Lock,
        release: Callable[[], None],
        set_aside: SetAside,
    ) -> None:
        """`release` is called, with the lock held, when segments may have become free."""
        self.exporter = exporter
        self.queued_items = 0
        self.queued_bytes = 0  # as on disk, headers included
        self._config = config
        self._positions = positions
        self._telemetry = telemetry
        self._labels = {"exporter": exporter, "signal": signal.value}
        self._lock = lock
        self._arrival = threading.Condition(lock)
        self._emptied = threading.Condition(lock)
        self._release = release
        self._set_aside = set_aside
        self._segment: Segment  # the next record is `_segment.frame(_index)`
        self._index = 0
        # Taken and to be taken again: not finished before the restart, or could not be read.
        self._again: deque[tuple[Segment, Frame]] = deque()
        self._out: dict[Position, Frame] = {}
        self._files: dict[int, int] = {}  # segment number -> descriptor, of segments we hold
        self._closed = False
        self._shut = False
        self._position_fails = False

    def take(self, timeout_s: float, *, bytes_max: int | None = None) -> Entry | None:
        """The oldest record that nobody has taken yet.

        Several records may be out at once. None after `timeout_s` seconds without one, if it is
        larger than `bytes_max`, and from `close` on.

        Raises:
            OSError: the file can't be opened or read now (too many open files). The record stays,
                as it does for want of memory.
        """
        while True:
            with self._lock:
                self._arrival.wait_for(lambda: self._closed or self._pending(), timeout_s)
                if self._closed or not self._pending():
                    return None
                if bytes_max is not None and self._first().length > bytes_max:
                    return None
                segment, frame = self._pop()
                position = Position(segment.number, frame.offset)
                self._out[position] = frame
            try:
                with self._lock:
                    file = self._file(segment)
                # The descriptor stays open: a segment with a record that is out is held.
                payload = read_payload(file, segment, frame, set_aside=self._set_aside)
            except BaseException:
                with self._lock:
                    del self._out[position]
                    self._again.appendleft((segment, frame))
                raise
            if payload is not None:
                return Entry(payload, frame.items, position)
            self._finish(position, {"corrupt": frame.items}, 0)

    def delivered(self, entry: Entry) -> None:
        """The destination has it for good."""
        self._finish(entry.position, {}, 0)

    def finish(self, entry: Entry, *, dropped: Mapping[str, int], dead_lettered: int = 0) -> None:
        """The record is done with.

        Args:
            entry: the record.
            dropped: how many of its items are lost, by the label that they are counted under.
            dead_lettered: how many are kept as dead letters. The destination has the others.
        """
        self._finish(entry.position, dropped, dead_lettered)

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until every record is finished; False if that takes longer."""
        with self._lock:
            return self._emptied.wait_for(lambda: not self.queued_bytes, timeout_s)

    def close(self) -> None:
        """Give no more records; wake those who wait. Records that are out may still be finished."""
        with self._lock:
            self._closed = True
            self._arrival.notify_all()

    # What follows is for the queue; the lock is held.

    def restore(self, segments: Sequence[Segment]) -> None:
        """Go to where the position file says, in the segments that there are, oldest first."""
        state = self._positions.state
        by_number = {segment.number: segment for segment in segments}
        for place in state.unfinished:
            if (segment := by_number.get(place.segment)) is not None:
                index = segment.index_of(place.offset)
                if index < len(segment) and segment.frame(index).offset == place.offset:
                    self._again.append((segment, segment.frame(index)))
        start = next(s for s in segments if s.number >= state.next.segment)
        self._segment = start
        if start.number == state.next.segment:
            self._index = start.index_of(state.next.offset)
        self._skip_finished_segments()
        for _, frame in self._again:
            self._count(frame)
        for segment in segments[segments.index(self._segment) :]:
            first = self._index if segment is self._segment else 0
            for index in range(first, len(segment)):
                self._count(segment.frame(index))
        watch, labels = self._telemetry.watch, self._labels
        self._book_recovered()
        watch("genops_exporter_queued_items", lambda: self.queued_items, **labels)
        watch("genops_exporter_queue_bytes", lambda: self.queued_bytes, **labels)
        self._telemetry.set(
            "genops_exporter_queue_capacity_bytes", self._config.queue_size_bytes, **labels
        )

    def _book_recovered(self) -> None:
        """Enter what was found, less what the books of this process already know of.

        That is something where the queue was closed and is opened again to change its settings.
        """
        telemetry, labels = self._telemetry, self._labels
        recovered = telemetry.value("genops_exporter_recovered_items", **labels)
        done = sum(
            value
            for name in _DONE
            for series, value in telemetry.labelled(name)
            if labels.items() <= series.items()
        )
        accepted = telemetry.value("genops_exporter_accepted_items_total", **labels)
        more = self.queued_items - int(recovered + accepted - done)
        if more < 0:
            self._drop(-more, "corrupt")
        telemetry.set("genops_exporter_recovered_items", recovered + max(more, 0), **labels)

    def refuses(self, reserved: int, size: int) -> bool:
        """Whether `size` more bytes do not fit, with `reserved` bytes on their way to the disk.

        An empty queue takes a record of any size: else one that is larger than the bound would be
        refused, and sent again, for ever.
        """
        held = self.queued_bytes + reserved
        full = held > 0 and held + size > self._config.queue_size_bytes
        return full and self._config.on_full is OnFull.REFUSE

    def arrived(self, frames: Sequence[Frame]) -> None:
        """Frames were committed at the end of the last segment."""
        items = 0
        for frame in frames:
            self._count(frame)
            items += frame.items
        self._telemetry.add("genops_exporter_accepted_items_total", items, **self._labels)
        if self._config.on_full is OnFull.DROP_OLDEST:
            self._drop_oldest()
        self._arrival.notify(len(frames))

    def holds(self, number: int) -> bool:
        """Whether the segment has, or will have, records that are not finished."""
        return (
            number >= self._segment.number
            or any(position.segment == number for position in self._out)
            or any(segment.number == number for segment, _ in self._again)
        )

    def shut(self) -> None:
        """Write the position for the last time and close the files."""
        self._save()
        self._shut = True
        self._positions.close()
        reading = {position.segment for position in self._out}
        for number in self._files.keys() - reading:
            os.close(self._files.pop(number))
        # An attempt that outlasts the stop may still be reading the others.

    def _pending(self) -> bool:
        left = self._segment.number
        self._skip_finished_segments()
        if self._segment.number != left:
            self._leave(left)
        return bool(self._again) or self._index < len(self._segment)

    def _skip_finished_segments(self) -> None:
        while self._index == len(self._segment) and self._segment.next is not None:
            self._segment, self._index = self._segment.next, 0

    def _first(self) -> Frame:
        return self._again[0][1] if self._again else self._segment.frame(self._index)

    def _pop(self) -> tuple[Segment, Frame]:
        if self._again:
            return self._again.popleft()
        frame = self._segment.frame(self._index)
        self._index += 1
        return self._segment, frame

    def _drop_oldest(self) -> None:
        """Make room. Records that are out stay: they may be arriving now. So does the newest."""
        dropped = 0
        while self.queued_bytes > self._config.queue_size_bytes and self._pending():
            newest = self._segment.next is None and self._index == len(self._segment) - 1
            if newest and not self._again:
                break
            segment, frame = self._pop()
            dropped += self._uncount(frame)
            if segment is not self._segment:
                self._leave(segment.number)
        if dropped:
            self._drop(dropped, "queue_full")
            self._save()

    def _finish(self, position: Position, dropped: Mapping[str, int], dead_lettered: int) -> None:
        with self._lock:
            if self._shut:
                return  # an attempt that outlasted the stop; it is repeated after the restart
            frame = self._out.pop(position)
            self._uncount(frame)
            add, labels = self._telemetry.add, self._labels
            delivered = frame.items - sum(dropped.values()) - dead_lettered
            add("genops_exporter_delivered_items_total", delivered, **labels)
            add("genops_exporter_dead_lettered_items_total", dead_lettered, **labels)
            for reason, items in dropped.items():
                if items:
                    self._drop(items, reason)
            self._save()
            if position.segment < self._segment.number:
                self._leave(position.segment)
            if not self.queued_bytes:
                self._emptied.notify_all()

    def _drop(self, items: int, reason: str) -> None:
        self._telemetry.add(
            "genops_exporter_dropped_items_total", items, reason=reason, **self._labels
        )

    def _count(self, frame: Frame) -> None:
        self.queued_items += frame.items
        self.queued_bytes += HEADER_BYTES + frame.length

    def _uncount(self, frame: Frame) -> int:
        self.queued_items -= frame.items
        self.queued_bytes -= HEADER_BYTES + frame.length
        return frame.items

    def _file(self, segment: Segment) -> int:
        if segment.number not in self._files:
            self._files[segment.number] = os.open(segment.path, os.O_RDONLY)
        return self._files[segment.number]

    def _leave(self, number: int) -> None:
        if not self.holds(number):
            if (file := self._files.pop(number, None)) is not None:
                os.close(file)
            self._release()

    def _save(self) -> None:
        if self._shut:
            return
        unfinished = [Position(segment.number, frame.offset) for segment, frame in self._again]
        unfinished += self._out
        at_end = self._index == len(self._segment)
        offset = self._segment.end if at_end else self._segment.frame(self._index).offset
        try:
            self._positions.write(
                State(Position(self._segment.number, offset), tuple(sorted(unfinished)))
            )
            self._position_fails = False
        except OSError as error:
            if not self._position_fails:
                self._position_fails = True
                _log.warning(
                    "can't write the queue position of %s: %s. Delivery goes on; after a restart "
                    "what was delivered meanwhile is delivered again.",
                    self.exporter,
                    error,
                )
