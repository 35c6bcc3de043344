"""One worker process as the supervisor holds it: started, asked, ended.

A process of its own from the beginning, not a fork: gRPC and threads do not survive one.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from genops_enricher.errors import EnricherError
from genops_enricher.workers.orders import Answer, Order, Sight

__all__ = ["COMMAND", "WorkerEndedError", "WorkerProcess"]

COMMAND: list[str] = [sys.executable, "-m", "genops_enricher.workers.worker"]
"""What is run, before the numbers of the sockets. Tests put another one here."""


class WorkerEndedError(EnricherError):
    """The process ended, or says nothing, instead of an answer."""


class WorkerProcess:
    """A child process. Thread safe."""

    def __init__(self, inherited: Sequence[int]) -> None:
        """Start it; it waits for its first order.

        Args:
            inherited: descriptors that stay open as long as it lives.
        """
        self._orders, orders = Pipe()
        self._sight, sight = Pipe()
        with orders, sight:
            ends = orders.fileno(), sight.fileno()
            # The command is this interpreter.
            self._process = subprocess.Popen(  # noqa: S603
                [*COMMAND, *map(str, ends)],
                stdin=subprocess.DEVNULL,
                pass_fds=[*ends, *inherited],
            )
        self._ordering = threading.Lock()
        self._looking = threading.Lock()
        self._looks = 0

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def order(self, order: Order, timeout_s: float | None = None) -> Answer:
        """Have an order carried out.

        Raises:
            WorkerEndedError: there is no answer, at all or within `timeout_s` seconds.
        """
        with self._ordering:
            try:
                _limit_sending(self._orders, timeout_s)
                self._orders.send(order)
                answer = _next(self._orders, timeout_s)
            except (OSError, EOFError, TimeoutError) as error:
                raise WorkerEndedError(f"{type(order).__name__.lower()}: no answer") from error
        if not isinstance(answer, Answer):
            raise TypeError(f"{answer!r} is no answer")
        return answer

    def look(self, timeout_s: float) -> Sight:
        """How it looks now, whatever it is doing.

        Raises:
            WorkerEndedError: it does not say so within `timeout_s` seconds.
        """
        with self._looking:
            self._looks += 1
            try:
                self._sight.send(self._looks)
                while True:
                    sight = _next(self._sight, timeout_s)
                    if isinstance(sight, Sight) and sight.number == self._looks:
                        return sight  # others are late answers to questions before
            except (OSError, EOFError, TimeoutError) as error:
                raise WorkerEndedError("does not answer") from error

    def exit_code(self, timeout_s: float = 0.0) -> int | None:
        """How it ended, within `timeout_s` seconds; minus the signal; None if it still runs."""
        try:
            return self._process.wait(timeout_s) if timeout_s else self._process.poll()
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Let whoever waits for an answer get none."""
        self._process.kill()

    def end(self) -> None:
        """End it at once if it still runs, and close what is left of it."""
        self._process.kill()
        self._process.wait()
        self._orders.close()
        self._sight.close()


def _limit_sending(connection: Connection, timeout_s: float | None) -> None:
    """Let no piece of what is sent wait longer for a worker that reads nothing: then OSError.

    An overlay may be larger than what lies in the socket meanwhile. Python has no name for this
    where a socket is written to as a file; 0 is for ever.
    """
    microseconds = 0 if timeout_s is None else max(int(timeout_s * 1e6), 1)
    limit = struct.pack("ll", *divmod(microseconds, 10**6))
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _next(connection: Connection, timeout_s: float | None) -> object:
    if timeout_s is not None and not connection.poll(timeout_s):
        raise TimeoutError
    received: object = connection.recv()
    return received
