"""What flows through the pipeline, and what every stage is.

A stage accepts a batch with `consume` and knows only the next consumer, given to it in its
constructor. `consume` returns once the batch is accepted for good: the receiver acknowledges when
it does. How stages are joined is decided in `service`, nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Batch", "Consumer", "Intake", "Signal"]


class Signal(StrEnum):
    """The OTLP signals that have a stable protocol."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Batch:
    """One OTLP export request on its way through.

    `payload` is the serialized Export{Trace,Metrics,Logs}ServiceRequest. It is shared between
    exporters and never changed in place.
    """

    signal: Signal
    payload: bytes
    items: int  # spans, metric data points or log records in the payload


class Consumer(Protocol):
    """A stage, seen from the stage before it."""

    def consume(self, batch: Batch) -> None:
        """Accept the batch for good.

        Raises:
            RetryableError: not accepted now; the sender is to try the same batch again.
            PermanentError: this batch can never be accepted.
        """


class Intake(Protocol):
    """The first stage of a pipeline, seen from a receiver: it takes requests as they came."""

    def accept(self, payload: bytes) -> None:
        """Take a serialized Export{Trace,Metrics,Logs}ServiceRequest for good.

        Raises:
            RetryableError: not accepted now; the sender is to try the same request again.
            PermanentError: this request can never be accepted.
        """
