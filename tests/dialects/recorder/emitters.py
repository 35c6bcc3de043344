"""Who is recorded: each emitter's packages, exactly pinned, and the driver that runs it.

An emitter is one way in which LLM calls become spans: a package in one setting. Its environment is
made from `packages` alone, so that emitters with the same ones share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["EMITTERS", "Emitter"]

ALL = ("chat", "completions", "embeddings", "responses")
CHAT = ("chat",)
OPENAI = "openai==3.54.0"
SDK = ("opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2")
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
    skips: frozenset[str] = frozenset()  # calls that it can't express
    language: Literal["python", "node"] = "python"
    environment: Mapping[str, str] = field(default_factory=dict)


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
                OPENAI,
                *SDK,
            ),
            ("openai_sdk.py", "otel-openai-v2"),
        ),
        Emitter(
            "otel-openai-v2-latest",
            (
                "opentelemetry-instrumentation-openai-v2==2.4b0",
                "opentelemetry-util-genai==0.4b0",
                OPENAI,
                *SDK,
            ),
            ("openai_sdk.py", "otel-openai-v2"),
            environment={"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"},
        ),
        Emitter("openlit", ("openlit==1.44.0", OPENAI), ("openai_sdk.py", "openlit")),
        Emitter("logfire", ("logfire==5.2.0", OPENAI), ("openai_sdk.py", "logfire")),
        Emitter("langfuse", ("langfuse==5.0.4", OPENAI), ("openai_sdk.py", "langfuse")),
    )
}
