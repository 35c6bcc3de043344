"""Follow a stream of chunks without changing what the caller gets.

`StreamedResponse` is pure: it folds chunks into the few fields that telemetry reads, in the shape
of a whole response, and keeps no content unless that is asked for. The iterators around it pass
each chunk on as it comes and end the call's span at exhaustion, error, close or garbage collection,
whichever comes first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from functools import cache
from typing import Any, Literal

from genops.core.call import Call
from genops.core.content import StreamedContent
from genops.core.guard import failed
from genops.core.recording import get

__all__ = ["AsyncChunks", "Chunks", "StreamRecorder", "StreamedResponse", "end_open_streams"]

_FIELDS = (
    "id",
    "model",
    "provider",
    "service_tier",
    "usage",
    "openrouter_metadata",
    "status",
    "error",
)


@cache
def _carries(kind: type) -> Literal["choices", "content", "facts"]:
    """What chunks of a class may carry. The SDK has one class for each kind of event."""
    fields = getattr(kind, "model_fields", {"response": None})  # what is no model must be read
    if "choices" in fields:
        return "choices"
    # Events of the Responses API: some carry the response so far, one is an error, and the many
    # deltas are content.
    return "content" if fields.keys().isdisjoint({"response", "code"}) else "facts"


class StreamedResponse:
    """A response put together from its chunks; without the content, unless that is asked for."""

    __slots__ = ("_content", "_fields", "_finish_reasons")

    def __init__(self, *, content: bool = False, generation_id: object = None) -> None:
        self._fields: dict[str, object] = {}
        if isinstance(generation_id, str):  # known before the first chunk
            self._fields["generation_id"] = generation_id
        self._finish_reasons: dict[int, str] = {}
        self._content = StreamedContent() if content else None

    def add(self, chunk: object) -> None:
        """Take in a chunk. Later values win: the usage of the last chunk is the whole usage."""
        if self._content is not None:
            self._content.add(chunk)
        # Events of the Responses API carry the response so far.
        source = get(chunk, "response") or chunk
        for name in _FIELDS:
            value = get(source, name)
            if value is not None:
                self._fields[name] = value
        if self._content is not None and (output := get(source, "output")):
            self._fields["output"] = output
        if get(chunk, "type") == "error":  # an event of the Responses API is the error itself
            self._fields["error"] = chunk
        choices = get(source, "choices")
        for position, choice in enumerate(choices if isinstance(choices, list | tuple) else ()):
            reason = get(choice, "finish_reason")
            if isinstance(reason, str):
                index = get(choice, "index")
                self._finish_reasons[index if isinstance(index, int) else position] = reason
            error = get(choice, "error")
            if error is not None:
                self._fields["error"] = error

    def response(self) -> dict[str, object]:
        """What is known so far, in the shape of a whole response."""
        messages: Mapping[int, object] = {}
        if self._content is not None and "output" not in self._fields:
            messages = self._content.messages()
        choices = [
            {"finish_reason": self._finish_reasons.get(index), "message": messages.get(index)}
            for index in sorted(self._finish_reasons.keys() | messages.keys())
        ]
        return {**self._fields, "choices": choices}


_open: set[StreamRecorder] = set()  # not ended yet


def end_open_streams() -> None:
    """End the spans of streams that nobody has read to the end or closed so far."""
    for recorder in _open.copy():
        recorder.abandoned()


class StreamRecorder:
    """Joins a stream to the span of its call. Reports of an end after the first are ignored."""

    __slots__ = ("_call", "_response", "_skips_content", "chunks", "stepping")

    def __init__(self, call: Call, generation_id: object = None) -> None:
        self._call = call
        content = call.request.content is not None
        self._skips_content = not content
        self._response = StreamedResponse(content=content, generation_id=generation_id)
        self.chunks = 0  # fetched so far
        self.stepping = False  # a chunk is being fetched
        _open.add(self)

    def chunk(self, chunk: Any) -> None:
        """A chunk came.

        Most carry content alone and are passed over: reading one in full takes the time of ten. It
        is all in one function, and without `guard`, because here each call is felt.
        """
        self.chunks += 1
        try:
            if self.chunks == 1:
                self._call.first_chunk()
            elif self._skips_content:
                carries = _carries(type(chunk))  # type: ignore[arg-type]  # mypy: not hashable
                if carries == "content":
                    return
                if carries == "choices" and chunk.usage is None:
                    choices = chunk.choices
                    if len(choices) == 1 and choices[0].finish_reason is None:
                        return
            self._response.add(chunk)
        except Exception as error:  # noqa: BLE001 - as in `guard`
            failed("reading a chunk", error)

    def exhausted(self) -> None:
        """The caller read the stream to its end."""
        _open.discard(self)
        self._call.succeed(self._response.response(), stream_completed=True)

    def failed(self, error: BaseException) -> None:
        """Fetching a chunk raised."""
        _open.discard(self)
        self._call.fail(error, self._response.response(), stream_completed=False)

    def closed(self, *, completed: bool | None = False) -> None:
        """The stream was closed, maybe before its end; `completed` None if that is not known.

        The SDK also closes the connection as a part of fetching the last chunk; then the outcome
        of that step tells how the stream ended.
        """
        if not self.stepping:
            self.abandoned(completed=completed)

    def abandoned(self, *, completed: bool | None = False) -> None:
        """No more of the stream will be seen."""
        _open.discard(self)
        self._call.succeed(self._response.response(), stream_completed=completed)


class Chunks:
    """An iterator over chunks, as the SDK's own, that reports to a recorder."""

    __slots__ = ("_inner", "_recorder")

    def __init__(self, inner: Iterator[object], recorder: StreamRecorder) -> None:
        self._inner = inner
        self._recorder = recorder

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        recorder = self._recorder
        recorder.stepping = True
        try:
            chunk = next(self._inner)
        except StopIteration:
            recorder.exhausted()
            raise
        except BaseException as error:
            recorder.failed(error)
            raise
        finally:
            recorder.stepping = False
        recorder.chunk(chunk)
        return chunk

    def __del__(self) -> None:
        self._recorder.abandoned()


class AsyncChunks:
    """As `Chunks`, for an asynchronous stream."""

    __slots__ = ("_inner", "_recorder")

    def __init__(self, inner: AsyncIterator[object], recorder: StreamRecorder) -> None:
        self._inner = inner
        self._recorder = recorder

    def __aiter__(self) -> AsyncIterator[object]:
        return self

    async def __anext__(self) -> object:
        recorder = self._recorder
        recorder.stepping = True
        try:
            chunk = await anext(self._inner)
        except StopAsyncIteration:
            recorder.exhausted()
            raise
        except BaseException as error:
            recorder.failed(error)
            raise
        finally:
            recorder.stepping = False
        recorder.chunk(chunk)
        return chunk

    def __del__(self) -> None:
        self._recorder.abandoned()
