"""Driver of what instruments the OpenAI SDK: `openai_sdk.py EMITTER`."""

# The packages are those of another environment.
# mypy: disable-error-code="import-not-found, untyped-decorator"

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from driving import API_KEY, BASE_URL, WEATHER, drive, new_provider, redirect

TEXTS = {"chat": "messages", "completions": "prompt", "embeddings": "input", "responses": "input"}

# Instrumentations in the manner of OpenTelemetry: modules with an `OpenAIInstrumentor`.
INSTRUMENTORS = {
    "openinference": "openinference.instrumentation.openai",
    "openllmetry": "opentelemetry.instrumentation.openai",
    "otel-genai-openai": "opentelemetry.instrumentation.genai.openai",
    "otel-openai-v2": "opentelemetry.instrumentation.openai_v2",
}


def instrument(module: str) -> Any:
    provider = new_provider()
    importlib.import_module(module).OpenAIInstrumentor().instrument(tracer_provider=provider)
    return provider.force_flush


def openlit() -> Any:
    import openlit

    # Its price list is fetched from the web by default. Three of its rows, in its form.
    prices = {
        "chat": {
            "openai/gpt-4o-mini": {"promptPrice": 0.00015, "completionPrice": 0.0006},
            "anthropic/claude-sonnet-4.5": {"promptPrice": 0.003, "completionPrice": 0.015},
        },
        "embeddings": {"openai/text-embedding-3-small": 0.00002},
        "images": {},
        "audio": {},
    }
    provider = new_provider()
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(prices, file)
    openlit.init(
        application_name="recorded",
        pricing_json=file.name,
        capture_message_content=False,
        disable_metrics=True,
    )
    Path(file.name).unlink()
    return provider.force_flush


def logfire() -> Any:
    import logfire

    # It exports to OTEL_EXPORTER_OTLP_ENDPOINT by itself.
    logfire.configure(
        send_to_logfire=False, console=False, service_name="recorded", service_version="1"
    )
    logfire.instrument_openai()
    return logfire.force_flush


def langfuse() -> Any:
    from langfuse import Langfuse

    receiver = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    return Langfuse(public_key="pk-lf-fake", secret_key="sk-lf-fake", base_url=receiver).flush


def genops() -> Any:
    import genops

    provider = new_provider()
    genops.init(service_name="recorded")
    return provider.force_flush


OTHERS = {"genops": genops, "langfuse": langfuse, "logfire": logfire, "openlit": openlit}


def clients(emitter: str) -> Any:
    if emitter == "langfuse":  # it wraps the SDK by taking its place
        from langfuse.openai import AsyncOpenAI, OpenAI
    else:
        from openai import AsyncOpenAI, OpenAI
    settings: dict[str, Any] = {"base_url": BASE_URL, "api_key": API_KEY, "max_retries": 0}
    return SimpleNamespace(now=OpenAI(**settings), later=AsyncOpenAI(**settings))


def arguments_of(call: dict[str, Any]) -> dict[str, Any]:
    api = call["api"]
    prompt: Any = "Say hello."
    arguments = {
        "model": call["model"],
        TEXTS[api]: [{"role": "user", "content": prompt}] if api == "chat" else prompt,
    }
    if call["tool"]:
        tool = WEATHER if api == "responses" else {"function": WEATHER}
        arguments["tools"] = [{"type": "function", **tool}]
    if call["stream"]:
        arguments["stream"] = True
    if call["body"]:
        arguments["extra_body"] = call["body"]
    return arguments


def create(client: Any, api: str) -> Any:
    return (client.chat.completions if api == "chat" else getattr(client, api)).create


def make_call(client: Any, call: dict[str, Any]) -> None:
    answer = create(client.now, call["api"])(**arguments_of(call))
    if call["stream"]:
        for _ in answer:
            if call["abort"]:
                answer.close()
                break


async def make_async_call(client: Any, call: dict[str, Any]) -> None:
    answer = await create(client.later, call["api"])(**arguments_of(call))
    if call["stream"]:
        async for _ in answer:
            pass


def main() -> None:
    emitter = sys.argv[1]
    redirect()
    export = instrument(INSTRUMENTORS[emitter]) if emitter in INSTRUMENTORS else OTHERS[emitter]()
    client = clients(emitter)
    with asyncio.Runner() as runner:
        drive(
            lambda call: (
                runner.run(make_async_call(client, call))
                if call["asynchronous"]
                else make_call(client, call)
            ),
            export,
        )


if __name__ == "__main__":
    main()
