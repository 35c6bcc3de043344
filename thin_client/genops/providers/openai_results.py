"""Make a call of the OpenAI SDK and follow its result to the end, whatever kind of result it is.

Knows the SDK's shapes: whole responses, streams, and the raw responses of `with_raw_response` and
`with_streaming_response`. The caller gets the SDK's own object in every case.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from genops.core.call import Call
from genops.core.guard import guard
from genops.core.recording import get
from genops.core.streaming import AsyncChunks, Chunks, StreamRecorder

__all__ = ["Begin", "Create", "run", "run_async"]

Create = Callable[..., Any]

# Starts the span of a call; returns it (None: not recorded) and the keywords to call with.
Begin = Callable[[], tuple[Call | None, Mapping[str, Any]]]


def run(begin: Begin, create: Create) -> Any:
    """Make a call of a synchronous client and follow its result."""
    call, kwargs = begin()
    if call is None:
        return create(**kwargs)
    with call:
        result = create(**kwargs)
    followed = False
    if call.wants_response:
        with guard("following the response"):
            _follow(call, result, _stream_of(call, result), "close")
            followed = True
    if not followed:
        call.succeed()
    return result


async def run_async(begin: Begin, create: Callable[..., Awaitable[Any]]) -> Any:
    """Make a call of an asynchronous client and follow its result, once this is awaited."""
    call, kwargs = begin()
    if call is None:
        return await create(**kwargs)
    with call:
        result = await create(**kwargs)
    followed = False
    if call.wants_response:
        with guard("following the response"):
            stream = _stream_of(call, result)
            if isinstance(stream, Awaitable):
                stream = await stream
            _follow(call, result, stream, "aclose")
            followed = True
    if not followed:
        call.succeed()
    return result


def _stream_of(call: Call, result: Any) -> Any:
    """The stream of chunks in a result, or None.

    The raw response classes make the stream in `parse` without reading, and keep it, so that the
    caller's own `parse` returns the same one.
    """
    if not call.request.stream:
        return None
    return result.parse() if hasattr(result, "http_response") else result


def _follow(call: Call, result: Any, stream: Any, close: str) -> None:
    """Arrange that the span ends when the result is complete.

    Streams are followed in place, so the caller keeps the SDK's own object. All ways to close one
    (its own `close` and `with`, the `stream()` helpers, the raw response) end in the close of the
    HTTP response.
    """
    if get(stream, "_iterator") is not None and hasattr(get(stream, "response"), close):
        response: Any = stream.response
        generation_id = get(response, "headers", "x-generation-id")  # OpenRouter's
        recorder = StreamRecorder(call, generation_id)
        _on_close(response, close, lambda: _stream_closed(recorder, response))
        chunks = Chunks if close == "close" else AsyncChunks
        stream._iterator = chunks(stream._iterator, recorder)
        return
    response = get(result, "http_response")
    if response is None:
        call.succeed(result)
    elif response.is_closed:
        call.succeed(_json(response))
    else:  # with_streaming_response: the caller reads, or does not, and leaves the block
        _on_close(response, close, _UnreadBody(call, response).closed)


class _UnreadBody:
    """Waits for the body of a response that the caller may or may not read."""

    def __init__(self, call: Call, response: Any) -> None:
        self._call = call
        self._response = response
        self._received = False

    def closed(self) -> bool:
        """The HTTP response was closed; True if that was the end of it.

        That happens when the body has been received, though it cannot be had yet, and (again) when
        the caller leaves the block.
        """
        body = _json(self._response)
        if body is None and self._response.is_stream_consumed and not self._received:
            self._received = True
            return False
        self._call.succeed(body)
        return True


def _stream_closed(recorder: StreamRecorder, response: Any) -> bool:
    # Who reads the lines of a raw response by hand passes the recorder by: then it is not known
    # whether the stream was read to its end.
    by_hand = recorder.chunks == 0 and response.is_stream_consumed
    recorder.closed(completed=None if by_hand else False)
    return True


def _json(response: Any) -> object:
    """The decoded body of an HTTP response; None if it was not read or is no JSON."""
    try:
        return response.json()
    except Exception:  # noqa: BLE001 - the HTTP library decides what it raises for an unread body
        return None


def _on_close(response: Any, close: str, report: Callable[[], bool]) -> None:
    """Call `report` when the HTTP response has been closed, until it says that this was the end.

    Then the response gets its own method back: as long as it refers to itself, through this one,
    its content stays in memory until the next run of the garbage collector.
    """
    original = getattr(response, close)

    def closed() -> None:
        with guard("closing the response"):
            # Unless somebody has wrapped ours.
            if report() and get(vars(response).get(close), "__wrapped__") == original:
                delattr(response, close)

    if close == "close":

        @functools.wraps(original)
        def closing() -> None:
            try:
                original()
            finally:
                closed()

        response.close = closing
    else:

        @functools.wraps(original)
        async def aclosing() -> None:
            try:
                await original()
            finally:
                closed()

        response.aclose = aclosing
