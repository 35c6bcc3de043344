"""The demo's application: an ordinary user of the thin client and the OpenAI SDK.

It plays a company whose teams call OpenRouter in every way that shows on a bill. Nothing here
knows the enricher: the client sends its spans to `OTEL_EXPORTER_OTLP_ENDPOINT`, and OpenRouter is
at `GENOPS_OPENROUTER_BASE_URL` (the real one if not set) with `OPENROUTER_API_KEY`.

On stdout it says, one JSON object a line, what it is about to do, and at the end how many spans it
made. `--live` makes only the calls that are cheap on the real OpenRouter, with few tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import openai
from opentelemetry import trace

import genops
from genops.core.context import set_governance_context
from genops.providers.openrouter import instrument_openrouter
from genops_enricher.demo.process import announce

__all__ = ["main"]

OPENROUTER = "https://openrouter.ai/api/v1"
LIVE_MAX_TOKENS = 16


class Company:
    """What the calls share: the clients, and how a call is scripted on the fake OpenRouter."""

    def __init__(self, base_url: str, api_key: str, *, live: bool) -> None:
        self.live = live
        self._connection: dict[str, Any] = {
            "base_url": base_url,
            "api_key": api_key,
            "max_retries": 2 if live else 0,
        }
        self.client = openai.OpenAI(**self._connection)
        self.adapter = instrument_openrouter(client=self.client)

    def async_client(self) -> openai.AsyncOpenAI:
        """An asynchronous client; the caller closes it."""
        return openai.AsyncOpenAI(**self._connection)

    def options(self, script: str) -> dict[str, Any]:
        """Arguments of a chat call: the fake's script, or a small limit on the real OpenRouter."""
        if self.live:
            return {"max_tokens": LIVE_MAX_TOKENS}
        return {"extra_headers": {"X-Fake-Scenario": script}}


Call = Callable[[Company], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a team does."""

    team: str
    project: str
    customer: str
    what: str
    call: Call
    spans: int = 1
    live: bool = False  # cheap enough for the real OpenRouter


def ask(model: str, text: str, script: str = "", **body: Any) -> Call:
    """A plain chat completion."""

    def call(company: Company) -> None:
        company.client.chat.completions.create(
            model=model, messages=_user(text), extra_body=body, **company.options(script)
        )

    return call


def ask_streamed(model: str, text: str, script: str = "") -> Call:
    """A streamed chat completion, read to its end."""

    def call(company: Company) -> None:
        for _ in company.client.chat.completions.create(
            model=model, messages=_user(text), stream=True, **company.options(script)
        ):
            pass

    return call


def ask_at_once(model: str, texts: tuple[str, ...], script: str = "") -> Call:
    """Several chat completions at the same time, with the asynchronous client."""

    async def calls(company: Company) -> None:
        async with company.async_client() as client:
            await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model=model, messages=_user(text), **company.options(script)
                    )
                    for text in texts
                )
            )

    return lambda company: asyncio.run(calls(company))


def ask_with_fallback(model: str, fallback: str, text: str, script: str) -> Call:
    """A call through the client's own adapter, which takes routing and governance as keywords."""

    def call(company: Company) -> None:
        company.adapter.chat_completions_create(
            model=model,
            messages=_user(text),
            route="fallback",
            fallbacks=[fallback],
            feature="product-page",
            **company.options(script),
        )

    return call


def embed(model: str, texts: tuple[str, ...], script: str) -> Call:
    """Embeddings."""

    def call(company: Company) -> None:
        company.client.embeddings.create(
            model=model,
            input=list(texts),
            encoding_format="float",
            extra_headers={"X-Fake-Scenario": script},
        )

    return call


def refused(error: type[openai.APIError], call: Call) -> Call:
    """A call that must fail, as calls sometimes do."""

    def expect(company: Company) -> None:
        try:
            call(company)
        except error:
            return
        raise AssertionError(f"the call was expected to raise {error.__name__}")

    return expect


def within_a_ticket(call: Call) -> Call:
    """The call inside a span of the application itself, which is no LLM call and has no cost."""

    def traced(company: Company) -> None:
        with trace.get_tracer("helpdesk").start_as_current_span("handle ticket"):
            call(company)

    return traced


def replay_old_span(_: Company) -> None:
    """Send a span of July 2024, with the attribute names of that time, by OpenTelemetry alone.

    It is priced as of its own time, though OpenRouter has long removed the model.
    """
    ended = datetime(2024, 7, 15, 12, 0, tzinfo=UTC)
    end_ns = int(ended.timestamp()) * 1_000_000_000
    span = trace.get_tracer("archive").start_span(
        "chat anthropic/claude-3-sonnet",
        kind=trace.SpanKind.CLIENT,
        start_time=end_ns - 2_000_000_000,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openrouter",
            "server.address": "openrouter.ai",
            "gen_ai.request.model": "anthropic/claude-3-sonnet",
            "gen_ai.response.model": "anthropic/claude-3-sonnet",
            "gen_ai.usage.prompt_tokens": 150,
            "gen_ai.usage.completion_tokens": 75,
            "genops.team": "research",
            "genops.project": "archive",
        },
    )
    span.end(end_time=end_ns)


STEPS = (
    Step(
        "support",
        "helpdesk",
        "acme",
        "a short question",
        within_a_ticket(
            ask(
                "openai/gpt-4o-mini",
                "Where is my parcel?",
                "prompt_tokens=820,completion_tokens=95",
            )
        ),
        spans=2,
        live=True,
    ),
    Step(
        "support",
        "helpdesk",
        "globex",
        "a streamed answer",
        ask_streamed(
            "anthropic/claude-haiku-4.5",
            "How do I return this?",
            "dated,prompt_tokens=1240,completion_tokens=310",
        ),
        live=True,
    ),
    Step(
        "support",
        "helpdesk",
        "globex",
        "a rate limit (429)",
        refused(openai.RateLimitError, ask("openai/gpt-4o-mini", "And this one?", "status=429")),
    ),
    Step(
        "support",
        "helpdesk",
        "acme",
        "a stream that breaks",
        refused(openai.APIError, ask_streamed("openai/gpt-4o", "Please explain.", "stream_error")),
    ),
    Step(
        "support",
        "triage",
        "acme",
        "two tickets at once",
        ask_at_once(
            "google/gemini-2.5-flash",
            ("Is this urgent?", "Is this spam?"),
            "prompt_tokens=350,completion_tokens=8",
        ),
        spans=2,
        live=True,
    ),
    Step(
        "research",
        "contracts",
        "initech",
        "a long document, written to the cache",
        ask(
            "anthropic/claude-sonnet-4.5",
            "Summarise the contract.",
            "prompt_tokens=18400,cache_write_tokens=18000,completion_tokens=620",
        ),
    ),
    Step(
        "research",
        "contracts",
        "initech",
        "the same document, read from the cache",
        ask(
            "anthropic/claude-sonnet-4.5",
            "Who may end it?",
            "prompt_tokens=18450,cached_tokens=18000,completion_tokens=240",
        ),
    ),
    Step(
        "research",
        "contracts",
        "initech",
        "a prompt above 200,000 tokens",
        ask(
            "google/gemini-2.5-pro",
            "Compare all of these.",
            "prompt_tokens=240000,completion_tokens=1500",
        ),
    ),
    Step(
        "research",
        "planning",
        "",
        "a model that reasons",
        ask(
            "openai/gpt-5-mini",
            "Plan the quarter.",
            "dated,prompt_tokens=900,completion_tokens=2600,reasoning_tokens=2100",
        ),
    ),
    Step(
        "research",
        "archive",
        "",
        "a span of July 2024",
        replay_old_span,
    ),
    Step(
        "marketing",
        "product-pages",
        "umbrella",
        "a fallback to another model",
        ask_with_fallback(
            "openai/gpt-4o",
            "anthropic/claude-3-haiku",
            "Describe the new chair.",
            "failures=2,prompt_tokens=640,completion_tokens=420",
        ),
    ),
    Step(
        "marketing",
        "product-pages",
        "umbrella",
        "the company's own Mistral key (BYOK)",
        ask(
            "mistralai/mistral-large",
            "Describe the table too.",
            "byok,prompt_tokens=700,completion_tokens=500",
        ),
    ),
    Step(
        "marketing",
        "drafts",
        "",
        "a free model",
        ask("meta-llama/llama-3.2-3b-instruct:free", "Ten slogans, please."),
    ),
    Step(
        "marketing",
        "drafts",
        "",
        "the router's own choice",
        ask("openrouter/auto", "One more slogan.", "prompt_tokens=60,completion_tokens=30"),
    ),
    Step(
        "data",
        "search",
        "",
        "embeddings",
        embed("openai/text-embedding-3-small", ("chair", "table"), "prompt_tokens=5000"),
    ),
    Step(
        "data",
        "evaluation",
        "",
        "a model on no price list",
        ask("example/preview-1", "Are you better?", "prompt_tokens=500,completion_tokens=200"),
    ),
    Step(
        "data",
        "evaluation",
        "",
        "the same, and the gateway hides the cost",
        ask(
            "example/preview-1", "Are you sure?", "no_cost,prompt_tokens=500,completion_tokens=200"
        ),
    ),
    Step(
        "data",
        "evaluation",
        "",
        "a known model, and the gateway hides the cost",
        ask("openai/gpt-4o", "And you?", "no_cost,prompt_tokens=200,completion_tokens=100"),
    ),
)


def main() -> int:
    """Make the calls; 0 if every span was handed over."""
    parser = argparse.ArgumentParser(prog="python -m genops_enricher.demo.app")
    parser.add_argument("--live", action="store_true", help="only calls that are cheap for real")
    live = parser.parse_args().live

    base_url = os.environ.get("GENOPS_OPENROUTER_BASE_URL", OPENROUTER)
    genops.init(service_name="genops-demo", default_environment="demo")
    company = Company(base_url, os.environ["OPENROUTER_API_KEY"], live=live)
    steps = [step for step in STEPS if step.live or not live]
    for step in steps:
        announce({"team": step.team, "what": step.what})
        keys = {"team": step.team, "project": step.project, "customer_id": step.customer}
        with set_governance_context({key: value for key, value in keys.items() if value}):
            step.call(company)
    announce({"spans": sum(step.spans for step in steps)})
    return 0 if genops.shutdown() else 1


def _user(text: str) -> Any:
    return [{"role": "user", "content": text}]


if __name__ == "__main__":
    raise SystemExit(main())
