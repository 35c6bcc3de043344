"""What the operating system says that a process and its children used."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

__all__ = ["Meter", "metered"]

_EVERY_S = 0.1


class Meter:
    """CPU time, and the largest resident memory seen, of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._before = _Times.of(self._family())
        self.cpu_s = 0.0
        self.system_share = 0.0  # of it, in the kernel
        self.rss_max_bytes = 0

    def read(self) -> None:
        """Take the figures as they are now.

        Raises:
            RuntimeError: the process, or one of its children, is no longer there.
        """
        try:
            family = self._family()
            now = _Times.of(family)
            rss = sum(each.memory_info().rss for each in family)
        except (psutil.NoSuchProcess, OSError) as error:
            raise RuntimeError(f"the server ended while it was measured: {error}") from error
        if self._process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError("the server ended while it was measured")
        self.cpu_s = now.cpu_s - self._before.cpu_s
        user_s, system_s = now.user_s - self._before.user_s, now.system_s - self._before.system_s
        self.system_share = system_s / (user_s + system_s) if user_s + system_s else 0.0
        self.rss_max_bytes = max(self.rss_max_bytes, rss)

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


@dataclass(frozen=True, slots=True)
class _Times:
    cpu_s: float
    user_s: float  # in steps of a tick, mostly 10 ms, as the next
    system_s: float

    @classmethod
    def of(cls, family: Sequence[psutil.Process]) -> _Times:
        times = [each.cpu_times() for each in family]
        user_s, system_s = sum(each.user for each in times), sum(each.system for each in times)
        if sys.platform != "linux":
            return cls(user_s + system_s, user_s, system_s)
        return cls(sum(_cpu_clock_s(each.pid) for each in family), user_s, system_s)


def _cpu_clock_s(pid: int) -> float:
    """The CPU time of a process to the nanosecond, where ticks are up to 5 % of what is measured.

    The clock of another process has the number that clock_getcpuclockid(3) gives it, which Python
    does not have: the complement of the process id, and 2 for what the scheduler counts.
    """
    return time.clock_gettime((~pid << 3) | 2)


@contextmanager
def metered(pid: int) -> Iterator[Meter]:
    """Measure while the block runs.

    Raises:
        RuntimeError: at the end of the block, as `Meter.read`.
    """
    meter = Meter(pid)
    stopping = threading.Event()

    def watch() -> None:
        with suppress(RuntimeError):  # raised again at the end
            while not stopping.wait(_EVERY_S):
                meter.read()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield meter
    finally:
        stopping.set()
        thread.join()
    meter.read()
