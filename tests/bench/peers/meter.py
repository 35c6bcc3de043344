"""What the operating system says that a process and its children used."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

__all__ = ["Meter", "metered"]

_EVERY_S = 0.1


class Meter:
    """CPU time, and the largest resident memory seen, of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._before = self._times()
        self.user_s = 0.0
        self.system_s = 0.0
        self.rss_max_bytes = 0

    def read(self) -> None:
        now, before = self._times(), self._before
        self.user_s, self.system_s = now[0] - before[0], now[1] - before[1]
        rss = sum(each.memory_info().rss for each in self._family())
        self.rss_max_bytes = max(self.rss_max_bytes, rss)

    def _times(self) -> tuple[float, float]:
        times = [each.cpu_times() for each in self._family()]
        return sum(each.user for each in times), sum(each.system for each in times)

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


@contextmanager
def metered(pid: int) -> Iterator[Meter]:
    """Measure while the block runs."""
    meter = Meter(pid)
    stopping = threading.Event()

    def watch() -> None:
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
