"""The place of one worker: its process, and the next one if that dies.

Decides when a process is started again, and remembers how the worker looked and what it counted.
Which workers there are, and what they run by, is the supervisor's business.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from genops_enricher.errors import StartError
from genops_enricher.life.health import State
from genops_enricher.workers.merge import Page, Place
from genops_enricher.workers.orders import Apply, Sources, Start, Stop
from genops_enricher.workers.process import WorkerEndedError, WorkerProcess

__all__ = ["Slot"]

_log = logging.getLogger(__name__)

# A death is noticed within the first, and what a worker counted since the last look at it goes
# from the page with it; so the second is as short as the cost allows: some ms each.
_NOTICE_S, _LOOK_EVERY_S = 0.1, 1.0
_LOOK_MAX_S = 2.0
# The first restart comes at once. A worker that dies each time must not take the machine.
_BACKOFF_S, _BACKOFF_MAX_S = 0.2, 30.0
_TRIES = 3  # of the first start: what ended it may have been meant for that process only
_HEALTHY_S = 60.0  # who lived so long starts anew without a wait
# A large catalog takes some seconds. A worker that takes longer does not answer any more.
_APPLY_MAX_S = 60.0
# Beyond the time to drain: to close the files and end.
_END_S = 5.0

_QUEUED = "genops_exporter_queued_items"


class Slot:
    """One worker, from `begin` to `stop`. Thread safe."""

    def __init__(
        self, number: int, inherited: Sequence[int], changed: Callable[[], None] = lambda: None
    ) -> None:
        """`changed` is called when its state may be another; `inherited` is for its processes."""
        self.number = number
        self.restarts = 0
        self.finished = False
        """Whether there is nothing left to do for it."""
        self._inherited = inherited
        self._changed = changed
        self._sources: Sources | None = None
        self._process: WorkerProcess | None = None
        self._generation = 0
        self._began_s = 0.0  # monotonic clock
        self._state: State | None = None  # None: no process
        self._degraded: tuple[str, ...] = ()
        self._ended = ""  # how the last process ended, if there is no other yet
        self._place = Place()
        self._lock = threading.Lock()  # held while a process is started, told something or stopped
        self._silent = False
        self._look_lock = threading.Lock()
        self._place_lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"worker-{number}", daemon=True)

    def begin(self, sources: Sources) -> None:
        """Start the first process, and watch it from now on.

        Raises:
            StartError: it can't be started.
        """
        self._sources = sources
        for tries in range(1, _TRIES + 1):
            try:
                self._start()
                break
            except WorkerEndedError as error:
                _log.error("worker %d, while it started, %s", self.number, self._ended)
                if tries == _TRIES:
                    raise StartError(
                        f"worker {self.number} {self._ended}, {_TRIES} times while it started; the "
                        "lines before this one say why"
                    ) from error
        self._thread.start()

    def apply(self, sources: Sources) -> None:
        """Run by other sources. Where no process runs, the next one does.

        Raises:
            StartError: it goes on with those before.
        """
        with self._lock:
            before, self._sources = self._sources, sources
            if self._process is None:
                return
            try:
                answer = self._process.order(Apply(sources), _APPLY_MAX_S)
            except WorkerEndedError:
                self._process.kill()  # it may only be silent; the next process starts with them
                return
            if answer.problem:
                self._sources = before
                raise StartError(answer.problem)

    def stop(self, why: str, timeout_s: float) -> str:
        """Drain and end the process within about `timeout_s` seconds; say what went wrong."""
        self._stopping.set()
        deadline_s = time.monotonic() + timeout_s + _END_S
        if not self._lock.acquire(timeout=timeout_s):  # a start that takes too long
            self._kill()
            self._lock.acquire()
        try:
            process = self._process
            if process is None:
                return ""
            trouble = ""
            try:
                answer = process.order(Stop(why), max(deadline_s - time.monotonic(), 0))
                if answer.last is not None:
                    with self._place_lock:
                        self._place.look(answer.last, self._generation)
            except WorkerEndedError as error:
                trouble = str(error)
            code = process.exit_code(max(deadline_s - time.monotonic(), 0))
            if code is None:
                trouble = "took too long, and was killed"
            elif code:
                trouble = _how(code)
            process.end()
            self._process, self._state = None, None
            with self._place_lock:
                self._place.end()
            return trouble and f"worker {self.number}: {trouble}"
        finally:
            self._lock.release()

    def look_if_it_answers(self) -> None:
        """See how it is now, but don't wait for one that did not answer the last time."""
        if not self._silent:
            self.look()

    def look(self) -> None:
        """See how the worker is now, if it says so soon."""
        with self._look_lock:
            process, generation = self._process, self._generation
            if process is None or generation == 0 or self.finished:
                return
            try:
                sight = process.look(_LOOK_MAX_S)
            except WorkerEndedError:
                if process is self._process and process.exit_code() is None:
                    self._silent = True
                    self._degraded = (f"does not answer; `kill -9 {process.pid}` starts it anew",)
                return
            if process is self._process and generation == self._generation:
                with self._place_lock:
                    self._place.look(sight.page, generation)
                self._state, self._degraded = sight.state, sight.degraded
                self._silent = False
        self._changed()

    @property
    def is_ready(self) -> bool:
        """Whether it accepts spans."""
        return self._state is State.READY

    def page(self) -> Page:
        """Its metrics, over all of its processes."""
        with self._place_lock:
            return self._place.page()

    def degraded(self) -> tuple[str, ...]:
        """A sentence for everything that a person should act on."""
        if self._ended:
            return (f"{self._ended}; a new process is being started",)
        return self._degraded

    def _start(self) -> None:
        with self._lock:
            if self._stopping.is_set() or self._sources is None:
                return
            process = self._process = WorkerProcess(self._inherited)
            try:
                answer = process.order(Start(self.number, self._sources))
            except WorkerEndedError:
                self._bury(process)
                raise
            if answer.problem:
                process.end()
                self._process = None
                raise StartError(answer.problem)
            self._generation += 1
            self._began_s = time.monotonic()
            self._ended = ""
        self.look()

    def _watch(self) -> None:
        wait_s = 0.0
        looked_s = time.monotonic()
        while not self._stopping.wait(_NOTICE_S):
            process = self._process
            if process is not None and process.exit_code() is None:
                now_s = time.monotonic()
                if now_s - looked_s >= _LOOK_EVERY_S:
                    looked_s = now_s
                    self.look()
                if now_s - self._began_s > _HEALTHY_S:
                    wait_s = 0.0
                continue
            with self._lock:
                if process is not None and process is self._process:
                    self._bury(process)
                    _log.error(
                        "worker %d (process %d) %s. What it acknowledged is on disk; it is "
                        "started again",
                        self.number,
                        process.pid,
                        self._ended,
                    )
            self._changed()
            if self._stopping.wait(wait_s):
                return
            wait_s = min(max(2 * wait_s, _BACKOFF_S), _BACKOFF_MAX_S)
            self._start_again()

    def _start_again(self) -> None:
        self.restarts += 1
        try:
            self._start()
        except (StartError, WorkerEndedError, OSError) as error:
            self._ended = f"can't be started: {error}"
            _log.error("worker %d %s", self.number, self._ended)
        else:
            if self._process is not None:
                _log.info("worker %d runs again, as process %d", self.number, self._process.pid)

    def _bury(self, process: WorkerProcess) -> None:
        """Note how a process ended. The lock is held."""
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        code = process.exit_code(_END_S)
        process.end()
        self._process, self._state, self._degraded, self._silent = None, None, (), False
        how = "said nothing and was killed" if code is None else _how(code)
        self._ended = f"{how} at {at}"

    def _kill(self) -> None:
        if process := self._process:
            process.kill()

    def is_empty(self) -> bool:
        """Whether it has a page, and nothing waits."""
        family = self.page().get(_QUEUED)
        return family is not None and not any(family.series.values())


def _how(code: int) -> str:
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
