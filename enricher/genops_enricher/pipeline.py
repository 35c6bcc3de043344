"""What flows through the pipeline, and what every stage is.

A stage accepts a batch with `consume` and knows only the next consumer, given to it in its
constructor. `consume` returns once the batch is accepted for good: the receiver acknowledges when
it does. How stages are joined is decided in `life.stages`, nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Batch", "Consumer", "Intake", "PartialSuccess", "Signal"]


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


@dataclass(frozen=True, slots=True)
class PartialSuccess:
    """What a destination said of a request that it took: OTLP's `partial_success`.

    It rejected `rejected` items, which the sender must not send again; with 0 the message is a
    warning.
    """

    rejected: int
    message: str


class Consumer(Protocol):
    """A stage, seen from the stage before it."""

    def consume(self, batch: Batch) -> PartialSuccess | None:
        """Accept the batch for good, and give what the sender is to be told beside that.

        Only a destination has something to tell; a queue gives None.

        Raises:
            RetryableError: not accepted now; the sender is to try the same batch again.
            PermanentError: this batch can never be accepted.
        """


class Intake(Protocol):
    """The first stage of a pipeline, seen from a receiver: it takes requests as they came."""

    def accept(self, payload: bytes) -> PartialSuccess | None:
        """Take a serialized Export{Trace,Metrics,Logs}ServiceRequest for good.

        What it gives is what the next stages gave: see `Consumer.consume`.

        Raises:
            RetryableError: not accepted now; the sender is to try the same request again.
            PermanentError: this request can never be accepted.
        """
