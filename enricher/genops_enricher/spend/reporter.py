"""Sends the sums on, at an interval, through the queue that other metrics go through.

What the queue does not accept is not lost: the next report covers it. What it has accepted is
delivered at least once; a request that is delivered twice counts twice where sums are deltas.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from genops_enricher.errors import EnricherError
from genops_enricher.pipeline import Consumer
from genops_enricher.spend.ledger import Amounts, Labels, Ledger
from genops_enricher.spend.otlp import Interval, encode

__all__ = ["Reporter"]

_log = logging.getLogger(__name__)

_NOTHING = Amounts()

# In a request, which has up to six data points for each: under 1 MB with labels of usual length.
# Many receivers of gRPC take 4 MiB and no more.
_ROWS_MAX = 500


class Reporter:
    """Reports a ledger every `interval_s`, and once more when it stops."""

    def __init__(
        self,
        ledger: Ledger,
        next_consumer: Consumer,
        *,
        interval_s: float,
        delta: bool,
        resource: Mapping[str, str],
        now_ns: Callable[[], int] = time.time_ns,
        start_ns: int | None = None,
        after: Reporter | None = None,
    ) -> None:
        """Nothing is reported before `start`.

        Args:
            ledger: the sums.
            next_consumer: gets the reports.
            interval_s: the seconds between them.
            delta: report what came since the last one; else the sums since the ledger began.
            resource: the attributes of the resource.
            now_ns: the time, in Unix nanoseconds.
            start_ns: when the ledger began; now if it is not given.
            after: the reporter of the same ledger that this one takes over from.
        """
        self._ledger = ledger
        self._next = next_consumer
        self._interval_s = interval_s
        self._delta = delta
        self._resource = resource
        self._now_ns = now_ns
        self._start_ns = now_ns() if start_ns is None else start_ns
        # The last report: what deltas are since.
        self._reported_ns: int = after._reported_ns if after else self._start_ns
        self._reported: dict[Labels, Amounts] = dict(after._reported) if after else {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spend", daemon=True)

    def start(self) -> None:
        """Report from now on."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Make the last report, within `timeout_s` seconds; nothing may be added any more.

        Without a queue the destination may take its time: what it does not take by then is told by
        the reporter that takes over from this one, if there is one, and may then arrive twice.
        """
        self._stopping.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.warning("the last cost metrics were not accepted within %g s", timeout_s)

    def report(self) -> None:
        """Hand on what there is to say. Not called by two threads at a time."""
        now_ns = self._now_ns()
        start_ns = self._reported_ns if self._delta else self._start_ns
        interval = Interval(start_ns, now_ns, self._delta)
        before = self._reported if self._delta else {}
        news = [
            (labels, row)
            for labels, row in self._ledger.rows().items()
            if row != before.get(labels)
        ]
        for part in [news[at : at + _ROWS_MAX] for at in range(0, len(news), _ROWS_MAX)]:
            points = [
                (self._ledger.attributes(labels), row.minus(before.get(labels, _NOTHING)))
                for labels, row in part
            ]
            try:
                self._next.consume(encode(points, interval, self._resource))
            except EnricherError as error:
                # Refused for good too: without a queue that is the destination's word on this one.
                _log.warning("cost metrics wait for the next report: %s", error)
                return
            self._reported.update(part)
        self._reported_ns = now_ns

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self._report_guarded()
        self._report_guarded()

    def _report_guarded(self) -> None:
        try:
            self.report()
        except Exception:  # noqa: BLE001 - a thread that ends would end all reports
            _log.exception("cost metrics were not reported; the next report covers them")
