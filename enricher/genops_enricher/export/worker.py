"""The loop of an exporter: take from the queue, try, wait, try again.

Decides what becomes of a request after each attempt. How to try is the sender's business, when to
try again that of `retry`, what an answer means that of `outcome`. Requests are retried until they
arrive, unless the configuration or the answer sets a limit; all that is given up is counted.
"""

from __future__ import annotations

import logging
import random
import threading
import time

from genops_enricher.config.model import RetryConfig
from genops_enricher.export.notices import Notices
from genops_enricher.export.otlp import Sender
from genops_enricher.export.outcome import Delivered, Hold, Outcome, Rejected, Retry
from genops_enricher.export.retry import Backoff
from genops_enricher.pipeline import Signal
from genops_enricher.queue import Entry, Reader
from genops_enricher.telemetry import Telemetry

__all__ = ["Exporter"]

_log = logging.getLogger(__name__)

_OUTCOME_LABELS: dict[type[Outcome], str] = {
    Delivered: "delivered",
    Retry: "retry",
    Hold: "held",
    Rejected: "rejected",
}
_IDLE_S = 60.0  # how long to wait for work at a time; closing the reader ends the wait


class Exporter:
    """Delivers one signal to one destination with `consumers` threads."""

    def __init__(
        self,
        exporter_id: str,
        signal: Signal,
        retry: RetryConfig,
        consumers: int,
        reader: Reader,
        sender: Sender,
        telemetry: Telemetry,
    ) -> None:
        """Nothing runs before `start`."""
        self._name = f"{exporter_id} ({signal})"
        self._retry = retry
        self._reader = reader
        self._sender = sender
        self._telemetry = telemetry
        self._labels = {"exporter": exporter_id, "signal": signal.value}
        self._delivered = 0  # only compared; an increment lost between two threads does no harm
        self._stopping = threading.Event()
        self._notices = Notices(self._name)
        self._threads = [
            threading.Thread(target=self._run, name=f"export {self._name} {n}", daemon=True)
            for n in range(consumers)
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
        self._sender.close()
        self._notices.close()

    def status(self) -> tuple[bool, str]:
        """Whether the destination takes what we send, and what is in the way."""
        return self._notices.status()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                entry = self._reader.take(_IDLE_S)
            except Exception as error:  # noqa: BLE001 - the data waits for this thread
                _log.error("%s: can't read the queue: %r; trying again", self._name, error)
                self._stopping.wait(self._retry.max_interval_s)
                continue
            if entry is not None:
                self._deliver(entry)

    def _deliver(self, entry: Entry) -> None:
        """Try until the entry is finished, or leave it in the queue when stopping."""
        backoff = Backoff(self._retry, random.random)
        began_s = time.monotonic()
        doubts = 0
        delivered = self._delivered
        while not self._stopping.is_set():
            outcome = self._attempt(entry)
            if self._stopping.is_set() and isinstance(outcome, Retry | Hold):
                return  # perhaps cancelled by `stop`: nothing to conclude, nothing to give up
            self._notices.attempt(outcome)
            match outcome:
                case Delivered(rejected, message):
                    self._finish(entry, min(rejected, entry.items), message)
                    return
                case Rejected(reason):
                    self._drop(entry, "rejected", reason)
                    return
                case Hold():
                    # No limit on these: a mistyped key must not cost what was acknowledged.
                    delay_s: float | None = self._retry.max_interval_s
                case Retry(reason, after_s, attempts_max):
                    if attempts_max and delivered != self._delivered:
                        # It takes other requests: this one is in doubt, not the destination.
                        delivered = self._delivered
                        doubts += 1
                        if doubts == attempts_max:
                            self._drop(entry, "rejected", f"{reason} ({doubts} times)")
                            return
                    delay_s = backoff.next_delay_s(
                        elapsed_s=time.monotonic() - began_s, server_delay_s=after_s
                    )
                    if delay_s is None:
                        self._drop(entry, "retries_exhausted", reason)
                        return
            self._stopping.wait(delay_s)

    def _attempt(self, entry: Entry) -> Outcome:
        try:
            outcome = self._sender.send(entry.payload)
        except Exception as error:  # noqa: BLE001 - a mistake of ours; thread and data must live on
            if not self._stopping.is_set():  # `stop` closes the sender under late attempts
                _log.exception("%s: an attempt failed in an unforeseen way", self._name)
            outcome = Hold(f"internal error: {type(error).__name__}")
        label = _OUTCOME_LABELS[type(outcome)]
        self._telemetry.add("genops_exporter_attempts_total", outcome=label, **self._labels)
        return outcome

    def _finish(self, entry: Entry, rejected: int, message: str) -> None:
        if rejected:
            self._notices.lost(rejected, f"the destination rejected them: {message}")
        elif message:
            self._notices.warned(message)
        self._delivered += 1
        self._reader.delivered(entry, rejected=rejected)

    def _drop(self, entry: Entry, label: str, reason: str) -> None:
        self._notices.lost(entry.items, reason)
        self._reader.dropped(entry, label)
