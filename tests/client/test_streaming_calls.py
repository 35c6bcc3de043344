"""Streams of the real OpenAI SDK: the caller's object is untouched, the span ends once."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import openai
import pytest
from opentelemetry.trace import StatusCode

import genops
from client.recorder import Recorder
from client.scripted_server import (
    CHUNKS,
    FINISH,
    LAST,
    MESSAGES,
    METADATA,
    SECRET,
    USAGE,
    ScriptedServer,
    chunk,
)
from client.sdk import needs

MODEL = "anthropic/claude-3-sonnet"


@pytest.fixture
def create(client: openai.OpenAI, spans: Recorder) -> Callable[[], openai.Stream[Any]]:
    return lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)


def test_an_exhausted_stream_is_recorded_as_a_whole(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    stream = create()
    assert type(stream) is openai.Stream
    assert spans.all == ()
    assert len(list(stream)) == len(CHUNKS)

    attributes = spans.attributes
    first = attributes.pop("gen_ai.response.time_to_first_chunk")
    assert isinstance(first, float)
    assert first > 0
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["genops.stream.completed"] is True
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.response.id"] == "gen-1"
    assert attributes["genops.tokens.total"] == 1200
    assert attributes["genops.cost.reported"] == 0.0123
    assert attributes["genops.openrouter.attempts"] == 2
    assert len(spans.one.events) == 1
    assert spans.one.status.status_code is StatusCode.UNSET
    assert SECRET not in spans.one.to_json()


def test_any_true_value_asks_for_a_stream(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()
    stream: Any = 1

    assert len(list(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=stream)))

    assert spans.attributes["gen_ai.request.stream"] is True
    assert spans.attributes["genops.tokens.total"] == 1200


def test_usage_on_the_finishing_chunk_counts_too(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    server.stream([chunk(), {**FINISH, "usage": USAGE}])

    list(create())

    assert spans.attributes["genops.tokens.total"] == 1200


def test_a_stream_without_usage_is_recorded_without_it(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    server.stream([chunk(), FINISH, chunk(choices=[], usage=None)])

    list(create())

    assert spans.attributes["genops.stream.completed"] is True
    assert "genops.tokens.total" not in spans.attributes


def test_reasons_of_several_choices_come_in_their_order(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    late = [{"index": 1, "delta": {}, "finish_reason": "length"}]
    early = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    server.stream([chunk(choices=late), chunk(choices=early)])

    list(create())

    assert spans.attributes["gen_ai.response.finish_reasons"] == ("stop", "length")


def test_a_stream_closed_early_ends_its_span_then(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    stream = create()
    next(stream)
    stream.close()

    assert spans.attributes["genops.stream.completed"] is False
    assert spans.attributes["gen_ai.response.id"] == "gen-1"
    assert "genops.tokens.total" not in spans.attributes
    assert spans.one.status.status_code is StatusCode.UNSET


def test_leaving_the_block_closes_the_stream(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    with create() as stream:
        for _ in stream:
            break

    assert spans.attributes["genops.stream.completed"] is False


def test_leaving_the_block_after_the_end_changes_nothing(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    with create() as stream:
        list(stream)
    stream.close()

    assert spans.attributes["genops.stream.completed"] is True


def test_a_dropped_stream_ends_its_span(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    stream = create()
    next(stream)
    del stream
    gc.collect()

    assert spans.attributes["genops.stream.completed"] is False


def test_a_stream_that_was_never_read_ends_its_span(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    create().close()

    assert spans.attributes["genops.stream.completed"] is False
    assert "gen_ai.response.time_to_first_chunk" not in spans.attributes


def test_an_error_in_the_stream_reaches_the_caller_and_the_span(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    server.stream([chunk(), chunk(error={"code": 502, "message": SECRET})])

    stream = create()
    next(stream)
    with pytest.raises(openai.APIError):
        next(stream)

    assert spans.attributes["error.type"] == "APIError"
    assert spans.attributes["genops.stream.completed"] is False
    assert spans.attributes["gen_ai.response.id"] == "gen-1"
    assert spans.one.status.status_code is StatusCode.ERROR
    assert SECRET not in spans.one.to_json()


def test_a_broken_connection_reaches_the_caller_and_the_span(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer, spans: Recorder
) -> None:
    server.stream([chunk()], done=False, truncated=True)

    with pytest.raises(Exception) as raised:
        list(create())

    assert spans.attributes["error.type"] == type(raised.value).__name__


@needs("chat.completions.stream")
def test_the_stream_helper_leaves_one_span(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    with client.chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
        final = stream.get_final_completion()

    assert final.choices[0].message.content == SECRET
    assert spans.attributes["genops.stream.completed"] is True
    assert spans.attributes["genops.tokens.total"] == 1200


@needs("chat.completions.stream")
def test_the_stream_helper_closed_early_ends_its_span(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    with client.chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
        next(stream)

    assert spans.attributes["genops.stream.completed"] is False


def test_a_raw_streamed_response_is_followed(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=MESSAGES, stream=True
    )
    assert len(list(raw.parse())) == len(CHUNKS)

    assert spans.attributes["genops.tokens.total"] == 1200


def test_a_stream_read_by_hand_is_recorded_without_claims(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    with client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=MESSAGES, stream=True
    ) as raw:
        assert any("DONE" in line for line in raw.iter_lines())

    assert "genops.stream.completed" not in spans.attributes


@needs("responses.create")
def test_events_of_the_responses_api_are_followed(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    response = {"id": "gen-9", "object": "response", "model": "openai/gpt-4o", "output": []}
    usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "cost": 0.25}
    server.stream(
        [
            {"type": "response.created", "sequence_number": 0, "response": response},
            {"type": "response.output_text.delta", "sequence_number": 1, "delta": SECRET},
            {
                "type": "response.completed",
                "sequence_number": 2,
                "response": {**response, "usage": usage},
            },
        ]
    )

    list(client.responses.create(model="openai/gpt-4o", input=SECRET, stream=True))

    assert spans.attributes["gen_ai.response.id"] == "gen-9"
    assert spans.attributes["genops.tokens.total"] == 7
    assert spans.attributes["genops.cost.reported"] == 0.25


@needs("responses.create")
def test_an_error_event_of_the_responses_api_marks_the_span(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    error = {"type": "error", "sequence_number": 0, "code": "rate_limit_exceeded"}
    server.stream([{**error, "message": SECRET, "param": None}])

    assert len(list(client.responses.create(model=MODEL, input=SECRET, stream=True))) == 1

    assert spans.attributes["error.type"] == "rate_limit_exceeded"
    assert spans.one.status.status_code is StatusCode.ERROR
    assert SECRET not in spans.one.to_json()


@needs("responses.create")
def test_a_failed_response_without_an_error_code_marks_the_span(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    failed = {"id": "gen-9", "object": "response", "model": MODEL, "status": "failed"}
    server.stream(
        [{"type": "response.failed", "sequence_number": 0, "response": {**failed, "error": None}}]
    )

    list(client.responses.create(model=MODEL, input=SECRET, stream=True))

    assert spans.attributes["error.type"] == "_OTHER"


def test_a_stream_interrupted_by_the_user_ends_its_span_and_stays_interrupted(
    create: Callable[[], openai.Stream[Any]],
    server: ScriptedServer,
    spans: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.stream()
    stream = create()
    next(stream)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    # What a signal does while the SDK waits for or reads a chunk.
    monkeypatch.setattr("openai._streaming.ServerSentEvent.json", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(stream)

    assert spans.attributes["error.type"] == "KeyboardInterrupt"
    assert spans.attributes["genops.stream.completed"] is False
    assert spans.attributes["gen_ai.response.id"] == "gen-1"


def test_a_stream_of_text_completions_is_followed(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    text = {"index": 0, "text": SECRET, "finish_reason": None, "logprobs": None}
    server.stream(
        [
            chunk(object="text_completion", choices=[text]),
            chunk(object="text_completion", choices=[text]),
            chunk(object="text_completion", choices=[{**text, "finish_reason": "length"}]),
            chunk(object="text_completion", choices=[], usage=USAGE),
        ]
    )

    list(client.completions.create(model=MODEL, prompt=SECRET, stream=True))

    assert spans.one.name == f"text_completion {MODEL}"
    assert spans.attributes["gen_ai.response.finish_reasons"] == ("length",)
    assert spans.attributes["genops.tokens.total"] == 1200
    assert spans.attributes["genops.stream.completed"] is True


@needs("responses.stream")
@pytest.mark.parametrize("completed", [True, False])
def test_the_stream_helper_of_the_responses_api_leaves_one_span(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder, completed: bool
) -> None:
    response = {
        "id": "gen-9",
        "object": "response",
        "created_at": 1,
        "model": MODEL,
        "output": [],
        "status": "in_progress",
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
    }
    usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    final = {**response, "status": "completed", "usage": usage}
    server.stream(
        [
            {"type": "response.created", "sequence_number": 0, "response": response},
            {"type": "response.in_progress", "sequence_number": 1, "response": response},
            {"type": "response.completed", "sequence_number": 2, "response": final},
        ]
    )

    with client.responses.stream(model=MODEL, input=SECRET) as stream:
        if completed:
            assert stream.get_final_response().id == "gen-9"
        else:
            next(iter(stream))

    assert spans.attributes["genops.stream.completed"] is completed
    assert spans.attributes["gen_ai.response.id"] == "gen-9"
    assert ("genops.tokens.total" in spans.attributes) is completed


def test_the_request_of_a_stream_is_not_changed_at_other_hosts(
    server: ScriptedServer, recorder: Recorder
) -> None:
    """Usage comes if the caller asks for it (stream_options); we don't ask in his name."""
    genops.init(tracer_provider=recorder.provider)
    server.stream([chunk(), FINISH])

    with openai.OpenAI(base_url=server.url, api_key="k") as client:
        list(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))

    assert server.last.body.keys() == {"model", "messages", "stream"}
    assert "x-openrouter-metadata" not in server.last.headers
    assert recorder.attributes["genops.stream.completed"] is True
    assert "genops.tokens.total" not in recorder.attributes


class TestAsynchronous:
    """The same endings with AsyncOpenAI."""

    @staticmethod
    def run(server: ScriptedServer, use: Callable[[Any], Any]) -> None:
        async def main() -> None:
            async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as client:
                await use(
                    await client.chat.completions.create(
                        model=MODEL, messages=MESSAGES, stream=True
                    )
                )

        asyncio.run(main())

    def test_exhausted(self, server: ScriptedServer, spans: Recorder) -> None:
        server.stream()

        async def use(stream: Any) -> None:
            assert type(stream) is openai.AsyncStream
            assert len([item async for item in stream]) == len(CHUNKS)

        self.run(server, use)

        assert spans.attributes["genops.stream.completed"] is True
        assert spans.attributes["genops.tokens.total"] == 1200
        assert spans.attributes["genops.openrouter.region"] == METADATA["region"]

    def test_closed(self, server: ScriptedServer, spans: Recorder) -> None:
        server.stream()

        async def use(stream: Any) -> None:
            await anext(stream)
            await stream.close()

        self.run(server, use)

        assert spans.attributes["genops.stream.completed"] is False

    def test_left_block(self, server: ScriptedServer, spans: Recorder) -> None:
        server.stream()

        async def use(stream: Any) -> None:
            async with stream:
                await anext(stream)

        self.run(server, use)

        assert spans.attributes["genops.stream.completed"] is False

    def test_cancelled(self, server: ScriptedServer, spans: Recorder) -> None:
        server.stream([chunk()], done=False, truncated=True)

        async def read(stream: Any) -> None:
            task = asyncio.current_task()
            assert task is not None
            async for _ in stream:
                task.cancel()  # takes effect where the next chunk is waited for

        async def use(stream: Any) -> None:
            with pytest.raises(asyncio.CancelledError):
                await asyncio.ensure_future(read(stream))

        self.run(server, use)

        assert spans.attributes["error.type"] == "CancelledError"
        assert spans.attributes["genops.stream.completed"] is False

    @needs("chat.completions.stream")
    def test_stream_helper(self, server: ScriptedServer, spans: Recorder) -> None:
        server.stream()

        async def main() -> None:
            async with (
                openai.AsyncOpenAI(base_url=server.url, api_key="k") as client,
                client.chat.completions.stream(model=MODEL, messages=MESSAGES) as stream,
            ):
                await stream.get_final_completion()

        asyncio.run(main())

        assert spans.attributes["genops.stream.completed"] is True
        assert spans.attributes["genops.tokens.total"] == 1200

    def test_error_in_the_stream(self, server: ScriptedServer, spans: Recorder) -> None:
        server.stream([chunk(), chunk(error={"code": 502, "message": SECRET})])

        async def use(stream: Any) -> None:
            with pytest.raises(openai.APIError):
                _ = [item async for item in stream]

        self.run(server, use)

        assert spans.attributes["error.type"] == "APIError"

    def test_raw_response(self, server: ScriptedServer, spans: Recorder) -> None:
        server.stream([chunk(), LAST])

        async def main() -> None:
            async with (
                openai.AsyncOpenAI(base_url=server.url, api_key="k") as client,
                client.chat.completions.with_streaming_response.create(
                    model=MODEL, messages=MESSAGES, stream=True
                ) as raw,
            ):
                assert len([item async for item in await raw.parse()]) == 2

        asyncio.run(main())

        assert spans.attributes["genops.stream.completed"] is True
        assert spans.attributes["genops.tokens.total"] == 1200


def freed_once_read(create: Callable[[], openai.Stream[Any]]) -> bool:
    """Whether a stream that was read goes without the garbage collector."""
    stream = create()
    list(stream)
    response = weakref.ref(stream.response)
    gc.disable()
    try:
        del stream
        return response() is None
    finally:
        gc.enable()


def test_a_stream_read_to_its_end_is_freed_when_a_bare_one_is(
    create: Callable[[], openai.Stream[Any]], server: ScriptedServer
) -> None:
    server.stream()
    server.stream()
    recorded = freed_once_read(create)
    genops.uninstrument()

    assert recorded == freed_once_read(create)
