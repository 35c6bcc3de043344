"""One attempt to send, whose outcome is counted, and which never raises."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from genops_enricher.export.otlp import Sender
from genops_enricher.export.outcome import Delivered, Hold, Outcome, Rejected, Retry, TooLarge
from genops_enricher.pipeline import Signal
from genops_enricher.telemetry import Telemetry

__all__ = ["AttemptTracer", "Attempts", "label_of"]

_log = logging.getLogger(__name__)

_OUTCOME_LABELS: dict[type[Outcome], str] = {
    Delivered: "delivered",
    Retry: "retry",
    Hold: "held",
    Rejected: "rejected",
    TooLarge: "too_large",
}


class AttemptTracer(Protocol):
    """What goes along with attempts, to tell of them."""

    def attempt(
        self, send: Callable[[Mapping[str, str]], Outcome], carries: Iterable[bytes]
    ) -> Outcome:
        """Call `send` with the headers that the attempt is to have besides; give its outcome.

        `carries` are the queued requests of which the attempt delivers at least a part.
        """


def label_of(outcome: Outcome) -> str:
    """The outcome as metrics and spans have it."""
    return _OUTCOME_LABELS[type(outcome)]


class Attempts:
    """The attempts of one exporter and signal. Thread safe."""

    def __init__(
        self,
        exporter: str,
        signal: Signal,
        sender: Sender,
        telemetry: Telemetry,
        is_stopping: Callable[[], bool],
        tracer: AttemptTracer | None = None,
    ) -> None:
        """`is_stopping`: the sender may be closed, which ends attempts in any way."""
        self._tracer = tracer
        self._name = f"{exporter} ({signal})"
        self._labels = {"exporter": exporter, "signal": signal.value}
        self._sender = sender
        self._telemetry = telemetry
        self._is_stopping = is_stopping

    def send(self, payload: bytes, carries: Iterable[bytes] = ()) -> Outcome:
        """Try once. A mistake of ours is a Hold: it is not the data's fault.

        `carries` are the queued requests of which the payload is made.
        """
        try:
            if self._tracer is None:
                outcome = self._sender.send(payload)
            else:
                outcome = self._tracer.attempt(
                    lambda headers: self._sender.send(payload, headers), carries
                )
        except Exception as error:  # noqa: BLE001 - a mistake of ours; thread and data must live on
            if not self._is_stopping():  # `stop` closes the sender under late attempts
                _log.exception("%s: an attempt failed in an unforeseen way", self._name)
            outcome = Hold(f"internal error: {type(error).__name__}")
        self._telemetry.add(
            "genops_exporter_attempts_total", outcome=label_of(outcome), **self._labels
        )
        return outcome

    def close(self) -> None:
        """Let go of the connections; attempts under way end."""
        self._sender.close()
