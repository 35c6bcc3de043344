"""Aborted streams are completed from OpenRouter's GET /generation, if that is asked for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest

import genops
from client.recorder import Recorder
from client.scripted_server import MESSAGES, ScriptedServer
from genops.providers import openrouter_generation
from genops_enricher.demo.fake_openrouter import FakeOpenRouter

MODEL = "openai/gpt-4o"
SCENARIO = "prompt_tokens=200, completion_tokens=100, cached_tokens=50, reasoning_tokens=20"
COST = (150 * 2.5 + 50 * 1.25 + 100 * 10) / 1e6


@pytest.fixture
def fake() -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as fake:
        yield fake


@pytest.fixture
def completing(
    recorder: Recorder, fake: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> Recorder:
    monkeypatch.setattr(openrouter_generation, "_DELAYS_S", (0.01,) * 4)
    genops.init(
        tracer_provider=recorder.provider,
        openrouter_base_url=fake.base_url,
        openrouter_complete_aborted=True,
    )
    return recorder


@pytest.fixture
def client(fake: FakeOpenRouter) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=fake.base_url, api_key="sk-or-v1-key", max_retries=0) as client:
        yield client


def abort(client: openai.OpenAI, scenario: str = SCENARIO, chunks: int = 1) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, extra_headers={"X-Fake-Scenario": scenario}
    )
    for _ in range(chunks):
        next(stream)
    stream.close()


def assert_completed(spans: Recorder) -> None:
    attributes = spans.attributes
    assert attributes["genops.stream.completed"] is False
    assert attributes["gen_ai.usage.input_tokens"] == 200
    assert attributes["gen_ai.usage.output_tokens"] == 100
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 50
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == 20
    assert attributes["genops.cost.reported"] == COST
    assert attributes["genops.openrouter.actual_provider"] == "openai"
    assert attributes["genops.openrouter.is_byok"] is False
    assert str(attributes["genops.openrouter.generation_id"]).startswith("gen-")


def test_an_aborted_stream_gets_its_usage_and_cost(
    completing: Recorder, client: openai.OpenAI
) -> None:
    abort(client)

    genops.shutdown(20)

    assert_completed(completing)


def test_the_span_ends_when_the_stream_was_aborted(
    completing: Recorder, client: openai.OpenAI
) -> None:
    abort(client)
    aborted = time.time_ns()

    genops.shutdown(20)

    assert completing.one.end_time is not None
    assert completing.one.end_time <= aborted


def test_a_stream_aborted_before_its_first_chunk_is_found_by_the_header(
    completing: Recorder, client: openai.OpenAI
) -> None:
    abort(client, chunks=0)

    genops.shutdown(20)

    assert_completed(completing)


def test_a_generation_that_is_not_there_yet_is_asked_for_again(
    completing: Recorder, client: openai.OpenAI
) -> None:
    abort(client, f"{SCENARIO}, late_lookups=3")

    genops.shutdown(20)

    assert_completed(completing)


def test_a_generation_that_never_comes_leaves_the_span_as_it_was(
    completing: Recorder, client: openai.OpenAI
) -> None:
    abort(client, f"{SCENARIO}, late_lookups=4")

    genops.shutdown(20)

    assert completing.attributes["genops.stream.completed"] is False
    assert "genops.cost.reported" not in completing.attributes


def test_failed_attempts_become_known_too(completing: Recorder, client: openai.OpenAI) -> None:
    abort(client, "failures=1")

    genops.shutdown(20)

    assert completing.attributes["genops.openrouter.attempts"] == 2
    assert completing.attributes["genops.openrouter.fallback_used"] is True
    assert [event.name for event in completing.one.events] == ["genops.openrouter.attempt_failed"]


def test_the_lookup_outlives_the_client(completing: Recorder, fake: FakeOpenRouter) -> None:
    with openai.OpenAI(base_url=fake.base_url, api_key="sk-or-v1-key") as client:
        abort(client)

    genops.shutdown(20)

    assert_completed(completing)


def test_streams_of_an_asynchronous_client_are_completed_after_its_loop(
    completing: Recorder, fake: FakeOpenRouter
) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=fake.base_url, api_key="sk-or-v1-key") as client:
            stream = await client.chat.completions.create(
                model=MODEL,
                messages=MESSAGES,
                stream=True,
                extra_headers={"X-Fake-Scenario": SCENARIO},
            )
            await anext(stream)
            await stream.close()

    asyncio.run(main())
    genops.shutdown(20)

    assert_completed(completing)


def test_streams_still_open_at_the_end_are_completed(
    completing: Recorder, client: openai.OpenAI
) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        extra_headers={"X-Fake-Scenario": SCENARIO},
    )
    next(stream)

    genops.shutdown(20)

    assert_completed(completing)
    stream.close()


def test_a_stream_read_to_its_end_is_not_looked_up(
    completing: Recorder, client: openai.OpenAI, fake: FakeOpenRouter
) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        # Would be found only at the second try, so the span would not be there yet.
        extra_headers={"X-Fake-Scenario": f"{SCENARIO}, late_lookups=1"},
    )
    for _ in stream:
        pass

    assert completing.attributes["genops.stream.completed"] is True


def test_nothing_is_looked_up_unless_asked_for(
    recorder: Recorder, client: openai.OpenAI, fake: FakeOpenRouter
) -> None:
    genops.init(tracer_provider=recorder.provider, openrouter_base_url=fake.base_url)

    abort(client)

    assert recorder.attributes["genops.stream.completed"] is False
    assert "genops.cost.reported" not in recorder.attributes


def test_a_refused_key_is_not_tried_again(
    completing: Recorder, client: openai.OpenAI, fake: FakeOpenRouter
) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        extra_headers={"X-Fake-Scenario": SCENARIO},
    )
    client.api_key = "of another service"
    stream.close()

    genops.shutdown(20)

    assert "genops.cost.reported" not in completing.attributes


class Silent:
    """A server that streams one chunk and answers no lookup until it is told to."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked = threading.Event()
        silent = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("x-generation-id", "gen-7")
                self.end_headers()
                self.wfile.write(b'data: {"id": "gen-7", "choices": []}\n\n')

            def do_GET(self) -> None:
                silent.asked.set()
                silent.released.wait(60)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/api/v1"
        threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self.httpd.shutdown()
        self.httpd.server_close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    silent = Silent()
    yield silent
    silent.close()


def test_shutdown_gives_up_a_lookup_that_gets_no_answer(
    recorder: Recorder, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openrouter_generation, "_DELAYS_S", (0.01,) * 4)
    genops.init(
        tracer_provider=recorder.provider,
        openrouter_base_url=silent.url,
        openrouter_complete_aborted=True,
    )
    with openai.OpenAI(base_url=silent.url, api_key="k", max_retries=0) as client:
        stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        next(stream)
        stream.close()
        assert silent.asked.wait(60)
        assert recorder.all == ()

        genops.shutdown(0.2)

        assert recorder.attributes["gen_ai.response.id"] == "gen-7"
        assert not silent.released.is_set()


def test_more_streams_than_can_wait_end_at_once(
    recorder: Recorder, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openrouter_generation, "_WAITING_MAX", 2)
    genops.init(
        tracer_provider=recorder.provider,
        openrouter_base_url=server.url,
        openrouter_complete_aborted=True,
    )
    server.stream()
    with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
        for _ in range(5):
            client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True).close()
            # None has an id: the scripted server sends no header, and no chunk was read.
        for _ in range(5):
            stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
            next(stream)
            stream.close()

        assert len(recorder.all) == 5 + 3
        genops.shutdown(0)
        assert len(recorder.all) == 10
