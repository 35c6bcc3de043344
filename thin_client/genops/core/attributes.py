"""The names of the attributes that the client writes, and what each means.

Names under `gen_ai.`, `openai.`, `server.`, `http.` and `error.` are OpenTelemetry semantic
conventions (https://github.com/open-telemetry/semantic-conventions-genai); they are spelled out
here because the convention's constants are unstable and live outside the API package. Governance
names (`genops.<key>`) are made in `governance`. Costs, model families and tiers are not here: they
follow from these facts, and the enricher writes them.
"""

from __future__ import annotations

from typing import Final

# What was called.
OPERATION_NAME: Final = "gen_ai.operation.name"  # chat, text_completion, embeddings
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"  # bool, written when true
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
GENOPS_PROVIDER: Final = "genops.provider"  # as gen_ai.provider.name
GENOPS_MODEL: Final = "genops.model"  # the model asked for

# What came back.
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"  # one per choice
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"  # seconds, double
RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
STREAM_COMPLETED: Final = "genops.stream.completed"  # bool: the caller read the stream to its end
ERROR_TYPE: Final = "error.type"  # class of the exception, or the code in an error body
HTTP_STATUS: Final = "http.response.status_code"  # of a refused request

# What was said, as JSON; only if the operator asks for it, see `content`.
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
CONTENT_TRUNCATED: Final = "genops.content.truncated"  # bool, written when true

# Tokens. Inclusive: input counts cached and audio tokens, output counts reasoning.
USAGE_INPUT: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
USAGE_AUDIO_INPUT: Final = "gen_ai.usage.audio.input_tokens"
USAGE_AUDIO_OUTPUT: Final = "gen_ai.usage.audio.output_tokens"
USAGE_IMAGE_OUTPUT: Final = "gen_ai.usage.image.output_tokens"
USAGE_WEB_SEARCHES: Final = "genops.usage.web_search_requests"  # the conventions have no name
TOKENS_INPUT: Final = "genops.tokens.input"
TOKENS_OUTPUT: Final = "genops.tokens.output"
TOKENS_TOTAL: Final = "genops.tokens.total"

# What the provider says the call cost. USD, double.
COST_REPORTED: Final = "genops.cost.reported"
COST_UPSTREAM_REPORTED: Final = "genops.cost.upstream_reported"  # paid with the caller's own key

# The tightest budget that the caller set for the call. USD, double.
BUDGET_LIMIT: Final = "genops.budget.limit"

# OpenRouter: asked by the caller.
ROUTING_STRATEGY: Final = "genops.openrouter.routing_strategy"  # the caller's route=
PREFERRED_PROVIDER: Final = "genops.openrouter.preferred_provider"  # first of the caller's order
PREDICTED_PROVIDER: Final = "genops.openrouter.predicted_provider"  # same; absent if none was given

# OpenRouter: observed in the response.
ROUTER_STRATEGY: Final = "genops.openrouter.router_strategy"  # direct, auto, fallback, …
ACTUAL_PROVIDER: Final = "genops.openrouter.actual_provider"  # slug of the host that served
ACTUAL_PROVIDER_NAME: Final = "genops.openrouter.actual_provider_name"  # its name as reported
FALLBACK_USED: Final = "genops.openrouter.fallback_used"
ATTEMPTS: Final = "genops.openrouter.attempts"  # from 1
REGION: Final = "genops.openrouter.region"
IS_BYOK: Final = "genops.openrouter.is_byok"  # billed to the caller's own provider key
GENERATION_ID: Final = "genops.openrouter.generation_id"

# Span event: one per attempt of OpenRouter's that failed before the answer came.
ATTEMPT_FAILED_EVENT: Final = "genops.openrouter.attempt_failed"
ATTEMPT_PROVIDER: Final = "genops.openrouter.attempt.provider"
ATTEMPT_MODEL: Final = "genops.openrouter.attempt.model"
ATTEMPT_STATUS: Final = "genops.openrouter.attempt.status"  # HTTP status
