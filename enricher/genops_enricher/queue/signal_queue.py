"""The queue of one signal: what is accepted, for which exporters, and where it is kept.

Each exporter has its own reader, with its own bound. Readers whose storage is `durable` share one
log on disk, written and synced before a request is acknowledged; those whose storage is `memory`
hold the same requests in the process. How each exporter gets on is the reader's business.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from genops_enricher.config.model import QueueConfig, Storage
from genops_enricher.errors import RetryableError
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.queue.clock import Clock
from genops_enricher.queue.frame import HEADER_BYTES, Frame
from genops_enricher.queue.group_commit import GroupCommit
from genops_enricher.queue.log import FRESH_BYTES, SEGMENT_BYTES, Log, sync_data
from genops_enricher.queue.losses import Losses
from genops_enricher.queue.memory import MemoryStore
from genops_enricher.queue.reader import Reader
from genops_enricher.queue.segment import list_segments
from genops_enricher.telemetry import Telemetry

__all__ = ["SignalQueue", "give_up", "lose_memory", "warn_if_left"]

_log = logging.getLogger(__name__)

_GAUGES = (
    "genops_exporter_queued_items",
    "genops_exporter_queue_bytes",
    "genops_exporter_queue_capacity_bytes",
    "genops_exporter_oldest_item_age_seconds",
    "genops_exporter_waiting_apart",
)


class SignalQueue:
    """Accepts batches for good: when `consume` returns, every exporter has them. Thread safe."""

    def __init__(
        self,
        directory: Path,
        signal: Signal,
        exporters: Mapping[str, QueueConfig],
        telemetry: Telemetry,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        fresh_bytes: int = FRESH_BYTES,
        sync: Callable[[int], None] = sync_data,
        clock: Clock | None = None,
        memory: MemoryStore | None = None,
    ) -> None:
        """Touches no disk yet.

        Args:
            directory: the folder of this queue alone; made by `open` if an exporter is durable.
            signal: what is in it.
            exporters: the queue settings of each exporter of the signal, by exporter id.
            telemetry: where the books are kept.
            segment_bytes: a segment of this size is ended.
            fresh_bytes: so much is kept in memory beside, for each exporter that is durable.
            sync: makes what was written to a descriptor durable.
            clock: tells how long records wait.
            memory: what a queue before this one had in memory, and the next one is to have.
        """
        self._directory = directory
        self._signal = signal
        self._exporters = exporters
        self._telemetry = telemetry
        self._clock = clock or Clock()
        self._memory = memory or MemoryStore()
        self._lock = threading.Lock()
        self._reserved = 0  # bytes admitted and not yet committed
        self._readers: dict[str, Reader] = {}
        self._durable = [
            name for name, config in exporters.items() if config.storage is Storage.DURABLE
        ]
        self._log: Log | None = None
        if self._durable:
            self._log = Log(
                directory,
                signal,
                lock=self._lock,
                clock=self._clock,
                segment_bytes=segment_bytes,
                fresh_bytes=fresh_bytes,
                sync=sync,
                count_damage=lambda: telemetry.add(
                    "genops_queue_damaged_ranges_total", signal=signal.value
                ),
            )
        self._commits: GroupCommit[Batch] = GroupCommit(self._commit)
        self._closed = False

    def open(self) -> None:
        """Recover what an earlier process left on disk.

        Raises:
            StartError: the folder can't be used, or a later version wrote it.
        """
        cursors = self._log.open(self._durable) if self._log else {}
        if self._log is None:
            warn_if_left(self._directory, self._signal)
        for exporter in self._durable:
            lose_memory(self._memory, exporter, self._signal, self._telemetry)
        for exporter, config in self._exporters.items():
            cursor = cursors.get(exporter) or self._memory.cursor(exporter)
            self._readers[exporter] = Reader(
                exporter,
                self._signal,
                config,
                cursor,
                cursor.waiting(),
                self._telemetry,
                lock=self._lock,
                clock=self._clock,
            )

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

    def troubles(self) -> list[str]:
        """A sentence for everything that a person should act on."""
        full = {name: reader.trouble() for name, reader in self._readers.items()}
        found = [f"{name} ({self._signal}): {trouble}" for name, trouble in full.items() if trouble]
        return found + (self._log.troubles() if self._log else [])

    def close(self, *, lose_memory: bool = True) -> None:
        """Accept no more, wake blocked readers, write the positions. Safe to call twice.

        Args:
            lose_memory: what is in memory is lost now, and counted. If not, it stays in the store
                for the next queue of this process.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for reader in self._readers.values():
            reader.close()
        if self._log:
            self._log.stop()
        with self._lock:
            for reader in self._readers.values():
                reader.shut(lose_memory=lose_memory)
        if self._log:
            self._log.close()

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
        """A group goes into the log if there is one; then all readers get it."""
        size = sum(map(_size, batches))
        try:
            frames = self._log.write(batches) if self._log else self._frames(batches)
        except BaseException:  # also for want of memory
            with self._lock:
                self._reserved -= size
            raise
        payloads = [batch.payload for batch in batches]
        with self._lock:
            self._reserved -= size
            if self._log:
                self._log.add(frames)
            for reader in self._readers.values():
                reader.arrived(frames, payloads)

    def _frames(self, batches: Sequence[Batch]) -> list[Frame]:
        now_ms = self._clock.now_ms()
        return [Frame(0, len(batch.payload), batch.items, now_ms) for batch in batches]


def lose_memory(store: MemoryStore, exporter: str, signal: Signal, telemetry: Telemetry) -> None:
    """Lose what an exporter had in memory that keeps nothing there any more, and count it."""
    if items := store.lose(exporter):
        labels = {"exporter": exporter, "signal": signal.value}
        telemetry.add("genops_exporter_dropped_items_total", items, reason="shutdown", **labels)
        Losses(f"{exporter} ({signal})").add(items, "shutdown")
        _let_go(labels, telemetry)


def give_up(exporter: str, signal: Signal, telemetry: Telemetry) -> int:
    """Close the books of a queue that a reload has taken away; how many items were in it."""
    labels = {"exporter": exporter, "signal": signal.value}
    items = int(telemetry.value("genops_exporter_queued_items", **labels))
    if items:
        telemetry.add(
            "genops_exporter_dropped_items_total", items, reason="exporter_removed", **labels
        )
    _let_go(labels, telemetry)
    return items


def _let_go(labels: Mapping[str, str], telemetry: Telemetry) -> None:
    """The readers and exporters behind these gauges are no more."""
    for gauge in _GAUGES:
        telemetry.unwatch(gauge, **labels)


def warn_if_left(directory: Path, signal: Signal) -> None:
    """Say that a folder which nobody reads any more holds requests."""
    if list_segments(directory):
        _log.warning(
            "%s holds requests that were not delivered while %s had an exporter with a durable "
            "queue. Configure one again to deliver them, or remove the folder",
            directory,
            signal,
        )


def _size(batch: Batch) -> int:
    return HEADER_BYTES + len(batch.payload)
