"""Tell an aggregate whose calls never come from one that repeats theirs.

The span of an agent often states the usage of all the calls below it. Where these have spans of
their own the aggregate is not priced; where nobody instruments them, it is the only record of what
was spent. Spans come one by one and the calls of an agent end before it does, so they come before
it, or with it. The rule:

    An aggregate is an orphan if no call of its trace is known that is its child or overlaps with
    it in time.

That errs on the safe side: with an instrumented call of another branch at the same time an orphan
stays unpriced, rather than some cost being counted twice. An orphan that was priced counts as a
call for the aggregates around it, but not for its siblings, such as the steps of one agent that
run side by side. A call that comes after all when the aggregate around it has been priced is a
duplicate of it.

What is known of a trace is what was seen, accepted or not: a call that was refused comes again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from genops_enricher.decode.lens import SpanPosition
from genops_enricher.seen.recent import Recent

__all__ = ["Orphans"]

# Beyond these the calls of one trace are kept as one interval from the first to the last, which
# errs on the same side. So many take 4 KB, and 100,000 such traces 400 MB.
_CALLS_MAX = 16
# An aggregate that is forgotten can be priced beside its calls, so more of these are kept.
_AGGREGATES_MAX = 64


class _Seen(NamedTuple):
    """A span with a cost of its own."""

    span_id: bytes
    parent_id: bytes
    start_ns: int
    end_ns: int
    is_aggregate: bool

    @property
    def has_times(self) -> bool:
        return 0 < self.start_ns <= self.end_ns

    def overlaps(self, other: _Seen) -> bool:
        """Whether they do, as far as can be told: what has no sensible times may."""
        if not (self.has_times and other.has_times):
            return True
        return self.start_ns < other.end_ns and other.start_ns < self.end_ns

    def contains(self, other: _Seen) -> bool:
        if not (self.has_times and other.has_times):
            return False
        return self.start_ns <= other.start_ns and other.end_ns <= self.end_ns

    def is_sibling(self, other: _Seen) -> bool:
        return bool(self.parent_id) and self.parent_id == other.parent_id


class Orphans:
    """The calls of the traces of late. Thread safe."""

    def __init__(
        self, window_s: float, max_traces: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep `max_traces` traces at most, for `window_s` seconds and up to twice that.

        `clock` gives seconds, and never goes back.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._traces: Recent[bytes, tuple[_Seen, ...]] = Recent(window_s, max_traces)

    def limit(self, window_s: float, max_traces: int) -> None:
        """Set other bounds, and keep what is known."""
        with self._lock:
            self._traces.limit(window_s, max_traces)

    def call(self, span: SpanPosition) -> bytes | None:
        """Note a call; gives the ids of the priced aggregate that already holds its cost, if any.

        The ids are the trace id and the span id.
        """
        call = _seen(span, is_aggregate=False)
        with self._lock:
            self._traces.forget(self._clock())
            trace = self._traces.get(span.trace_id) or ()
            for seen in trace:
                if seen.is_aggregate and (seen.span_id == call.parent_id or seen.contains(call)):
                    return span.trace_id + seen.span_id
            self._note(span.trace_id, trace, call)
        return None

    def claim(self, span: SpanPosition) -> bool:
        """Whether the aggregate is an orphan. From then on it has the cost of what is below it."""
        aggregate = _seen(span, is_aggregate=True)
        with self._lock:
            self._traces.forget(self._clock())
            trace = self._traces.get(span.trace_id) or ()
            for seen in trace:
                if seen.span_id == aggregate.span_id and seen.is_aggregate:
                    return True  # a resend
            for seen in trace:
                if seen.is_aggregate and seen.is_sibling(aggregate):
                    continue
                if seen.parent_id == aggregate.span_id or seen.overlaps(aggregate):
                    return False
            self._note(span.trace_id, trace, aggregate)
        return True

    def _note(self, trace_id: bytes, trace: tuple[_Seen, ...], span: _Seen) -> None:
        if span in trace:
            return
        calls = [seen for seen in (*trace, span) if not seen.is_aggregate]
        if len(calls) > _CALLS_MAX:
            start_ns, end_ns = min(c.start_ns for c in calls), max(c.end_ns for c in calls)
            calls = [_Seen(b"", b"", start_ns, end_ns, is_aggregate=False)]
        aggregates = [seen for seen in (*trace, span) if seen.is_aggregate][-_AGGREGATES_MAX:]
        self._traces.put(trace_id, (*calls, *aggregates))


def _seen(span: SpanPosition, *, is_aggregate: bool) -> _Seen:
    return _Seen(
        span.span_id,
        span.parent_span_id,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        is_aggregate,
    )
