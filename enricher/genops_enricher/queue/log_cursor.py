"""Where one exporter is in the log on disk: what it has passed, and what it has out.

Its position is written to a file after each step, without a sync: what a power failure takes back
is delivered twice.

An exporter that keeps up gets its records from memory, where a few are kept when they arrive. To
read them back and check them costs as much as to write them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

from genops_enricher.queue.frame import Frame
from genops_enricher.queue.position import PositionFile, State
from genops_enricher.queue.segment import Position, Segment, read_payload
from genops_enricher.queue.set_aside import SetAside

__all__ = ["LogCursor"]

_log = logging.getLogger(__name__)


class LogCursor:
    """A cursor over segments. See `cursor.Cursor`."""

    keeps = True

    def __init__(
        self,
        exporter: str,
        positions: PositionFile,
        segments: Sequence[Segment],
        *,
        lock: threading.Lock,
        release: Callable[[], None],
        set_aside: SetAside,
        fresh_bytes: int,
    ) -> None:
        """Go to where the position file says.

        Args:
            exporter: the id, for messages.
            positions: where it is remembered.
            segments: those that there are, oldest first.
            lock: that of the queue.
            release: called, with the lock held, when segments may have become free.
            set_aside: gets damaged records.
            fresh_bytes: so much of what arrives is kept in memory too.
        """
        self._exporter = exporter
        self._positions = positions
        self._lock = lock
        self._release = release
        self._set_aside = set_aside
        # Taken and to be taken again: not finished before the restart, or could not be read.
        self._again: deque[tuple[Segment, Frame]] = deque()
        self._out: dict[Position, tuple[Segment, Frame]] = {}
        self._files: dict[int, int] = {}  # segment number -> descriptor, of segments we hold
        self._reads: Counter[int] = Counter()  # segment number -> reads under way
        # Payloads that need not be read: the oldest of those that arrived, as far as there is room.
        self._fresh: dict[Position, bytes] = {}
        self._room_bytes = fresh_bytes
        self._shut = False
        self._position_fails = False
        state = positions.state
        by_number = {segment.number: segment for segment in segments}
        for place in state.unfinished:
            if (segment := by_number.get(place.segment)) is not None:
                index = segment.index_of(place.offset)
                if index < len(segment) and segment.frame(index).offset == place.offset:
                    self._again.append((segment, segment.frame(index)))
        # The next record is `_segment.frame(_index)`.
        self._segment = next(s for s in segments if s.number >= state.next.segment)
        self._index = 0
        if self._segment.number == state.next.segment:
            self._index = self._segment.index_of(state.next.offset)
        self._newest = self._segment
        self._skip_finished_segments()

    def waiting(self) -> Iterator[Frame]:
        """Every record that is not passed. There may be millions."""
        for _, frame in self._again:
            yield frame
        segment: Segment | None = self._segment
        index = self._index
        while segment is not None:
            for at in range(index, len(segment)):
                yield segment.frame(at)
            segment, index = segment.next, 0

    def holds(self, number: int) -> bool:
        """Whether the segment has, or will have, records that are not finished."""
        return (
            number >= self._segment.number
            or any(position.segment == number for position in self._out)
            or any(segment.number == number for segment, _ in self._again)
        )

    def is_done(self) -> bool:
        """Whether every record that there is, is finished."""
        return not self._out and self.first() is None

    def first(self) -> Frame | None:
        """The oldest record that is neither out nor passed."""
        left = self._segment.number
        self._skip_finished_segments()
        if self._segment.number != left:
            self._leave(left)
        if self._again:
            return self._again[0][1]
        return self._segment.frame(self._index) if self._index < len(self._segment) else None

    def accepted_ms(self) -> int | None:
        """When the oldest record that is not finished was accepted."""
        frames = [frame for _, frame in (*self._out.values(), *self._again)]
        if first := self.first():
            frames.append(first)
        return min((frame.accepted_ms for frame in frames), default=None)

    def at_newest(self) -> bool:
        """Whether that is the newest of all."""
        newest = self._segment.next is None and self._index == len(self._segment) - 1
        return newest and not self._again

    def take(self) -> Position:
        """Pass it; it is out from now on."""
        segment, frame = self._pop()
        position = Position(segment.number, frame.offset)
        self._out[position] = (segment, frame)
        return position

    def drop(self) -> None:
        """Pass it for good."""
        segment, frame = self._pop()
        self._forget(Position(segment.number, frame.offset))
        if segment is not self._segment:
            self._leave(segment.number)

    def put_back(self, position: Position) -> None:
        """A record that is out is to be taken again."""
        self._again.appendleft(self._out.pop(position))

    def read(self, position: Position) -> bytes | None:
        """The payload of a record that is out; None if it is damaged, and set aside."""
        with self._lock:
            segment, frame = self._out[position]
            if (payload := self._forget(position)) is not None:
                return payload
            if segment.number not in self._files:
                self._files[segment.number] = os.open(segment.path, os.O_RDONLY)
            file = self._files[segment.number]
            self._reads[segment.number] += 1
        try:
            # The descriptor stays open: a segment with a record that is out is held.
            return read_payload(file, segment, frame, set_aside=self._set_aside)
        finally:
            with self._lock:
                self._reads[segment.number] -= 1
                if self._shut:
                    self._close_files()

    def finish(self, position: Position) -> Frame:
        """A record that is out is done with."""
        segment, frame = self._out.pop(position)
        if segment.number < self._segment.number:
            self._leave(segment.number)
        return frame

    def save(self) -> None:
        """Write the position; if that fails, delivery goes on all the same."""
        if self._shut:
            return
        unfinished = [Position(segment.number, frame.offset) for segment, frame in self._again]
        unfinished += self._out
        at_end = self._index == len(self._segment)
        offset = self._segment.end if at_end else self._segment.frame(self._index).offset
        try:
            self._positions.write(State(Position(self._segment.number, offset), tuple(unfinished)))
            self._position_fails = False
        except OSError as error:
            if not self._position_fails:
                self._position_fails = True
                _log.warning(
                    "can't write the queue position of %s: %s. Delivery goes on; after a restart "
                    "what was delivered meanwhile is delivered again.",
                    self._exporter,
                    error,
                )

    def arrived(self, frames: Sequence[Frame], payloads: Sequence[bytes]) -> None:
        """They are in the last segment already. Keep what there is room for."""
        while self._newest.next is not None:
            self._newest = self._newest.next
        for frame, payload in zip(frames, payloads, strict=True):
            if len(payload) <= self._room_bytes:
                self._fresh[Position(self._newest.number, frame.offset)] = payload
                self._room_bytes -= len(payload)

    def shut(self) -> None:
        """Write the position for the last time, and close the files."""
        self.save()
        self._shut = True
        self._positions.close()
        self._close_files()
        self._fresh.clear()

    def _close_files(self) -> None:
        """Close the files that nobody reads; one that reads now closes its own."""
        for number in [number for number in self._files if not self._reads[number]]:
            os.close(self._files.pop(number))

    def _forget(self, position: Position) -> bytes | None:
        payload = self._fresh.pop(position, None)
        self._room_bytes += len(payload or b"")
        return payload

    def _skip_finished_segments(self) -> None:
        while self._index == len(self._segment) and self._segment.next is not None:
            self._segment, self._index = self._segment.next, 0

    def _pop(self) -> tuple[Segment, Frame]:
        if self._again:
            return self._again.popleft()
        frame = self._segment.frame(self._index)
        self._index += 1
        return self._segment, frame

    def _leave(self, number: int) -> None:
        if not self.holds(number):
            if (file := self._files.pop(number, None)) is not None:
                os.close(file)
            self._reads.pop(number, None)
            self._release()
