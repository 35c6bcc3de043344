"""A span processor that can leave a tracer provider again.

The SDK has no way to remove one. A processor that is merely shut down would go on printing
(console) or fail every later `force_flush` of the application's provider, and with it those of the
processors behind it. Loads the SDK: import it only inside functions.
"""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

__all__ = ["DetachableProcessor"]


class DetachableProcessor(SpanProcessor):
    """Passes everything on to another processor, until it is shut down."""

    def __init__(self, target: SpanProcessor) -> None:
        self._target = target

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See `SpanProcessor`."""
        self._target.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """See `SpanProcessor`."""
        self._target.on_end(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See `SpanProcessor`."""
        # Old SDKs' own base class answers None.
        return self._target.force_flush(timeout_millis) is not False

    def shutdown(self) -> None:
        """Shut the other processor down; from now on do nothing."""
        target, self._target = self._target, SpanProcessor()
        target.shutdown()
