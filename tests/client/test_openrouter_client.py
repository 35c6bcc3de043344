"""The instrumented OpenRouter client."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

import genops
from client.recorder import Recorder
from client.scripted_server import MESSAGES, SECRET, ScriptedServer, completion
from genops.providers.openrouter import instrument_openrouter

MODEL = "openai/gpt-4o"


def test_governance_becomes_attributes_and_is_not_sent(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(completion())
    governance: dict[str, Any] = {
        "team": "marketing",
        "project": "launch",
        "customer_id": "enterprise-001",
        "customer": "Acme",
        "environment": "production",
        "cost_center": "ops",
        "feature": "qa",
        "user_id": "u1",
        "experiment_id": "e1",
        "region": "us-west-2",
        "model_version": "v1.2.0",
        "priority": "high",
        "compliance_level": "confidential",
        "billing_tier": "premium",
        "complexity": 3,
    }

    instrument_openrouter(client).chat_completions_create(
        model=MODEL, messages=MESSAGES, temperature=0.7, **governance
    )

    assert server.last.body == {"model": MODEL, "messages": MESSAGES, "temperature": 0.7}
    assert spans.attributes.items() >= {f"genops.{k}": v for k, v in governance.items()}.items()
    assert spans.attributes["gen_ai.request.model"] == MODEL


def test_routing_wishes_are_sent_and_recorded(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(completion())

    instrument_openrouter(client).chat_completions_create(
        model=MODEL,
        messages=MESSAGES,
        provider="openai",
        route="least-cost",
        fallbacks=["anthropic/claude-3-haiku"],
        reasoning={"effort": "low"},
        extra_body={"provider": {"zdr": True}},
        team="research",
    )

    assert server.last.body == {
        "model": MODEL,
        "messages": MESSAGES,
        "models": [MODEL, "anthropic/claude-3-haiku"],
        "provider": {"order": ["openai"], "sort": "price", "zdr": True},
        "reasoning": {"effort": "low"},
    }
    attributes = spans.attributes
    assert attributes["genops.openrouter.routing_strategy"] == "least-cost"
    assert attributes["genops.openrouter.preferred_provider"] == "openai"
    assert attributes["genops.openrouter.predicted_provider"] == "openai"


def test_routing_in_the_body_of_a_plain_sdk_call_is_recorded(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(completion(model="b/second"))

    client.chat.completions.create(
        model="a/first",
        messages=MESSAGES,
        extra_body={"provider": {"order": ["anthropic"]}, "models": ["b/second"]},
    )

    assert spans.attributes["genops.openrouter.preferred_provider"] == "anthropic"
    assert spans.attributes["genops.openrouter.fallback_used"] is True


def test_an_unknown_route_is_refused_before_anything_is_sent(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    with pytest.raises(ValueError, match="least-cost"):
        instrument_openrouter(client).chat_completions_create(
            model=MODEL, messages=MESSAGES, route="cheapest"
        )

    assert server.requests == []
    assert spans.all == ()


def test_a_structured_keyword_that_the_api_does_not_know_is_refused_by_the_sdk(
    client: openai.OpenAI, server: ScriptedServer
) -> None:
    with pytest.raises(TypeError, match="mesages"):
        instrument_openrouter(client).chat_completions_create(
            model=MODEL, messages=MESSAGES, mesages=MESSAGES
        )


def test_every_parameter_of_the_sdk_is_passed_on(
    client: openai.OpenAI, server: ScriptedServer
) -> None:
    server.answer(completion())

    instrument_openrouter(client).chat_completions_create(
        model=MODEL,
        messages=MESSAGES,
        max_completion_tokens=5,
        parallel_tool_calls=False,
        metadata={"a": "b"},
        user="u",
        extra_headers={"x-own": "1"},
        extra_query={"q": "1"},
        timeout=30,
        max_retries=3,
    )

    assert server.last.body == {
        "model": MODEL,
        "messages": MESSAGES,
        "max_completion_tokens": 5,
        "parallel_tool_calls": False,
        "metadata": {"a": "b"},
        "user": "u",
    }
    assert server.last.headers["x-own"] == "1"
    assert server.last.path.endswith("?q=1")


def test_retries_are_set_per_call(client: openai.OpenAI, server: ScriptedServer) -> None:
    server.answer({"error": {"code": 503}}, status=503)
    server.answer(completion())

    response = instrument_openrouter(client).chat_completions_create(
        model=MODEL, messages=MESSAGES, max_retries=1
    )

    assert response.id == "gen-1"
    assert len(server.requests) == 2


def test_text_completions(client: openai.OpenAI, server: ScriptedServer, spans: Recorder) -> None:
    server.answer(completion(object="text_completion", choices=[]))

    instrument_openrouter(client).completions_create(model=MODEL, prompt="x", team="content")

    assert server.last.body == {"model": MODEL, "prompt": "x"}
    assert spans.one.name == f"text_completion {MODEL}"
    assert spans.attributes["genops.team"] == "content"


def test_streams(client: openai.OpenAI, server: ScriptedServer, spans: Recorder) -> None:
    server.stream()

    stream = instrument_openrouter(client).chat_completions_create(
        model=MODEL, messages=MESSAGES, stream=True, team="a"
    )
    assert len(list(stream)) == 3

    assert spans.attributes["genops.stream.completed"] is True
    assert spans.attributes["genops.team"] == "a"


def test_an_asynchronous_client_gives_awaitables(server: ScriptedServer, spans: Recorder) -> None:
    server.answer(completion())
    server.stream()

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as client:
            adapter = instrument_openrouter(client)
            response = await adapter.chat_completions_create(model=MODEL, messages=MESSAGES)
            assert response.id == "gen-1"
            stream = await adapter.chat_completions_create(
                model=MODEL, messages=MESSAGES, stream=True
            )
            assert len([item async for item in stream]) == 3

    asyncio.run(main())

    assert len(spans.all) == 2


def test_an_asynchronous_call_that_is_never_awaited_starts_no_span(
    server: ScriptedServer, recorder: Recorder
) -> None:
    started: list[str] = []

    class Watch(SpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            started.append(span.name)

    recorder.provider.add_span_processor(Watch())
    genops.init(tracer_provider=recorder.provider)

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as client:
            instrument_openrouter(client).chat_completions_create(
                model=MODEL, messages=MESSAGES
            ).close()

    asyncio.run(main())

    assert started == []


def test_a_call_is_recorded_by_the_adapter_alone_when_nothing_is_patched(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    genops.uninstrument()
    server.answer(completion())

    instrument_openrouter(client).chat_completions_create(model=MODEL, messages=MESSAGES, team="a")

    assert spans.attributes["gen_ai.provider.name"] == "openrouter"


def test_calls_work_without_init(client: openai.OpenAI, server: ScriptedServer) -> None:
    server.answer(completion())

    response = instrument_openrouter(client).chat_completions_create(
        model=MODEL, messages=MESSAGES, provider="openai", team="a"
    )

    assert response.id == "gen-1"
    assert server.last.body["provider"] == {"order": ["openai"]}
    assert "x-openrouter-metadata" not in server.last.headers


@pytest.mark.parametrize(
    ("host", "provider"), [("gateway.example", "openrouter"), ("api.openai.com", "openai")]
)
def test_an_unknown_host_is_openrouter_and_a_known_one_is_itself(
    server: ScriptedServer, recorder: Recorder, host: str, provider: str
) -> None:
    server.answer(completion())
    genops.init(tracer_provider=recorder.provider)

    with openai.OpenAI(
        base_url=f"http://{host}/v1",
        api_key="k",
        http_client=openai.DefaultHttpxClient(proxy=server.url),
    ) as client:
        instrument_openrouter(client).chat_completions_create(model=MODEL, messages=MESSAGES)

    assert recorder.attributes["server.address"] == host
    assert recorder.attributes["gen_ai.provider.name"] == provider
    assert ("x-openrouter-metadata" in server.last.headers) == (provider == "openrouter")


@pytest.mark.parametrize("name", ["prompt", "input", "system", "instructions", "api_key", "token"])
def test_content_and_keys_in_a_wrong_keyword_are_refused_and_not_recorded(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder, name: str
) -> None:
    arguments: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, name: SECRET}

    with pytest.raises(TypeError, match=name):
        instrument_openrouter(client).chat_completions_create(**arguments)

    assert server.requests == []
    assert SECRET not in "".join(span.to_json() for span in spans.all)


class TestMakingAClient:
    def test_key_and_address_come_from_the_environment(
        self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
        monkeypatch.setenv("GENOPS_OPENROUTER_BASE_URL", server.url)
        monkeypatch.setenv("OPENROUTER_HTTP_REFERER", "https://app.example")
        monkeypatch.setenv("OPENROUTER_X_TITLE", "App")
        server.answer(completion())

        adapter = instrument_openrouter()
        adapter.chat_completions_create(model=MODEL, messages=MESSAGES)
        adapter.client.close()

        assert server.last.headers["authorization"] == "Bearer sk-or-1"
        assert server.last.headers["http-referer"] == "https://app.example"
        assert server.last.headers["x-openrouter-title"] == "App"

    def test_arguments_win(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-1")
        monkeypatch.setenv("OPENROUTER_X_TITLE", "App")

        client = instrument_openrouter(
            openrouter_api_key="sk-or-2",
            timeout=30.0,
            max_retries=3,
            default_headers={"X-Title": "Mine"},
        ).client

        assert client.api_key == "sk-or-2"
        assert str(client.base_url) == "https://openrouter.ai/api/v1/"
        assert client.timeout == 30.0
        assert client.max_retries == 3
        assert "X-OpenRouter-Title" not in client.default_headers

    def test_an_openai_key_is_never_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")

        with pytest.raises(ValueError, match="OPENROUTER_API_KEY"):
            instrument_openrouter()

    def test_a_client_and_arguments_to_make_one_exclude_each_other(
        self, client: openai.OpenAI
    ) -> None:
        with pytest.raises(TypeError, match="with_options"):
            instrument_openrouter(client, timeout=3.0)
