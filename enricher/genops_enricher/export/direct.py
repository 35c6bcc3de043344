"""The exporter without a queue: the sender of a request waits for the answer of the destination.

Decides what the answer means for the sender. Nothing is kept, split, joined or tried again here:
all of that is with the sender, who still has its data. A request that the destination never
accepted is in no book but that of refused requests.

| the destination says | the sender gets |
|---|---|
| success, partial success | the same |
| not now, or it fails | UNAVAILABLE, with the wait that it asks for |
| it refuses us: key, path, certificate | UNAVAILABLE: the data is as good as before |
| the request is too large | RESOURCE_EXHAUSTED, HTTP 413 |
| the request is wrong | INVALID_ARGUMENT, HTTP 400 |
"""

from __future__ import annotations

import threading

from genops_enricher.config.model import ExporterConfig
from genops_enricher.errors import OversizeError, PermanentError, RetryableError
from genops_enricher.export.attempt import Attempts, AttemptTracer
from genops_enricher.export.notices import Notices
from genops_enricher.export.otlp import Sender
from genops_enricher.export.outcome import Delivered, Hold, Rejected, Retry, TooLarge
from genops_enricher.export.retry import SERVER_DELAY_MAX_S
from genops_enricher.pipeline import Batch, PartialSuccess, Signal
from genops_enricher.telemetry import Telemetry

__all__ = ["DirectExporter"]


_WAIT_S = 1.0  # what a sender is to wait if the destination does not say


class DirectExporter:
    """Delivers one signal to one destination while its sender waits. Thread safe."""

    def __init__(
        self,
        config: ExporterConfig,
        signal: Signal,
        sender: Sender,
        telemetry: Telemetry,
        tracer: AttemptTracer | None = None,
    ) -> None:
        """Nothing is sent or counted before `start`."""
        self._config = config
        self._telemetry = telemetry
        self._labels = {"exporter": config.id, "signal": signal.value}
        self._notices = Notices(
            f"{config.id} ({signal})", meanwhile="Senders keep their data, and try again as they do"
        )
        self._stopping = threading.Event()
        self._attempts = Attempts(
            config.id, signal, sender, telemetry, self._stopping.is_set, tracer
        )

    def start(self) -> None:
        """Show the books of a queue that is none."""
        for gauge in (
            "genops_exporter_recovered_items",
            "genops_exporter_queued_items",
            "genops_exporter_queue_bytes",
            "genops_exporter_queue_capacity_bytes",
            "genops_exporter_oldest_item_age_seconds",
        ):
            self._telemetry.set(gauge, 0, **self._labels)

    def consume(self, batch: Batch) -> PartialSuccess | None:
        """Deliver the batch, within the timeout of the exporter.

        Raises:
            RetryableError: the destination does not take it now, or does not take us.
            OversizeError: it takes smaller requests only.
            PermanentError: it can never accept this request.
        """
        if self._stopping.is_set():
            raise RetryableError("shutting down")
        outcome = self._attempts.send(batch.payload)
        if not self._stopping.is_set():
            self._notices.attempt(outcome)
        destination = self._config.id
        match outcome:
            case Delivered(rejected, message):
                return self._accepted(batch.items, min(rejected, batch.items), message)
            case Retry(reason, after_s):
                wait_s = _WAIT_S if after_s is None else min(max(after_s, 0.0), SERVER_DELAY_MAX_S)
                raise RetryableError(f"{destination}: {reason}", retry_after_s=wait_s)
            case Hold(reason):
                raise RetryableError(
                    f"{destination} refuses the enricher: {reason}",
                    retry_after_s=self._config.retry.max_interval_s,
                )
            case TooLarge(reason):
                raise OversizeError(f"{destination}: {reason}")
            case Rejected(reason):
                raise PermanentError(f"{destination}: {reason}")

    def flush(self, timeout_s: float) -> bool:  # noqa: ARG002 - as an exporter with a queue has it
        """True: nothing waits here."""
        return True

    def stop(self, timeout_s: float) -> None:  # noqa: ARG002 - nothing is worth waiting for
        """End what is under way; its senders are told to try again. Safe to call twice."""
        self._stopping.set()
        self._attempts.close()
        self._notices.close()

    def status(self) -> tuple[bool, str]:
        """Whether the destination takes what we send, and what is in the way."""
        return self._notices.status()

    def _accepted(self, items: int, rejected: int, message: str) -> PartialSuccess | None:
        add, labels = self._telemetry.add, self._labels
        add("genops_exporter_accepted_items_total", items, **labels)
        add("genops_exporter_delivered_items_total", items - rejected, **labels)
        if rejected:
            add("genops_exporter_dropped_items_total", rejected, reason="rejected", **labels)
            self._notices.lost(rejected, f"the destination rejected them: {message}")
        elif message:
            self._notices.warned(message)
        return PartialSuccess(rejected, message) if rejected or message else None
