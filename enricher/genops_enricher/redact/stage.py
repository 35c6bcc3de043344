"""The stage before the queue: what is queued, kept as a dead letter or sent is redacted.

Counts what it did only after the next stage has accepted the request, as pricing does.
"""

from __future__ import annotations

from collections.abc import Callable

from genops_enricher.decode.lens import count_data_points, count_log_records, count_spans
from genops_enricher.pipeline import Batch, Consumer, PartialSuccess, Signal
from genops_enricher.redact.redactor import Redactor
from genops_enricher.telemetry import Telemetry

__all__ = ["RedactStage", "redacting"]

_COUNT: dict[Signal, Callable[[bytes], int]] = {
    Signal.TRACES: count_spans,
    Signal.METRICS: count_data_points,
    Signal.LOGS: count_log_records,
}


def redacting(next_consumer: Consumer, redactor: Redactor | None, telemetry: Telemetry) -> Consumer:
    """The next consumer itself, or with redaction before it where a redactor is given."""
    return next_consumer if redactor is None else RedactStage(next_consumer, redactor, telemetry)


class RedactStage:
    """Redacts requests on their way to the next stage."""

    def __init__(self, next_consumer: Consumer, redactor: Redactor, telemetry: Telemetry) -> None:
        self._next = next_consumer
        self._redactor = redactor
        self._telemetry = telemetry

    def consume(self, batch: Batch) -> PartialSuccess | None:
        """See `Consumer.consume`."""
        signal = batch.signal
        redacted = self._redactor.redact(signal, batch.payload)
        items = _COUNT[signal](redacted.payload) if redacted.unreadable else batch.items
        told = None
        if items:
            told = self._next.consume(Batch(signal, redacted.payload, items))
        for action in ("dropped", "hashed", "unreadable"):
            if count := getattr(redacted, action):
                self._telemetry.add(
                    "genops_redacted_attributes_total", count, signal=signal, action=action
                )
        if removed := batch.items - items:
            self._telemetry.add("genops_redaction_removed_items_total", removed, signal=signal)
        return told
