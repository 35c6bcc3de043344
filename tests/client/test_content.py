"""Prompts and answers on spans, where OpenTelemetry's variable asks for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

import genops
from client.recorder import Recorder
from client.scripted_server import ScriptedServer, chunk, completion
from client.sdk import needs
from genops.core.content import (
    CAPTURE_VARIABLE,
    CHARS_MAX,
    captures_content,
    request_content,
    response_content,
)

MODEL = "openai/gpt-4o"
CALL = {"id": "call-1", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}}
CALL_PART = {"type": "tool_call", "id": "call-1", "name": "find", "arguments": {"q": 1}}


@pytest.fixture
def capturing(
    recorder: Recorder, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> Recorder:
    monkeypatch.setenv(CAPTURE_VARIABLE, "SPAN_ONLY")
    genops.init(tracer_provider=recorder.provider, openrouter_base_url=server.url)
    return recorder


def written(spans: Recorder, name: str) -> Any:
    value = spans.attributes[name]
    assert isinstance(value, str)
    return json.loads(value)


def text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}


@pytest.mark.parametrize(
    ("value", "captures"),
    [
        ("true", True),
        ("True", True),
        ("SPAN_ONLY", True),
        ("span_and_event", True),
        ("EVENT_ONLY", False),
        ("NO_CONTENT", False),
        ("false", False),
        ("", False),
        ("yes please", False),
    ],
)
def test_the_variable_decides(value: str, captures: bool) -> None:
    assert captures_content({CAPTURE_VARIABLE: value}) is captures


def test_without_the_variable_nothing_is_captured() -> None:
    assert not captures_content({})


def test_a_chat_is_written_with_its_roles_tools_and_answer(
    client: openai.OpenAI, server: ScriptedServer, capturing: Recorder
) -> None:
    message = {"role": "assistant", "reasoning": "Hm.", "content": "4", "tool_calls": [CALL]}
    server.answer(
        completion(choices=[{"index": 0, "finish_reason": "tool_calls", "message": message}])
    )
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "2+2?"},
                {"type": "image_url", "image_url": {"url": "https://images.example/1.png"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call-1", "content": "four"},
    ]

    client.chat.completions.create(model=MODEL, messages=messages)

    assert written(capturing, "gen_ai.input.messages") == [
        {"role": "system", "parts": [text("Be brief.")]},
        {
            "role": "user",
            "parts": [
                text("2+2?"),
                {"type": "uri", "modality": "image", "uri": "https://images.example/1.png"},
                {"type": "image_url"},
            ],
        },
        {"role": "assistant", "parts": [CALL_PART]},
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "call-1", "response": "four"}],
        },
    ]
    assert written(capturing, "gen_ai.output.messages") == [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "Hm."}, text("4"), CALL_PART],
            "finish_reason": "tool_call",
        }
    ]
    assert "genops.content.truncated" not in capturing.attributes


def streamed(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, object]:
    return chunk(choices=[{"index": index, "delta": delta, "finish_reason": finish}])


def part_of_call(arguments: str, **more: object) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, **more, "function": {"arguments": arguments}}]}


STREAM = (
    streamed({"role": "assistant", "reasoning": "Hm"}),
    streamed({"reasoning": "."}),
    streamed({"content": "Fo"}),
    streamed({"content": "ur"}, index=1),
    streamed({"content": "ur"}),
    streamed({"tool_calls": [{"index": 0, **CALL, "function": {"name": "find", "arguments": ""}}]}),
    streamed(part_of_call('{"q":')),
    streamed(part_of_call(" 1}")),
    streamed({}, "tool_calls"),
    streamed({}, "stop", index=1),
)


def test_a_stream_is_put_together(
    client: openai.OpenAI, server: ScriptedServer, capturing: Recorder
) -> None:
    server.stream(STREAM)

    list(client.chat.completions.create(model=MODEL, messages=[], stream=True))

    assert written(capturing, "gen_ai.output.messages") == [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "Hm."}, text("Four"), CALL_PART],
            "finish_reason": "tool_call",
        },
        {"role": "assistant", "parts": [text("ur")], "finish_reason": "stop"},
    ]
    assert capturing.attributes["gen_ai.response.finish_reasons"] == ("tool_calls", "stop")


def test_an_aborted_stream_shows_what_came(
    client: openai.OpenAI, server: ScriptedServer, capturing: Recorder
) -> None:
    server.stream(STREAM)

    with client.chat.completions.create(model=MODEL, messages=[], stream=True) as stream:
        for _ in range(3):
            next(stream)

    (message,) = written(capturing, "gen_ai.output.messages")
    assert message["parts"] == [{"type": "reasoning", "content": "Hm."}, text("Fo")]
    assert "gen_ai.response.finish_reasons" not in capturing.attributes


def test_a_stream_of_an_asynchronous_client_is_put_together(
    server: ScriptedServer, capturing: Recorder
) -> None:
    server.stream(STREAM)

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as client:
            async for _ in await client.chat.completions.create(
                model=MODEL, messages=[], stream=True
            ):
                pass

    asyncio.run(main())

    assert len(written(capturing, "gen_ai.output.messages")) == 2


OUTPUT = [
    {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Four", "annotations": []}],
    },
    {"type": "function_call", "call_id": "call-1", "name": "find", "arguments": '{"q": 1}'},
]
RESPONSE = {"id": "r-1", "object": "response", "model": MODEL, "output": OUTPUT}
RESPONSE_MESSAGE = {
    "role": "assistant",
    "parts": [{"type": "reasoning", "content": "Hm."}, text("Four"), CALL_PART],
    "finish_reason": "tool_call",
}


@needs("responses.create")
class TestResponses:
    def test_a_response_is_written_with_its_instructions(
        self, client: openai.OpenAI, server: ScriptedServer, capturing: Recorder
    ) -> None:
        server.answer({**RESPONSE, "status": "completed"})
        asked: list[Any] = [
            {"role": "user", "content": [{"type": "input_text", "text": "2+2?"}]},
            {"type": "function_call", "call_id": "call-1", "name": "find", "arguments": '{"q": 1}'},
            {"type": "function_call_output", "call_id": "call-1", "output": "four"},
            {"type": "item_reference", "id": "x"},
        ]

        client.responses.create(model=MODEL, input=asked, instructions="Be brief.")

        assert written(capturing, "gen_ai.system_instructions") == [text("Be brief.")]
        assert written(capturing, "gen_ai.input.messages") == [
            {"role": "user", "parts": [text("2+2?")]},
            {"role": "assistant", "parts": [CALL_PART]},
            {
                "role": "tool",
                "parts": [{"type": "tool_call_response", "id": "call-1", "response": "four"}],
            },
            {"role": "assistant", "parts": [{"type": "item_reference"}]},
        ]
        assert written(capturing, "gen_ai.output.messages") == [RESPONSE_MESSAGE]

    @pytest.mark.parametrize("aborted", [False, True])
    def test_a_stream_is_put_together(
        self, client: openai.OpenAI, server: ScriptedServer, capturing: Recorder, aborted: bool
    ) -> None:
        final = {**RESPONSE, "status": "completed"}
        server.stream(
            [
                {"type": "response.created", "sequence_number": 0, "response": {"output": []}},
                {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Fo"},
                {"type": "response.output_text.delta", "sequence_number": 2, "delta": "ur"},
                {"type": "response.completed", "sequence_number": 3, "response": final},
            ]
        )

        with client.responses.create(model=MODEL, input="2+2?", stream=True) as stream:
            for event in stream:
                if aborted and event.sequence_number == 2:
                    break

        messages = written(capturing, "gen_ai.output.messages")
        cut = {"role": "assistant", "parts": [text("Four")], "finish_reason": "unknown"}
        assert messages == [cut if aborted else RESPONSE_MESSAGE]


def test_a_text_completion_is_a_message_of_the_user_and_one_of_the_assistant(
    client: openai.OpenAI, server: ScriptedServer, capturing: Recorder
) -> None:
    server.answer(completion(choices=[{"index": 0, "text": "4", "finish_reason": "length"}]))

    client.completions.create(model=MODEL, prompt=["2+2?", "3+1?"])

    assert written(capturing, "gen_ai.input.messages") == [
        {"role": "user", "parts": [text("2+2?")]},
        {"role": "user", "parts": [text("3+1?")]},
    ]
    assert written(capturing, "gen_ai.output.messages") == [
        {"role": "assistant", "parts": [text("4")], "finish_reason": "length"}
    ]


def test_a_raw_response_is_written_too(
    client: openai.OpenAI, server: ScriptedServer, capturing: Recorder
) -> None:
    server.answer(completion())

    client.chat.completions.with_raw_response.create(model=MODEL, messages=[])

    assert written(capturing, "gen_ai.output.messages")[0]["finish_reason"] == "stop"


def test_the_input_of_embeddings_is_no_message() -> None:
    assert request_content("embeddings", {"input": "text"}) == {}


def test_messages_that_can_be_read_only_once_are_left_to_the_sdk(
    client: openai.OpenAI, server: ScriptedServer, capturing: Recorder
) -> None:
    def messages() -> Iterator[Any]:
        yield {"role": "user", "content": "2+2?"}

    server.answer(completion())

    client.chat.completions.create(model=MODEL, messages=messages())

    assert server.last.body["messages"] == [{"role": "user", "content": "2+2?"}]
    assert "gen_ai.input.messages" not in capturing.attributes


def test_a_failed_call_shows_what_was_asked(
    client: openai.OpenAI, server: ScriptedServer, capturing: Recorder
) -> None:
    server.answer({"error": {"code": 500, "message": "x"}}, status=500)

    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "2+2?"}])

    assert "2+2?" in str(capturing.attributes["gen_ai.input.messages"])
    assert "gen_ai.output.messages" not in capturing.attributes


def test_a_long_conversation_keeps_its_end_and_says_that_it_was_cut() -> None:
    messages = [{"role": "user", "content": letter * (CHARS_MAX // 2)} for letter in "abcd"]

    attributes = request_content("chat", {"messages": messages})

    value = attributes["gen_ai.input.messages"]
    assert isinstance(value, str)
    first, last = json.loads(value)
    assert last["parts"] == [text("d" * (CHARS_MAX // 2))]
    assert first["parts"][0]["content"].startswith("ccc")
    assert first["parts"][0]["content"].endswith("… [100 characters left out]")
    assert attributes["genops.content.truncated"] is True
    assert len(value) < CHARS_MAX + 200


def test_many_small_messages_are_bounded_too() -> None:
    attributes = request_content("chat", {"messages": [{"role": "user", "content": ""}] * 10_000})

    assert len(str(attributes["gen_ai.input.messages"])) < 2 * CHARS_MAX
    assert attributes["genops.content.truncated"] is True


def test_a_long_stream_is_kept_up_to_the_bound(
    client: openai.OpenAI, server: ScriptedServer, capturing: Recorder
) -> None:
    server.stream([streamed({"content": "x" * 1000}) for _ in range(50)])

    list(client.chat.completions.create(model=MODEL, messages=[], stream=True))

    assert len(str(capturing.attributes["gen_ai.output.messages"])) < CHARS_MAX + 200
    assert capturing.attributes["genops.content.truncated"] is True


def test_text_that_is_no_unicode_does_not_cost_the_batch() -> None:
    attributes = request_content("chat", {"messages": [{"role": "user", "content": "a\ud800"}]})

    assert str(attributes["gen_ai.input.messages"]).encode()


@pytest.mark.parametrize(
    "value", [None, 3, "text", {}, [None, 3, {}], [{"role": 3, "content": 4}], [[[]]]]
)
def test_content_of_any_shape_is_read_without_failing(value: object) -> None:
    request_content("chat", {"messages": value})
    response_content({"choices": value, "output": value})
    response_content({"choices": [{"message": {"content": value, "tool_calls": value}}]})
