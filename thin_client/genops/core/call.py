"""The span around one call: started before it, ended once, by whatever ends the call first.

Decides the life of the span; what stands on it comes from `recording`, and streams report through
`streaming`. Each step runs under the guard, so the application's call is never touched by a failure
here, and the span ends even if reading the response fails.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from genops import _runtime
from genops.core import attributes as names
from genops.core.budget import Reservation
from genops.core.content import request_content, response_content
from genops.core.context import current_governance
from genops.core.governance import Scalar
from genops.core.guard import guard
from genops.core.recording import (
    Attributes,
    Request,
    error_attributes,
    get,
    request_attributes,
    response_attributes,
)

__all__ = ["Call", "recording_here", "start"]

logger = logging.getLogger("genops")

# True while a call is being recorded in this context. SDK methods call one another, and the
# OpenRouter adapter calls patched methods: the outermost records, the others step aside.
_recording: ContextVar[bool] = ContextVar("genops_recording", default=False)


def recording_here() -> bool:
    """Whether a call is already being recorded in this context."""
    return _recording.get()


def start(
    request: Request,
    governance: Mapping[str, Scalar] | None = None,
    reservation: Reservation | None = None,
) -> Call:
    """Start the span of a call.

    Args:
        request: What is called.
        governance: Attributes of this call alone; they win over the context's and the defaults.
        reservation: What the call may cost, held in budgets until it ends.
    """
    # Governance goes first: if a span overflows its attribute limit, the oldest are lost.
    attributes = {
        **_runtime.current().governance,
        **current_governance(),
        **(governance or {}),
        **request_attributes(request),
    }
    if reservation is not None:
        attributes[names.BUDGET_LIMIT] = reservation.limit_usd
    span = _runtime.tracer().start_span(
        request.span_name, kind=SpanKind.CLIENT, attributes=attributes
    )
    call = Call(span, request, reservation)
    if request.content is not None and call.is_recording:
        with guard("reading the content of the request"):
            span.set_attributes(request_content(request.operation, request.content))
    return call


class Call:
    """A call in flight. As a context manager it makes its span current and records what is raised.

    Leaving the block does not end the span of a call that succeeded: `succeed` does, when the
    response is there, or a stream does when it ends.
    """

    __slots__ = (
        "_current",
        "_ended",
        "_process",
        "_recording",
        "_reservation",
        "_started_at",
        "is_recording",
        "request",
        "span",
    )

    def __init__(
        self, span: trace.Span, request: Request, reservation: Reservation | None = None
    ) -> None:
        self.span = span
        # False for a span that nobody will see (no SDK, or not sampled). Asked once, while a
        # failure of the span's can still leave the call unrecorded.
        self.is_recording = span.is_recording()
        self.request = request
        self._reservation = reservation
        self._started_at = time.monotonic()
        self._ended = False
        self._process = os.getpid()
        self._current: Token[Context] | None = None
        self._recording: Token[bool] | None = None

    @property
    def wants_response(self) -> bool:
        """Whether anybody needs to know what came of the call: the span, or a budget."""
        return self._reservation is not None or self.is_recording

    def __enter__(self) -> Call:
        with guard("entering the span"):
            self._recording = _recording.set(True)
            self._current = context.attach(trace.set_span_in_context(self.span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        with guard("leaving the span"):
            self._leave()
        if error is not None:
            self.fail(error)

    def _leave(self) -> None:
        if self._recording is not None:
            try:
                _recording.reset(self._recording)
            except ValueError:
                # A coroutine that nobody finishes is closed in whatever context its owner or the
                # garbage collector is: nothing to undo there, and OpenTelemetry would log an error.
                return
        if self._current is not None:
            context.detach(self._current)

    def first_chunk(self) -> None:
        """Note when the first chunk of a stream came."""
        self.span.set_attribute(
            names.RESPONSE_TIME_TO_FIRST_CHUNK, time.monotonic() - self._started_at
        )

    def succeed(self, response: object = None, *, stream_completed: bool | None = None) -> None:
        """End the span with what the response tells."""
        self._end(response, None, stream_completed)

    def fail(
        self,
        error: BaseException,
        response: object = None,
        *,
        stream_completed: bool | None = None,
    ) -> None:
        """End the span as failed, with what is known of a response that began."""
        self._end(response, error, stream_completed)

    def _end(
        self, response: object, error: BaseException | None, stream_completed: bool | None
    ) -> None:
        # A forked child has copies of its parent's open streams; they are the parent's to end.
        if self._ended or self._process != os.getpid():
            return
        self._ended = True
        ended_at = time.time_ns()

        def finish(found: Mapping[str, object] | None) -> None:
            whole = {**response, **found} if found and isinstance(response, dict) else response
            self._finish(whole, error, stream_completed, ended_at)

        if not (stream_completed is False and self._look_up(response, finish)):
            finish(None)

    def _look_up(
        self, response: object, finish: Callable[[Mapping[str, object] | None], None]
    ) -> bool:
        """Whether what an aborted stream has not told is being asked for, and `finish` waits."""
        identity = get(response, "generation_id") or get(response, "id")
        look_up = self.request.look_up
        with guard("completing an aborted stream"):
            return (
                look_up is not None
                and self.wants_response
                and isinstance(identity, str)
                and get(response, "usage") is None
                and look_up(identity, finish)
            )
        return False

    def _finish(
        self,
        response: object,
        error: BaseException | None,
        stream_completed: bool | None,
        ended_at: int,
    ) -> None:
        attributes: Attributes | None = None
        try:
            if self.wants_response:
                with guard("recording the response"):
                    attributes = self._record(response, error, stream_completed)
        finally:
            if self._reservation is not None:
                with guard("counting the cost"):
                    self._reservation.settle(attributes)
            with guard("ending the span"):
                self.span.end(ended_at)

    def _record(
        self, response: object, error: BaseException | None, stream_completed: bool | None
    ) -> Attributes:
        if response is None:
            # The SDK's own checks of a complete, paid answer carry that answer.
            response = get(error, "completion")
        attributes = response_attributes(response)
        if self.request.observe is not None and response is not None:
            observation = self.request.observe(response)
            attributes.update(observation.attributes)
            for attempt in observation.failed_attempts:
                self.span.add_event(names.ATTEMPT_FAILED_EVENT, attempt)
        if self.request.content is not None:
            with guard("reading the content of the response"):
                attributes.update(response_content(response))
        if error is not None:
            attributes.update(error_attributes(error))
        if stream_completed is not None:
            attributes[names.STREAM_COMPLETED] = stream_completed
        self.span.set_attributes(attributes)
        if names.ERROR_TYPE in attributes:
            self.span.set_status(Status(StatusCode.ERROR))
        if logger.isEnabledFor(logging.DEBUG):
            self._log(attributes)
        return attributes

    def _log(self, attributes: Attributes) -> None:
        logger.debug(
            "recorded %s on %s: model %s, tokens %s in, %s out, error %s",
            self.request.span_name,
            self.request.provider,
            attributes.get(names.RESPONSE_MODEL),
            attributes.get(names.TOKENS_INPUT),
            attributes.get(names.TOKENS_OUTPUT),
            attributes.get(names.ERROR_TYPE),
        )
