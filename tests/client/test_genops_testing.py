"""genops.testing: what users assert with in their own tests."""

from __future__ import annotations

import asyncio
import inspect
import re
import textwrap
import threading
from typing import Any

import openai
import pytest
from opentelemetry import trace

import genops
import genops.testing
from client.recorder import Recorder
from client.scripted_server import METADATA, ScriptedServer, completion
from genops import set_governance_context
from genops.providers.openrouter import patch_openrouter, unpatch_openrouter
from genops.testing import CapturedSpan, capture_spans

MESSAGES: list[Any] = [{"role": "user", "content": "Hello"}]


def call(client: openai.OpenAI, model: str = "openai/gpt-4o") -> None:
    client.chat.completions.create(model=model, messages=MESSAGES)


@pytest.fixture(autouse=True)
def openrouter(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOPS_OPENROUTER_BASE_URL", server.url)
    server.answer(completion())


def test_without_init_calls_are_captured_and_nothing_stays_patched(client: openai.OpenAI) -> None:
    original = openai.resources.chat.Completions.create

    with capture_spans() as spans:
        call(client)
    call(client)

    [span] = spans
    assert span.name == "chat openai/gpt-4o"
    assert span.model == "openai/gpt-4o"
    assert span.attributes["gen_ai.usage.input_tokens"] == 1000
    assert span.status == "unset"
    assert openai.resources.chat.Completions.create is original
    assert genops.status().instrumented_providers == ()


def test_after_init_defaults_are_captured_and_the_own_exporter_gets_nothing(
    client: openai.OpenAI, recorder: Recorder
) -> None:
    genops.init(tracer_provider=recorder.provider, default_team="search")

    with capture_spans() as spans:
        call(client)
    assert recorder.all == ()
    call(client)

    assert [span.attributes["genops.team"] for span in spans] == ["search"]
    assert len(recorder.all) == 1
    assert genops.status().instrumented_providers == ("openrouter", "openai")


def test_an_init_in_the_block_neither_ends_the_capture_nor_is_undone_by_it(
    client: openai.OpenAI, recorder: Recorder
) -> None:
    with capture_spans() as spans:
        genops.init(tracer_provider=recorder.provider, default_team="search")
        call(client)
    call(client)

    assert len(spans.find(team="search")) == 1
    assert len(recorder.all) == 1


def test_a_shutdown_in_the_block_ends_recording_only(
    client: openai.OpenAI, recorder: Recorder
) -> None:
    genops.init(tracer_provider=recorder.provider)

    with capture_spans() as spans:
        genops.shutdown()
        call(client)

    assert list(spans) == []
    assert genops.status().instrumented_providers == ()


def test_spans_are_found_by_model_and_governance(client: openai.OpenAI) -> None:
    with capture_spans() as spans:
        with set_governance_context(team="search", customer_id="acme"):
            call(client, "a/one")
            call(client, "a/two")
        call(client, "a/two")

    assert [span.model for span in spans.find(team="search")] == ["a/one", "a/two"]
    assert len(spans.find(model="a/two")) == 2
    assert len(spans.find(model="a/two", customer_id="acme")) == 1
    assert spans.find(team="nobody") == ()
    assert spans[-1:] == (spans[2],)


def test_failures_and_failed_attempts_are_captured(
    client: openai.OpenAI, server: ScriptedServer
) -> None:
    server.answers.clear()
    server.answer(completion(openrouter_metadata=METADATA))
    server.answer({"error": {"message": "no"}}, status=500)

    with capture_spans() as spans:
        call(client)
        with pytest.raises(openai.InternalServerError):
            call(client)

    assert [span.status for span in spans] == ["unset", "error"]
    [event] = spans[0].events
    assert 503 in event.attributes.values()
    assert spans[1].attributes["error.type"]


def test_threads_and_tasks_are_captured(client: openai.OpenAI, server: ScriptedServer) -> None:
    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="sk-or-x") as own:
            await own.chat.completions.create(model="a/task", messages=MESSAGES)

    with capture_spans() as spans:
        thread = threading.Thread(target=call, args=(client, "a/thread"))
        thread.start()
        thread.join(60)
        asyncio.run(ask())

    assert [span.model for span in spans] == ["a/thread", "a/task"]


def test_captures_nest(client: openai.OpenAI) -> None:
    with capture_spans() as outer:
        with capture_spans() as inner:
            call(client, "a/inner")
        call(client, "a/outer")

    assert [span.model for span in inner] == ["a/inner"]
    assert [span.model for span in outer] == ["a/outer"]


def test_what_was_patched_before_stays_patched(client: openai.OpenAI) -> None:
    patch_openrouter()
    try:
        with capture_spans():
            call(client)

        assert genops.status().instrumented_providers == ("openrouter",)
    finally:
        unpatch_openrouter()


def test_an_exception_in_the_block_restores_everything() -> None:
    before = trace.get_tracer_provider()

    with pytest.raises(KeyError), capture_spans():
        raise KeyError

    assert genops.status().instrumented_providers == ()
    assert trace.get_tracer_provider() is before


def test_a_disabled_sdk_is_an_error_and_not_an_empty_capture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    with pytest.raises(RuntimeError, match="OTEL_SDK_DISABLED"), capture_spans():
        pass


def test_captured_values_cannot_be_changed(client: openai.OpenAI) -> None:
    with capture_spans() as spans:
        call(client)

    attributes: Any = spans[0].attributes
    with pytest.raises(TypeError):
        attributes["genops.team"] = "other"
    assert repr(spans).startswith("CapturedSpans([CapturedSpan(name='chat openai/gpt-4o'")


def test_the_examples_of_the_documentation_run(client: openai.OpenAI) -> None:
    document = inspect.getdoc(genops.testing) or ""
    blocks = re.findall(r"\n\n((?:    .*\n|\n)+)", document)
    example, fixture = (textwrap.dedent(block) for block in blocks)

    def answer_ticket(_text: str) -> None:
        with set_governance_context(team="support"):
            call(client)

    names: dict[str, Any] = {"answer_ticket": answer_ticket}
    exec(example, names)
    names["test_answers_are_charged_to_support"]()
    head = "from collections.abc import Iterator\nimport pytest\nfrom genops.testing import *\n"
    exec(head + fixture, names)
    assert "spans" in names


def test_a_span_is_a_plain_value() -> None:
    assert CapturedSpan("chat", {"a": 1}, "ok") == CapturedSpan("chat", {"a": 1}, "ok")
