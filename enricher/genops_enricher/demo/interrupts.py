"""Ctrl-C and SIGTERM for a program that owns processes: they stop it, but never halfway."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While entered, both signals raise KeyboardInterrupt in the main thread.

    Within `deferred` they wait: a process that was just started is remembered first, and the
    stopping of processes is not itself stopped.
    """

    def __init__(self) -> None:
        self._deferring = 0
        self._pending = False
        self._previous: list[tuple[signal.Signals, Any]] = []

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold the signals back; one that came is raised at the end."""
        self._deferring += 1
        try:
            yield
        finally:
            self._deferring -= 1
        if self._pending and not self._deferring:
            self._pending = False
            raise KeyboardInterrupt

    def __enter__(self) -> Interrupts:
        self._previous = [(each, signal.signal(each, self._handle)) for each in SIGNALS]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each, handler in self._previous:
            signal.signal(each, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._deferring:
            self._pending = True
        else:
            raise KeyboardInterrupt
