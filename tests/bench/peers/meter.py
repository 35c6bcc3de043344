"""What the operating system says that a process and its children used."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil

__all__ = ["Meter", "metered"]

_EVERY_S = 0.1


class Meter:
    """CPU time, and the largest resident memory seen, of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._before = self._times(self._family())
        self.user_s = 0.0
        self.system_s = 0.0
        self.rss_max_bytes = 0

    def read(self) -> None:
        """Take the figures as they are now.

        Raises:
            RuntimeError: the process, or one of its children, is no longer there.
        """
        try:
            family = self._family()
            user_s, system_s = self._times(family)
            rss = sum(each.memory_info().rss for each in family)
        except psutil.NoSuchProcess as error:
            raise RuntimeError(f"the server ended while it was measured: {error}") from error
        if self._process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError("the server ended while it was measured")
        self.user_s, self.system_s = user_s - self._before[0], system_s - self._before[1]
        self.rss_max_bytes = max(self.rss_max_bytes, rss)

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    @staticmethod
    def _times(family: Sequence[psutil.Process]) -> tuple[float, float]:
        times = [each.cpu_times() for each in family]
        return sum(each.user for each in times), sum(each.system for each in times)


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
