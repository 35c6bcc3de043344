"""What one exporter sees of a queue: the records it still has to deliver, oldest first.

Decides what is refused or dropped, and keeps the exporter's books. Where the records are, on disk
or in memory, is the business of its cursor; what becomes of a record is told by the exporter. All
readers of a queue and the queue itself share one lock, which is never held while a payload is read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from genops_enricher.config.model import OnFull, QueueConfig
from genops_enricher.pipeline import Signal
from genops_enricher.queue.clock import Clock
from genops_enricher.queue.cursor import Cursor
from genops_enricher.queue.frame import Frame
from genops_enricher.queue.losses import Losses
from genops_enricher.queue.segment import Position
from genops_enricher.telemetry import Telemetry

__all__ = ["Ended", "Entry", "Reader"]


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
    accepted_ms: int = 0  # by the clock of the queue


class Ended(NamedTuple):
    """What became of a record. The destination has the items that are not counted here."""

    entry: Entry
    dropped: Mapping[str, int] = {}
    """How many of its items are lost, by the label that they are counted under."""
    dead_lettered: int = 0
    """How many are kept as dead letters."""


class Reader:
    """The queue of one exporter. Thread safe. Made by `SignalQueue`."""

    def __init__(
        self,
        exporter: str,
        signal: Signal,
        config: QueueConfig,
        cursor: Cursor,
        waiting: Iterable[Frame],
        telemetry: Telemetry,
        *,
        lock: threading.Lock,
        clock: Clock,
    ) -> None:
        """`waiting` is what the cursor has found from an earlier run."""
        self.exporter = exporter
        self.queued_items = 0
        self.queued_bytes = 0  # as on disk, headers included
        self._signal = signal
        self._config = config
        self._cursor = cursor
        self._telemetry = telemetry
        self._labels = {"exporter": exporter, "signal": signal.value}
        self._losses = Losses(f"{exporter} ({signal})")
        self._clock = clock
        self._lock = lock
        self._arrival = threading.Condition(lock)
        self._emptied = threading.Condition(lock)
        self._gathered = threading.Condition(lock)
        self._missing_bytes = self._missing_records = 0  # until that is told
        self._refused_bytes: int | None = None  # the last request that found no room
        self._dropping = False  # the last request made others go
        self._draining = 0  # how many wait until it is empty
        self._closed = False
        self._shut = False
        self._loses = False  # everything that there is and that comes
        for frame in waiting:
            self._count(frame)
        watch, labels = telemetry.watch, self._labels
        self._book_recovered()
        watch("genops_exporter_queued_items", lambda: self.queued_items, **labels)
        watch("genops_exporter_queue_bytes", lambda: self.queued_bytes, **labels)
        watch("genops_exporter_oldest_item_age_seconds", self.oldest_age_s, **labels)
        telemetry.set("genops_exporter_queue_capacity_bytes", config.queue_size_bytes, **labels)

    def _book_recovered(self) -> None:
        """Enter what was found, less what the books of this process already know of.

        That is something where a queue was closed and is opened again to change its settings.
        """
        telemetry, labels = self._telemetry, self._labels
        recovered = telemetry.value("genops_exporter_recovered_items", **labels)
        accepted = telemetry.value("genops_exporter_accepted_items_total", **labels)
        done = sum(
            value
            for name in _DONE
            for series, value in telemetry.labelled(name)
            if labels.items() <= series.items()
        )
        more = self.queued_items - int(recovered + accepted - done)
        if more < 0:  # in memory nothing is damaged: it lies in a queue on disk that is no more
            self._count_dropped(-more, "corrupt" if self._cursor.keeps else "exporter_removed")
        telemetry.set("genops_exporter_recovered_items", recovered + max(more, 0), **labels)

    @property
    def keeps(self) -> bool:
        """Whether what is not delivered is there again after a restart."""
        return self._cursor.keeps

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
                self._arrival.wait_for(lambda: self._closed or self._first() is not None, timeout_s)
                first = None if self._closed else self._first()
                if first is None or (bytes_max is not None and first.length > bytes_max):
                    return None
                position = self._cursor.take()
            try:
                payload = self._cursor.read(position)
            except BaseException:
                with self._lock:
                    self._cursor.put_back(position)
                raise
            if payload is not None:
                return Entry(payload, first.items, position, first.accepted_ms)
            entry = Entry(b"", first.items, position)
            self.finish(Ended(entry, {"corrupt": first.items}))

    def gather(self, size: int, records: int, timeout_s: float) -> None:
        """Wait until `size` bytes or so many records have arrived, or for `timeout_s` seconds.

        One thread may do so. Returns at once while a record is there, and while someone waits until
        the queue is empty. The thread is woken once: to wake it for every record costs more than to
        take that.
        """
        with self._lock:
            if self._first() is not None:
                return
            self._missing_bytes, self._missing_records = size, records
            self._gathered.wait_for(
                lambda: not self._is_missing() or self._draining > 0 or self._closed, timeout_s
            )
            self._missing_bytes = self._missing_records = 0

    def finish(self, *ended: Ended) -> None:
        """These records are done with."""
        with self._lock:
            if self._shut:
                return  # an attempt that outlasted the stop; it is repeated after the restart
            delivered = buried = 0
            for entry, dropped, dead_lettered in ended:
                frame = self._cursor.finish(entry.position)
                self._uncount(frame)
                delivered += frame.items - sum(dropped.values()) - dead_lettered
                buried += dead_lettered
                for reason, items in dropped.items():
                    if items:  # the exporter has logged why
                        self._count_dropped(items, reason)
            add, labels = self._telemetry.add, self._labels
            add("genops_exporter_delivered_items_total", delivered, **labels)
            add("genops_exporter_dead_lettered_items_total", buried, **labels)
            self._cursor.save()
            self._note_empty()

    def expired(self, entry: Entry) -> bool:
        """Whether a record that is out has waited too long. Those behind it that have, go now."""
        with self._lock:
            self._expire()
            return self._is_expired(entry.accepted_ms)

    def oldest_age_s(self) -> float:
        """For how long the oldest record has waited; 0 if none waits."""
        with self._lock:
            accepted_ms = None if self._shut else self._cursor.accepted_ms()
            return 0 if accepted_ms is None else (self._clock.now_ms() - accepted_ms) / 1000

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until every record is finished; False if that takes longer."""
        with self._lock:
            self._draining += 1
            self._gathered.notify_all()
            try:
                return self._emptied.wait_for(lambda: not self.queued_bytes, timeout_s)
            finally:
                self._draining -= 1

    def close(self) -> None:
        """Give no more records; wake those who wait. Records that are out may still be finished."""
        with self._lock:
            self._closed = True
            self._arrival.notify_all()
            self._gathered.notify_all()

    def trouble(self) -> str:
        """What a person should act on; empty if there is nothing."""
        with self._lock:
            # Asked of the request that was refused: it may fit by now, and not have come again.
            full = self._refused_bytes is not None and self._is_full(self._refused_bytes)
            bound = f"its queue is full ({self._config.queue_size_bytes} bytes)"
            repair = "Repair or speed up its destination, or raise sending_queue.queue_size"
            if full:
                return f"{bound}: senders of {self._signal} are told to try again. {repair}"
            if self._dropping and self.queued_bytes:
                return f"{bound}: the oldest {self._signal} for it are lost. {repair}"
            return ""

    # What follows is for the queue; the lock is held.

    def refuses(self, reserved: int, size: int) -> bool:
        """Whether `size` more bytes do not fit, with `reserved` bytes on their way to the disk.

        An empty queue takes a record of any size: else one that is larger than the bound would be
        refused, and sent again, for ever.
        """
        if self._config.on_full is not OnFull.REFUSE:
            return False
        full = self._is_full(size, reserved)
        if full:
            self._expire()
            full = self._is_full(size, reserved)
        self._refused_bytes = size if full else None
        return full

    def arrived(self, frames: Sequence[Frame], payloads: Sequence[bytes]) -> None:
        """Records were accepted."""
        self._cursor.arrived(frames, payloads)
        items = 0
        for frame in frames:
            self._count(frame)
            items += frame.items
        self._telemetry.add("genops_exporter_accepted_items_total", items, **self._labels)
        if self._loses:  # accepted while the queue was closed
            self._lose_all()
            return
        self._expire()
        if self._config.on_full is OnFull.DROP_OLDEST:
            self._drop_oldest()
        self._arrival.notify(len(frames))
        if self._is_missing():
            self._missing_bytes -= sum(frame.length for frame in frames)
            self._missing_records -= len(frames)
            if not self._is_missing():
                self._gathered.notify()

    def shut(self, *, lose_memory: bool) -> None:
        """Remember for the last time what is finished; lose what is in memory, if told to."""
        self._cursor.shut()
        self._shut = True
        self._loses = lose_memory and not self._cursor.keeps
        if self._loses:
            self._lose_all()
        self._losses.close()

    def _is_missing(self) -> bool:
        return self._missing_bytes > 0 and self._missing_records > 0

    def _first(self) -> Frame | None:
        self._expire()
        return self._cursor.first()

    def _is_full(self, size: int, reserved: int = 0) -> bool:
        held = self.queued_bytes + reserved
        return held > 0 and held + size > self._config.queue_size_bytes

    def _is_expired(self, accepted_ms: int) -> bool:
        max_age_s = self._config.max_age_s
        return max_age_s is not None and self._clock.now_ms() - accepted_ms > max_age_s * 1000

    def _expire(self) -> None:
        """Drop what has waited too long. Records that are out are for their exporter to give up."""
        if self._config.max_age_s is None or self._shut:
            return
        dropped = 0
        while (frame := self._cursor.first()) and self._is_expired(frame.accepted_ms):
            self._cursor.drop()
            dropped += self._uncount(frame)
        self._dropped(dropped, "expired")

    def _drop_oldest(self) -> None:
        """Make room. Records that are out stay: they may be arriving now. So does the newest."""
        dropped = 0
        while self.queued_bytes > self._config.queue_size_bytes:
            frame = self._cursor.first()
            if frame is None or self._cursor.at_newest():
                break
            self._cursor.drop()
            dropped += self._uncount(frame)
        self._dropping = dropped > 0
        self._dropped(dropped, "queue_full")

    def _dropped(self, items: int, reason: str) -> None:
        if items:
            self._count_dropped(items, reason)
            self._losses.add(items, reason)
            self._cursor.save()
            self._note_empty()

    def _lose_all(self) -> None:
        items, self.queued_items, self.queued_bytes = self.queued_items, 0, 0
        self._dropped(items, "shutdown")

    def _note_empty(self) -> None:
        if not self.queued_bytes:
            self._emptied.notify_all()

    def _count_dropped(self, items: int, reason: str) -> None:
        self._telemetry.add(
            "genops_exporter_dropped_items_total", items, reason=reason, **self._labels
        )

    def _count(self, frame: Frame) -> None:
        self.queued_items += frame.items
        self.queued_bytes += frame.size

    def _uncount(self, frame: Frame) -> int:
        self.queued_items -= frame.items
        self.queued_bytes -= frame.size
        return frame.items
