"""By default nothing that was said, sent as a header or used as a key leaves with the telemetry.

A secret is planted in every place of a call that could carry one, in request and answer, and then
sought in the bytes that the exporter sent, in what is logged, and in what is printed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import openai
import pytest

import genops
from client.scripted_server import ScriptedServer, chunk, completion
from client.sdk import needs
from destinations import Destination, grpc_destination, http_destination
from genops.providers.openrouter import instrument_openrouter

SECRET = "swordfish"
MODEL = "openai/gpt-4o"

MESSAGES: list[Any] = [
    {"role": "system", "content": SECRET},
    {
        "role": "user",
        "name": SECRET,
        "content": [
            {"type": "text", "text": SECRET},
            {"type": "image_url", "image_url": {"url": f"https://images.example/{SECRET}.png"}},
        ],
    },
    {
        "role": "assistant",
        "tool_calls": [
            {
                "id": SECRET,
                "type": "function",
                "function": {"name": "find", "arguments": f'{{"q": "{SECRET}"}}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": SECRET, "content": SECRET},
]
ARGUMENTS: dict[str, Any] = {
    "model": MODEL,
    "extra_headers": {"X-Secret": SECRET, "Authorization": f"Bearer {SECRET}"},
    "extra_query": {"q": SECRET},
    "extra_body": {"trace": {"trace_id": SECRET}, "session_id": SECRET},
    "user": SECRET,
}
CHAT: dict[str, Any] = {
    **ARGUMENTS,
    "messages": MESSAGES,
    "stop": [SECRET],
    "metadata": {"note": SECRET},
    "tools": [
        {
            "type": "function",
            "function": {"name": SECRET, "description": SECRET, "parameters": {"x": SECRET}},
        }
    ],
}
TOOL_CALL = {"id": SECRET, "type": "function", "function": {"name": SECRET, "arguments": SECRET}}
ANSWER = {
    "role": "assistant",
    "content": SECRET,
    "refusal": SECRET,
    "reasoning": SECRET,
    "tool_calls": [TOOL_CALL],
    "annotations": [{"type": "url_citation", "url_citation": {"url": SECRET, "title": SECRET}}],
}
ERROR = {"code": 400, "message": SECRET, "metadata": {"raw": SECRET, "provider_name": "OpenAI"}}
RESPONSE = {
    "id": "gen-9",
    "object": "response",
    "model": MODEL,
    "instructions": SECRET,
    "output": [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": SECRET, "annotations": []}],
        },
        {"type": "function_call", "call_id": SECRET, "name": SECRET, "arguments": SECRET},
    ],
}


def whole(client: Any, server: ScriptedServer) -> None:
    choice = {"index": 0, "finish_reason": "tool_calls", "message": ANSWER}
    server.answer(completion(choices=[choice], system_fingerprint=SECRET))
    client.chat.completions.create(**CHAT)


def streamed(client: Any, server: ScriptedServer) -> None:
    delta = {**ANSWER, "tool_calls": [{**TOOL_CALL, "index": 0}]}
    server.stream([chunk(choices=[{"index": 0, "delta": delta, "finish_reason": None}]), chunk()])
    list(client.chat.completions.create(**CHAT, stream=True))


def aborted(client: Any, server: ScriptedServer) -> None:
    server.stream([chunk(choices=[{"index": 0, "delta": ANSWER | {"tool_calls": None}}]), chunk()])
    with client.chat.completions.create(**CHAT, stream=True) as stream:
        next(stream)


def responses(client: Any, server: ScriptedServer) -> None:
    server.answer(RESPONSE)
    client.responses.create(**ARGUMENTS, input=MESSAGES[:2], instructions=SECRET)


def streamed_responses(client: Any, server: ScriptedServer) -> None:
    server.stream(
        [
            {"type": "response.output_text.delta", "sequence_number": 1, "delta": SECRET},
            {"type": "response.completed", "sequence_number": 2, "response": RESPONSE},
        ]
    )
    list(client.responses.create(**ARGUMENTS, input=SECRET, stream=True))


def text_completions(client: Any, server: ScriptedServer) -> None:
    server.answer(completion(choices=[{"index": 0, "text": SECRET, "finish_reason": "stop"}]))
    client.completions.create(**ARGUMENTS, prompt=SECRET, suffix=SECRET)


def embeddings(client: Any, server: ScriptedServer) -> None:
    data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    server.answer({"object": "list", "model": MODEL, "data": data})
    client.embeddings.create(**ARGUMENTS, input=[SECRET])


def refused(client: Any, server: ScriptedServer) -> None:
    server.answer({"error": ERROR}, status=400)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**CHAT)


def failed_inside(client: Any, server: ScriptedServer) -> None:
    choice = {"index": 0, "finish_reason": "error", "message": ANSWER, "error": ERROR}
    server.answer(completion(choices=[choice], error=ERROR))
    client.chat.completions.create(**CHAT)


def failed_in_the_stream(client: Any, server: ScriptedServer) -> None:
    server.stream([chunk(), chunk(error=ERROR)])
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(**CHAT, stream=True))


def unreachable(client: Any, server: ScriptedServer) -> None:
    nowhere = client.with_options(base_url=f"http://{SECRET}:{SECRET}@127.0.0.1:1/{SECRET}")
    with pytest.raises(openai.APIConnectionError):
        nowhere.chat.completions.create(**CHAT)


def wrong_argument(client: Any, server: ScriptedServer) -> None:
    with pytest.raises(TypeError):
        client.chat.completions.create(**CHAT, swordfish=SECRET)


def adapted(client: Any, server: ScriptedServer) -> None:
    server.answer(completion(choices=[{"index": 0, "finish_reason": "stop", "message": ANSWER}]))
    instrument_openrouter(client).chat_completions_create(**CHAT, team="search")


def asynchronous(client: Any, server: ScriptedServer) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key=SECRET) as client:
            await client.chat.completions.create(**CHAT)

    server.answer(completion(choices=[{"index": 0, "finish_reason": "stop", "message": ANSWER}]))
    asyncio.run(main())


CALLS = (
    *(whole, streamed, aborted, text_completions, embeddings),
    pytest.param(responses, marks=needs("responses.create")),
    pytest.param(streamed_responses, marks=needs("responses.create")),
    *(refused, failed_inside, failed_in_the_stream, unreachable, wrong_argument, adapted),
    asynchronous,
)


def record(
    call: Callable[[Any, ScriptedServer], None],
    server: ScriptedServer,
    destination: Destination,
    scheme: str,
) -> bytes:
    """Make the call; returns everything that was exported."""
    genops.init(
        service_name="app",
        exporter_type="otlp",
        otlp_endpoint=f"{scheme}127.0.0.1:{destination.port}",
        otlp_headers={"x-honeycomb-team": SECRET},
        openrouter_base_url=server.url,
    )
    with openai.OpenAI(
        base_url=server.url,
        api_key=SECRET,
        organization=SECRET,
        project=SECRET,
        max_retries=0,
        default_headers={"X-Title": SECRET},
    ) as client:
        call(client, server)
    assert genops.shutdown(10)
    assert destination.received
    return b"".join(destination.payloads)


@pytest.mark.parametrize("call", CALLS)
def test_a_planted_secret_is_neither_exported_nor_logged(
    call: Callable[[Any, ScriptedServer], None],
    server: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO)
    with grpc_destination() as destination:
        exported = record(call, server, destination, "")

    assert b"gen_ai.operation.name" in exported
    assert SECRET.encode() not in exported
    ours = [one for one in caplog.records if one.name.startswith(("genops", "opentelemetry"))]
    assert SECRET not in " ".join(one.getMessage() for one in ours)
    assert SECRET not in "".join(capfd.readouterr())


def test_the_search_would_find_it(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    with http_destination() as destination:
        exported = record(whole, server, destination, "http://")

    assert SECRET.encode() in exported
