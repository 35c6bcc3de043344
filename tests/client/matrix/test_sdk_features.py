"""Each way to make a call that the OpenAI SDK offers leaves one complete span.

`sdk_matrix` runs this file with every supported version of the SDK. What a version does not offer
is skipped there, by looking for the method.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import openai
import pydantic
import pytest

from client.recorder import Recorder
from client.scripted_server import CHUNKS, MESSAGES, USAGE, ScriptedServer, completion
from client.sdk import needs

MODEL = "openai/gpt-4o"


class Verdict(pydantic.BaseModel):
    value: int


CHAT: dict[str, Any] = {"model": MODEL, "messages": MESSAGES}
INPUT: dict[str, Any] = {"model": MODEL, "input": "How are you?"}
VERDICT = {
    "index": 0,
    "finish_reason": "stop",
    "message": {"role": "assistant", "content": '{"value": 3}'},
}
RESPONSE = {
    "id": "gen-1",
    "object": "response",
    "created_at": 1,
    "model": MODEL,
    "status": "completed",
    "output": [],
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "usage": {"input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200},
}
EVENTS = (
    {
        "type": "response.created",
        "sequence_number": 0,
        "response": {**RESPONSE, "status": "in_progress", "usage": None},
    },
    {"type": "response.completed", "sequence_number": 1, "response": RESPONSE},
)
EMBEDDING = {
    "id": "gen-1",
    "object": "list",
    "model": MODEL,
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
    "usage": USAGE,
}


def plain(method: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    assert method(**keywords) is not None


async def plain_async(method: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    assert await method(**keywords) is not None


def stream(method: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    assert list(method(stream=True, **keywords))


async def stream_async(method: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    assert [chunk async for chunk in await method(stream=True, **keywords)]


def helper(method: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    with method(**keywords) as events:
        assert list(events)


async def helper_async(method: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    async with method(**keywords) as events:
        assert [event async for event in events]


def raw(method: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    assert method(**keywords).parse().id == "gen-1"


async def raw_async(method: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    assert (await method(**keywords)).parse().id == "gen-1"


def block(method: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    with method(**keywords) as response:
        assert response.parse().id == "gen-1"


async def block_async(method: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    async with method(**keywords) as response:
        assert (await response.parse()).id == "gen-1"


@dataclass(frozen=True, slots=True)
class Feature:
    """A method of a client, how it is used, and what the server answers."""

    path: str
    use: Callable[..., None] = plain
    use_async: Callable[..., Any] = plain_async
    keywords: Mapping[str, Any] = field(default_factory=lambda: CHAT)
    answer: Mapping[str, Any] = field(default_factory=completion)
    chunks: tuple[object, ...] = ()


FEATURES = {
    "chat": Feature("chat.completions.create"),
    "chat, stream=True": Feature("chat.completions.create", stream, stream_async, chunks=CHUNKS),
    "chat, with_raw_response": Feature("chat.completions.with_raw_response.create", raw, raw_async),
    "chat, with_streaming_response": Feature(
        "chat.completions.with_streaming_response.create", block, block_async
    ),
    **{
        f"{where}.stream()": Feature(
            f"{where}.completions.stream", helper, helper_async, chunks=CHUNKS
        )
        for where in ("chat", "beta.chat")
    },
    **{
        f"{where}.parse()": Feature(
            f"{where}.completions.parse",
            keywords={**CHAT, "response_format": Verdict},
            answer=completion(choices=[VERDICT]),
        )
        for where in ("chat", "beta.chat")
    },
    "responses": Feature("responses.create", keywords=INPUT, answer=RESPONSE),
    "responses, stream=True": Feature(
        "responses.create", stream, stream_async, keywords=INPUT, chunks=EVENTS
    ),
    "responses, with_raw_response": Feature(
        "responses.with_raw_response.create", raw, raw_async, keywords=INPUT, answer=RESPONSE
    ),
    "responses.stream()": Feature(
        "responses.stream", helper, helper_async, keywords=INPUT, chunks=EVENTS
    ),
    "responses.parse()": Feature(
        "responses.parse", keywords={**INPUT, "text_format": Verdict}, answer=RESPONSE
    ),
    "completions": Feature(
        "completions.create",
        keywords={"model": MODEL, "prompt": "Say it"},
        answer=completion(
            object="text_completion", choices=[{"index": 0, "text": "It", "finish_reason": "stop"}]
        ),
    ),
    "embeddings": Feature(
        "embeddings.create", keywords={**INPUT, "encoding_format": "float"}, answer=EMBEDDING
    ),
}


WAYS = [
    pytest.param(feature, id=name, marks=needs(feature.path)) for name, feature in FEATURES.items()
]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("feature", WAYS)
def test_a_call_made_in_this_way_leaves_one_complete_span(
    feature: Feature, kind: str, server: ScriptedServer, spans: Recorder
) -> None:
    if feature.chunks:
        server.stream(feature.chunks)
    else:
        server.answer(feature.answer)

    async def use_async() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            await feature.use_async(attrgetter(feature.path)(client), feature.keywords)

    if kind == "async":
        asyncio.run(use_async())
    else:
        with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            feature.use(attrgetter(feature.path)(client), feature.keywords)

    attributes = spans.attributes
    assert "error.type" not in attributes
    assert attributes["genops.tokens.total"] == 1200
    assert attributes["gen_ai.response.id"] == "gen-1"
    assert attributes.get("genops.stream.completed") is (True if feature.chunks else None)
