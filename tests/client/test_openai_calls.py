"""Calls of the real OpenAI SDK, recorded without touching the calling code."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Iterator
from operator import attrgetter
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import openai
import pydantic
import pytest
import wrapt
from openai.resources.chat import AsyncCompletions, Completions
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

import genops
from client.recorder import Recorder
from client.scripted_server import MESSAGES, METADATA, SECRET, ScriptedServer, completion
from client.sdk import needs
from genops.providers.hosts import provider_of
from genops.providers.openrouter import instrument_openrouter, patch_openrouter, unpatch_openrouter

MODEL = "anthropic/claude-3-sonnet"


def test_a_call_to_openrouter_leaves_one_span_with_the_facts(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(completion(provider="Amazon Bedrock", openrouter_metadata=METADATA))

    response = client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert response.choices[0].message.content == SECRET
    span = spans.one
    assert span.name == f"chat {MODEL}"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "genops"
    assert span.instrumentation_scope.version == genops.__version__
    assert spans.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openrouter",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": MODEL,
        "gen_ai.response.id": "gen-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 200,
        "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.cache_write.input_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 80,
        "gen_ai.usage.audio.input_tokens": 7,
        "gen_ai.usage.audio.output_tokens": 5,
        "gen_ai.usage.image.output_tokens": 3,
        "server.address": "127.0.0.1",
        "server.port": int(server.url.split(":")[2].split("/")[0]),
        "genops.provider": "openrouter",
        "genops.model": MODEL,
        "genops.tokens.input": 1000,
        "genops.tokens.output": 200,
        "genops.tokens.total": 1200,
        "genops.cost.reported": 0.0123,
        "genops.openrouter.actual_provider": "amazon-bedrock",
        "genops.openrouter.actual_provider_name": "Amazon Bedrock",
        "genops.openrouter.router_strategy": "direct",
        "genops.openrouter.region": "iad",
        "genops.openrouter.attempts": 2,
        "genops.openrouter.fallback_used": True,
        "genops.openrouter.is_byok": False,
        "genops.openrouter.generation_id": "gen-1",
    }
    (event,) = span.events
    assert event.name == "genops.openrouter.attempt_failed"
    assert dict(event.attributes or {}) == {
        "genops.openrouter.attempt.provider": "Anthropic",
        "genops.openrouter.attempt.model": MODEL,
        "genops.openrouter.attempt.status": 503,
    }


def test_neither_content_nor_key_is_recorded(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(completion())
    server.answer({"error": {"code": 401, "message": f"{SECRET} sk-secret"}}, status=401)

    client.chat.completions.create(model=MODEL, messages=MESSAGES)
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model=MODEL, messages=MESSAGES)

    written = "".join(span.to_json() for span in spans.all)
    assert SECRET not in written
    assert "sk-secret" not in written


@pytest.mark.parametrize("stream", [False, True])
def test_a_recorded_call_returns_what_an_unrecorded_one_does(
    client: openai.OpenAI, server: ScriptedServer, recorder: Recorder, stream: bool
) -> None:
    if stream:
        server.stream()
    else:
        server.answer(completion(extra_field=1, provider="Anthropic"))

    def call() -> Any:
        result: Any = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=stream)
        items = list(result) if stream else [result]
        return type(result), [item.model_dump() for item in items]

    unrecorded = call()
    genops.init(tracer_provider=recorder.provider, openrouter_base_url=server.url)
    recorded = call()

    assert recorded == unrecorded
    assert len(recorder.all) == 1


def test_defaults_context_and_measured_facts_stack_up(
    client: openai.OpenAI, server: ScriptedServer, recorder: Recorder
) -> None:
    genops.init(
        tracer_provider=recorder.provider,
        default_team="default",
        default_project="default",
        default_environment="test",
    )
    server.answer(completion())

    with genops.set_governance_context(team="context", model="mine", provider="mine"):
        client.chat.completions.create(model=MODEL, messages=MESSAGES)

    attributes = recorder.attributes
    assert attributes["genops.team"] == "context"
    assert attributes["genops.project"] == "default"
    assert attributes["genops.environment"] == "test"
    assert attributes["genops.model"] == MODEL


def test_an_asynchronous_call_is_recorded_when_it_is_awaited(
    server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(completion())

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as client:
            call = client.chat.completions.create(model=MODEL, messages=MESSAGES)
            assert spans.all == ()
            response = await call
            assert response.id == "gen-1"

    asyncio.run(main())

    assert spans.attributes["genops.tokens.total"] == 1200


def test_concurrent_calls_keep_their_own_attributes(
    server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(completion())

    async def ask(client: openai.AsyncOpenAI, team: str) -> None:
        with genops.set_governance_context(team=team):
            await client.chat.completions.create(model=team, messages=MESSAGES)

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as client:
            await asyncio.gather(*(ask(client, team) for team in "abcd"))

    asyncio.run(main())

    seen = [(dict(span.attributes or {})) for span in spans.all]
    assert sorted((a["genops.team"], a["genops.model"]) for a in seen) == [
        (team, team) for team in "abcd"
    ]


def test_a_cancelled_call_ends_its_span_as_failed(server: ScriptedServer, spans: Recorder) -> None:
    release = threading.Event()
    server.answer(completion(), hold=release)

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            task = asyncio.ensure_future(
                client.chat.completions.create(model=MODEL, messages=MESSAGES)
            )
            await asyncio.to_thread(server.arrived.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    try:
        asyncio.run(main())
    finally:
        release.set()

    assert spans.attributes["error.type"] == "CancelledError"
    assert spans.one.status.status_code is StatusCode.ERROR


def test_a_call_that_nobody_finishes_ends_its_span_in_silence(
    server: ScriptedServer, spans: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer(completion())

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            call = client.chat.completions.create(model=MODEL, messages=MESSAGES)
            contextvars.copy_context().run(call.send, None)
            call.close()  # in another context, as the garbage collector does

    asyncio.run(main())

    assert spans.attributes["error.type"] == "GeneratorExit"
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (401, "AuthenticationError"),
        (402, "APIStatusError"),
        (429, "RateLimitError"),
        (502, "InternalServerError"),
    ],
)
def test_a_refused_call_leaves_its_kind_and_status(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder, status: int, error_type: str
) -> None:
    server.answer({"error": {"code": status, "message": SECRET}}, status=status)

    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert type(raised.value).__name__ == error_type
    span = spans.one
    assert spans.attributes["error.type"] == error_type
    assert spans.attributes["http.response.status_code"] == status
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.events == ()
    assert "genops.tokens.total" not in spans.attributes


def test_an_unreachable_server_is_recorded(spans: Recorder) -> None:
    client = openai.OpenAI(base_url="http://127.0.0.1:1/v1", api_key="k", max_retries=0)

    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert spans.attributes["error.type"] == "APIConnectionError"
    client.close()


def test_an_error_in_an_accepted_response_marks_the_span(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer({"error": {"code": 502, "message": SECRET}})

    client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert spans.attributes["error.type"] == "502"
    assert spans.one.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize(
    "answer",
    [
        completion(usage=None),
        {key: value for key, value in completion().items() if key != "usage"},
        completion(choices=[]),
        completion(choices=None),
        completion(model=None, id=None),
        completion(usage={"prompt_tokens": "many"}),
        completion(openrouter_metadata="disabled"),
        completion(
            choices=[
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "call-1",
                                "type": "function",
                                "function": {"name": "look", "arguments": f'"{SECRET}"'},
                            }
                        ],
                    },
                }
            ]
        ),
        {},
    ],
    ids=lambda answer: ",".join(sorted(answer)) or "empty",
)
def test_answers_of_any_shape_are_passed_on(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder, answer: dict[str, object]
) -> None:
    server.answer(answer)

    response = client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert response.id == answer.get("id")
    assert spans.one.status.status_code is StatusCode.UNSET
    assert SECRET not in spans.one.to_json()


def test_multimodal_content_and_tools_pass_through(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(completion())
    messages: Any = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": SECRET},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": {}}}]

    client.chat.completions.create(model=MODEL, messages=messages, tools=tools)

    assert server.last.body["messages"] == messages
    assert server.last.body["tools"] == tools
    assert SECRET not in spans.one.to_json()


class TestMetadataHeader:
    HEADER = "x-openrouter-metadata"

    def test_it_is_sent_to_openrouter(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(completion())

        client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers={"x-own": "1"})

        assert server.last.headers[self.HEADER] == "enabled"
        assert server.last.headers["x-own"] == "1"

    def test_the_callers_own_header_wins(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(completion())

        client.chat.completions.create(
            model=MODEL, messages=MESSAGES, extra_headers={"X-OPENROUTER-METADATA": "disabled"}
        )
        client.with_options(default_headers={self.HEADER: "client"}).chat.completions.create(
            model=MODEL, messages=MESSAGES
        )

        assert [request.headers[self.HEADER] for request in server.requests] == [
            "disabled",
            "client",
        ]

    def test_it_can_be_switched_off(
        self, client: openai.OpenAI, server: ScriptedServer, recorder: Recorder
    ) -> None:
        genops.init(
            tracer_provider=recorder.provider,
            openrouter_base_url=server.url,
            openrouter_metadata=False,
        )
        server.answer(completion())

        client.chat.completions.create(model=MODEL, messages=MESSAGES)

        assert self.HEADER not in server.last.headers

    def test_it_is_sent_nowhere_else(
        self, client: openai.OpenAI, server: ScriptedServer, recorder: Recorder
    ) -> None:
        genops.init(tracer_provider=recorder.provider)
        server.answer(completion())

        client.chat.completions.create(model=MODEL, messages=MESSAGES)

        assert self.HEADER not in server.last.headers
        assert recorder.attributes["gen_ai.provider.name"] == "openai_compatible"


class TestRawResponses:
    """The caller keeps the raw response; telemetry reads along."""

    def test_a_raw_response_is_recorded(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(completion())

        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)

        assert raw.status_code == 200
        assert raw.parse().id == "gen-1"
        assert spans.attributes["genops.tokens.total"] == 1200

    def test_a_response_read_in_its_block_is_recorded(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(completion())

        with client.chat.completions.with_streaming_response.create(
            model=MODEL, messages=MESSAGES
        ) as raw:
            assert spans.all == ()
            assert raw.parse().id == "gen-1"

        assert spans.attributes["genops.tokens.total"] == 1200

    def test_a_response_that_nobody_reads_is_recorded_without_usage(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(completion())

        with client.chat.completions.with_streaming_response.create(model=MODEL, messages=MESSAGES):
            pass

        assert "genops.tokens.total" not in spans.attributes

    def test_a_response_read_in_pieces_is_recorded_without_usage(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(completion())

        with client.chat.completions.with_streaming_response.create(
            model=MODEL, messages=MESSAGES
        ) as raw:
            assert b"".join(raw.iter_bytes()).startswith(b"{")

        assert "genops.tokens.total" not in spans.attributes

    def test_asynchronous_ones_are_recorded_too(
        self, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(completion())

        async def main() -> None:
            async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as client:
                create = client.chat.completions.with_raw_response.create
                assert (await create(model=MODEL, messages=MESSAGES)).parse().id == "gen-1"
                async with client.chat.completions.with_streaming_response.create(
                    model=MODEL, messages=MESSAGES
                ) as raw:
                    assert (await raw.parse()).id == "gen-1"

        asyncio.run(main())

        assert [dict(s.attributes or {})["genops.tokens.total"] for s in spans.all] == [1200, 1200]


class TestOtherOperations:
    def test_embeddings(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(
            {
                "object": "list",
                "model": "text-embedding-3-small",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
                "usage": {"prompt_tokens": 8, "total_tokens": 8},
            }
        )

        client.embeddings.create(
            model="text-embedding-3-small", input=SECRET, encoding_format="float"
        )

        assert spans.one.name == "embeddings text-embedding-3-small"
        assert spans.attributes["gen_ai.usage.input_tokens"] == 8
        assert "gen_ai.usage.output_tokens" not in spans.attributes
        assert spans.attributes["genops.tokens.total"] == 8

    def test_text_completions(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(
            completion(
                object="text_completion",
                choices=[{"index": 0, "text": SECRET, "finish_reason": "length"}],
            )
        )

        client.completions.create(model="m", prompt=SECRET)

        assert spans.attributes["gen_ai.operation.name"] == "text_completion"
        assert spans.attributes["gen_ai.response.finish_reasons"] == ("length",)
        assert SECRET not in spans.one.to_json()

    @needs("responses.create")
    def test_responses(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(
            {
                "id": "gen-2",
                "object": "response",
                "created_at": 1,
                "model": "openai/gpt-4o",
                "output": [],
                "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "cost": 0.5},
            }
        )

        client.responses.create(model="openai/gpt-4o", input=SECRET)

        assert spans.one.name == "chat openai/gpt-4o"
        assert spans.attributes["genops.tokens.total"] == 7
        assert spans.attributes["genops.cost.reported"] == 0.5

    @pytest.mark.parametrize(
        "where",
        [
            pytest.param(where, marks=needs(where))
            for where in ("chat.completions.parse", "beta.chat.completions.parse")
        ],
    )
    def test_parsed_completions_leave_one_span(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder, where: str
    ) -> None:
        class Answer(pydantic.BaseModel):
            value: int

        message = {"role": "assistant", "content": '{"value": 3}'}
        server.answer(
            completion(choices=[{"index": 0, "finish_reason": "stop", "message": message}])
        )

        response = attrgetter(where)(client)(model=MODEL, messages=MESSAGES, response_format=Answer)

        assert response.choices[0].message.parsed == Answer(value=3)
        assert spans.attributes["genops.tokens.total"] == 1200

    @needs("chat.completions.parse")
    def test_a_paid_answer_that_the_sdk_rejects_keeps_its_usage(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        class Answer(pydantic.BaseModel):
            value: int

        message = {"role": "assistant", "content": '{"val'}
        server.answer(
            completion(choices=[{"index": 0, "finish_reason": "length", "message": message}])
        )

        with pytest.raises(openai.LengthFinishReasonError):
            client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Answer)

        assert spans.attributes["error.type"] == "LengthFinishReasonError"
        assert spans.attributes["genops.tokens.total"] == 1200


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://openrouter.ai/api/v1/", "openrouter"),
        ("https://eu.openrouter.ai/api/v1", "openrouter"),
        ("https://OpenRouter.AI/api/v1", "openrouter"),
        ("https://openrouter.ai.evil.example/api/v1", "openai_compatible"),
        ("https://notopenrouter.ai/api/v1", "openai_compatible"),
        ("https://gateway.example/openrouter.ai/v1", "openai_compatible"),
        ("https://api.openai.com/v1/", "openai"),
        ("https://mine.openai.azure.com/openai/", "azure.ai.openai"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://europe-west1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1", "aws.bedrock"),
        ("http://localhost:8000/v1", "openai_compatible"),
        ("http://gateway.example:8443/v1", "openrouter"),
        ("http://gateway.example/v1", "openai_compatible"),
        ("", "openai_compatible"),
    ],
)
def test_the_provider_is_told_by_the_host(base_url: str, provider: str) -> None:
    assert provider_of(base_url, "http://gateway.example:8443/other/path") == provider


def test_a_malformed_openrouter_address_hides_no_call() -> None:
    assert provider_of("https://api.openai.com/v1", "https://host:99999/v1") == "openai"


class TestPatching:
    def test_the_sdk_gets_its_own_methods_back(self, recorder: Recorder) -> None:
        originals = (Completions.create, AsyncCompletions.create)

        genops.init(tracer_provider=recorder.provider)
        assert Completions.create is not originals[0]
        genops.uninstrument()

        assert (Completions.create, AsyncCompletions.create) == originals

    def test_a_call_after_uninstrument_leaves_no_span(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        server.answer(completion())
        genops.uninstrument()

        client.chat.completions.create(model=MODEL, messages=MESSAGES)

        assert spans.all == ()
        assert "x-openrouter-metadata" not in server.last.headers

    def test_clients_made_before_are_recorded(
        self, client: openai.OpenAI, server: ScriptedServer, recorder: Recorder
    ) -> None:
        completions = client.chat.completions
        server.answer(completion())

        genops.init(tracer_provider=recorder.provider)
        completions.create(model=MODEL, messages=MESSAGES)

        assert len(recorder.all) == 1

    def test_patching_openrouter_alone_leaves_other_hosts_alone(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        genops.uninstrument()
        patch_openrouter(auto_track=True)
        server.answer(completion())
        elsewhere = client.with_options(base_url=server.url.replace("127.0.0.1", "localhost"))

        for each in (client, elsewhere):
            each.chat.completions.create(model=MODEL, messages=MESSAGES)
        unpatch_openrouter()
        client.chat.completions.create(model=MODEL, messages=MESSAGES)

        assert spans.attributes["gen_ai.provider.name"] == "openrouter"

    def test_patching_twice_records_once(
        self, client: openai.OpenAI, server: ScriptedServer, spans: Recorder
    ) -> None:
        patch_openrouter()
        patch_openrouter()
        server.answer(completion())

        client.chat.completions.create(model=MODEL, messages=MESSAGES)

        assert len(spans.all) == 1

    def test_another_librarys_wrapper_on_top_keeps_working(
        self,
        client: openai.OpenAI,
        server: ScriptedServer,
        spans: Recorder,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        ours = Completions.create
        seen: list[str] = []

        def theirs(*args: Any, **kwargs: Any) -> Any:
            seen.append(kwargs["model"])
            return ours(*args, **kwargs)

        monkeypatch.setattr(Completions, "create", theirs)
        server.answer(completion())
        genops.uninstrument()

        client.chat.completions.create(model=MODEL, messages=MESSAGES)

        assert seen == [MODEL]
        assert spans.all == ()


class TestOtherInstrumentations:
    """They wrap with wrapt, which looks like what it wraps, and want to see the resource."""

    @pytest.fixture(params=["before", "after"])
    def order(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def seen(
        self, order: str, server: ScriptedServer, recorder: Recorder
    ) -> Iterator[list[tuple[str, object]]]:
        """The resource's class and the model of the calls that came by the other one."""
        seen: list[tuple[str, object]] = []
        originals = (Completions.create, AsyncCompletions.create)

        def sync(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            seen.append((type(instance).__name__, kwargs["model"]))
            return wrapped(*args, **kwargs)

        async def awaited(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            seen.append((type(instance).__name__, kwargs["model"]))
            return await wrapped(*args, **kwargs)

        def wrap() -> None:
            module = "openai.resources.chat.completions"
            wrapt.wrap_function_wrapper(module, "Completions.create", sync)
            wrapt.wrap_function_wrapper(module, "AsyncCompletions.create", awaited)

        if order == "before":
            wrap()
        genops.init(tracer_provider=recorder.provider, openrouter_base_url=server.url)
        if order == "after":
            wrap()
        yield seen
        genops.shutdown()
        Completions.create, AsyncCompletions.create = originals  # type: ignore[method-assign]

    def test_both_see_the_call(
        self,
        client: openai.OpenAI,
        server: ScriptedServer,
        recorder: Recorder,
        seen: list[tuple[str, object]],
    ) -> None:
        server.answer(completion())

        async def main() -> None:
            async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as twin:
                await twin.chat.completions.create(model="b", messages=MESSAGES)
                adapter = instrument_openrouter(twin)
                await adapter.chat_completions_create(model="d", messages=MESSAGES)

        client.chat.completions.create(model="a", messages=MESSAGES)
        asyncio.run(main())
        instrument_openrouter(client).chat.completions.create(model="c", messages=MESSAGES)

        assert seen == [
            ("Completions", "a"),
            ("AsyncCompletions", "b"),
            ("AsyncCompletions", "d"),
            ("Completions", "c"),
        ]
        assert [span.name for span in recorder.all] == ["chat a", "chat b", "chat d", "chat c"]

    def test_one_that_comes_after_an_instrumented_client_sees_its_calls(
        self, client: openai.OpenAI, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.answer(completion())
        adapter = instrument_openrouter(client)
        adapter.chat.completions.create(model="a", messages=MESSAGES)
        seen: list[str] = []

        def see(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            seen.append(kwargs["model"])
            return wrapped(*args, **kwargs)

        monkeypatch.setattr(Completions, "create", wrapt.FunctionWrapper(Completions.create, see))
        adapter.chat.completions.create(model="b", messages=MESSAGES)

        assert seen == ["b"]

    def test_the_other_one_stays_when_ours_goes(
        self,
        client: openai.OpenAI,
        server: ScriptedServer,
        recorder: Recorder,
        seen: list[tuple[str, object]],
    ) -> None:
        server.answer(completion())

        genops.uninstrument()
        client.chat.completions.create(model="a", messages=MESSAGES)
        genops.init(tracer_provider=recorder.provider, openrouter_base_url=server.url)
        client.chat.completions.create(model="b", messages=MESSAGES)

        assert seen == [("Completions", "a"), ("Completions", "b")]
        assert [span.name for span in recorder.all] == ["chat b"]


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("http://api.openai.com/v1", "openai"),
        ("http://api.groq.com/openai/v1", "groq"),
        ("http://vllm.internal.example:8000/v1", "openai_compatible"),
    ],
)
def test_other_hosts_are_recorded_under_their_own_name(
    base_url: str, provider: str, server: ScriptedServer, recorder: Recorder
) -> None:
    server.answer(completion(id="chatcmpl-1"))
    genops.init(tracer_provider=recorder.provider)

    with openai.OpenAI(
        base_url=base_url, api_key="k", http_client=openai.DefaultHttpxClient(proxy=server.url)
    ) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)

    attributes = recorder.attributes
    assert attributes["gen_ai.provider.name"] == attributes["genops.provider"] == provider
    assert attributes["server.address"] == urlsplit(base_url).hostname
    assert attributes["genops.tokens.total"] == 1200
    assert not [name for name in attributes if name.startswith("genops.openrouter.")]


def test_azure_is_recorded_by_the_deployment_that_was_asked_for(
    server: ScriptedServer, recorder: Recorder
) -> None:
    server.answer(completion(id="chatcmpl-1", model="gpt-4o-2024-08-06"))
    genops.init(tracer_provider=recorder.provider)

    with openai.AzureOpenAI(
        azure_endpoint="http://mine.openai.azure.com",
        api_key="k",
        api_version="2024-10-21",
        http_client=openai.DefaultHttpxClient(proxy=server.url),
    ) as client:
        client.chat.completions.create(model="my-deployment", messages=MESSAGES)

    assert "/deployments/my-deployment/" in server.last.path
    attributes = recorder.attributes
    assert attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert attributes["gen_ai.request.model"] == "my-deployment"
    assert attributes["gen_ai.response.model"] == "gpt-4o-2024-08-06"


class Trap(dict[str, object]):
    """A request body that telemetry cannot look into, while the SDK can."""

    def get(self, key: str, default: object = None) -> object:
        raise ZeroDivisionError(SECRET)


def test_a_failure_of_telemetry_never_reaches_the_caller(
    client: openai.OpenAI,
    server: ScriptedServer,
    spans: Recorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.answer(completion())

    for _ in range(2):
        client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_body=Trap())

    warnings = [record.getMessage() for record in caplog.records if record.name == "genops"]
    assert len([text for text in warnings if "starting the span" in text]) == 1
    assert SECRET not in "".join(warnings)
    assert len(server.requests) == 2


def test_a_mock_in_the_place_of_a_method_is_called_as_it_would_be(
    client: openai.OpenAI, recorder: Recorder
) -> None:
    with (
        mock.patch.object(Completions, "create", return_value="mocked") as create,
        mock.patch.object(AsyncCompletions, "create", mock.AsyncMock(return_value="mocked")),
    ):
        genops.init(tracer_provider=recorder.provider)
        other = openai.AsyncOpenAI(base_url=client.base_url, api_key="k")

        assert client.chat.completions.create(model=MODEL) == "mocked"  # type: ignore[call-overload]
        assert asyncio.run(other.chat.completions.create(model=MODEL)) == "mocked"  # type: ignore[call-overload]
        create.assert_called_once_with(model=MODEL)
        genops.shutdown()


def test_a_log_that_fails_never_reaches_the_caller(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    def refuse(record: logging.LogRecord) -> bool:
        raise RuntimeError(record.getMessage())

    server.answer(completion())
    logger = logging.getLogger("genops")
    level = logger.level
    logger.addFilter(refuse)
    logger.setLevel(logging.DEBUG)
    try:
        response = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    finally:
        logger.removeFilter(refuse)
        logger.setLevel(level)

    assert response.id == "gen-1"
    assert spans.attributes["genops.tokens.total"] == 1200


class RaisingTracers(trace.TracerProvider, trace.Tracer):
    """Somebody's own tracing, one method of which always fails."""

    def __init__(self, failing: str) -> None:
        self.failing = failing

    def reach(self, name: str) -> None:
        if name == self.failing:
            raise RuntimeError(SECRET)

    def get_tracer(self, *_args: object, **_more: object) -> trace.Tracer:
        self.reach("get_tracer")
        return self

    def start_span(self, *_args: object, **_more: object) -> trace.Span:
        self.reach("start_span")
        return RaisingSpan(self)

    def start_as_current_span(self, *_args: object, **_more: object) -> Any:
        raise AssertionError("the client starts spans itself")


class RaisingSpan(trace.NonRecordingSpan):
    def __init__(self, tracers: RaisingTracers) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.tracers = tracers

    def is_recording(self) -> bool:
        self.tracers.reach("is_recording")
        return True

    def set_attribute(self, key: str, value: object) -> None:
        self.tracers.reach("set_attribute")

    def set_attributes(self, attributes: object) -> None:
        self.tracers.reach("set_attributes")

    def end(self, end_time: int | None = None) -> None:
        self.tracers.reach("end")


@pytest.mark.parametrize(
    "failing",
    [
        *("get_tracer", "start_span", "is_recording"),
        *("set_attribute", "set_attributes", "end"),
    ],
)
def test_a_tracer_that_fails_never_reaches_the_caller(
    failing: str, client: openai.OpenAI, server: ScriptedServer
) -> None:
    genops.init(tracer_provider=RaisingTracers(failing), openrouter_base_url=server.url)
    server.answer(completion())
    server.stream()

    whole = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    chunks = list(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))

    assert whole.id == "gen-1"
    assert len(chunks) == 3
