"""Driver of the OpenAI Agents SDK: its own spans, and those of the OpenAI SDK below it."""

# The packages are those of another environment.
# mypy: disable-error-code="import-not-found, untyped-decorator"

from __future__ import annotations

import asyncio
from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
)
from driving import API_KEY, BASE_URL, drive, new_provider, redirect
from openai import AsyncOpenAI
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.instrumentation.genai.openai_agents import OpenAIAgentsInstrumentor


@function_tool
def weather() -> str:
    """Say what the weather is."""
    return "rain"


async def run(call: dict[str, Any], client: Any) -> None:
    kind = OpenAIChatCompletionsModel if call["api"] == "chat" else OpenAIResponsesModel
    agent: Any = Agent(
        name="greeter",
        model=kind(model=call["model"], openai_client=client),
        tools=[weather] if call["tool"] else [],
        model_settings=ModelSettings(extra_body=call["body"] or None),
    )
    if not call["stream"]:
        await Runner.run(agent, "Say hello.")
        return
    result = Runner.run_streamed(agent, "Say hello.")
    async for event in result.stream_events():
        if call["abort"] and event.type == "raw_response_event":
            result.cancel()


def main() -> None:
    redirect()
    tracers = new_provider()
    OpenAIInstrumentor().instrument(tracer_provider=tracers)
    OpenAIAgentsInstrumentor().instrument(tracer_provider=tracers, disable_openai_trace_export=True)
    client = AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0)
    with asyncio.Runner() as runner:
        drive(lambda call: runner.run(run(call, client)), tracers.force_flush)


if __name__ == "__main__":
    main()
