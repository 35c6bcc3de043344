"""The time by which a queue measures how long records wait.

While the process runs, nothing but the passing of time counts: a clock that is set, by a person or
by NTP after the start, makes nothing older. Across a restart there is only the clock on the wall,
which is what records carry on disk; a record that seems to come from the future is new.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]

_MS_NS = 10**6


class Clock:
    """Unix time in milliseconds, in two forms that agree at the start."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`wall_ns` may be set while the process runs; `steady_ns` only goes on."""
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self._ahead_ns = wall_ns() - steady_ns()

    def wall_ms(self) -> int:
        """What the clock on the wall says: for the disk."""
        return max(self._wall_ns() // _MS_NS, 0)

    def now_ms(self) -> int:
        """The same at the start, and steady from then on: for ages within the process."""
        return max((self._steady_ns() + self._ahead_ns) // _MS_NS, 0)
