"""What a queue itself gives up, in the log: one line in ten seconds for each reason, with the sum.

The exact counts are in the metrics.
"""

from __future__ import annotations

import logging
import time
from collections import Counter

__all__ = ["Losses"]

_log = logging.getLogger(__name__)

_INTERVAL_S = 10.0
# Label of the metric -> the words.
_WORDS = {
    "queue_full": "the queue is full, and the oldest go (sending_queue.on_full: drop_oldest)",
    "expired": "they waited longer than sending_queue.max_age",
    "shutdown": "their queue ends, and they were in memory only (sending_queue.storage)",
}


class Losses:
    """The losses of one exporter. Used under the lock of its queue."""

    def __init__(self, name: str) -> None:
        """`name` begins every line."""
        self._name = name
        self._unsaid: Counter[str] = Counter()
        self._said_s: dict[str, float] = {}

    def add(self, items: int, reason: str) -> None:
        """Items were given up."""
        self._unsaid[reason] += items
        said_s = self._said_s.get(reason)
        if said_s is None or time.monotonic() - said_s >= _INTERVAL_S:
            self._say(reason)

    def close(self) -> None:
        """Log what has not been said yet."""
        for reason in list(self._unsaid):
            self._say(reason)

    def _say(self, reason: str) -> None:
        items = self._unsaid.pop(reason)
        _log.error("%s: %d items lost: %s", self._name, items, _WORDS[reason])
        self._said_s[reason] = time.monotonic()
