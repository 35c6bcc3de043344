"""The loop of an exporter: take from the queue, try, wait, try again.

Decides what becomes of a request after each attempt. How to try is the sender's business, when to
try again that of `retry`, what an answer means that of `outcome`, how requests are joined and
divided that of `parcel`. Requests are retried until they arrive, unless the configuration or the
answer sets a limit. What is refused as too large or as wrong is halved, so that only the items that
are the cause of it become dead letters; all that is given up is counted.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Sequence

from genops_enricher.config.model import ExporterConfig
from genops_enricher.export.attempt import Attempts
from genops_enricher.export.notices import Notices
from genops_enricher.export.otlp import Sender
from genops_enricher.export.outcome import Delivered, Hold, Outcome, Rejected, Retry, TooLarge
from genops_enricher.export.parcel import Parcel, pack
from genops_enricher.export.retry import Backoff
from genops_enricher.export.truncate import shorten
from genops_enricher.pipeline import Signal
from genops_enricher.queue import DeadLetters, Entry, Reader
from genops_enricher.telemetry import Telemetry

__all__ = ["Exporter"]

_log = logging.getLogger(__name__)

_IDLE_S = 60.0  # how long to wait for work at a time; closing the reader ends the wait
# Joined at most: the position file of the queue names about 250 records that are under way.
_JOINED_MAX = 50
# Refusals, but those for size, of parts of one parcel. Twelve halvings find one item among four
# thousand; a destination that refuses everything must not get every item by itself.
_REFUSALS_MAX = 64
# How often several items of a request that was refused may meet a doubtful answer before they are
# halved again. A single item gets the whole number: it is lost to the destination after that.
_SUSPECT_ATTEMPTS_MAX = 2


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
    ) -> None:
        """Nothing runs before `start`."""
        self._name = f"{config.id} ({signal})"
        self._config = config
        self._signal = signal
        self._reader = reader
        self._dead_letters = dead_letters
        self._telemetry = telemetry
        self._labels = {"exporter": config.id, "signal": signal.value}
        self._delivered = 0  # only compared; an increment lost between two threads does no harm
        self._stopping = threading.Event()
        self._attempts = Attempts(config.id, signal, sender, telemetry, self._stopping.is_set)
        self._notices = Notices(self._name)
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
        self._attempts.close()
        self._notices.close()

    def status(self) -> tuple[bool, str]:
        """Whether the destination takes what we send, and what is in the way."""
        well, reason = self._notices.status()
        if well and (trouble := self._dead_letters.trouble()):
            return False, trouble
        return well, reason

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                entry = self._reader.take(_IDLE_S)
            except Exception as error:  # noqa: BLE001 - the data waits for this thread
                _log.error("%s: can't read the queue: %r; trying again", self._name, error)
                self._stopping.wait(self._config.retry.max_interval_s)
                continue
            if entry is not None:
                try:
                    self._deliver(self._join(entry))
                except Exception:  # noqa: BLE001 - a mistake of ours; the thread must live on
                    _log.exception(
                        "%s: a request can't be handled; it stays in the queue and is tried again "
                        "after a restart",
                        self._name,
                    )
                entry = None  # it would be held, as large as it is, until the next one comes

    def _join(self, first: Entry) -> list[Entry]:
        """The entry, and those behind it that are there and small enough to go out with it."""
        batch = self._config.batch
        room = min(batch.min_size_bytes, batch.max_size_bytes) - len(first.payload)
        entries = [first]
        while room > 0 and len(entries) < _JOINED_MAX:
            try:
                entry = self._reader.take(0, bytes_max=room)
            except Exception as error:  # noqa: BLE001 - what we have already must go on
                _log.error("%s: can't read the queue: %r; trying again", self._name, error)
                break
            if entry is None:
                break
            entries.append(entry)
            room -= len(entry.payload)
        return entries

    def _deliver(self, entries: Sequence[Entry]) -> None:
        """Bring every entry to its end, or leave it in the queue when stopping."""
        config = self._config
        todo = deque(pack(self._signal, entries, config.batch.max_size_bytes))
        refusals = 0
        while todo and not self._stopping.is_set():
            parcel = todo.popleft()
            outcome = self._outcome(parcel)
            if isinstance(outcome, TooLarge | Rejected):
                refusals += isinstance(outcome, Rejected)
                smaller = self._smaller(parcel, outcome, may_halve=refusals <= _REFUSALS_MAX)
                if smaller:
                    todo.extendleft(reversed(smaller))
                    continue
            match outcome:
                case None:
                    return  # stopping
                case Delivered(rejected, message):
                    self._finish_delivered(parcel, rejected, message)
                case Retry(reason) | Hold(reason):  # given up
                    if self._has_expired(parcel):
                        reason = f"they waited longer than sending_queue.max_age: {reason}"
                        self._drop(parcel, "expired", reason)
                    else:
                        self._drop(parcel, "retries_exhausted", reason)
                case Rejected(reason) | TooLarge(reason):
                    self._bury(parcel, reason)

    def _smaller(
        self, parcel: Parcel, outcome: TooLarge | Rejected, *, may_halve: bool
    ) -> Sequence[Parcel]:
        """What to send in place of a refused parcel; nothing if it can't be made smaller."""
        if may_halve and parcel.shortened is None and (halves := parcel.halves(self._signal)):
            return halves
        if not isinstance(outcome, TooLarge) or self._signal is not Signal.TRACES:
            return ()
        if parcel.items > 1 or not self._config.truncate:
            return ()
        size = len(parcel.payload)
        limit = self._config.batch.max_size_bytes
        short = shorten(parcel.payload, self._config.truncate, limit if size > limit else size // 2)
        if short is None or len(short) >= size:
            return ()
        return (Parcel(parcel.parts, shortened=short),)

    def _outcome(self, parcel: Parcel) -> Outcome | None:
        """Try until the answer is final, or time is up (Retry, Hold). None means stopping."""
        payload = parcel.payload
        limit = self._config.batch.max_size_bytes
        if len(payload) > limit:
            return TooLarge(f"{len(payload)} bytes; the destination takes {limit}")
        hasty = parcel.suspect and parcel.items > 1
        backoff = Backoff(self._config.retry, random.random)
        began_s = time.monotonic()
        doubts = 0
        delivered = self._delivered
        while not self._stopping.is_set():
            outcome = self._attempts.send(payload)
            if self._stopping.is_set() and isinstance(outcome, Retry | Hold):
                return None  # perhaps cancelled by `stop`: nothing to conclude or to give up
            self._notices.attempt(outcome)
            match outcome:
                case Hold():
                    # No limit on these: a mistyped key must not cost what was acknowledged.
                    delay_s: float | None = self._config.retry.max_interval_s
                case Retry(reason, after_s, attempts_max):
                    if attempts_max and delivered != self._delivered:
                        # It takes other requests: this one is in doubt, not the destination.
                        delivered = self._delivered
                        doubts += 1
                        if doubts >= (_SUSPECT_ATTEMPTS_MAX if hasty else attempts_max):
                            return Rejected(f"{reason} ({doubts} times)")
                    delay_s = backoff.next_delay_s(
                        elapsed_s=time.monotonic() - began_s, server_delay_s=after_s
                    )
                    if delay_s is None:
                        return outcome
                case _:
                    return outcome
            if self._has_expired(parcel):
                return outcome
            self._stopping.wait(delay_s)
        return None

    def _has_expired(self, parcel: Parcel) -> bool:
        return all(self._reader.expired(part.account.entry) for part in parcel.parts)

    def _finish_delivered(self, parcel: Parcel, rejected: int, message: str) -> None:
        """The destination has it, but for items that it rejected, which are not sent again."""
        rejected = min(rejected, parcel.items)
        if rejected:
            self._notices.lost(rejected, f"the destination rejected them: {message}")
        elif message:
            self._notices.warned(message)
        if parcel.shortened is not None:
            self._telemetry.add(
                "genops_exporter_truncated_items_total", parcel.items, **self._labels
            )
        self._delivered += 1
        for part in parcel.parts:  # the answer says how many of them, not which
            share = min(rejected, part.items)
            part.account.dropped["rejected"] += share
            rejected -= share
        self._settle(parcel)

    def _drop(self, parcel: Parcel, label: str, reason: str) -> None:
        self._notices.lost(parcel.items, reason)
        for part in parcel.parts:
            part.account.dropped[label] += part.items
        self._settle(parcel)

    def _bury(self, parcel: Parcel, reason: str) -> None:
        """Make each part a dead letter, as it came. As long as the disk refuses, wait."""
        for part in parcel.parts:
            while True:
                try:
                    kept = self._dead_letters.keep(part.payload, part.items, reason)
                    break
                except OSError as error:
                    self._notices.attempt(Hold(f"can't write a dead letter: {error.strerror}"))
                    if self._stopping.wait(self._config.retry.max_interval_s):
                        return
            if kept:
                self._notices.dead_lettered(part.items, reason)
                part.account.dead_lettered += part.items
            else:
                self._notices.lost(part.items, f"{reason}; the dead letters are at their bound")
                part.account.dropped["dead_letters_full"] += part.items
        self._settle(parcel)

    def _settle(self, parcel: Parcel) -> None:
        """Finish the entries of which nothing is left."""
        for part in parcel.parts:
            account = part.account
            account.open_parts -= 1
            if not account.open_parts:
                self._reader.finish(
                    account.entry, dropped=account.dropped, dead_lettered=account.dead_lettered
                )
