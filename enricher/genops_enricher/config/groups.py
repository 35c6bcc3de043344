"""Ready-made lists of patterns: under which names emitters write prompts, users and errors.

One table, from which the reference page is made too. The emitters are those of the dialects, and
some more that are known to write content. Names were taken from the sources that `dialects` cites,
from the recordings of their packages, and from the semantic conventions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["GROUPS", "Group"]


@dataclass(frozen=True, slots=True)
class Group:
    """Patterns with one purpose, by who writes such names."""

    meaning: str
    by_emitter: Mapping[str, tuple[str, ...]]

    @property
    def patterns(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys(p for each in self.by_emitter.values() for p in each))


# `llm.PROVIDER.prompt`, and no `llm.cost.prompt` and `llm.token_count.prompt`, which are numbers.
_NO_NUMBERS = ("[!ct]", "c[!o]", "co[!s]", "t[!o]", "to[!k]")

GROUPS: Mapping[str, Group] = {
    "content": Group(
        "What was asked and answered: prompts, completions, system instructions, tools with their "
        "arguments and results, documents, embeddings.",
        {
            "OpenTelemetry GenAI conventions": (
                "gen_ai.input.messages",
                "gen_ai.output.messages",
                "gen_ai.system_instructions",
                "gen_ai.tool.definitions",
                "gen_ai.tool.description",
                "gen_ai.tool.call.arguments",
                "gen_ai.tool.call.result",
                "gen_ai.retrieval.*",
                "gen_ai.evaluation.explanation",
                "gen_ai.prompt",  # until 1.37, and on events
                "gen_ai.completion",
                "gen_ai.event.content",
                "gen_ai.*.body",  # bodies of log records whose event begins so
            ),
            "OpenLLMetry": (
                "gen_ai.prompt.*",
                "gen_ai.completion.*",
                "traceloop.entity.input",
                "traceloop.entity.output",
                "llm.prompts",
                "llm.prompts.*",
                "llm.completions",
                "llm.completions.*",
                "llm.request.functions.*",
            ),
            "OpenLIT": (
                "gen_ai.content.*",
                "gen_ai.tool.args",
                "gen_ai.tool.message",
                "gen_ai.tool.result",
            ),
            "Sentry": (
                "gen_ai.request.messages",
                "gen_ai.request.available_tools",
                "gen_ai.response.text",
                "gen_ai.response.object",
                "gen_ai.response.tool_calls",
                "gen_ai.tool.input",
                "gen_ai.tool.output",
                "gen_ai.embeddings.input",
            ),
            "OpenRouter Broadcast": (
                "trace.input",
                "trace.output",
                "span.input",
                "span.output",
            ),
            "OpenInference": (
                "input.value",
                "output.value",
                "input.audio.*",
                "output.audio.*",
                "llm.input_messages",
                "llm.input_messages.*",
                "llm.output_messages",
                "llm.output_messages.*",
                "llm.choices",
                "llm.choices.*",
                "llm.prompt_template.*",
                "llm.function_call",
                "llm.tools",
                "llm.tools.*",
                "llm.invocation_parameters",  # of the Responses API the instructions too
                "embedding.embeddings",
                "embedding.embeddings.*",
                "embedding.invocation_parameters",
                "embedding.text",
                "embedding.vector",
                "retrieval.documents",
                "retrieval.documents.*",
                "reranker.query",
                "reranker.input_documents*",
                "reranker.output_documents*",
                "document.content",
                "tool.parameters",
                "tool.json_schema",
                "tool.description",
            ),
            "LiteLLM": (
                "gen_ai.tool.*.parameters",
                "gen_ai.tool.*.description",
                "llm.*.messages",
                "llm.*.system",
                "llm.*.instructions",
                "llm.*.contents",
                "llm.*.choices",
                "llm.*.content",
                "llm.*.data",
                "llm.*.tools",
                "llm.*.functions",
                "llm.*.extra_body",
                "llm.*.response_format",
                "llm.*.*_raw_response",
                *(f"llm.{start}*.prompt" for start in _NO_NUMBERS),
                *(f"llm.{start}*.input" for start in _NO_NUMBERS),
                *(f"llm.{start}*.output" for start in _NO_NUMBERS),
            ),
            "Vercel AI SDK": (
                "ai.prompt",
                "ai.prompt.*",
                "ai.response.text",
                "ai.response.object",
                "ai.response.reasoning",
                "ai.response.toolCalls",
                "ai.response.files",
                "ai.response.providerMetadata",  # of OpenRouter the reasoning too
                "ai.result.*",
                "ai.toolCall.args",
                "ai.toolCall.result",
                "ai.schema*",
                "ai.value",
                "ai.values",
                "ai.embedding",
                "ai.embeddings",
                "ai.documents",
                "ai.ranking",
            ),
            "Langfuse SDK": (
                "langfuse.observation.input",
                "langfuse.observation.output",
                "langfuse.trace.input",
                "langfuse.trace.output",
            ),
            "Logfire and pydantic-ai": (
                "request_data",
                "response_data",
                "events",
                "all_messages_events",
                "pydantic_ai.all_messages",
                "final_result",
                "tool_arguments",
                "tool_response",
                "model_request_parameters",
                "logfire.msg",
            ),
            "Claude Code, Codex CLI, Gemini CLI": (
                "prompt",
                "user_prompt",
                "arguments",
                "output",
                "tool_input",
                "tool_parameters",
                "tool_result",
                "function_args",
                "request_text",
                "response_text",
                "body",  # the attribute
            ),
            "Google ADK": (
                "gcp.vertex.agent.llm_request",
                "gcp.vertex.agent.llm_response",
                "gcp.vertex.agent.tool_call_args",
                "gcp.vertex.agent.tool_response",
                "gcp.vertex.agent.data",
            ),
            "MLflow": ("mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.chat.*"),
        },
    ),
    "user": Group(
        "Who asked: ids, names and addresses of users. Customers and teams, by which cost is "
        "summed, are not in it.",
        {
            "OpenTelemetry conventions": (
                "user.*",
                "enduser.*",
                "client.address",
            ),
            "genops client": ("genops.user_id",),
            "OpenLLMetry, OpenLIT, Sentry": (
                "llm.user",
                "gen_ai.user",
                "gen_ai.request.user",
                "gen_ai.openai.request.user",
                "traceloop.association.properties.user*",
            ),
            "LiteLLM": (
                "metadata.user_api_key_user_*",
                "metadata.user_api_key_end_user_id",
                "metadata.requester_ip_address",
            ),
            "OpenRouter Broadcast": ("trace.metadata.openrouter.user_id",),
            "Langfuse SDK": ("langfuse.user.id",),
            "Vercel AI SDK": ("ai.telemetry.metadata.user*",),
            "Google ADK": ("gcp.vertex.agent.user_id",),
        },
    ),
    "errors": Group(
        "Texts of errors, which may repeat what was asked.",
        {
            "OpenTelemetry conventions": (
                "exception.message",
                "exception.stacktrace",
                "error.message",
                "span.status.message",
            ),
            "LiteLLM": ("error.stack_trace", "litellm.provider.error.*"),
            "Langfuse SDK": (
                "langfuse.observation.status_message",
                "langfuse.observation.metadata.error",
            ),
        },
    ),
}
