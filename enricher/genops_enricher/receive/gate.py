"""What stands between the receivers and a pipeline that can be taken away and replaced.

Receivers go on while what is behind them is built anew: a closed gate tells senders to try again.
"""

from __future__ import annotations

import threading

from genops_enricher.errors import RetryableError
from genops_enricher.pipeline import Intake, PartialSuccess

__all__ = ["Gate"]


class Gate:
    """An intake that passes requests on to another one while it is open. Thread safe."""

    def __init__(self) -> None:
        self._intake: Intake | None = None
        self._in_work = 0
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)

    def accept(self, payload: bytes) -> PartialSuccess | None:
        """Pass the request on. See `Intake.accept`."""
        with self._lock:
            intake = self._intake
            if intake is None:
                raise RetryableError("the configuration is being reloaded; try again")
            self._in_work += 1
        try:
            return intake.accept(payload)
        finally:
            with self._lock:
                self._in_work -= 1
                if self._intake is None:
                    self._idle.notify_all()

    def open(self, intake: Intake) -> None:
        """Pass requests on to `intake` from now on."""
        with self._lock:
            self._intake = intake

    def close(self, timeout_s: float) -> bool:
        """Let nothing in, and wait for the requests in work; False if that takes longer."""
        with self._lock:
            self._intake = None
            return self._idle.wait_for(lambda: not self._in_work, timeout_s)
