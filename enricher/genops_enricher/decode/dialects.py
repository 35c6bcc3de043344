"""The table of dialects: who writes which attributes, and what they mean.

In the order in which they are trusted: where two speak of the same thing the earlier one counts, so
that a span with old and new names is never counted twice. Where a source says nothing about cached
tokens they are taken to be part of the input.
"""

from __future__ import annotations

from dataclasses import replace

from genops_enricher.decode.call import Kind
from genops_enricher.decode.dialect import Cost, Dialect, Document, KindRule

__all__ = ["DIALECTS", "HINTS", "NO_PROVIDERS", "PROVIDERS"]

HINTS = (b"gen_ai.", b"openinference.span.kind", b"ai.model.provider", b"langfuse.observation.")
"""Bytes of which one stands in every span that tells of a call, in any dialect.

They are looked for in whole requests, so they are few, and long where they can be.
"""

PROVIDERS = {
    "google.vertex": "gcp.vertex_ai",  # AI SDK
    "azure-openai": "azure.ai.openai",
    "vertex_ai_beta": "gcp.vertex_ai",  # LiteLLM
    "bedrock_converse": "aws.bedrock",
    "azure_ai": "azure.ai.inference",
    "vertexai": "gcp.vertex_ai",  # OpenInference
    "aws": "aws.bedrock",
}
"""Names of providers that the catalog does not know, and what OpenTelemetry calls them."""

NO_PROVIDERS = frozenset(("unknown", "langchain"))
"""What LiteLLM and OpenLLMetry write, in any case, where they do not know who was called."""

# The usage object of OpenAI's APIs, and of all that imitate them. OpenRouter adds what a call cost:
# https://openrouter.ai/docs/guides/guides/usage-accounting
_OPENAI_USAGE = {
    "prompt_tokens": "input",
    "input_tokens": "input",
    "completion_tokens": "output",
    "output_tokens": "output",
    "total_tokens": "total",
    "prompt_tokens_details/cached_tokens": "cache_read",
    "input_tokens_details/cached_tokens": "cache_read",
    "prompt_tokens_details/cache_write_tokens": "cache_write",
    "input_tokens_details/cache_write_tokens": "cache_write",
    "prompt_tokens_details/audio_tokens": "input_audio",
    "completion_tokens_details/reasoning_tokens": "reasoning",
    "output_tokens_details/reasoning_tokens": "reasoning",
    "completion_tokens_details/audio_tokens": "output_audio",
    "completion_tokens_details/image_tokens": "output_image",
    "server_tool_use_details/web_search_requests": "web_searches",  # OpenRouter, chat
    "server_tool_use/web_search_requests": "web_searches",
    # Anthropic's API: input_tokens are those after the last cache breakpoint.
    "cache_read_input_tokens": "cache_read_apart",
    "cache_creation_input_tokens": "cache_write_apart",
    "cache_creation/ephemeral_1h_input_tokens": "cache_write_1h",
}

# Anthropic's usage object tells of its fast mode and where the call was bound to run. Its tier
# `priority` is bought beforehand.
_ANTHROPIC_SPEED, _ANTHROPIC_REGION = "speed", "inference_geo"

# Where LiteLLM puts Anthropic's cache_creation/ephemeral_1h_input_tokens.
_LITELLM_HOUR = "prompt_tokens_details/cache_creation_token_details/ephemeral_1h_input_tokens"

_OPENROUTER_COST = Cost("cost", upstream="cost_details/upstream_inference_cost", byok="is_byok")

_OPERATIONS = {
    "chat": Kind.INFERENCE,
    "generate_content": Kind.INFERENCE,
    "text_completion": Kind.INFERENCE,
    "embeddings": Kind.EMBEDDINGS,
    "invoke_agent": Kind.AGGREGATE,
    "create_agent": Kind.AGGREGATE,
    "invoke_workflow": Kind.AGGREGATE,
    "plan": Kind.AGGREGATE,
    "execute_tool": Kind.TOOL,
    # Beyond the conventions: LiteLLM's names of its functions, the AI SDK's steps, Gemini CLI.
    "completion": Kind.INFERENCE,
    "acompletion": Kind.INFERENCE,
    "atext_completion": Kind.INFERENCE,
    "responses": Kind.INFERENCE,
    "aresponses": Kind.INFERENCE,
    "embedding": Kind.EMBEDDINGS,
    "aembedding": Kind.EMBEDDINGS,
    "agent_step": Kind.AGGREGATE,
    "llm_call": Kind.INFERENCE,
    "agent_call": Kind.AGGREGATE,
}

DIALECTS = (
    Dialect(
        title="OpenTelemetry GenAI conventions",
        source="https://github.com/open-telemetry/semantic-conventions-genai",
        kinds=(KindRule("gen_ai.operation.name", _OPERATIONS),),
        provider=("gen_ai.provider.name", "gen_ai.system"),
        served=("gen_ai.response.model",),
        asked=("gen_ai.request.model",),
        host=("server.address",),
        # Renamed in 1.37. The tier that served the call is the one that is billed.
        service_tier=("openai.response.service_tier", "gen_ai.openai.response.service_tier"),
        counts={
            "gen_ai.usage.input_tokens": "input",
            "gen_ai.usage.prompt_tokens": "input",  # until 1.27
            "gen_ai.usage.output_tokens": "output",
            "gen_ai.usage.completion_tokens": "output",  # until 1.27
            "gen_ai.usage.cache_read.input_tokens": "cache_read",
            "gen_ai.usage.cache_write.input_tokens": "cache_write",
            "gen_ai.usage.cache_creation.input_tokens": "cache_write",  # until 1.41
            "gen_ai.usage.reasoning.output_tokens": "reasoning",
            "gen_ai.usage.audio.input_tokens": "input_audio",
            "gen_ai.usage.audio.output_tokens": "output_audio",
            "gen_ai.usage.image.input_tokens": "input_image",
            "gen_ai.usage.image.output_tokens": "output_image",
        },
        # Proposed in semantic-conventions-genai, pull request 443.
        costs=(
            Cost(
                "gen_ai.usage.cost.amount",
                only_if=("gen_ai.usage.cost.source", "provider"),
                currency="gen_ai.usage.cost.currency",
            ),
        ),
        ids=("gen_ai.response.id",),
        note="The official instrumentations of the OpenAI SDK name `openai` as provider whoever is "
        "called: the host decides. Also GitHub Copilot, Envoy and Kong with these names.",
    ),
    Dialect(
        title="genops client",
        source="docs/attributes.md",
        provider=("genops.provider",),
        asked=("genops.model",),
        endpoint=("genops.openrouter.actual_provider",),
        counts={
            "genops.tokens.input": "input",
            "genops.tokens.output": "output",
            "genops.usage.web_search_requests": "web_searches",
        },
        costs=(
            Cost(
                "genops.cost.reported",
                upstream="genops.cost.upstream_reported",
                byok="genops.openrouter.is_byok",
            ),
        ),
    ),
    Dialect(
        title="OpenRouter Broadcast",
        source="https://openrouter.ai/docs/guides/features/broadcast/otel-collector",
        marks=(
            "trace.metadata.openrouter.source",
            "trace.metadata.openrouter.provider_name",
            "trace.metadata.openrouter.provider_slug",
            "span.metadata.model_permaslug",
        ),
        provider_is="openrouter",  # gen_ai.provider.name is the model's author here
        endpoint=("trace.metadata.openrouter.provider_slug",),
        costs=(Cost("gen_ai.usage.total_cost"),),
        note="The spans of attempts and of the generation repeat the response id with a suffix; "
        "they are no calls.",
    ),
    Dialect(
        title="OpenRouter Broadcast and Sentry",
        source="sentry_sdk/consts.py",
        counts={
            "gen_ai.usage.input_tokens.cached": "cache_read",
            "gen_ai.usage.input_tokens.cache_write": "cache_write",
            "gen_ai.usage.input_tokens.cache_write_5m": "cache_write_5m",
            "gen_ai.usage.input_tokens.cache_write_1h": "cache_write_1h",
            "gen_ai.usage.output_tokens.reasoning": "reasoning",
            "gen_ai.usage.output_tokens.image": "output_image",
        },
    ),
    Dialect(
        title="OpenLLMetry",
        source="opentelemetry-instrumentation-openai 0.62",
        kinds=(
            KindRule(
                "llm.request.type",
                {
                    "chat": Kind.INFERENCE,
                    "completion": Kind.INFERENCE,
                    "embedding": Kind.EMBEDDINGS,
                },
            ),
        ),
        host=("gen_ai.openai.api_base", "llm.openai.api_base"),
        counts={
            "llm.usage.prompt_tokens": "input",
            "llm.usage.completion_tokens": "output",
            "gen_ai.usage.cache_read_input_tokens": "cache_read",
            "gen_ai.usage.cache_creation_input_tokens": "cache_write",
            "gen_ai.usage.reasoning_tokens": "reasoning",
        },
        note="It strips the author from the model's name; the catalog finds it again where only "
        "one fits. Tokens written to a cache are left out, which makes the computed cost too low.",
    ),
    Dialect(
        title="pydantic-ai",
        source="pydantic_ai/usage.py, pydantic_ai/models/instrumented.py (2.68)",
        counts={
            "gen_ai.usage.details.cache_read_tokens": "cache_read",
            "gen_ai.usage.details.cache_write_tokens": "cache_write",
            "gen_ai.usage.details.reasoning_tokens": "reasoning",
            "gen_ai.usage.details.input_audio_tokens": "input_audio",
            "gen_ai.usage.details.output_audio_tokens": "output_audio",
        },
        estimates=("operation.cost",),
    ),
    Dialect(
        title="pydantic-ai, agents",
        source="pydantic_ai/models/instrumented.py (2.68)",
        marks=("gen_ai.aggregated_usage.input_tokens", "gen_ai.aggregated_usage.output_tokens"),
        kind=Kind.AGGREGATE,
        asked=("model_name",),
        counts={
            "gen_ai.aggregated_usage.input_tokens": "input",
            "gen_ai.aggregated_usage.output_tokens": "output",
            "gen_ai.aggregated_usage.cache_read.input_tokens": "cache_read",
            "gen_ai.aggregated_usage.cache_creation.input_tokens": "cache_write",
            "gen_ai.aggregated_usage.details.reasoning_tokens": "reasoning",
        },
    ),
    Dialect(
        title="Logfire",
        source="logfire/_internal/integrations/llm_providers/usage.py (5.2)",
        kinds=(
            KindRule("logfire.span_type", {"pending_span": Kind.AGGREGATE}, default=Kind.UNSTATED),
        ),
        documents=(
            Document(
                "gen_ai.usage.raw",
                _OPENAI_USAGE,
                _OPENROUTER_COST,
                service_tier=(_ANTHROPIC_SPEED,),
                region=_ANTHROPIC_REGION,
            ),
        ),
        estimates=("operation.cost",),
        note="The usage of a stream stands on a span of its own, of type `log`.",
    ),
    Dialect(
        title="LiteLLM",
        source="litellm/integrations/opentelemetry.py, litellm/integrations/otel (1.104)",
        marks=("litellm.call_id", "litellm.provider.model"),
        provider_prefix=("litellm.provider.model",),
        documents=(
            # On a stream of another market LiteLLM can put its own reckoning there
            # (`include_cost_in_streaming_usage`).
            Document(
                "metadata.usage_object",
                {**_OPENAI_USAGE, _LITELLM_HOUR: "cache_write_1h"},
                replace(_OPENROUTER_COST, only_on="openrouter"),
                service_tier=(_ANTHROPIC_SPEED,),
                region=_ANTHROPIC_REGION,
                python=True,
            ),
            Document(
                "hidden_params",
                cost=Cost(
                    "additional_headers/llm_provider-x-litellm-response-cost", only_on="openrouter"
                ),
            ),
        ),
        costs=(Cost("litellm.cost.total", unless="litellm.cost.original", only_on="openrouter"),),
        estimates=("gen_ai.cost.total_cost", "litellm.cost.total"),
        note="The child `raw_gen_ai_request` repeats the usage in a notation that nothing reads.",
    ),
    Dialect(
        title="OpenInference",
        source="https://arize-ai.github.io/openinference/spec/semantic_conventions.html",
        kinds=(
            KindRule(
                "openinference.span.kind",
                {
                    "llm": Kind.INFERENCE,
                    "embedding": Kind.EMBEDDINGS,
                    "agent": Kind.AGGREGATE,
                    "chain": Kind.AGGREGATE,
                    "tool": Kind.TOOL,
                },
            ),
        ),
        provider=("llm.provider", "llm.system"),
        served=("llm.model_name", "embedding.model_name"),
        counts={
            "llm.token_count.prompt": "input",
            "llm.token_count.completion": "output",
            "llm.token_count.prompt_details.cache_read": "cache_read",
            "llm.token_count.prompt_details.cache_input": "cache_read",
            "llm.token_count.prompt_details.cache_write": "cache_write",
            "llm.token_count.prompt_details.cache_creation": "cache_write",
            "llm.token_count.prompt_details.audio": "input_audio",
            "llm.token_count.completion_details.reasoning": "reasoning",
            "llm.token_count.completion_details.audio": "output_audio",
        },
        estimates=("llm.cost.total", "llm.cost.prompt", "llm.cost.completion"),
        note="Also Envoy AI Gateway by default.",
    ),
    Dialect(
        title="Vercel AI SDK, up to 6",
        source="https://ai-sdk.dev/docs/ai-sdk-core/telemetry",
        marks=("ai.operationId", "ai.model.provider"),
        kinds=(
            KindRule(
                "ai.operationId",
                {
                    "dogenerate": Kind.INFERENCE,
                    "dostream": Kind.INFERENCE,
                    "doembed": Kind.EMBEDDINGS,
                    "toolcall": Kind.TOOL,
                },
                default=Kind.AGGREGATE,
                last_word=True,
            ),
        ),
        provider=("ai.model.provider",),
        served=("ai.response.model",),
        asked=("ai.model.id",),
        counts={
            "ai.usage.inputTokens": "input",
            "ai.usage.promptTokens": "input",  # 4
            "ai.usage.tokens": "input",  # of embeddings
            "ai.usage.outputTokens": "output",
            "ai.usage.completionTokens": "output",  # 4
            "ai.usage.cachedInputTokens": "cache_read",
            "ai.usage.inputTokenDetails.cacheReadTokens": "cache_read",
            "ai.usage.inputTokenDetails.cacheWriteTokens": "cache_write",
            "ai.usage.reasoningTokens": "reasoning",
            "ai.usage.outputTokenDetails.reasoningTokens": "reasoning",
        },
        documents=(
            Document(
                "ai.response.providerMetadata",
                {
                    "openrouter/usage/promptTokensDetails/cachedTokens": "cache_read",
                    "openrouter/usage/completionTokensDetails/reasoningTokens": "reasoning",
                    "anthropic/cacheCreationInputTokens": "cache_write_apart",
                    # The usage object of Anthropic's API, from 5 on; 5 leaves cached tokens out of
                    # its own count of the input too, 6 does not.
                    "anthropic/usage/input_tokens": "input",
                    "anthropic/usage/output_tokens": "output",
                    "anthropic/usage/cache_read_input_tokens": "cache_read_apart",
                    "anthropic/usage/cache_creation_input_tokens": "cache_write_apart",
                    "anthropic/usage/cache_creation/ephemeral_1h_input_tokens": "cache_write_1h",
                },
                Cost(
                    "openrouter/usage/cost",
                    upstream="openrouter/usage/costDetails/upstreamInferenceCost",
                ),
                service_tier=(
                    "openai/serviceTier",
                    "azure/serviceTier",
                    "google/serviceTier",
                    "google/usageMetadata/trafficType",
                    "vertex/usageMetadata/trafficType",
                    "googleVertex/usageMetadata/trafficType",
                    "bedrock/serviceTier/type",
                    "bedrock/performanceConfig/latency",
                    "anthropic/usage/speed",
                ),
                region="anthropic/usage/inference_geo",
            ),
        ),
        ids=("ai.response.id",),
        note="Version 7 writes OpenTelemetry's names.",
    ),
    Dialect(
        title="Langfuse SDK",
        source="langfuse/_client/attributes.py, langfuse/openai.py (5.0)",
        kinds=(
            KindRule(
                "langfuse.observation.type",
                {
                    "generation": Kind.INFERENCE,
                    "embedding": Kind.EMBEDDINGS,
                    "agent": Kind.AGGREGATE,
                    "chain": Kind.AGGREGATE,
                    "span": Kind.AGGREGATE,
                    "tool": Kind.TOOL,
                },
            ),
        ),
        served=("langfuse.observation.model.name",),
        documents=(
            Document(
                "langfuse.observation.usage_details",
                {
                    **_OPENAI_USAGE,
                    "input": "input",
                    "output": "output",
                    "total": "total",
                    # Langfuse's own keys stand for parts that do not overlap, if they are so used.
                    "input_cached_tokens": "cache_read_apart",
                    "input_cache_read": "cache_read_apart",
                    "input_cache_creation": "cache_write_apart",
                    "output_reasoning_tokens": "reasoning_apart",
                    "output_reasoning": "reasoning_apart",
                },
            ),
            # Copied from OpenRouter's usage; for others it is what the application passed.
            Document("langfuse.observation.cost_details", cost=Cost("total", only_on="openrouter")),
        ),
        estimates=("langfuse.observation.cost_details",),
    ),
    Dialect(
        title="Claude SDK and Claude API",
        source="https://platform.claude.com/docs/en/api/opentelemetry/spans",
        counts={
            "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
            "anthropic.usage.compaction.input_tokens": "input_besides",
            "anthropic.usage.compaction.output_tokens": "output_besides",
        },
        note="With OpenTelemetry's names for the rest. What compaction consumed is billed, and no "
        "part of the input and output stated there.",
    ),
    Dialect(
        title="Claude Code",
        source="https://code.claude.com/docs/en/monitoring-usage",
        marks=("cache_read_tokens", "cache_creation_tokens"),
        kinds=(KindRule("span.type", {"llm_request": Kind.INFERENCE}),),
        asked=("model",),
        service_tier=("speed",),
        counts={
            "input_tokens": "input",
            "output_tokens": "output",
            "cache_read_tokens": "cache_read_apart",
            "cache_creation_tokens": "cache_write_apart",
        },
    ),
    Dialect(
        title="Codex CLI, turns",
        source="https://github.com/openai/codex",
        marks=("codex.turn.token_usage.input_tokens", "codex.turn.token_usage.output_tokens"),
        kind=Kind.AGGREGATE,
        counts={
            "codex.turn.token_usage.input_tokens": "input",
            "codex.turn.token_usage.output_tokens": "output",
            "codex.turn.token_usage.cached_input_tokens": "cache_read",
            "codex.turn.token_usage.cache_write_input_tokens": "cache_write",
            "codex.turn.token_usage.reasoning_output_tokens": "reasoning",
        },
        note="The total of a turn, whose requests have spans of their own.",
    ),
    Dialect(
        title="Codex CLI, requests",
        source="https://github.com/openai/codex",
        marks=("cached_input_tokens", "reasoning_output_tokens"),
        counts={
            "cached_input_tokens": "cache_read",
            "cache_write_input_tokens": "cache_write",
            "reasoning_output_tokens": "reasoning",
        },
    ),
    Dialect(
        title="Gemini CLI",
        source="https://github.com/google-gemini/gemini-cli/blob/main/docs/cli/telemetry.md",
        marks=("thoughts_token_count", "cached_content_token_count"),
        counts={
            "gen_ai.usage.output_tokens": "output",  # named here too: thoughts come beside it
            "input_token_count": "input",
            "output_token_count": "output",
            "cached_content_token_count": "cache_read",
            "thoughts_token_count": "reasoning_apart",
        },
        note="Thoughts are no part of the output that it states, and are billed as output.",
    ),
    Dialect(
        title="agentgateway",
        source="crates/agentgateway/src/telemetry/log.rs",
        marks=("agw.ai.usage.cost.total", "agw.ai.usage.cost.input"),
        estimates=("agw.ai.usage.cost.total",),
        exclusive_for="anthropic",
        note="It passes on Anthropic's own counts, where cached tokens come beside the input.",
    ),
    Dialect(
        title="OpenLIT",
        source="openlit/semcov/__init__.py (1.44)",
        estimates=("gen_ai.usage.cost",),
        note="Its cost is reckoned from a table of its own, and 0 where that lacks the model. "
        "Where a stream brings no usage it estimates the tokens, which does not show on the span.",
    ),
)
