"""The fake OpenRouter answers like the real one, seen through the real OpenAI SDK.

The schemas list what OpenRouter's OpenAPI document requires of each answer, and the fields that its
guides promise beyond it. Money is checked by arithmetic written out here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest
import requests
from openapi_schema_validator import OAS31Validator

from genops_enricher.demo.fake_openrouter import FakeOpenRouter

KEY = "sk-or-fake"
MESSAGES: Any = [{"role": "user", "content": "Is all well?"}]

INTEGER = {"type": "integer", "minimum": 0}
NUMBER = {"type": "number", "minimum": 0}
STRING = {"type": "string"}
TEXT_OR_NULL = {"type": ["string", "null"]}


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


FINISH_REASON = {"enum": ["tool_calls", "stop", "length", "content_filter", "error"]}
USAGE = _object(
    {
        "prompt_tokens": INTEGER,
        "completion_tokens": INTEGER,
        "total_tokens": INTEGER,
        "cost": NUMBER,
        "is_byok": {"type": "boolean"},
        "prompt_tokens_details": _object(
            {"cached_tokens": INTEGER, "cache_write_tokens": INTEGER, "audio_tokens": INTEGER}
        ),
        "completion_tokens_details": _object({"reasoning_tokens": INTEGER}),
        "cost_details": _object(
            {
                "upstream_inference_cost": NUMBER,
                "upstream_inference_prompt_cost": NUMBER,
                "upstream_inference_completions_cost": NUMBER,
            }
        ),
    }
)
METADATA = _object(
    {
        "requested": STRING,
        "strategy": {"enum": ["direct", "auto", "fallback"]},
        "region": TEXT_OR_NULL,
        "summary": STRING,
        "attempt": {"type": "integer", "minimum": 1},
        "is_byok": {"type": "boolean"},
        "endpoints": _object(
            {
                "total": INTEGER,
                "available": {
                    "type": "array",
                    "items": _object(
                        {"provider": STRING, "model": STRING, "selected": {"type": "boolean"}}
                    ),
                },
            }
        ),
        "attempts": {
            "type": "array",
            "items": _object({"provider": STRING, "model": STRING, "status": INTEGER}),
        },
    },
    optional=("attempts",),
)
MESSAGE = _object(
    {
        "role": {"const": "assistant"},
        "content": TEXT_OR_NULL,
        "tool_calls": {
            "type": "array",
            "items": _object(
                {
                    "id": STRING,
                    "type": {"const": "function"},
                    "function": _object({"name": STRING, "arguments": STRING}),
                }
            ),
        },
    },
    optional=("tool_calls",),
)
CHAT_RESULT = _object(
    {
        "id": {"type": "string", "pattern": "^gen-"},
        "object": {"const": "chat.completion"},
        "created": INTEGER,
        "model": STRING,
        "provider": STRING,
        "system_fingerprint": TEXT_OR_NULL,
        "choices": {
            "type": "array",
            "minItems": 1,
            "items": _object(
                {
                    "index": INTEGER,
                    "message": MESSAGE,
                    "finish_reason": FINISH_REASON,
                    "native_finish_reason": TEXT_OR_NULL,
                }
            ),
        },
        "usage": USAGE,
        "openrouter_metadata": METADATA,
    },
    optional=("usage", "openrouter_metadata"),
)
CHAT_CHUNK = _object(
    {
        "id": {"type": "string", "pattern": "^gen-"},
        "object": {"const": "chat.completion.chunk"},
        "created": INTEGER,
        "model": STRING,
        "provider": STRING,
        "system_fingerprint": STRING,
        "choices": {
            "type": "array",
            "items": _object(
                {
                    "index": INTEGER,
                    "delta": {"type": "object"},
                    "finish_reason": {"anyOf": [FINISH_REASON, {"type": "null"}]},
                }
            ),
        },
        "usage": USAGE,
        "openrouter_metadata": METADATA,
        "error": _object({"code": INTEGER, "message": STRING}),
    },
    optional=("system_fingerprint", "usage", "openrouter_metadata", "error"),
)
ERROR = _object(
    {
        "error": _object(
            {"code": INTEGER, "message": STRING, "metadata": {"type": ["object", "null"]}}
        ),
        "user_id": TEXT_OR_NULL,
    }
)
MODEL = _object(
    {
        "id": STRING,
        "canonical_slug": STRING,
        "name": STRING,
        "created": INTEGER,
        "context_length": {"type": ["integer", "null"]},
        "architecture": _object(
            {
                "modality": TEXT_OR_NULL,
                "input_modalities": {"type": "array"},
                "output_modalities": {"type": "array"},
            }
        ),
        "pricing": _object({"prompt": STRING, "completion": STRING}),
        "top_provider": _object({"is_moderated": {"type": "boolean"}}),
        "per_request_limits": {},
        "supported_parameters": {"type": "array"},
        "default_parameters": {},
        "supported_voices": {},
        "links": _object({"details": STRING}),
    }
)
MODEL_LIST = _object(
    {
        "data": {"type": "array", "minItems": 1, "items": MODEL},
        "total_count": INTEGER,
        "links": _object({"next": TEXT_OR_NULL}),
    }
)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as fake:
        yield fake


@pytest.fixture
def client(server: FakeOpenRouter) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        yield client


def scenario(text: str, *, metadata: bool = False) -> dict[str, str]:
    headers = {"X-Fake-Scenario": text}
    return headers | {"X-OpenRouter-Metadata": "enabled"} if metadata else headers


def post(fake: FakeOpenRouter, path: str, body: Any, script: str = "") -> requests.Response:
    return requests.post(
        f"{fake.base_url}/{path}",
        json=body,
        headers=scenario(script, metadata=True) | {"Authorization": f"Bearer {KEY}"},
        timeout=60,
    )


def get(fake: FakeOpenRouter, path: str) -> Any:
    answer = requests.get(
        f"{fake.base_url}/{path}", headers={"Authorization": f"Bearer {KEY}"}, timeout=60
    )
    answer.raise_for_status()
    return answer.json()


def check(schema: dict[str, Any], document: Any) -> None:
    errors = [
        f"{error.json_path}: {error.message}"
        for error in OAS31Validator(schema).iter_errors(document)
    ]
    assert errors == []


def billed(fake: FakeOpenRouter, generation_id: str) -> Decimal:
    generation = fake.ledger.get(generation_id)
    assert generation is not None
    return generation.bill.total


# --- chat completions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "",
        "cached_tokens=100, cache_write_tokens=20, audio_tokens=3, reasoning_tokens=7",
        "byok",
        "failures=1",
        "dated",
        "no_usage",
    ],
)
def test_a_plain_answer_has_the_documented_shape(server: FakeOpenRouter, script: str) -> None:
    body = {"model": "anthropic/claude-sonnet-4.5", "messages": MESSAGES}

    answer = post(server, "chat/completions", body, script)

    assert answer.status_code == 200
    check(CHAT_RESULT, answer.json())
    assert answer.headers["X-Generation-Id"] == answer.json()["id"]
    assert ("usage" in answer.json()) is ("no_usage" not in script)


def test_a_plain_call_is_billed_at_the_list_price(
    server: FakeOpenRouter, client: openai.OpenAI
) -> None:
    completion = client.chat.completions.create(
        model="openai/gpt-4o",
        messages=MESSAGES,
        extra_headers=scenario("prompt_tokens=200, completion_tokens=100"),
    )

    assert completion.usage is not None
    assert completion.usage.total_tokens == 300
    # 200 at 2.50 and 100 at 10 USD per million
    assert completion.usage.model_dump()["cost"] == 0.0015
    assert billed(server, completion.id) == Decimal("0.0015")


def test_cached_and_written_tokens_have_their_own_prices_within_the_prompt(
    server: FakeOpenRouter, client: openai.OpenAI
) -> None:
    completion = client.chat.completions.create(
        model="anthropic/claude-sonnet-4.5",
        messages=MESSAGES,
        extra_headers=scenario(
            "prompt_tokens=3500, cached_tokens=2000, cache_write_tokens=1000, completion_tokens=300"
        ),
    )

    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 3500
    # 500 at 3, 2000 at 0.30, 1000 at 3.75, 300 at 15 USD per million
    expected = (
        500 * Decimal(3) + 2000 * Decimal("0.3") + 1000 * Decimal("3.75") + 300 * 15
    ) / 10**6
    assert billed(server, completion.id) == expected == Decimal("0.01035")


def test_a_prompt_above_two_hundred_thousand_tokens_costs_more_per_token(
    server: FakeOpenRouter, client: openai.OpenAI
) -> None:
    costs = []
    for tokens in (200_000, 200_001):
        completion = client.chat.completions.create(
            model="google/gemini-2.5-pro",
            messages=MESSAGES,
            extra_headers=scenario(f"prompt_tokens={tokens}, completion_tokens=0"),
        )
        costs.append(billed(server, completion.id))

    assert costs == [Decimal("0.25"), Decimal("0.5000025")]


def test_byok_reports_the_fee_as_cost_and_the_provider_charge_beside_it(
    server: FakeOpenRouter, client: openai.OpenAI
) -> None:
    usages = [
        client.chat.completions.create(
            model="openai/gpt-4o",
            messages=MESSAGES,
            extra_headers=scenario(f"{script}, prompt_tokens=200, completion_tokens=100"),
        ).model_dump()["usage"]
        for script in ("byok", "byok_waived")
    ]

    assert [usage["is_byok"] for usage in usages] == [True, True]
    assert [usage["cost"] for usage in usages] == [0.000075, 0]  # five percent of 0.0015; waived
    assert {usage["cost_details"]["upstream_inference_cost"] for usage in usages} == {0.0015}


def test_the_free_variant_costs_nothing_and_says_so(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="meta-llama/llama-3.2-3b-instruct:free", messages=MESSAGES
    )

    assert completion.model == "meta-llama/llama-3.2-3b-instruct:free"
    assert completion.usage is not None
    assert completion.usage.completion_tokens > 0
    assert completion.usage.model_dump()["cost"] == 0


def test_usage_can_come_without_a_cost(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="openai/gpt-4o", messages=MESSAGES, extra_headers=scenario("no_cost")
    )

    assert completion.usage is not None
    assert "cost" not in completion.usage.model_dump()


def test_max_tokens_cuts_the_answer_short(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="openai/gpt-4o", messages=MESSAGES, max_tokens=3
    )

    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3


def test_offered_tools_are_called(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "look_up", "parameters": {}}}

    completion = client.chat.completions.create(
        model="openai/gpt-4o", messages=MESSAGES, tools=[tool]
    )

    [choice] = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    [call] = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "look_up"


def test_multimodal_content_counts_its_texts(client: openai.OpenAI) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    content: Any = [{"type": "text", "text": "12345678"}, image]

    completion = client.chat.completions.create(
        model="openai/gpt-4o", messages=[{"role": "user", "content": content}]
    )

    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 2


# --- routing --------------------------------------------------------------------------------------


def test_routing_facts_come_only_when_asked_for(client: openai.OpenAI) -> None:
    plain = client.chat.completions.create(model="openai/gpt-4o", messages=MESSAGES)
    asked = client.chat.completions.create(
        model="openai/gpt-4o", messages=MESSAGES, extra_headers=scenario("", metadata=True)
    )

    assert "openrouter_metadata" not in plain.model_dump()
    metadata = asked.model_dump()["openrouter_metadata"]
    check(METADATA, metadata)
    assert (metadata["strategy"], metadata["attempt"]) == ("direct", 1)
    assert "attempts" not in metadata


def test_a_failed_provider_is_replaced_by_the_next_one(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="openai/gpt-4o",
        messages=MESSAGES,
        extra_headers=scenario("failures=1", metadata=True),
    ).model_dump()

    assert completion["provider"] == "Azure"
    assert completion["openrouter_metadata"]["attempts"] == [
        {"provider": "OpenAI", "model": "openai/gpt-4o", "status": 503},
        {"provider": "Azure", "model": "openai/gpt-4o", "status": 200},
    ]


def test_a_fallback_model_answers_and_is_billed_when_the_first_one_is_down(
    server: FakeOpenRouter, client: openai.OpenAI
) -> None:
    completion = client.chat.completions.create(
        model="openai/gpt-4o",
        messages=MESSAGES,
        extra_body={"models": ["openai/gpt-4o", "anthropic/claude-haiku-4.5"]},
        extra_headers=scenario(
            "failures=2, prompt_tokens=1000, completion_tokens=100", metadata=True
        ),
    )

    assert completion.model == "anthropic/claude-haiku-4.5"
    metadata = completion.model_dump()["openrouter_metadata"]
    assert (metadata["strategy"], metadata["attempt"]) == ("fallback", 3)
    assert metadata["requested"] == "openai/gpt-4o"
    # 1000 at 1 and 100 at 5 USD per million: the price of the model that answered
    assert billed(server, completion.id) == Decimal("0.0015")


def test_provider_preferences_order_filter_and_forbid_fallbacks(client: openai.OpenAI) -> None:
    def provider(preferences: dict[str, Any], script: str = "") -> str:
        completion = client.chat.completions.create(
            model="anthropic/claude-sonnet-4.5",
            messages=MESSAGES,
            extra_body={"provider": preferences},
            extra_headers=scenario(script),
        )
        return str(completion.model_dump()["provider"])

    assert provider({}) == "Anthropic"
    assert provider({"order": ["google", "amazon-bedrock"]}) == "Google"
    assert provider({"only": ["amazon-bedrock"]}) == "Amazon Bedrock"
    assert provider({"ignore": ["anthropic"]}) == "Amazon Bedrock"
    assert provider({"order": ["google"]}, "failures=1") == "Anthropic"
    with pytest.raises(openai.NotFoundError):
        provider({"only": ["openai"]})
    with pytest.raises(openai.InternalServerError) as caught:
        provider({"order": ["google"], "allow_fallbacks": False}, "failures=1")
    assert caught.value.status_code == 502


def test_the_auto_router_names_the_model_that_it_chose(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="openrouter/auto", messages=MESSAGES, extra_headers=scenario("", metadata=True)
    )

    assert completion.model == "openai/gpt-4o-mini"
    assert completion.model_dump()["openrouter_metadata"]["strategy"] == "auto"


def test_a_routing_suffix_and_a_dated_name_lead_to_the_same_model(client: openai.OpenAI) -> None:
    for name in ("openai/gpt-5-mini:nitro", "openai/gpt-5-mini-2025-08-07"):
        completion = client.chat.completions.create(model=name, messages=MESSAGES)
        assert completion.model == "openai/gpt-5-mini"

    dated = client.chat.completions.create(
        model="openai/gpt-5-mini", messages=MESSAGES, extra_headers=scenario("dated")
    )
    assert dated.model == "openai/gpt-5-mini-2025-08-07"


# --- streams --------------------------------------------------------------------------------------


def test_a_stream_ends_with_usage_on_a_chunk_without_choices(
    server: FakeOpenRouter, client: openai.OpenAI
) -> None:
    with client.chat.completions.create(
        model="openai/gpt-4o",
        messages=MESSAGES,
        stream=True,
        extra_headers=scenario("prompt_tokens=200, completion_tokens=100", metadata=True),
    ) as stream:
        chunks = [chunk.model_dump(exclude_unset=True) for chunk in stream]

    for chunk in chunks:
        check(CHAT_CHUNK, chunk)
    *content, finish, last = chunks
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in content) != ""
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert last["choices"] == []
    assert last["usage"]["cost"] == 0.0015
    assert last["openrouter_metadata"]["requested"] == "openai/gpt-4o"
    assert billed(server, last["id"]) == Decimal("0.0015")


def test_the_wire_of_a_stream_is_comments_data_and_done(server: FakeOpenRouter) -> None:
    body = {"model": "openai/gpt-4o", "messages": MESSAGES, "stream": True}

    answer = post(server, "chat/completions", body)

    events = answer.text.removesuffix("\n\n").split("\n\n")
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert events[0] == ": OPENROUTER PROCESSING"
    assert events[-1] == "data: [DONE]"
    assert all(json.loads(event.removeprefix("data: ")) for event in events[1:-1])


def test_usage_can_ride_on_the_finish_chunk(client: openai.OpenAI) -> None:
    *_, last = client.chat.completions.create(
        model="openai/gpt-4o",
        messages=MESSAGES,
        stream=True,
        extra_headers=scenario("usage_on_finish"),
    )

    assert last.choices[0].finish_reason == "stop"
    assert last.usage is not None


def test_a_stream_can_break_after_its_first_words_and_is_not_billed(
    server: FakeOpenRouter, client: openai.OpenAI
) -> None:
    stream = client.chat.completions.create(
        model="openai/gpt-4o",
        messages=MESSAGES,
        stream=True,
        extra_headers=scenario("stream_error"),
    )

    first = next(stream)
    with pytest.raises(openai.APIError, match="Provider returned error"):
        list(stream)

    assert first.choices[0].delta.content
    assert billed(server, first.id) == 0


def test_a_client_that_leaves_a_stream_does_not_disturb_the_server(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="openai/gpt-4o", messages=MESSAGES, stream=True
    ) as stream:
        next(stream)

    assert client.chat.completions.create(model="openai/gpt-4o", messages=MESSAGES).choices


def test_async_clients_are_served(server: FakeOpenRouter) -> None:
    async def call() -> tuple[str, list[str]]:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
            completion = await client.chat.completions.create(
                model="openai/gpt-4o", messages=MESSAGES
            )
            stream = await client.chat.completions.create(
                model="openai/gpt-4o-mini", messages=MESSAGES, stream=True
            )
            return completion.model, [chunk.model async for chunk in stream]

    model, streamed = asyncio.run(call())

    assert model == "openai/gpt-4o"
    assert set(streamed) == {"openai/gpt-4o-mini"}


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 429, 500, 502, 503, 529])
def test_an_error_has_the_documented_shape_and_is_not_billed(
    server: FakeOpenRouter, status: int
) -> None:
    before = server.ledger.generations()

    answer = post(
        server,
        "chat/completions",
        {"model": "openai/gpt-4o", "messages": MESSAGES},
        f"status={status}",
    )

    assert answer.status_code == status
    check(ERROR, answer.json())
    assert answer.json()["error"]["code"] == status
    assert server.ledger.generations() == before


def test_a_rate_limit_says_when_to_come_back(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(
            model="openai/gpt-4o", messages=MESSAGES, extra_headers=scenario("status=429")
        )

    headers = caught.value.response.headers
    assert headers["Retry-After"] == "1"
    assert headers["X-RateLimit-Remaining"] == "0"
    assert int(headers["X-RateLimit-Reset"]) > 10**12  # milliseconds


@pytest.mark.parametrize("key", ["", "Bearer sk-other", "Basic sk-or-fake"])
def test_a_bad_key_is_refused(server: FakeOpenRouter, key: str) -> None:
    answer = requests.post(
        f"{server.base_url}/chat/completions", json={}, headers={"Authorization": key}, timeout=60
    )

    assert answer.status_code == 401
    check(ERROR, answer.json())


@pytest.mark.parametrize(
    ("body", "script"),
    [
        ({"model": "no/such-model", "messages": MESSAGES}, ""),
        ({"messages": MESSAGES}, ""),
        ({"model": "openai/gpt-4o", "messages": MESSAGES, "provider": "openai"}, ""),
        ({"model": "openai/gpt-4o", "messages": MESSAGES, "models": "openai/gpt-4o"}, ""),
        ({"model": "openai/gpt-4o"}, ""),
        ([], ""),
        ({"model": "openai/gpt-4o", "messages": MESSAGES}, "cached_tokens"),
        ({"model": "openai/gpt-4o", "messages": MESSAGES}, "byok=1"),
        ({"model": "openai/gpt-4o", "messages": MESSAGES}, "no_such_key"),
        ({"model": "openai/gpt-4o", "messages": MESSAGES}, "prompt_tokens=1, cached_tokens=2"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_400(
    server: FakeOpenRouter, body: Any, script: str
) -> None:
    answer = post(server, "chat/completions", body, script)

    assert answer.status_code == 400
    check(ERROR, answer.json())


# --- the other endpoints --------------------------------------------------------------------------


def test_legacy_completions_are_answered_plain_and_streamed(client: openai.OpenAI) -> None:
    plain = client.completions.create(model="openai/gpt-3.5-turbo-instruct", prompt="Say more.")
    streamed = list(
        client.completions.create(
            model="openai/gpt-3.5-turbo-instruct", prompt="Say more.", stream=True
        )
    )

    assert plain.usage is not None
    assert streamed[-1].usage is not None
    text = "".join(choice.text for chunk in streamed for choice in chunk.choices)
    assert text == plain.choices[0].text


def test_embeddings_are_billed_on_their_input_alone(
    server: FakeOpenRouter, client: openai.OpenAI
) -> None:
    answer = client.embeddings.create(
        model="openai/text-embedding-3-small", input=["1234", "5678"], encoding_format="float"
    )

    assert [len(item.embedding) for item in answer.data] == [3, 3]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 2
    assert server.ledger.generations()[-1].bill.total == Decimal("0.00000004")


def test_the_responses_api_names_tokens_and_costs_its_own_way(client: openai.OpenAI) -> None:
    answer = client.responses.create(
        model="openai/gpt-5-mini",
        input="Think hard.",
        extra_headers=scenario("prompt_tokens=100, completion_tokens=50, reasoning_tokens=40"),
    )

    assert answer.output_text
    assert answer.usage is not None
    assert answer.usage.output_tokens_details.reasoning_tokens == 40
    usage = answer.usage.model_dump()
    assert usage["cost"] == 0.000125  # 100 at 0.25 and 50 at 2 USD per million
    assert usage["cost_details"]["upstream_inference_output_cost"] == 0.0001


def test_a_streamed_response_says_piece_by_piece_what_a_plain_one_says(
    client: openai.OpenAI,
) -> None:
    ask: Any = {"model": "openai/gpt-5-mini", "input": "Think hard."}
    headers = scenario("prompt_tokens=100, cached_tokens=60, completion_tokens=50")
    plain = client.responses.create(**ask, extra_headers=headers)
    events = list(client.responses.create(**ask, stream=True, extra_headers=headers))

    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == plain.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage == plain.usage


def test_a_streamed_response_that_breaks_ends_as_failed_and_is_not_billed(
    server: FakeOpenRouter, client: openai.OpenAI
) -> None:
    events = list(
        client.responses.create(
            model="openai/gpt-5-mini",
            input="Think hard.",
            stream=True,
            extra_headers=scenario("stream_error"),
        )
    )

    assert events[-1].type == "response.failed"
    assert events[-1].response.error is not None
    assert billed(server, events[-1].response.id) == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_calls_the_first_tool_and_talks_once_it_has_the_result(
    client: openai.OpenAI, stream: bool
) -> None:
    tool: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}}

    def ask(said: list[Any]) -> Any:
        answer: Any = client.responses.create(
            model="openai/gpt-4o", input=said, tools=[tool], stream=stream
        )
        return list(answer)[-1].response if stream else answer

    said: list[Any] = [{"role": "user", "content": "What is the weather?"}]
    [call] = ask(said).output
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    [message] = ask([*said, call.model_dump(exclude_none=True), result]).output

    assert (call.type, call.name, call.arguments) == ("function_call", "weather", "{}")
    assert message.type == "message"


def test_a_chat_talks_once_it_has_the_result_of_its_tool(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "function": {"name": "weather"}}]
    said: list[Any] = list(MESSAGES)
    first = client.chat.completions.create(model="openai/gpt-4o", messages=said, tools=tools)
    assert first.choices[0].message.tool_calls
    call = first.choices[0].message.tool_calls[0]
    said += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]

    second = client.chat.completions.create(model="openai/gpt-4o", messages=said, tools=tools)

    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.tool_calls is None


def test_models_are_listed_with_prices_per_token_as_strings(server: FakeOpenRouter) -> None:
    models = get(server, "models")

    check(MODEL_LIST, models)
    prices = {model["id"]: model["pricing"] for model in models["data"]}
    assert prices["openai/gpt-4o"] == {
        "prompt": "0.0000025",
        "completion": "0.00001",
        "input_cache_read": "0.00000125",
    }


def test_a_generation_can_be_looked_up_after_the_call(
    server: FakeOpenRouter, client: openai.OpenAI
) -> None:
    completion = client.chat.completions.create(
        model="openai/gpt-4o",
        messages=MESSAGES,
        extra_headers=scenario("failures=1, prompt_tokens=200, completion_tokens=100"),
    )

    data = get(server, f"generation?id={completion.id}")["data"]

    assert (data["model"], data["provider_name"]) == ("openai/gpt-4o", "Azure")
    assert data["total_cost"] == data["usage"] == 0.0015
    assert (data["native_tokens_prompt"], data["native_tokens_completion"]) == (200, 100)
    assert [response["status"] for response in data["provider_responses"]] == [503, 200]


def test_the_key_says_what_was_spent() -> None:
    with FakeOpenRouter() as fake:
        body = {"model": "openai/gpt-4o", "messages": MESSAGES}
        for script in ("", "byok"):
            post(
                fake,
                "chat/completions",
                body,
                f"prompt_tokens=200, completion_tokens=100, {script}",
            )

        data = get(fake, "key")["data"]

    assert data["usage"] == 0.001575
    assert data["byok_usage"] == 0.0015


def test_the_ledger_tells_in_process_and_over_http_what_was_billed() -> None:
    with FakeOpenRouter() as fake:
        body = {"model": "openai/gpt-4o", "messages": MESSAGES}
        answer = post(
            fake,
            "chat/completions",
            body,
            "label=mine, byok, prompt_tokens=200, cached_tokens=0, completion_tokens=100",
        )
        ledger = requests.get(f"{fake.url}/fake/ledger", timeout=60).json()
        in_process = fake.ledger.billed

    [entry] = ledger["generations"]
    assert (entry["id"], entry["label"]) == (answer.json()["id"], "mine")
    assert (entry["prompt_tokens"], entry["completion_tokens"]) == (200, 100)
    assert (entry["model_requested"], entry["model"]) == ("openai/gpt-4o", "openai/gpt-4o")
    assert (entry["provider"], entry["is_byok"]) == ("OpenAI", True)
    assert Decimal(entry["total"]) == Decimal(ledger["billed"]) == in_process == Decimal("0.001575")


def test_closing_ends_idle_connections() -> None:
    with requests.Session() as session:
        with FakeOpenRouter() as fake:
            session.get(f"{fake.base_url}/models", timeout=60)  # keeps its connection alive
        with pytest.raises(requests.ConnectionError):
            session.get(f"{fake.base_url}/models", timeout=60)
