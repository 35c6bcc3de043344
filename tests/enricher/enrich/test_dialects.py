"""Spans of each dialect, as small as they can be, and what they cost. Prices on OpenRouter:

openai/gpt-4o is 2.50 USD per million tokens in, 10 out, 1.25 read from a cache;
anthropic/claude-sonnet-4.5 is 3 in, 15 out, 0.30 read from a cache, 3.75 written to it, 6 for an
hour; openai/text-embedding-3-small is 0.02 in.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from genops_enricher.decode.dialects import DIALECTS, HINTS
from genops_enricher.enrich.enricher import NOT_LLM, Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_pricing import bundled_catalog, load_catalog
from otlp import Value, plain_attributes, request, span, spans_of

ENRICHER = Enricher(bundled_catalog())
M = 1_000_000

GPT, SONNET = "openai/gpt-4o", "anthropic/claude-sonnet-4.5"
# 1000 tokens in, 600 of them from the cache; 100 out.
CACHED = (400 * Decimal("2.5") + 600 * Decimal("1.25") + 100 * 10) / M
PLAIN = (1000 * Decimal("2.5") + 100 * 10) / M
# 1000 in, of which 600 read and 300 written; 100 out.
WRITTEN = (100 * 3 + 600 * Decimal("0.3") + 300 * Decimal("3.75") + 100 * 15) / M
# 200 of these 300 for an hour.
WRITTEN_FOR_AN_HOUR = WRITTEN + 200 * (6 - Decimal("3.75")) / M
REPORTED = Decimal("0.004321")
BYOK = Decimal("0.0002") + Decimal("0.004")  # OpenRouter's fee and the provider's bill
UPSTREAM = {"cost_details": {"upstream_inference_cost": 0.004}}


def enriched(values: dict[str, Value]) -> dict[str, object]:
    """The attributes of the span after the way that requests take."""
    return plain_attributes(spans_of(enrich_request(request(span(values)), ENRICHER).payload)[0])


def openai_usage(**more: object) -> str:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 600},
    }
    return json.dumps(usage | more)


AI_SDK: dict[str, Value] = {
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.model.provider": "openrouter",
    "ai.model.id": GPT,
    "ai.response.model": GPT,
}
ANTHROPIC_AI_SDK: dict[str, Value] = {
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.model.provider": "anthropic.messages",
    "ai.model.id": "claude-sonnet-4-5",
    "ai.response.model": "claude-sonnet-4-5-20250929",
    "ai.usage.outputTokens": 100,
}


def anthropic_metadata(**more: object) -> str:
    usage = {
        "input_tokens": 100,
        "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 100,
        "service_tier": "standard",
    }
    return json.dumps({"anthropic": {"usage": usage, **more}})


CLAUDE_SDK: dict[str, Value] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.response.model": "claude-sonnet-4-5-20250929",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
LITELLM: dict[str, Value] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "",
    "gen_ai.request.model": GPT,
    "litellm.call_id": "1",
    "litellm.provider.model": f"openrouter/{GPT}",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
LOGFIRE: dict[str, Value] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": GPT,
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
LANGFUSE: dict[str, Value] = {
    "langfuse.observation.type": "generation",
    "langfuse.observation.model.name": GPT,
}
BROADCAST: dict[str, Value] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.response.model": SONNET,
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
    "trace.metadata.openrouter.provider_slug": "anthropic",
}

CALLS: dict[str, tuple[dict[str, Value], Decimal]] = {
    "OpenTelemetry, names of today": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",  # whoever is called
            "server.address": "openrouter.ai",
            "gen_ai.response.model": SONNET,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 600,
            "gen_ai.usage.cache_write.input_tokens": 300,
        },
        WRITTEN,
    ),
    "OpenTelemetry, old and new names together": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openrouter",
            "gen_ai.request.model": GPT,
            "gen_ai.usage.prompt_tokens": 1000,
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.completion_tokens": 100,
            "gen_ai.usage.output_tokens": 100,
        },
        PLAIN,
    ),
    "OpenTelemetry, cost by the provider's word": (
        LOGFIRE
        | {
            "gen_ai.usage.cost.amount": 0.004321,
            "gen_ai.usage.cost.currency": "USD",
            "gen_ai.usage.cost.source": "provider",
        },
        REPORTED,
    ),
    "OpenTelemetry, cost by the client's reckoning": (
        LOGFIRE | {"gen_ai.usage.cost.amount": 9.9, "gen_ai.usage.cost.source": "local"},
        PLAIN,
    ),
    "OpenTelemetry, the provider's cost in another currency": (
        LOGFIRE
        | {
            "gen_ai.usage.cost.amount": 0.004321,
            "gen_ai.usage.cost.currency": "EUR",
            "gen_ai.usage.cost.source": "provider",
        },
        PLAIN,
    ),
    "OpenLLMetry": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openrouter",
            "gen_ai.response.model": "gpt-4o",  # without the author
            "gen_ai.usage.input_tokens": "1000",
            "gen_ai.usage.output_tokens": 100.0,
            "gen_ai.usage.cache_read_input_tokens": 600,
        },
        CACHED,
    ),
    "OpenLLMetry, of old": (
        {
            "llm.request.type": "chat",
            "gen_ai.system": "OpenAI",
            "gen_ai.openai.api_base": "https://openrouter.ai/api/v1/",
            "gen_ai.response.model": GPT,
            "gen_ai.usage.prompt_tokens": 1000,
            "gen_ai.usage.completion_tokens": 100,
        },
        PLAIN,
    ),
    "OpenInference": (
        {
            "openinference.span.kind": "LLM",
            "llm.system": "openai",
            "llm.model_name": SONNET,
            "llm.token_count.prompt": 1000,
            "llm.token_count.completion": 100,
            "llm.token_count.prompt_details.cache_read": 600,
            "llm.token_count.prompt_details.cache_write": 300,
            "llm.cost.total": 7.0,
        },
        WRITTEN,
    ),
    "OpenInference, embedding": (
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.model_name": "openai/text-embedding-3-small",
            "llm.token_count.prompt": 500,
        },
        500 * Decimal("0.02") / M,
    ),
    "OpenLIT": (
        LOGFIRE | {"gen_ai.client.token.usage": 1100, "gen_ai.usage.cost": 0.0},
        PLAIN,
    ),
    "Logfire": (LOGFIRE | {"gen_ai.usage.raw": openai_usage(cost=0.004321)}, REPORTED),
    "Logfire, key of one's own": (
        LOGFIRE | {"gen_ai.usage.raw": openai_usage(cost=0.0002, is_byok=True, **UPSTREAM)},
        BYOK,
    ),
    **{
        f"Logfire, web searches in {key}": (
            LOGFIRE
            | {
                "gen_ai.request.model": SONNET,
                "gen_ai.response.model": SONNET,
                "gen_ai.usage.raw": openai_usage(**{key: {"web_search_requests": 2}}),
            },
            (400 * 3 + 600 * Decimal("0.3") + 100 * 15) / M + 2 * Decimal("0.01"),
        )
        # In OpenRouter's API the first is that of chat, the second that of responses.
        for key in ("server_tool_use_details", "server_tool_use")
    },
    "Logfire, another provider": (
        LOGFIRE | {"gen_ai.usage.raw": openai_usage()},
        CACHED,
    ),
    "Logfire, Anthropic's own counts in the raw usage and in the attributes": (
        LOGFIRE
        | {
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5-20250929",
            "gen_ai.usage.raw": json.dumps(
                {
                    "input_tokens": 1000,
                    "output_tokens": 100,
                    "cache_read_input_tokens": 600,
                    "cache_creation_input_tokens": 300,
                    "cache_creation": {"ephemeral_1h_input_tokens": 100},
                }
            ),
        },
        (
            1000 * 3
            + 600 * Decimal("0.3")
            + 200 * Decimal("3.75")
            + Decimal(100 * 6)
            + Decimal(100 * 15)
        )
        / M,
    ),
    "Logfire, attributes and another count in the raw usage": (
        LOGFIRE | {"gen_ai.usage.raw": openai_usage(prompt_tokens=9999)},
        CACHED,
    ),
    "pydantic-ai": (
        LOGFIRE | {"gen_ai.usage.details.cache_read_tokens": 600, "operation.cost": 0.5},
        CACHED,
    ),
    "Langfuse": (
        LANGFUSE
        | {
            "langfuse.observation.usage_details": openai_usage(),
            "langfuse.observation.cost_details": '{"total": 0.004321}',
        },
        REPORTED,
    ),
    "Langfuse, its own keys, whose parts do not overlap": (
        LANGFUSE
        | {
            "langfuse.observation.usage_details": json.dumps(
                {"input": 400, "input_cached_tokens": 600, "output": 100, "total": 1100}
            )
        },
        CACHED,
    ),
    "Langfuse, a cost that OpenRouter did not report": (
        LANGFUSE
        | {
            "gen_ai.system": "openai",
            "langfuse.observation.model.name": "gpt-4o",
            "langfuse.observation.usage_details": openai_usage(),
            "langfuse.observation.cost_details": '{"total": 5.0}',
        },
        CACHED,
    ),
    "AI SDK 5 and 6": (
        AI_SDK
        | {
            "ai.usage.inputTokens": 1000,
            "ai.usage.outputTokens": 100,
            "ai.usage.cachedInputTokens": 600,
        },
        CACHED,
    ),
    "AI SDK, OpenRouter's word": (
        AI_SDK
        | {
            "ai.usage.inputTokens": 1000,
            "ai.usage.outputTokens": 100,
            "ai.response.providerMetadata": '{"openrouter":{"usage":{"cost":0.004321}}}',
        },
        REPORTED,
    ),
    "AI SDK, key of one's own": (
        AI_SDK
        | {
            "ai.usage.inputTokens": 1000,
            "ai.usage.outputTokens": 100,
            "ai.response.providerMetadata": json.dumps(
                {
                    "openrouter": {
                        "usage": {"cost": 0.0002, "costDetails": {"upstreamInferenceCost": 0.004}}
                    }
                }
            ),
        },
        BYOK,
    ),
    "AI SDK 4": (
        AI_SDK | {"ai.usage.promptTokens": 1000, "ai.usage.completionTokens": 100},
        PLAIN,
    ),
    "AI SDK, provider with the kind of model behind a dot": (
        AI_SDK
        | {
            "ai.model.provider": "openai.chat",
            "ai.response.model": "gpt-4o",
            "ai.usage.promptTokens": 1000,
            "ai.usage.completionTokens": 100,
        },
        PLAIN,
    ),
    "AI SDK, its provider for OpenAI with OpenRouter's URL": (
        AI_SDK
        | {
            "ai.model.provider": "openai.chat",
            "ai.response.model": SONNET,
            "ai.usage.inputTokens": 1000,
            "ai.usage.outputTokens": 100,
            "ai.usage.cachedInputTokens": 600,
            "ai.usage.inputTokenDetails.cacheWriteTokens": 300,
        },
        WRITTEN,
    ),
    # In Anthropic's words 100 in, 600 read, 300 written, of which 200 for an hour; 100 out.
    "AI SDK 5, Anthropic's counts leave cached tokens out": (
        ANTHROPIC_AI_SDK
        | {
            "ai.usage.inputTokens": 100,
            "ai.usage.cachedInputTokens": 600,
            "ai.response.providerMetadata": anthropic_metadata(cacheCreationInputTokens=300),
        },
        WRITTEN_FOR_AN_HOUR,
    ),
    "AI SDK 6, Anthropic's counts are inclusive": (
        ANTHROPIC_AI_SDK
        | {
            "ai.usage.inputTokens": 1000,
            "ai.usage.cachedInputTokens": 600,
            "ai.usage.inputTokenDetails.cacheReadTokens": 600,
            "ai.usage.inputTokenDetails.cacheWriteTokens": 300,
            "ai.response.providerMetadata": anthropic_metadata(),
        },
        WRITTEN_FOR_AN_HOUR,
    ),
    "Claude SDK, written for an hour": (
        CLAUDE_SDK
        | {
            "gen_ai.usage.cache_read.input_tokens": 600,
            "gen_ai.usage.cache_write.input_tokens": 300,
            "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 100,
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 200,
        },
        WRITTEN_FOR_AN_HOUR,
    ),
    "Claude SDK, with compaction": (
        CLAUDE_SDK
        | {
            "anthropic.usage.compaction.input_tokens": 5000,
            "anthropic.usage.compaction.output_tokens": 700,
        },
        (6000 * Decimal(3) + 800 * Decimal(15)) / M,
    ),
    "LiteLLM, written for an hour": (
        LITELLM
        | {
            "gen_ai.request.model": "claude-sonnet-4-5",
            "litellm.provider.model": "anthropic/claude-sonnet-4-5",
            "metadata.usage_object": str(
                {
                    "prompt_tokens": 1000,
                    "completion_tokens": 100,
                    "total_tokens": 1100,
                    "prompt_tokens_details": {
                        "cached_tokens": 600,
                        "cache_creation_tokens": 300,
                        "cache_creation_token_details": {
                            "ephemeral_5m_input_tokens": 100,
                            "ephemeral_1h_input_tokens": 200,
                        },
                    },
                    "cache_creation_input_tokens": 300,
                    "cache_read_input_tokens": 600,
                    "inference_geo": "global",
                    "speed": None,
                }
            ),
        },
        WRITTEN_FOR_AN_HOUR,
    ),
    "AI SDK, embedding": (
        {
            "ai.operationId": "ai.embed.doEmbed",
            "ai.model.provider": "openrouter",
            "ai.model.id": "openai/text-embedding-3-small",
            "ai.usage.tokens": 500,
        },
        500 * Decimal("0.02") / M,
    ),
    "LiteLLM 2": (LITELLM | {"litellm.cost.total": 0.004321}, REPORTED),
    "LiteLLM 2, OpenRouter's fee and nothing else": (
        LITELLM | {"litellm.cost.total": float(PLAIN / 20)},
        PLAIN,
    ),
    "LiteLLM 2, its own reckoning": (
        LITELLM | {"litellm.cost.total": 8.0, "litellm.cost.original": 8.0},
        PLAIN,
    ),
    "LiteLLM 1": (
        LITELLM
        | {
            "gen_ai.operation.name": "acompletion",
            "gen_ai.cost.total_cost": 0.0,
            "metadata.usage_object": str(json.loads(openai_usage(other=None))),
        },
        CACHED,
    ),
    "LiteLLM 1, OpenRouter's usage with a key of one's own": (
        LITELLM
        | {
            "metadata.usage_object": str(
                json.loads(openai_usage(cost=0.0002, is_byok=True, **UPSTREAM))
            ),
            "hidden_params": json.dumps(
                {"additional_headers": {"llm_provider-x-litellm-response-cost": 0.0002}}
            ),
        },
        BYOK,
    ),
    "LiteLLM 1, OpenRouter's usage without such a key": (
        LITELLM
        | {
            "metadata.usage_object": str(
                json.loads(openai_usage(cost=0.004321, is_byok=False, **UPSTREAM))
            )
        },
        REPORTED,
    ),
    "LiteLLM 1, the usage of a stream, of which OpenRouter's fee is all it keeps": (
        LITELLM | {"metadata.usage_object": str(json.loads(openai_usage(cost=float(CACHED / 20))))},
        CACHED,
    ),
    "LiteLLM 1, its own reckoning in the usage": (
        LITELLM
        | {
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "litellm.provider.model": "gpt-4o",
            "metadata.usage_object": str(json.loads(openai_usage(cost=8.0))),
        },
        CACHED,
    ),
    "LiteLLM 1, OpenRouter's word": (
        LITELLM
        | {
            "hidden_params": json.dumps(
                {"additional_headers": {"llm_provider-x-litellm-response-cost": 0.004321}}
            )
        },
        REPORTED,
    ),
    "Broadcast": (BROADCAST | {"gen_ai.usage.total_cost": 0.004321}, REPORTED),
    "Broadcast, without a cost": (
        BROADCAST
        | {
            "gen_ai.usage.input_tokens.cached": 600,
            "gen_ai.usage.input_tokens.cache_write": 300,
            "gen_ai.usage.output_tokens.reasoning": 90,
        },
        WRITTEN,
    ),
    "Broadcast, written for five minutes and for an hour": (
        BROADCAST
        | {
            "gen_ai.usage.input_tokens.cache_write_5m": 100,
            "gen_ai.usage.input_tokens.cache_write_1h": 200,
        },
        (700 * 3 + 100 * Decimal("3.75") + 200 * 6 + Decimal(100 * 15)) / M,
    ),
    "a total cost that is not Broadcast's": (
        LOGFIRE | {"gen_ai.usage.total_cost": 3.0},
        PLAIN,
    ),
    "Claude Code, cached tokens apart": (
        {
            "span.type": "llm_request",
            "gen_ai.system": "anthropic",
            "model": "claude-sonnet-4-5-20250929",
            "input_tokens": 100,
            "output_tokens": 100,
            "cache_read_tokens": 600,
            "cache_creation_tokens": 300,
        },
        WRITTEN,
    ),
    "Claude Code's cached tokens beside OpenTelemetry's input, which holds them": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.response.model": "claude-sonnet-4-5-20250929",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "cache_read_tokens": 600,
            "cache_creation_tokens": 300,
        },
        WRITTEN,
    ),
    "Codex": (
        LOGFIRE | {"cached_input_tokens": 600, "reasoning_output_tokens": 10},
        CACHED,
    ),
    "Gemini CLI, thoughts apart": (
        LOGFIRE
        | {
            "gen_ai.operation.name": "llm_call",
            "gen_ai.usage.output_tokens": 40,
            "thoughts_token_count": 60,
            "cached_content_token_count": 600,
        },
        CACHED,
    ),
    "agentgateway, Anthropic's own counts": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.response.model": "claude-sonnet-4-5-20250929",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 600,
            "gen_ai.usage.cache_creation.input_tokens": 300,
            "agw.ai.usage.cost.total": "0.5",
        },
        (1000 * 3 + 600 * Decimal("0.3") + 300 * Decimal("3.75") + Decimal(100 * 15)) / M,
    ),
    "any emitter, more cached than there is input": (
        LOGFIRE
        | {
            "gen_ai.response.model": SONNET,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 600,
            "gen_ai.usage.cache_creation.input_tokens": 300,
        },
        WRITTEN,
    ),
    "any emitter, more reasoning than output": (
        LOGFIRE | {"gen_ai.usage.reasoning_tokens": 2590},
        PLAIN,
    ),
}


@pytest.mark.parametrize(("values", "cost"), CALLS.values(), ids=CALLS)
def test_a_call_costs_what_its_usage_says(values: dict[str, Value], cost: Decimal) -> None:
    attributes = enriched(values)

    assert attributes.get("genops.cost.total") == pytest.approx(float(cost), rel=1e-12)
    is_reported = cost in (REPORTED, BYOK)
    assert attributes["genops.cost.source"] == ("reported" if is_reported else "computed")


USAGE: dict[str, Value] = {"gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 9}
AGGREGATES: dict[str, dict[str, Value]] = {
    "pydantic-ai": {
        "gen_ai.operation.name": "invoke_agent",
        "model_name": GPT,
        "gen_ai.aggregated_usage.input_tokens": 9,
        "gen_ai.aggregated_usage.output_tokens": 9,
    },
    "pydantic-ai, of old": {"gen_ai.operation.name": "invoke_agent", "model_name": GPT, **USAGE},
    "AI SDK 7, agent": {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.request.model": GPT,
        **USAGE,
    },
    "AI SDK 7, step": {"gen_ai.operation.name": "agent_step", **USAGE},
    "AI SDK 6": AI_SDK | {"ai.operationId": "ai.streamText", "ai.usage.inputTokens": 9},
    "OpenInference": {
        "openinference.span.kind": "CHAIN",
        "llm.model_name": GPT,
        "llm.token_count.prompt": 9,
    },
    "Langfuse": LANGFUSE
    | {"langfuse.observation.type": "agent", "langfuse.observation.usage_details": openai_usage()},
    "Broadcast, an attempt": BROADCAST | {"gen_ai.response.id": "gen-1795429147-2b6f:attempt-0"},
    "Broadcast, the generation": BROADCAST
    | {"gen_ai.response.id": "gen-1795429147-2b6f:generation"},
    "Logfire, a span that has not ended": LOGFIRE | {"logfire.span_type": "pending_span"},
    "Codex, a turn": {
        "codex.turn.token_usage.input_tokens": 9,
        "codex.turn.token_usage.output_tokens": 9,
        "gen_ai.request.model": "gpt-5-codex",
    },
}


@pytest.mark.parametrize(
    ("more", "cost"),
    [
        ({}, None),  # 0.003 as text, 0.03 as an image
        ({"gen_ai.usage.image.output_tokens": 0}, 0.0028),
        ({"gen_ai.usage.image.output_tokens": 1000}, 0.0303),
        ({"gen_ai.usage.output_tokens": 0}, 0.0003),
    ],
)
def test_what_a_model_of_images_puts_out_is_priced_only_if_its_kind_is_known(
    more: dict[str, Value], cost: float | None
) -> None:
    call: dict[str, Value] = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-2.5-flash-image",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 1000,
    }
    attributes = enriched(call | more)

    assert attributes.get("genops.cost.total") == cost
    assert attributes.get("genops.cost.unpriced_reason") == (None if cost else "suspect_price")


@pytest.mark.parametrize(("searches", "cost"), [(None, None), (1, 0.0285), (2, 0.0535)])
def test_a_model_that_always_searches_is_priced_only_with_its_searches(
    searches: int | None, cost: float | None
) -> None:
    call: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-4o-search-preview-2025-03-11",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
    }
    if searches:
        call["genops.usage.web_search_requests"] = searches
    attributes = enriched(call)

    assert attributes.get("genops.cost.total") == cost
    assert attributes.get("genops.cost.unpriced_reason") == (None if cost else "suspect_price")


def ai_sdk(provider: str, model: str, metadata: dict[str, object]) -> dict[str, Value]:
    return {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.provider": provider,
        "ai.model.id": model,
        "ai.response.model": model,
        "ai.usage.inputTokens": 1000,
        "ai.usage.outputTokens": 100,
        "ai.response.providerMetadata": json.dumps(metadata),
    }


def anthropic_call(name: str, **usage: object) -> dict[str, Value]:
    counts = {"input_tokens": 1000, "output_tokens": 100, "service_tier": "standard"}
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.response.model": "claude-opus-4-6",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "litellm.call_id": "1",
        name: str(counts | usage) if name.startswith("metadata.") else json.dumps(counts | usage),
    }


@pytest.mark.parametrize(
    ("values", "cost"),
    [
        (ai_sdk("openai.responses", "gpt-5.4", {"openai": {"serviceTier": "default"}}), 0.004),
        (ai_sdk("openai.responses", "gpt-5.4", {"openai": {"serviceTier": "flex"}}), 0.002),
        (ai_sdk("openai.responses", "gpt-5.4", {"openai": {"serviceTier": "priority"}}), 0.008),
        (ai_sdk("openai.responses", "gpt-4", {"openai": {"serviceTier": "priority"}}), None),
        (ai_sdk("openai.responses", "gpt-5.4", {"openai": {"serviceTier": {"a": 1}}}), 0.004),
        (ai_sdk("azure.responses", "gpt-4o", {"azure": {"serviceTier": "priority"}}), None),
        (
            ai_sdk("google.generative-ai", "gemini-2.5-pro", {"google": {"serviceTier": "flex"}}),
            None,
        ),
        (
            ai_sdk(
                "google.vertex.chat",
                "gemini-2.5-pro",
                {"vertex": {"usageMetadata": {"trafficType": "ON_DEMAND_PRIORITY"}}},
            ),
            None,
        ),
        (
            ai_sdk(
                "google.vertex.chat",
                "gemini-2.5-pro",
                {"vertex": {"usageMetadata": {"trafficType": "ON_DEMAND"}}},
            ),
            0.00225,
        ),
        (
            ai_sdk(
                "amazon-bedrock",
                "amazon.nova-pro-v1:0",
                {"bedrock": {"serviceTier": {"type": "priority"}}},
            ),
            None,
        ),
        (
            ai_sdk(
                "amazon-bedrock",
                "amazon.nova-pro-v1:0",
                {
                    "bedrock": {
                        "serviceTier": {"type": "default"},
                        "performanceConfig": {"latency": "optimized"},
                    }
                },
            ),
            None,
        ),
        (
            ai_sdk(
                "amazon-bedrock",
                "amazon.nova-pro-v1:0",
                {"bedrock": {"performanceConfig": {"latency": "standard"}}},
            ),
            0.00112,
        ),
        (
            ai_sdk(
                "anthropic.messages",
                "claude-opus-4-6",
                {"anthropic": {"usage": {"speed": "fast"}}},
            ),
            None,
        ),
        *(
            (
                {
                    "span.type": "llm_request",
                    "gen_ai.system": "anthropic",
                    "model": "claude-opus-4-6",
                    "input_tokens": 1000,
                    "output_tokens": 100,
                    "cache_read_tokens": 0,
                    "speed": speed,
                },
                cost,
            )
            for speed, cost in (("normal", 0.0075), ("fast", None))
        ),
        *(
            (anthropic_call(name, **usage), cost)
            for name in ("gen_ai.usage.raw", "metadata.usage_object")
            for usage, cost in (
                ({"speed": "standard", "inference_geo": "not_available"}, 0.0075),
                ({"speed": "fast"}, None),
                ({"inference_geo": "us"}, 0.00825),
                ({"service_tier": "priority"}, 0.0075),  # bought beforehand
            )
        ),
    ],
)
def test_what_a_document_says_of_the_tier_and_the_region_decides_the_price(
    values: dict[str, Value], cost: float | None
) -> None:
    attributes = enriched(values)

    assert attributes.get("genops.cost.total") == cost
    assert attributes["genops.cost.status"] == ("priced" if cost else "unpriced")


@pytest.mark.parametrize("values", AGGREGATES.values(), ids=AGGREGATES)
def test_what_repeats_the_usage_of_calls_is_an_aggregate(values: dict[str, Value]) -> None:
    attributes = enriched(values)

    assert attributes["genops.cost.unpriced_reason"] == "aggregate"
    assert "genops.cost.total" not in attributes


OTHERS: dict[str, dict[str, Value]] = {
    "a tool": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather", **USAGE},
    "a tool with a kind that says otherwise": {
        "gen_ai.operation.name": "execute_tool",
        "openinference.span.kind": "LLM",
        "gen_ai.request.model": GPT,
        **USAGE,
    },
    "a tool with an operation that says otherwise": LOGFIRE | {"openinference.span.kind": "TOOL"},
    "a tool of OpenInference": {"openinference.span.kind": "TOOL", "llm.model_name": GPT},
    "a tool of the AI SDK": AI_SDK | {"ai.operationId": "ai.toolCall", **USAGE},
    "an agent that states no usage": {"gen_ai.operation.name": "invoke_agent"},
    "an attempt that states no usage": {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": GPT,
        "gen_ai.response.id": "gen-1795429147-2b6f:attempt-1",
    },
    "LiteLLM's raw request": {
        "gen_ai.system": "openrouter",
        "llm.openrouter.usage": "Usage(completion_tokens=9, prompt_tokens=9)",
        "llm.openrouter.model": GPT,
    },
    "a request of the HTTP client": {
        "http.url": "https://openrouter.ai/api/v1/chat/completions",
        "http.method": "POST",
        "model": GPT,
        "input_tokens": 5,
    },
}


@pytest.mark.parametrize("values", OTHERS.values(), ids=OTHERS)
def test_what_is_no_call_stays_byte_for_byte(values: dict[str, Value]) -> None:
    payload = request(span(values))

    assert enrich_request(payload, ENRICHER).payload is payload


def test_a_tools_estimate_is_no_price_for_an_unknown_model() -> None:
    estimates: dict[str, Value] = {name: 0.5 for d in DIALECTS for name in d.estimates}
    attributes = enriched(
        LOGFIRE
        | estimates
        | {"gen_ai.request.model": "example/unknown", "litellm.cost.original": 1}
    )

    assert attributes["genops.cost.unpriced_reason"] == "unknown_model"


@pytest.mark.parametrize("zero", ["usage", "cost"])
def test_a_copied_0_for_an_embedding_is_not_its_price(zero: str) -> None:
    counts: dict[str, Value] = {"gen_ai.usage.input_tokens": 0 if zero == "usage" else 500}
    attributes = enriched(
        {
            **LITELLM,
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": "openai/text-embedding-3-small",
            "gen_ai.usage.output_tokens": 0,
            **({"litellm.cost.total": 0.0} if zero == "cost" else {}),
            **counts,
        }
    )

    if zero == "cost":
        assert attributes["genops.cost.total"] == pytest.approx(500 * 0.02 / M)
    else:
        assert attributes["genops.cost.unpriced_reason"] == "no_usage"


@pytest.mark.parametrize(
    "host", ["openrouter.ai", "openrouter.ai:443", "openrouter.ai/api/v1", "https://openrouter.ai"]
)
def test_who_was_called_is_the_host_and_not_the_sdks_default(host: str) -> None:
    attributes = enriched(LOGFIRE | {"server.address": host, "gen_ai.request.model": "gpt-4o"})

    assert attributes["genops.provider"] == "openrouter"


@pytest.mark.parametrize(
    ("provider", "market"),
    [
        ("openai.chat", "openai"),
        ("google.vertex.chat", "google-vertex"),
        ("google.generative-ai", "google"),
        ("azure-openai.chat", "azure"),
        ("amazon-bedrock", "bedrock"),
        ("aws.bedrock", "bedrock"),
        ("vertex_ai_beta", "google-vertex"),
        ("OpenRouter", "openrouter"),
    ],
)
def test_providers_are_known_by_the_names_that_emitters_give_them(
    provider: str, market: str
) -> None:
    outcome = ENRICHER.enrich(
        span(
            LOGFIRE | {"gen_ai.provider.name": provider, "gen_ai.request.model": "none-such-1"}
        ).SerializeToString()
    )

    assert outcome.unknown_in == market


def test_what_broadcast_tells_of_is_billed_by_openrouter_whoever_made_the_model() -> None:
    attributes = enriched(BROADCAST)

    assert attributes["genops.provider"] == "openrouter"
    assert str(attributes["genops.pricing.entry"]).startswith("openrouter/")


def test_an_unknown_host_is_not_taken_for_openrouter() -> None:
    attributes = enriched(
        LOGFIRE | {"server.address": "llm.example.com", "gen_ai.request.model": SONNET}
    )

    assert attributes["genops.cost.unpriced_reason"] == "unknown_model"


@pytest.mark.parametrize("model", ["gpt-4o", GPT, "meta-llama/llama-3.1-70b-instruct"])
@pytest.mark.parametrize(
    "who",
    [
        {"gen_ai.provider.name": "ollama"},
        {"gen_ai.provider.name": "ollama", "server.address": "localhost"},
        {"server.address": "gpu-7.internal"},
    ],
)
def test_what_nobody_known_bills_is_not_taken_for_openrouters(
    who: dict[str, Value], model: str
) -> None:
    values = {**LOGFIRE, "gen_ai.request.model": model}
    del values["gen_ai.provider.name"]
    outcome = ENRICHER.enrich(span(values | who).SerializeToString())

    assert outcome.reason == "unknown_model"
    assert outcome.unknown_in == "openai_compatible"
    attributes = enriched(values | who)
    assert attributes.get("genops.provider") == who.get("gen_ai.provider.name")


@pytest.mark.parametrize("name", ["gen_ai.request.model", "gen_ai.response.model"])
def test_a_model_named_with_openrouter_before_it_is_openrouters_whoever_passes_it_on(
    name: str,
) -> None:
    attributes = enriched(
        LOGFIRE | {"gen_ai.provider.name": "litellm_proxy", name: f"openrouter/{GPT}"}
    )

    assert attributes["genops.provider"] == "openrouter"
    assert attributes["genops.cost.total"] == pytest.approx(float(PLAIN))


@pytest.mark.parametrize("nobody", ["Unknown", "Langchain", ""])
def test_a_name_that_stands_for_no_provider_leaves_it_to_the_model(nobody: str) -> None:
    attributes = enriched(LOGFIRE | {"gen_ai.provider.name": nobody})

    assert attributes["genops.provider"] == "openrouter"
    assert attributes["genops.cost.total"] == pytest.approx(float(PLAIN))


def test_an_overlay_can_price_what_nobody_known_bills(tmp_path: Path) -> None:
    overlay = tmp_path / "own.yaml"
    overlay.write_text(
        "overlay: own\nmarket: openai_compatible\nauthor: acme\nmodels:\n"
        "  - {id: acme/some-1, prices: [{effective_from: 2026-01-01,\n"
        '      usd_per_mtok: {input: "1", output: "2"}}]}\n'
    )
    enricher = Enricher(load_catalog([overlay]))

    outcome = enricher.enrich(
        span(
            LOGFIRE | {"gen_ai.provider.name": "ollama", "gen_ai.request.model": "acme/some-1"}
        ).SerializeToString()
    )

    assert outcome.total == pytest.approx((1000 * 1 + 100 * 2) / M)


@pytest.mark.parametrize("values", [v for v, _ in CALLS.values()] + [*AGGREGATES.values()])
def test_no_call_lacks_the_bytes_that_requests_are_searched_for(values: dict[str, Value]) -> None:
    bytes_of_span = span(values).SerializeToString()

    assert ENRICHER.enrich(bytes_of_span) is not NOT_LLM
    assert any(hint in bytes_of_span for hint in HINTS)


def test_an_id_that_is_empty_hides_no_other() -> None:
    outcome = ENRICHER.enrich(
        span(
            AI_SDK | {"gen_ai.response.id": "", "ai.response.id": "gen-1795429147-2b6f", **USAGE}
        ).SerializeToString()
    )

    assert outcome.response_id == "gen-1795429147-2b6f"


def test_reading_json_is_bounded_in_size_and_depth() -> None:
    deep = '{"total":' * 20_000 + "1" + "}" * 20_000
    for text in (deep, "[" * 100_000, '{"a":"' + "x" * 10_000_000 + '"}', "{", "1" * 5000, "NaN"):
        attributes = enriched(LANGFUSE | {"langfuse.observation.usage_details": text})

        assert attributes["genops.cost.unpriced_reason"] == "no_usage"


def test_a_span_with_a_key_that_stands_twice_counts_once() -> None:
    twice = (
        span(LOGFIRE).SerializeToString()
        + Span(attributes=span({"gen_ai.usage.input_tokens": 2000}).attributes).SerializeToString()
    )

    outcome = ENRICHER.enrich(twice)

    assert outcome.total == pytest.approx((2000 * 2.5 + 100 * 10) / M)
