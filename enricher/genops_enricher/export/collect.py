"""What goes out as one request: an entry of the queue, and small ones behind it.

Decides how many are joined and how long they wait for each other. What is too large is left for
`parcel` to divide.
"""

from __future__ import annotations

import logging
import threading
import time

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
        batch = self._batch
        room = min(batch.min_size_bytes, batch.max_size_bytes) - len(first.payload)
        deadline_s = time.monotonic() + batch.flush_timeout_s
        entries = [first]
        while room > 0 and len(entries) < _JOINED_MAX:
            left_s = max(deadline_s - time.monotonic(), 0) if batch.flush_timeout_s else 0
            try:
                entry = self._reader.take(left_s, bytes_max=room)
            except Exception as error:  # noqa: BLE001 - what we have already must go on
                _log.error("%s: can't read the queue: %r; trying again", self._name, error)
                break
            if entry is None:
                break
            entries.append(entry)
            room -= len(entry.payload)
        return entries
