"""The ways to make a call that the OpenAI SDK offers, and what the scripted server answers to each.

Every answer is of 1200 tokens and has the id gen-1. What the installed version of the SDK does not
offer is skipped, by looking for the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic
import pytest

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

    def script(self, server: ScriptedServer) -> None:
        """Have the server answer such calls."""
        if self.chunks:
            server.stream(self.chunks)
        else:
            server.answer(self.answer)


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
