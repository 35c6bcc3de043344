"""Who is recorded: each emitter's packages, exactly pinned, and the driver that runs it.

An emitter is one way in which LLM calls become spans: a package in one setting. Its environment is
made from `packages` alone, so that emitters with the same ones share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dialects.recorder.scenarios import Call

__all__ = ["EMITTERS", "Emitter"]

ALL = ("chat", "completions", "embeddings", "responses")
# Labels of calls that differ from others in nothing where there is but one way to call.
ALWAYS_ASYNC = frozenset({"async", "async_stream", "embedding_async"})
OPENAI = "openai==3.54.0"
OPENAI_2 = "openai==2.54.0"  # for what does not work with, or not allow, the third
SDK = ("opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2")
PYDANTIC_AI = ("pydantic-ai-slim[openai,openrouter]==2.68.0", OPENAI, *SDK)
LITELLM = ("litellm==1.104.2", OPENAI_2, *SDK)  # 1.107.0 was reported to be compromised
LITELLM_ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # nothing is fetched
NODE_SDK = (
    "@opentelemetry/sdk-trace-node@2.12.0",
    "@opentelemetry/exporter-trace-otlp-proto@0.223.1",
    "zod@4.6.7",
)


@dataclass(frozen=True, slots=True)
class Emitter:
    """One emitter. `driver` is a file of `drivers/` and its arguments."""

    name: str
    packages: tuple[str, ...]  # empty: this project itself
    driver: tuple[str, ...]
    apis: tuple[str, ...] = ALL  # those that it can express
    skips: frozenset[str] = frozenset()  # labels of calls that it can't express
    only: frozenset[str] = frozenset()  # if any, the labels of all calls that it can express
    constructed: bool = False  # from documentation, as it can't be run
    language: Literal["python", "node"] = "python"
    environment: Mapping[str, str] = field(default_factory=dict)

    def makes(self, call: Call) -> bool:
        """Whether the emitter can be made to record a call."""
        return (
            call.api in self.apis
            and call.label not in self.skips
            and (not self.only or call.label in self.only)
        )


EMITTERS = {
    emitter.name: emitter
    for emitter in (
        Emitter("genops", (), ("openai_sdk.py", "genops")),
        Emitter(
            "openllmetry",
            ("opentelemetry-instrumentation-openai==0.62.4", OPENAI, *SDK),
            ("openai_sdk.py", "openllmetry"),
            environment={"TRACELOOP_TRACE_CONTENT": "false"},
        ),
        Emitter(
            "openinference",
            ("openinference-instrumentation-openai==0.1.66", OPENAI, *SDK),
            ("openai_sdk.py", "openinference"),
            environment={
                "OPENINFERENCE_HIDE_INPUTS": "true",
                "OPENINFERENCE_HIDE_OUTPUTS": "true",
            },
        ),
        # With its default settings, under which each span repeats the answer as JSON.
        Emitter(
            "openinference-content",
            ("openinference-instrumentation-openai==0.1.66", OPENAI, *SDK),
            ("openai_sdk.py", "openinference"),
        ),
        Emitter(
            "otel-genai-openai",
            ("opentelemetry-instrumentation-genai-openai==1.3b0", OPENAI, *SDK),
            ("openai_sdk.py", "otel-genai-openai"),
        ),
        Emitter(
            "otel-openai-v2",
            (
                "opentelemetry-instrumentation-openai-v2==2.4b0",
                # The newest one has no `instruments` module, which 2.4b0 imports.
                "opentelemetry-util-genai==0.4b0",
                OPENAI_2,
                *SDK,
            ),
            ("openai_sdk.py", "otel-openai-v2"),
        ),
        Emitter(
            "otel-openai-v2-latest",
            (
                "opentelemetry-instrumentation-openai-v2==2.4b0",
                "opentelemetry-util-genai==0.4b0",
                OPENAI_2,
                *SDK,
            ),
            ("openai_sdk.py", "otel-openai-v2"),
            environment={"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"},
        ),
        Emitter(
            "openlit",
            # pip does not find the newest versions that fit each other by itself.
            (
                "openlit==1.44.0",
                "opentelemetry-instrumentation==0.66b1",
                "opentelemetry-sdk==1.45.1",
                "opentelemetry-exporter-otlp-proto-http==1.45.1",
                OPENAI_2,
            ),
            ("openai_sdk.py", "openlit"),
        ),
        Emitter("logfire", ("logfire==5.2.0", OPENAI), ("openai_sdk.py", "logfire")),
        Emitter("langfuse", ("langfuse==5.0.4", OPENAI), ("openai_sdk.py", "langfuse")),
        Emitter(
            "pydantic-ai",
            PYDANTIC_AI,
            ("pydantic_ai_agents.py",),
            apis=("chat", "embeddings", "responses"),
            skips=ALWAYS_ASYNC,
        ),
        # Usage of agents under the names of the calls' usage, as before version 2.
        Emitter(
            "pydantic-ai-aggregate",
            PYDANTIC_AI,
            ("pydantic_ai_agents.py", "aggregate"),
            apis=("chat", "embeddings", "responses"),
            skips=ALWAYS_ASYNC,
        ),
        Emitter(
            "litellm",
            LITELLM,
            ("litellm_calls.py",),
            apis=("chat", "embeddings"),
            environment=LITELLM_ENVIRONMENT,
        ),
        Emitter(
            "litellm-otel-v2",
            LITELLM,
            ("litellm_calls.py", "async"),
            apis=("chat", "embeddings"),
            skips=ALWAYS_ASYNC,
            # Its exporter is its own, and exports when this time (in ms) has gone by.
            environment=LITELLM_ENVIRONMENT
            | {"LITELLM_OTEL_V2": "true", "OTEL_BSP_SCHEDULE_DELAY": "100"},
        ),
        # The same calls through the OpenAI SDK, which is instrumented too: several spans a call.
        Emitter(
            "litellm-and-openllmetry",
            (*LITELLM, "opentelemetry-instrumentation-openai==0.62.4"),
            ("litellm_calls.py", "openllmetry"),
            apis=("chat", "embeddings"),
            environment=LITELLM_ENVIRONMENT | {"TRACELOOP_TRACE_CONTENT": "false"},
        ),
        Emitter(
            "openai-agents",
            (
                "openai-agents==0.24.0",
                "opentelemetry-instrumentation-genai-openai-agents==1.3b0",
                "opentelemetry-instrumentation-genai-openai==1.3b0",
                OPENAI,
                *SDK,
            ),
            ("openai_agents.py",),
            apis=("chat", "responses"),
            skips=ALWAYS_ASYNC,
        ),
        Emitter(
            "ai-sdk-6",
            ("ai@6.0.326", "@openrouter/ai-sdk-provider@2.10.0", *NODE_SDK),
            ("ai_sdk.mjs",),
            apis=("chat", "completions", "embeddings"),
            skips=ALWAYS_ASYNC,
            language="node",
        ),
        Emitter(
            "ai-sdk-7",
            (
                "ai@7.0.173",
                "@ai-sdk/otel@1.0.173",
                "@openrouter/ai-sdk-provider@3.1.0",
                *NODE_SDK,
            ),
            ("ai_sdk.mjs",),
            apis=("chat", "completions", "embeddings"),
            skips=ALWAYS_ASYNC | {"completion"},  # the provider refuses: no `toolChoice` there
            language="node",
        ),
        Emitter(
            "openrouter-broadcast",
            (),
            ("documented.py", "broadcast"),
            apis=("chat",),
            # How these look there is not documented.
            skips=ALWAYS_ASYNC
            | {"byok", "byok_stream", "byok_waived", "no_cost", "no_usage", "no_usage_stream"}
            | {"stream_error", "http_429", "aborted_stream", "tool_call", "tool_call_stream"},
            constructed=True,
        ),
        Emitter(
            "claude-code",
            (),
            ("documented.py", "claude-code"),
            only=frozenset({"cache_read", "cache_write", "cache_read_write", "dated"}),
            constructed=True,
        ),
    )
}
