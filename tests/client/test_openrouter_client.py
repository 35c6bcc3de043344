"""The instrumented OpenRouter client."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from operator import attrgetter
from typing import Any

import openai
import pytest
from openai.resources.chat import Completions
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

import genops
from client.matrix.features import WAYS, Feature
from client.processes import python
from client.recorder import Recorder
from client.scripted_server import MESSAGES, SECRET, ScriptedServer, completion
from genops.core.governance import DOCUMENTED_KEYS
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


def test_a_documented_governance_keyword_never_reaches_the_sdk(
    client: openai.OpenAI,
    server: ScriptedServer,
    spans: Recorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.answer(completion())

    instrument_openrouter(client).chat_completions_create(
        model=MODEL, messages=MESSAGES, customer_id=["acme"]
    )

    assert "'customer_id' is left out: a list is no text" in caplog.text
    assert "genops.customer_id" not in spans.attributes


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


def test_a_wrapper_that_hides_the_parameters_changes_nothing(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Completions.create

    def anything(self: Any, **kwargs: Any) -> Any:  # another library's, without functools.wraps
        return original(self, **kwargs)

    monkeypatch.setattr(Completions, "create", anything)
    server.answer(completion())

    instrument_openrouter(client).chat_completions_create(
        model=MODEL, messages=MESSAGES, temperature=0.5, team="a"
    )

    assert server.last.body == {"model": MODEL, "messages": MESSAGES, "temperature": 0.5}
    assert spans.attributes["genops.team"] == "a"


def test_parameters_that_only_newer_sdks_know_are_sent_by_older_ones_too(
    client: openai.OpenAI, server: ScriptedServer
) -> None:
    server.answer(completion())
    newer = {
        "reasoning_effort": "low",
        "verbosity": "low",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "safety_identifier": "s",
    }
    keywords: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, **newer}

    instrument_openrouter(client).chat_completions_create(**keywords)

    assert server.last.body == keywords


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


@pytest.mark.parametrize("overrides", [False, True])
def test_a_resource_of_ones_own_class_is_recorded_too(
    client: openai.OpenAI,
    server: ScriptedServer,
    spans: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    overrides: bool,
) -> None:
    class Own(Completions):
        if overrides:

            def create(self, **kwargs: Any) -> Any:
                return super().create(**kwargs)

    genops.uninstrument()
    monkeypatch.setattr(type(client.chat), "completions", Own(client))
    server.answer(completion())

    instrument_openrouter(client).chat.completions.create(model=MODEL, messages=MESSAGES)

    assert spans.attributes["gen_ai.provider.name"] == "openrouter"


def test_calls_work_without_init(server: ScriptedServer) -> None:
    server.answer(completion())

    # In a process of its own: no other test has set up OpenTelemetry there.
    done = python(
        """
from genops.providers.openrouter import instrument_openrouter
print(instrument_openrouter(api_key="sk-secret").chat_completions_create(
    model="openai/gpt-4o", messages=[], provider="openai", team="a").id)
""",
        GENOPS_OPENROUTER_BASE_URL=server.url,
    )

    assert (done.stdout, done.stderr) == ("gen-1\n", "")
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


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("temprature", "temperature"),
        ("max_token", "max_tokens"),
        ("maxTokens", "max_tokens"),
        ("mesage", "messages"),
        ("fallback", "fallbacks"),
        ("budget_limits", "budget_limit"),
        ("maxretries", "max_retries"),
        ("customerid", "customer_id"),
    ],
)
def test_a_misspelled_parameter_is_reported_once(
    client: openai.OpenAI,
    server: ScriptedServer,
    spans: Recorder,
    caplog: pytest.LogCaptureFixture,
    slip: str,
    meant: str,
) -> None:
    server.answer(completion())
    keywords: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, slip: 1}

    for _ in range(2):
        instrument_openrouter(client).chat_completions_create(**keywords)

    (warning,) = [r.getMessage() for r in caplog.records if "did you mean" in r.getMessage()]
    assert repr(slip) in warning
    assert f"did you mean {meant!r}?" in warning
    assert f"genops.{slip}" in warning
    assert server.last.body == {"model": MODEL, "messages": MESSAGES}
    assert spans.all[-1].attributes is not None
    assert spans.all[-1].attributes[f"genops.{slip}"] == 1


def test_governance_of_ones_own_is_not_taken_for_a_slip(
    client: openai.OpenAI,
    server: ScriptedServer,
    spans: Recorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.answer(completion())
    names = (
        *DOCUMENTED_KEYS,
        *("billing_tier", "deployment", "complexity", "budget_allocated", "service", "version"),
        *("session", "tier", "tenant", "step", "feature_name", "topic", "request_id", "cluster"),
    )
    keywords: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, **dict.fromkeys(names, "x")}

    instrument_openrouter(client).chat_completions_create(**keywords)

    assert "did you mean" not in caplog.text


class TestTheSdksOwnMethods:
    """The adapter has everything that the SDK's client has."""

    @pytest.fixture(params=[True, False], ids=["patched", "unpatched"], autouse=True)
    def patched(self, request: pytest.FixtureRequest, spans: Recorder) -> None:
        if not request.param:
            genops.uninstrument()

    @pytest.mark.parametrize("feature", WAYS)
    def test_calls_through_them_are_recorded_once(
        self, feature: Feature, server: ScriptedServer, spans: Recorder
    ) -> None:
        feature.script(server)

        with instrument_openrouter(api_key="k", base_url=server.url) as adapter:
            feature.use(attrgetter(feature.path)(adapter), feature.keywords)

        assert spans.attributes["genops.provider"] == "openrouter"
        assert spans.attributes["genops.tokens.total"] == 1200

    @pytest.mark.parametrize("feature", WAYS)
    def test_asynchronous_calls_through_them_are_recorded_once(
        self, feature: Feature, server: ScriptedServer, spans: Recorder
    ) -> None:
        feature.script(server)

        async def main() -> None:
            made = instrument_openrouter(api_key="k", base_url=server.url, async_client=True)
            async with made as adapter:
                await feature.use_async(attrgetter(feature.path)(adapter), feature.keywords)

        asyncio.run(main())

        assert spans.attributes["genops.provider"] == "openrouter"
        assert spans.attributes["genops.tokens.total"] == 1200

    @pytest.mark.parametrize("copy", ["with_options", "copy"])
    def test_a_copy_with_other_options_records_too(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder, copy: str
    ) -> None:
        server.answer(completion())

        adapter = getattr(instrument_openrouter(client), copy)(timeout=5.0)
        adapter.chat.completions.create(model=MODEL, messages=MESSAGES)
        adapter.chat_completions_create(model=MODEL, messages=MESSAGES, team="a")

        assert adapter.client.timeout == 5.0
        assert [span.name for span in spans.all] == [f"chat {MODEL}"] * 2

    @pytest.mark.parametrize("view", ["with_raw_response", "with_streaming_response"])
    def test_the_views_of_the_whole_client_record_too(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder, view: str
    ) -> None:
        server.answer(completion())

        create = getattr(instrument_openrouter(client), view).chat.completions.create
        with contextlib.ExitStack() as block:
            response = create(model=MODEL, messages=MESSAGES)
            if view == "with_streaming_response":
                response = block.enter_context(response)
            assert response.parse().id == "gen-1"

        assert spans.attributes["genops.tokens.total"] == 1200

    def test_the_context_says_what_they_are_for(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(completion())

        with genops.set_governance_context(team="a"):
            instrument_openrouter(client).chat.completions.create(model=MODEL, messages=MESSAGES)

        assert spans.attributes["genops.team"] == "a"


def test_other_clients_are_not_recorded_because_an_adapter_is_used(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    genops.uninstrument()
    create = Completions.create
    server.answer(completion())

    with openai.OpenAI(base_url=server.url, api_key="k") as other:
        instrument_openrouter(client).chat.completions.create(model=MODEL, messages=MESSAGES)
        other.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert len(spans.all) == 1
    assert Completions.create is create


def test_the_rest_of_the_client_is_the_sdks(client: openai.OpenAI) -> None:
    adapter = instrument_openrouter(client)

    assert adapter.api_key == "sk-secret"
    assert adapter.models is client.models
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = adapter.no_such_thing
    assert copy.copy(adapter).client is client


def test_leaving_the_block_closes_the_client(server: ScriptedServer) -> None:
    with instrument_openrouter(api_key="k", base_url=server.url) as adapter:
        assert not adapter.is_closed()
    assert adapter.is_closed()

    async def main() -> None:
        made = instrument_openrouter(api_key="k", base_url=server.url, async_client=True)
        async with made as adapter:
            assert isinstance(adapter.client, openai.AsyncOpenAI)
        assert adapter.is_closed()

    asyncio.run(main())


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
