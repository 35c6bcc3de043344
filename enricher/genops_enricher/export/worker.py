"""The loop of an exporter: take from the queue, try, wait, try again.

Decides what becomes of a request after each attempt. How to try is the sender's business, when to
try again that of `retry`, what an answer means that of `outcome`, how requests are joined and
divided that of `collect` and `parcel`, whether a request is the cause of its failures that of
`doubt`, the books that of `settle`. Requests are retried until they arrive, unless the
configuration sets a limit. What is refused as too large or as wrong is halved, so that only the
items that are the cause of it become dead letters. What fails while others get through is halved
too, and then waits apart, on a slow lane, where it holds up nobody. What is given up is counted.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from genops_enricher.config.model import ExporterConfig
from genops_enricher.export.attempt import Attempts, AttemptTracer
from genops_enricher.export.collect import Collecting
from genops_enricher.export.doubt import Doubt, Others
from genops_enricher.export.lane import Lane
from genops_enricher.export.notices import Notices
from genops_enricher.export.otlp import Sender
from genops_enricher.export.outcome import Delivered, Hold, Outcome, Rejected, Retry, TooLarge
from genops_enricher.export.parcel import Parcel, pack
from genops_enricher.export.retry import Backoff
from genops_enricher.export.settle import Settling
from genops_enricher.export.trial import Family, Trial
from genops_enricher.export.truncate import shorten
from genops_enricher.pipeline import Signal
from genops_enricher.queue import DeadLetters, Reader
from genops_enricher.telemetry import Telemetry

__all__ = ["Exporter"]

_log = logging.getLogger(__name__)

_IDLE_S = 5.0  # how long to wait for work at a time; closing the reader ends the wait
# Halvings, but those for size, of parts of one request of which none was taken meanwhile. Twelve
# find one item among four thousand; a destination that refuses everything must not get every item
# by itself.
_HALVINGS_MAX = 64
# A request of which halving saves less than this share is mostly the envelope of its items.
_SAVED_MIN = 0.05
# After so many failures something else is tried: as many requests as there are consumers may all be
# poisonous, and only others can tell that from an outage.
_IN_PLACE_MAX = 3
_WHY_GIVEN_UP = "again and again, while others get through"


class Exporter:
    """Delivers one signal to one destination with as many threads as it has consumers."""

    def __init__(
        self,
        config: ExporterConfig,
        signal: Signal,
        reader: Reader,
        sender: Sender,
        dead_letters: DeadLetters,
        telemetry: Telemetry,
        tracer: AttemptTracer | None = None,
    ) -> None:
        """Nothing runs before `start`."""
        self._name = f"{config.id} ({signal})"
        self._config = config
        self._signal = signal
        self._reader = reader
        self._dead_letters = dead_letters
        self._telemetry = telemetry
        self._labels = {"exporter": config.id, "signal": signal.value}
        self._others = Others()
        self._lane: Lane[Trial] = Lane(config.queue.num_consumers)
        telemetry.watch("genops_exporter_waiting_apart", lambda: len(self._lane), **self._labels)
        self._stopping = threading.Event()
        self._attempts = Attempts(
            config.id, signal, sender, telemetry, self._stopping.is_set, tracer
        )
        self._notices = Notices(self._name)
        self._collecting = Collecting(self._name, config, reader, self._stopping)
        self._settling = Settling(
            reader,
            dead_letters,
            self._notices,
            telemetry,
            self._labels,
            stopping=self._stopping,
            pause_s=config.retry.max_interval_s,
        )
        self._threads = [
            threading.Thread(target=self._run, name=f"export {self._name} {n}", daemon=True)
            for n in range(config.queue.num_consumers)
        ]

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self._threads:
            thread.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until the queue of this exporter is empty; False if that takes longer."""
        return self._reader.wait_until_empty(timeout_s)

    def stop(self, timeout_s: float) -> None:
        """Take no more; give attempts under way `timeout_s` seconds. The rest stays in the queue.

        Safe to call before `start`, and twice.
        """
        deadline_s = time.monotonic() + timeout_s
        self._stopping.set()
        self._reader.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(deadline_s - time.monotonic(), 0))
        self._lane.clear()  # metrics outlive an exporter that is replaced, and would keep it
        self._attempts.close()
        self._notices.close()

    def status(self) -> tuple[bool, str]:
        """Whether the destination takes what we send, and what is in the way."""
        well, reason = self._notices.status()
        if well and (trouble := self._dead_letters.trouble()):
            return False, trouble
        return well, reason

    def _run(self) -> None:
        """Take from the queue and from the slow lane in turn: neither waits for the other."""
        while not self._stopping.is_set():
            # What they hold, as large as it is, goes when they return, not when the next one comes.
            self._guarded(self._deliver_next)
            self._guarded(self._deliver_apart)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - a mistake of ours; the thread must live on
            _log.exception(
                "%s: a request can't be handled; it stays in the queue and is tried again after a "
                "restart",
                self._name,
            )

    def _deliver_apart(self) -> None:
        if (trial := self._lane.take(time.monotonic())) is not None:
            try:
                self._deliver([trial])
            finally:
                self._lane.done()

    def _deliver_next(self) -> None:
        until_due_s = self._lane.until_due_s(time.monotonic())
        idle_s = _IDLE_S if until_due_s is None else min(until_due_s, _IDLE_S)
        entries = self._collecting.take(idle_s)
        if not entries:
            return
        family = Family()
        for parcel in pack(self._signal, entries, self._config.batch.max_size_bytes):
            self._deliver([self._trial(parcel, family)])

    def _trial(self, parcel: Parcel, family: Family) -> Trial:
        now_s = time.monotonic()
        return Trial(parcel, family, Backoff(self._config.retry, random.random), now_s, now_s)

    def _deliver(self, trials: list[Trial]) -> None:
        """Bring every parcel to its end or to the slow lane, or leave it when stopping."""
        while trials and not self._stopping.is_set():
            trial = min(trials, key=lambda trial: trial.due_s)  # the first of those due at once
            if self._stopping.wait(max(trial.due_s - time.monotonic(), 0)):
                return
            at = trials.index(trial)
            trials[at : at + 1] = self._try(trial)

    def _try(self, trial: Trial) -> Sequence[Trial]:
        """Try once; give what is still to be tried here: the same, its halves, or nothing."""
        parcel = trial.parcel
        size, limit = len(parcel.payload), self._config.batch.max_size_bytes
        outcome: Outcome
        if size > limit:
            outcome = TooLarge(f"{size} bytes; the destination takes {limit}")
        else:
            outcome = self._attempts.send(parcel.payload, parcel.carries())
            if self._stopping.is_set() and isinstance(outcome, Retry | Hold):
                return ()  # perhaps cancelled by `stop`: nothing to conclude or to give up
            self._weigh(trial, outcome)
        match outcome:
            case Delivered(rejected, message):
                trial.family.halvings = 0
                self._settling.delivered(parcel, rejected, message)
                return ()
            case Retry() | Hold():
                return self._again(trial, outcome)
            case Rejected(reason) | TooLarge(reason):
                if smaller := self._smaller(trial, outcome):
                    return self._trials(smaller, trial)
                self._settling.bury(parcel, reason)
                return ()

    def _weigh(self, trial: Trial, outcome: Outcome) -> None:
        """Note what an attempt says about the destination and about this parcel."""
        first, fails = trial.doubt is None, isinstance(outcome, Retry | Hold)
        if first and not trial.parcel.suspect and isinstance(outcome, Delivered | Retry | Hold):
            self._others.tried(taken=not fails)
        if fails:
            trial.failures += 1
            if trial.doubt is None:
                trial.doubt = Doubt(self._others.count)
            else:
                trial.doubt.failed(self._others.count)
        if not (fails and trial.suspect):  # what fails a suspect is not the state of things
            self._notices.attempt(outcome)

    def _again(self, trial: Trial, outcome: Retry | Hold) -> Sequence[Trial]:
        """What to do after a failure that may pass: wait, here or apart, halve, or give up."""
        parcel, retry = trial.parcel, self._config.retry
        trial.reason = outcome.reason
        if self._has_expired(parcel):
            reason = f"they waited longer than sending_queue.max_age: {outcome.reason}"
            self._settling.drop(parcel, "expired", reason)
            return ()
        trial.throttled = isinstance(outcome, Retry) and outcome.after_s is not None
        if trial.suspect and not trial.throttled:
            if smaller := self._smaller(trial, outcome):
                return self._trials(smaller, trial)
            if trial.convicted and (isinstance(outcome, Hold) or outcome.doubtful):
                self._settling.bury(parcel, f"{outcome.reason} ({_WHY_GIVEN_UP})")
                return ()
        if isinstance(outcome, Hold):
            # No limit on these: a mistyped key must not cost what was acknowledged.
            delay_s: float | None = retry.max_interval_s
        else:
            delay_s = trial.backoff.next_delay_s(
                elapsed_s=time.monotonic() - trial.began_s,
                server_delay_s=outcome.after_s,
                apart=trial.suspect,
            )
        if delay_s is None:
            self._settling.drop(parcel, "retries_exhausted", outcome.reason)
            return ()
        trial.due_s = time.monotonic() + delay_s
        if trial.failures < _IN_PLACE_MAX and not trial.suspect:
            return (trial,)
        size = len(parcel.payload)
        while not self._lane.add(trial, size, trial.due_s):
            other = self._lane.evict(lambda waiting: waiting.convicted and not waiting.throttled)
            if other is None:
                return (trial,)
            self._settling.bury(other.parcel, f"{other.reason} ({_WHY_GIVEN_UP})")
        return ()

    def _trials(self, parcels: Iterable[Parcel], parent: Trial) -> list[Trial]:
        """Parts of a refused parcel, next in line: so what is well in there is soon accepted."""
        trials = [self._trial(parcel, parent.family) for parcel in parcels]
        for trial in trials:
            trial.due_s = parent.due_s
        return trials

    def _smaller(self, trial: Trial, outcome: Outcome) -> Sequence[Parcel]:
        """What to send in place of a refused parcel; nothing if it can't be made smaller."""
        parcel, family = trial.parcel, trial.family
        for_size = isinstance(outcome, TooLarge)
        if parcel.shortened is None and (for_size or family.halvings < _HALVINGS_MAX):
            halves = parcel.halves(self._signal)
            if halves is not None and not (for_size and _is_mostly_envelope(parcel, halves)):
                family.halvings += not for_size
                return halves
        if not for_size or self._signal is not Signal.TRACES:
            return ()
        if parcel.items > 1 or not self._config.truncate:
            return ()
        size = len(parcel.payload)
        limit = self._config.batch.max_size_bytes
        short = shorten(parcel.payload, self._config.truncate, limit if size > limit else size // 2)
        if short is None or len(short) >= size:
            return ()
        return (Parcel(parcel.parts, shortened=short),)

    def _has_expired(self, parcel: Parcel) -> bool:
        return all(self._reader.expired(part.account.entry) for part in parcel.parts)


def _is_mostly_envelope(parcel: Parcel, halves: Iterable[Parcel]) -> bool:
    """Whether each half is about as large as the whole."""
    least = (1 - _SAVED_MIN) * len(parcel.payload)
    return all(len(half.payload) > least for half in halves)
