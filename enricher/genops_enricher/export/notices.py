"""What an exporter tells people: its state for the health page, and log lines that stay few.

An outage is one line when it begins and one when it ends; losses are one line in ten seconds, with
their sum. The exact counts are in the metrics.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from genops_enricher.export.outcome import Delivered, Hold, Outcome, Rejected, Retry, TooLarge

__all__ = ["Notices"]

_log = logging.getLogger(__name__)

_INTERVAL_S = 10.0
_FIX = "Correct the endpoint, the headers or the TLS settings of this exporter"


class Notices:
    """The state of one exporter. Thread safe."""

    def __init__(
        self,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        meanwhile: str = "Nothing is lost while the queue has room",
    ) -> None:
        """`name` begins every line; `meanwhile` is what to know while the exporter is held."""
        self._name = name
        self._meanwhile = meanwhile
        self._clock = clock
        self._lock = threading.Lock()
        self._held = ""  # why the destination refuses us
        self._retrying = ""  # why the last attempt has to be repeated
        self._remark = ""  # the last warning of the destination
        self._lost = 0  # items not yet logged
        self._loss_logged_s = -_INTERVAL_S
        self._dead = 0  # items dead-lettered and not yet logged
        self._dead_logged_s = -_INTERVAL_S
        self._retry_logged_s = -_INTERVAL_S
        self._told = False  # the log says that there is trouble

    def status(self) -> tuple[bool, str]:
        """Whether the destination takes what we send, and what is in the way.

        Not healthy means that a person has to act. An outage is healthy: it is retried.
        """
        with self._lock:
            if self._held:
                return False, f"held: {self._held}. {_FIX}"
            return True, f"retrying: {self._retrying}" if self._retrying else ""

    def attempt(self, outcome: Outcome) -> None:
        """An attempt had this outcome."""
        with self._lock:
            match outcome:
                case Hold(reason):
                    if reason != self._held:
                        _log.error(
                            "%s: held: %s. %s; correct the endpoint, the headers or the TLS "
                            "settings of this exporter",
                            self._name,
                            reason,
                            self._meanwhile,
                        )
                    self._held, self._told = reason, True
                case Retry(reason):
                    if not self._told and self._due(self._retry_logged_s):
                        _log.warning("%s: retrying: %s", self._name, reason)
                        self._retry_logged_s, self._told = self._clock(), True
                    self._retrying = reason
                case Delivered() | Rejected() | TooLarge():
                    if self._told:
                        _log.info("%s: the destination answers again", self._name)
                    self._held, self._retrying, self._told = "", "", False

    def lost(self, items: int, reason: str) -> None:
        """Items were given up."""
        with self._lock:
            self._lost += items
            if self._due(self._loss_logged_s):
                _log.error("%s: %d items lost: %s", self._name, self._lost, reason)
                self._lost, self._loss_logged_s = 0, self._clock()

    def dead_lettered(self, items: int, reason: str) -> None:
        """Items were set aside as dead letters."""
        with self._lock:
            self._dead += items
            if self._due(self._dead_logged_s):
                _log.error(
                    "%s: %d items kept as dead letters: %s. See `genops-enricher dead-letters`",
                    self._name,
                    self._dead,
                    reason,
                )
                self._dead, self._dead_logged_s = 0, self._clock()

    def warned(self, message: str) -> None:
        """The destination took everything and has something to say; a new remark is one line."""
        with self._lock:
            if message != self._remark:
                _log.warning("%s: the destination says: %s", self._name, message)
            self._remark = message

    def close(self) -> None:
        """Log what has not been said yet."""
        with self._lock:
            if self._lost:
                _log.error("%s: %d more items lost", self._name, self._lost)
                self._lost = 0
            if self._dead:
                _log.error("%s: %d more items kept as dead letters", self._name, self._dead)
                self._dead = 0

    def _due(self, logged_s: float) -> bool:
        return self._clock() - logged_s >= _INTERVAL_S
