"""What goes out as one request: an entry of the queue, and small ones behind it.

Decides how many are joined and how long they wait for each other. What is too large is left for
`parcel` to divide.
"""

from __future__ import annotations

import logging
import threading

from genops_enricher.config.model import ExporterConfig
from genops_enricher.queue import Entry, Reader

__all__ = ["Collecting"]

_log = logging.getLogger(__name__)

# Joined at most: the position file of the queue names about 250 records that are under way.
_JOINED_MAX = 50


class Collecting:
    """Takes from the queue of one exporter for all its consumers. Thread safe."""

    def __init__(
        self, name: str, config: ExporterConfig, reader: Reader, stopping: threading.Event
    ) -> None:
        """`name` begins every line of the log."""
        self._name = name
        self._batch = config.batch
        self._pause_s = config.retry.max_interval_s
        self._reader = reader
        self._stopping = stopping
        self._turn = threading.Lock()

    def take(self, idle_s: float) -> list[Entry]:
        """What is to go out as one request; nothing if there is none within `idle_s` seconds."""
        if not self._batch.flush_timeout_s:
            return self._join(idle_s)
        # One consumer waits for small requests; with several, each would get a share of them.
        if not self._turn.acquire(timeout=idle_s):
            return []
        try:
            return self._join(idle_s)
        finally:
            self._turn.release()

    def _join(self, idle_s: float) -> list[Entry]:
        """The next entry, and those behind it that are small enough to go out with it.

        They are there already, or come within `flush_timeout`.
        """
        try:
            first = self._reader.take(idle_s)
        except Exception as error:  # noqa: BLE001 - the data waits for this thread
            _log.error("%s: can't read the queue: %r; trying again", self._name, error)
            self._stopping.wait(self._pause_s)
            return []
        if first is None:
            return []
        entries = [first]
        room = min(self._batch.min_size_bytes, self._batch.max_size_bytes) - len(first.payload)
        room = self._fill(entries, room)
        if self._batch.flush_timeout_s and room > 0 and len(entries) < _JOINED_MAX:
            self._reader.gather(room, _JOINED_MAX - len(entries), self._batch.flush_timeout_s)
            self._fill(entries, room)
        return entries

    def _fill(self, entries: list[Entry], room: int) -> int:
        """Add what waits, as long as there is room for it; returns the bytes that are left."""
        while room > 0 and len(entries) < _JOINED_MAX:
            try:
                entry = self._reader.take(0, bytes_max=room)
            except Exception as error:  # noqa: BLE001 - what we have already must go on
                _log.error("%s: can't read the queue: %r; trying again", self._name, error)
                return 0
            if entry is None:
                break
            entries.append(entry)
            room -= len(entry.payload)
        return room
