"""The parts of the demo as processes: what a child does at its edges, and how a parent holds it.

A child says on the first line of its stdout, as a JSON object, where it listens; it binds free
ports itself, so no port is ever guessed. It ends on SIGTERM. Its stderr is its log.
"""

from __future__ import annotations

import json
import queue
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

__all__ = ["Child", "PartError", "announce", "hold_stop_signals", "wait_for_stop_signal"]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOP_TIMEOUT_S = 15.0
TAIL_LINES = 15
POLL_S = 0.05


def hold_stop_signals() -> None:
    """Keep SIGINT and SIGTERM for `wait_for_stop_signal`. Call before the first thread starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def wait_for_stop_signal() -> None:
    """Return when SIGINT or SIGTERM arrives."""
    signal.sigwait(STOP_SIGNALS)


def announce(message: Mapping[str, Any]) -> None:
    """Say something to the parent: one JSON object on a line of stdout."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class PartError(Exception):
    """A part of the demo failed. The message says which, why, and how its log ended.

    Notes hold the logs of the other parts, as one often fails because of another.
    """


class Child:
    """A process, held by its parent: its stdout line by line, its log, its end."""

    def __init__(
        self, name: str, module: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        """Start `python -m MODULE ARGUMENTS…`.

        It gets a session of its own, so that Ctrl-C reaches the parent alone, which then stops
        the parts in order.
        """
        self.name = name
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", *module],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        self._lines: queue.Queue[str | None] = queue.Queue()  # None: the end
        self._reader = threading.Thread(target=self._read, name=f"{name} stdout")
        self._reader.start()

    def read_line(self, *, timeout_s: float) -> str | None:
        """The next line of its stdout, or None when the process closed it.

        Raises:
            PartError: neither came in time.
        """
        try:
            return self._lines.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            raise self.failure(f"said nothing for {timeout_s:.0f} s") from None

    def read_message(self, *, timeout_s: float) -> dict[str, Any]:
        """The next JSON object that the process announces.

        Raises:
            PartError: it ended, or nothing came in time.
        """
        line = self.read_line(timeout_s=timeout_s)
        if line is None:
            raise self.ended()
        message: dict[str, Any] = json.loads(line)
        return message

    def wait_for_log(self, pattern: str, *, timeout_s: float) -> re.Match[str]:
        """Wait until its log holds what this regular expression finds.

        Raises:
            PartError: it ended before, or did not write it in time.
        """
        deadline = monotonic() + timeout_s
        while True:
            running = self.is_running()  # asked first: what it logs at its end is read too
            found = re.search(pattern, self._log.read_text(encoding="utf-8", errors="replace"))
            if found:
                return found
            if not running:
                raise self.ended()
            if monotonic() > deadline:
                raise self.failure(f"was not ready within {timeout_s:.0f} s")
            sleep(POLL_S)

    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait(self, *, timeout_s: float) -> None:
        """Wait for its end with success.

        Raises:
            PartError: it failed, or did not end in time.
        """
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self.failure(f"did not end within {timeout_s:.0f} s") from None
        if code != 0:
            raise self.ended()

    def stop(self) -> None:
        """End it: SIGTERM first, SIGKILL if that does not help. Safe after its end."""
        deadline = monotonic() + STOP_TIMEOUT_S
        self._process.terminate()
        try:
            self._process.wait(deadline - monotonic())
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def ended(self) -> PartError:
        """The error for a process that ended though it should run, or ended badly."""
        return self.failure(f"ended with exit code {self._process.wait(STOP_TIMEOUT_S)}")

    def failure(self, why: str) -> PartError:
        """The error for this part, with the end of its log."""
        tail = self.log_tail()
        return PartError(f"{self.name} {why}" + (f"; its log ends:\n{tail}" if tail else ""))

    def log_tail(self) -> str:
        """The last lines of its log, indented; empty if it has logged nothing."""
        with self._log.open(encoding="utf-8", errors="replace") as log:
            return "".join(f"    {line}" for line in deque(log, TAIL_LINES)).rstrip()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was opened as a pipe
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)
