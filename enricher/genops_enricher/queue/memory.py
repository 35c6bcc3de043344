"""The records of exporters whose queue is in memory: what is here ends with the process.

It need not end with the queue: one that is closed and opened again with other settings, as at a
change of the configuration, goes on with what it had if it gets the same store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count

from genops_enricher.queue.frame import Frame
from genops_enricher.queue.segment import Position

__all__ = ["MemoryCursor", "MemoryStore"]

_Record = tuple[Frame, bytes]


class MemoryCursor:
    """A cursor over records that it holds itself. See `cursor.Cursor`."""

    keeps = False

    def __init__(self) -> None:
        """Empty, as every start is."""
        self._records: deque[_Record] = deque()
        self._out: dict[Position, _Record] = {}
        self._numbers = count()
        self._newest: Frame | None = None

    def first(self) -> Frame | None:
        """The oldest record that is neither out nor passed."""
        return self._records[0][0] if self._records else None

    def accepted_ms(self) -> int | None:
        """When the oldest record that is not finished was accepted."""
        frames = [frame for frame, _ in self._out.values()]
        if first := self.first():
            frames.append(first)
        return min((frame.accepted_ms for frame in frames), default=None)

    def at_newest(self) -> bool:
        """Whether that is the newest of all."""
        return self.first() is self._newest

    def take(self) -> Position:
        """Pass it; it is out from now on."""
        position = Position(0, next(self._numbers))
        self._out[position] = self._records.popleft()
        return position

    def drop(self) -> None:
        """Pass it for good."""
        self._records.popleft()

    def put_back(self, position: Position) -> None:
        """A record that is out is to be taken again."""
        self._records.appendleft(self._out.pop(position))

    def read(self, position: Position) -> bytes:
        """The payload of a record that is out."""
        return self._out[position][1]

    def finish(self, position: Position) -> Frame:
        """A record that is out is done with."""
        return self._out.pop(position)[0]

    def save(self) -> None:
        """There is nothing to remember it in."""

    def arrived(self, frames: Sequence[Frame], payloads: Sequence[bytes]) -> None:
        """Records were accepted."""
        self._records.extend(zip(frames, payloads, strict=True))
        self._newest = frames[-1]

    def shut(self) -> None:
        """Nothing to let go of: `waiting` gives what was out once more."""

    def clear(self) -> int:
        """Lose everything; the number of items."""
        items = sum(frame.items for frame in self.waiting())
        self._records.clear()
        return items

    def waiting(self) -> Iterator[Frame]:
        """Every record. What was out is to be taken again: this is for a queue that opens."""
        out = [record for _, record in sorted(self._out.items(), key=lambda item: item[0])]
        self._out.clear()
        self._records.extendleft(reversed(out))
        return (frame for frame, _ in self._records)


class MemoryStore:
    """The records of every exporter of a signal that keeps them in memory."""

    def __init__(self) -> None:
        """Empty."""
        self._cursors: dict[str, MemoryCursor] = {}

    def cursor(self, exporter: str) -> MemoryCursor:
        """The records of that exporter."""
        return self._cursors.setdefault(exporter, MemoryCursor())

    def lose(self, exporter: str) -> int:
        """Lose what is kept for that exporter; how many items."""
        cursor = self._cursors.pop(exporter, None)
        return cursor.clear() if cursor else 0
