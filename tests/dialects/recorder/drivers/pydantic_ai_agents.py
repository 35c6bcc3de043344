"""Driver of pydantic-ai: `pydantic_ai_agents.py [aggregate]`.

Every call is an agent's run; one that offers a tool makes two requests. `aggregate`: the usage of
agent spans has the names of that of model spans, as in versions before 2.
"""

# The packages are those of another environment.
# mypy: disable-error-code="import-not-found, untyped-decorator"

from __future__ import annotations

import asyncio
import sys
from typing import Any

from driving import API_KEY, BASE_URL, drive, new_provider, redirect
from openai import AsyncOpenAI
from pydantic_ai import Agent, Embedder
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.models.openrouter import OpenRouterModel
from pydantic_ai.providers.openrouter import OpenRouterProvider


def weather() -> str:
    """Say what the weather is."""
    return "rain"


async def run(call: dict[str, Any], provider: Any) -> None:
    settings = {"extra_body": call["body"]}
    if call["api"] == "embeddings":
        model = OpenAIEmbeddingModel(call["model"], provider=provider)
        await Embedder(model).embed_query("Say hello.", settings=settings)
        return
    kind = OpenRouterModel if call["api"] == "chat" else OpenAIResponsesModel
    agent: Any = Agent(
        kind(call["model"], provider=provider),
        tools=[weather] if call["tool"] else [],
        model_settings=settings,
        name="greeter",
        retries=0,
    )
    if not call["stream"]:
        await agent.run("Say hello.")
        return
    async with agent.run_stream("Say hello.") as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            if call["abort"]:
                break


def main() -> None:
    redirect()
    tracers = new_provider()
    instrument = InstrumentationSettings(
        tracer_provider=tracers,
        include_content=False,
        use_aggregated_usage_attribute_names="aggregate" not in sys.argv,
    )
    Agent.instrument_all(instrument)
    Embedder.instrument_all(instrument)
    client = AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0)
    provider = OpenRouterProvider(openai_client=client)
    with asyncio.Runner() as runner:
        drive(lambda call: runner.run(run(call, provider)), tracers.force_flush)


if __name__ == "__main__":
    main()
