"""Governance attributes cross a real HTTP hop in the header of W3C baggage."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import openai
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator

import genops
from client.recorder import Recorder
from client.scripted_server import MESSAGES, ScriptedServer, completion
from genops import set_governance_context
from genops.core.baggage import ENTRIES_MAX

PROPAGATOR = W3CBaggagePropagator()


@pytest.fixture
def start(recorder: Recorder, server: ScriptedServer) -> Recorder:
    genops.init(
        tracer_provider=recorder.provider,
        openrouter_base_url=server.url,
        default_team="default",
        default_environment="test",
        propagate_governance=True,
    )
    server.answer(completion())
    return recorder


def call(client: openai.OpenAI) -> None:
    client.chat.completions.create(model="m", messages=MESSAGES)


@contextmanager
def downstream(client: openai.OpenAI, **local: str) -> Iterator[str]:
    """A service that makes an LLM call while it serves, instrumented as OpenTelemetry does it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            token = context.attach(PROPAGATOR.extract(headers))
            with set_governance_context(local):
                call(client)
            context.detach(token)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def get(url: str, headers: Mapping[str, str] | None = None) -> None:
    """A request as an instrumented HTTP client makes it, unless the headers are given."""
    carried: dict[str, str] = {}
    PROPAGATOR.inject(carried)
    urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or carried))).close()


def governance(recorder: Recorder, *names: str) -> list[object]:
    return [recorder.attributes.get(f"genops.{name}") for name in names]


def test_attributes_of_a_context_hold_for_calls_of_the_service_downstream(
    start: Recorder, client: openai.OpenAI
) -> None:
    with downstream(client) as url, set_governance_context(team="søk, &=;", trial=True, priority=3):
        get(url)

    assert governance(start, "team", "trial", "priority") == ["søk, &=;", "true", "3"]
    assert governance(start, "environment") == ["test"]


def test_the_context_downstream_wins_over_what_was_received(
    start: Recorder, client: openai.OpenAI
) -> None:
    with (
        downstream(client, team="local") as url,
        set_governance_context(team="remote", project="p"),
    ):
        get(url)

    assert governance(start, "team", "project") == ["local", "p"]


def test_nothing_is_sent_after_the_block_or_from_other_baggage(start: Recorder) -> None:
    outer = context.attach(baggage.set_baggage("mine", "1"))
    with set_governance_context(team="a"):
        with set_governance_context(team="b"):
            assert dict(baggage.get_all()) == {"mine": "1", "genops.team": "b"}
        assert dict(baggage.get_all()) == {"mine": "1", "genops.team": "a"}

    assert dict(baggage.get_all()) == {"mine": "1"}
    context.detach(outer)


def test_strangers_cannot_set_measured_facts_or_flood_a_span(
    start: Recorder, client: openai.OpenAI
) -> None:
    hostile = [
        *("genops.cost.total=0", "genops.Model=x", "genops.tokens.input=1", "gen_ai.system=x"),
        *("genops.=x", "genops.bad%20key=x", "genops.line=a%0Ab", f"genops.long={'x' * 1000}"),
        *(f"genops.k{number}=v" for number in range(ENTRIES_MAX + 50)),
    ]
    with downstream(client) as url:
        get(url, {"baggage": ",".join(hostile)})

    attributes = start.attributes
    received = [name for name in attributes if name.startswith(("genops.k", "genops.long"))]
    assert len(received) == ENTRIES_MAX
    assert attributes["genops.long"] == "x" * 256
    assert attributes["genops.model"] == "m"
    assert attributes["genops.tokens.input"] == 1000
    assert not {"genops.cost.total", "genops.Model", "genops.line", "genops."} & set(attributes)


def test_without_the_opt_in_nothing_is_sent_or_taken(
    recorder: Recorder, server: ScriptedServer, client: openai.OpenAI
) -> None:
    genops.init(tracer_provider=recorder.provider, openrouter_base_url=server.url)
    server.answer(completion())

    with set_governance_context(team="a"):
        assert dict(baggage.get_all()) == {}
    with downstream(client) as url:
        get(url, {"baggage": "genops.team=stranger"})

    assert governance(recorder, "team") == [None]


def test_a_span_that_starts_inside_carries_the_context_on(start: Recorder) -> None:
    with set_governance_context(team="a"), trace.get_tracer("app").start_as_current_span("own"):
        carried: dict[str, str] = {}
        PROPAGATOR.inject(carried)

    assert carried == {"baggage": "genops.team=a"}
