"""Driver of LiteLLM's `otel` callback: `litellm_calls.py [async] [openllmetry]`.

LITELLM_OTEL_V2 chooses the callback's version. `async`: all calls are asynchronous, as version 2
says nothing of others. `openllmetry`: the OpenAI SDK, through which LiteLLM calls some providers,
is instrumented as well.
"""

# The packages are those of another environment.
# mypy: disable-error-code="import-not-found, untyped-decorator"

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import litellm
from driving import API_KEY, BASE_URL, WEATHER, drive, new_provider, redirect

CALLBACK_S = 0.4  # LiteLLM calls back from threads of its own, which tell nobody when


def arguments_of(call: dict[str, Any], prefix: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": f"{prefix}/{call['model']}",
        "api_base": BASE_URL,
        "api_key": API_KEY,
        "num_retries": 0,
        "max_retries": 0,
    }
    if call["api"] == "embeddings":
        return arguments | {"input": ["Say hello."]}
    arguments["messages"] = [{"role": "user", "content": "Say hello."}]
    if call["tool"]:
        arguments["tools"] = [{"type": "function", "function": WEATHER}]
    if call["stream"]:
        arguments["stream"] = True
    if call["body"]:
        arguments["extra_body"] = call["body"]
    return arguments


def make_call(call: dict[str, Any], prefix: str) -> None:
    create = litellm.embedding if call["api"] == "embeddings" else litellm.completion
    answer = create(**arguments_of(call, prefix))
    if call["stream"]:
        for _ in answer:
            if call["abort"]:
                break


async def make_async_call(call: dict[str, Any], prefix: str) -> None:
    create = litellm.aembedding if call["api"] == "embeddings" else litellm.acompletion
    answer = await create(**arguments_of(call, prefix))
    if call["stream"]:
        async for _ in answer:
            if call["abort"]:
                break
    await asyncio.sleep(CALLBACK_S)


def main() -> None:
    redirect()
    provider = new_provider()
    prefix = "openrouter"
    if "openllmetry" in sys.argv:
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=provider)
        prefix = "openai"  # the way that leads through the OpenAI SDK
    litellm.callbacks = ["otel"]
    litellm.disable_aiohttp_transport = True
    litellm.suppress_debug_info = True

    def export() -> None:
        time.sleep(CALLBACK_S)
        provider.force_flush()

    with asyncio.Runner() as runner:
        drive(
            lambda call: (
                runner.run(make_async_call(call, prefix))
                if call["asynchronous"] or "async" in sys.argv
                else make_call(call, prefix)
            ),
            export,
        )


if __name__ == "__main__":
    main()
