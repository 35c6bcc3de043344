"""The intake of metrics and logs: they are counted and passed on as the bytes that came."""

from __future__ import annotations

from collections.abc import Callable

from genops_enricher.decode.lens import DecodeError, count_data_points, count_log_records
from genops_enricher.decode.llm_logs import count_llm_events
from genops_enricher.errors import not_otlp
from genops_enricher.pipeline import Batch, Consumer, PartialSuccess, Signal
from genops_enricher.telemetry import Telemetry

__all__ = ["PassThrough"]

_COUNT: dict[Signal, Callable[[bytes], int]] = {
    Signal.METRICS: count_data_points,
    Signal.LOGS: count_log_records,
}


class PassThrough:
    """Takes requests of one signal and hands them to the next stage unchanged."""

    def __init__(self, signal: Signal, next_consumer: Consumer, telemetry: Telemetry) -> None:
        self._signal = signal
        self._count = _COUNT[signal]
        self._next = next_consumer
        self._telemetry = telemetry

    def accept(self, payload: bytes) -> PartialSuccess | None:
        """Pass the request on. See `Intake.accept`."""
        try:
            items = self._count(payload)
        except DecodeError as error:
            raise not_otlp(self._signal, error) from error
        told = None
        if items:  # OTLP: an empty request succeeds and is not passed on
            told = self._next.consume(Batch(self._signal, payload, items))
        self._telemetry.add("genops_received_items_total", items, signal=self._signal)
        if self._signal is Signal.LOGS:
            for event, records in count_llm_events(payload).items():
                self._telemetry.add("genops_llm_log_records_total", records, event=event)
        return told
