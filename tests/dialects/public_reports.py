"""Public threads in which a tool's cost is wrong, the spans that they are about, and what is right.

The usage of a thread becomes spans as the emitter in question writes them. What is right is
written out as tokens times a price. `python -m dialects.public_reports`, run in `tests/`, writes
what the enricher makes of them to docs/reports.md. Numbers that a thread does not state are ours,
and its note says which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_enricher.seen.duplicates import Duplicates
from genops_pricing import load_catalog
from otlp import Value, plain_attributes, request, span, spans_of

__all__ = ["BLIND", "PAGE", "REPORTS", "Blind", "Report", "Telling", "enriched", "page"]

PAGE = Path(__file__).parents[2] / "docs" / "reports.md"
_OVERLAYS = Path(__file__).parent / "overlays"


class Term(NamedTuple):
    """A part of a cost."""

    text: str
    usd: Decimal
    source: str  # genops.cost.source


def mtok(tokens: int, usd_per_million: str) -> Term:
    """Tokens at a price of the catalog."""
    usd = tokens * Decimal(usd_per_million) / 1_000_000
    return Term(f"{tokens:,} × {usd_per_million}", usd, "computed")


def bill(usd: str) -> Term:
    """What the provider says that it charged."""
    return Term(f"{usd} reported", Decimal(usd), "reported")


@dataclass(frozen=True, slots=True)
class Telling:
    """A span, and what is to become of it: its cost, or the reason why it has none."""

    attributes: Mapping[str, Value]
    right: tuple[Term, ...] | str


@dataclass(frozen=True, slots=True)
class Report:
    """A thread. `theirs` is what the tool made of it, `stated` what the thread says is right."""

    thread: str
    opened: date
    fault: str
    usage: str
    tellings: tuple[Telling, ...]
    theirs: str = ""  # USD
    stated: str = ""  # USD, in the digits of the thread
    note: str = ""
    overlay: str = ""  # a file of overlays/, with prices that the catalog does not have

    @property
    def costs(self) -> list[tuple[Term, ...]]:
        """The cost of each span that has one."""
        return [telling.right for telling in self.tellings if not isinstance(telling.right, str)]

    @property
    def right(self) -> Decimal | None:
        """USD of all spans, written out; None if there is no cost to be had."""
        if not self.costs:
            return None
        return sum((term.usd for terms in self.costs for term in terms), Decimal())


def enriched(
    opened: date, tellings: Sequence[Telling], overlay: str = ""
) -> list[dict[str, object]]:
    """The spans, as of that day, as they leave the enricher."""
    overlays = [_OVERLAYS / overlay] if overlay else []
    end_ns = int(datetime.combine(opened, time(12), UTC).timestamp()) * 1_000_000_000
    payload = request(
        *(
            span(telling.attributes, end_ns=end_ns, number=number)
            for number, telling in enumerate(tellings, 1)
        )
    )
    with Duplicates(window_s=60, max_ids=100).request() as seen:
        after = enrich_request(payload, Enricher(load_catalog(overlays)), seen=seen).payload
    return [plain_attributes(each) for each in spans_of(after)]


# How emitters write a call. Counts are given as the emitter's own attributes have them.


def otel(
    provider: str, model: str, prompt: int, completion: int, **more: Value
) -> dict[str, Value]:
    """OpenTelemetry's names, as LiteLLM 2, pydantic-ai, OpenLIT and the AI SDK 7 use them, too."""
    counts = {
        "cache_read": "gen_ai.usage.cache_read.input_tokens",
        "cache_write": "gen_ai.usage.cache_creation.input_tokens",
        "reasoning": "gen_ai.usage.reasoning.output_tokens",
        "id": "gen_ai.response.id",
    }
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": prompt,
        "gen_ai.usage.output_tokens": completion,
        **{counts.get(name, name): value for name, value in more.items()},
    }


def langfuse(model: str, **usage: int | dict[str, int]) -> dict[str, Value]:
    return {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": model,
        "langfuse.observation.usage_details": json.dumps(usage),
    }


def openinference(model: str, kind: str = "LLM", **counts: int) -> dict[str, Value]:
    return {
        "openinference.span.kind": kind,
        "llm.model_name": model,
        **{
            f"llm.token_count.{name.replace('__', '_details.')}": value
            for name, value in counts.items()
        },
    }


def logfire(
    model: str, prompt: int, completion: int, usage: Mapping[str, object]
) -> dict[str, Value]:
    return {
        **otel("openai", model, prompt, completion),
        "gen_ai.system": "openai",
        "logfire.span_type": "span",
        "gen_ai.usage.raw": json.dumps(usage),
    }


def ai_sdk(
    provider: str, model: str, prompt: int, completion: int, more: Mapping[str, Value]
) -> dict[str, Value]:
    """The AI SDK until 6."""
    return {
        "operation.name": "ai.streamText.doStream",
        "ai.operationId": "ai.streamText.doStream",
        "ai.model.provider": provider,
        "ai.model.id": model,
        "ai.response.model": model,
        "ai.usage.inputTokens": prompt,
        "ai.usage.outputTokens": completion,
        "gen_ai.system": provider,
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": prompt,
        "gen_ai.usage.output_tokens": completion,
        **more,
    }


REPORTS = (
    Report(
        "Agenta-AI/agenta#5711",
        date(2026, 8, 3),
        "Cached tokens at the full price of input: 6.6 times too much",
        "gemini-3.5-flash: 25,978 in, of which 24,540 cached; 13 out",
        (
            Telling(
                otel("gcp.gemini", "gemini-3.5-flash", 25_978, 13, cache_read=24_540),
                (mtok(1_438, "1.5"), mtok(24_540, "0.15"), mtok(13, "9")),
            ),
        ),
        theirs="0.039084",
        stated="0.005955",
        note="The 13 tokens of output follow from the two figures.",
    ),
    Report(
        "BerriAI/litellm#14849",
        date(2025, 9, 24),
        "Cached tokens twice: as input and as cached",
        "gemini-2.5-pro: 262,960 in, of which 257,955 cached; 1,744 out",
        (
            Telling(
                otel("gcp.gemini", "gemini-2.5-pro", 262_960, 1_744, cache_read=257_955),
                (mtok(5_005, "2.50"), mtok(257_955, "0.625"), mtok(1_744, "15")),
            ),
        ),
        theirs="0.7642",
        overlay="gemini-2.5-pro.yaml",
        note=(
            "The thread's own 0.1849 takes the prices of short prompts for input and output, and "
            "that of long ones for what was cached. The catalog's row for that month states the "
            "cached price of later (0.25); an overlay states that of the thread."
        ),
    ),
    Report(
        "BerriAI/litellm#14874",
        date(2025, 9, 24),
        "Cached tokens twice, because the provider counts them as text, too",
        "prices made up by the thread: 2,739 in, of which 2,634 cached; 2,693 in, of which 2,585 "
        "cached; 5 out each",
        (
            Telling(
                otel("xai", "dear-when-cached", 2_739, 5, cache_read=2_634),
                (mtok(105, "0.0001"), mtok(2_634, "3000"), mtok(5, "0.00001")),
            ),
            Telling(
                otel("xai", "dear-when-not-cached", 2_693, 5, cache_read=2_585),
                (mtok(108, "200"), mtok(2_585, "0.00001"), mtok(5, "0.00001")),
            ),
        ),
        theirs="15.804",
        overlay="litellm-14874.yaml",
        note="The tool made 7.902 of both. The second output is ours.",
    ),
    Report(
        "BerriAI/litellm#11364",
        date(2026, 1, 19),
        "Cached tokens at the wrong prices: an eighth of the cost",
        "claude-opus-4-5-20251101: 98,805 in, of which 66,360 read from and 32,435 written to the "
        "cache; 5,120 out, of which 1,710 reasoning",
        (
            Telling(
                langfuse(
                    "claude-opus-4-5-20251101",
                    prompt_tokens=98_805,
                    completion_tokens=5_120,
                    total_tokens=103_925,
                    prompt_tokens_details={"cached_tokens": 66_360},
                    completion_tokens_details={"reasoning_tokens": 1_710},
                    cache_read_input_tokens=66_360,
                    cache_creation_input_tokens=32_435,
                ),
                (mtok(10, "5"), mtok(66_360, "0.5"), mtok(32_435, "6.25"), mtok(5_120, "25")),
            ),
        ),
        theirs="0.04708",
        note=(
            "On Bedrock in the EU, whose price the catalog has from 2026-02-06 on only; here as "
            "OpenRouter bills it. The usage as the OpenAI SDK passes it on to Langfuse."
        ),
    ),
    Report(
        "langfuse/langfuse#10592",
        date(2025, 11, 20),
        "Cached tokens added to an input that has them already",
        "over OpenRouter: 17,903 in, of which 17,817 cached",
        (
            Telling(
                langfuse(
                    "openai/gpt-4.1",
                    input=17_903,
                    output=0,
                    total=17_903,
                    input_cached_tokens=17_817,
                ),
                (mtok(86, "2"), mtok(17_817, "0.5")),
            ),
        ),
        theirs="0.0447145",
        note="The thread names no model and no output: gpt-4.1 and 0 are ours, and so are the USD.",
    ),
    Report(
        "langfuse/langfuse#8559",
        date(2025, 8, 15),
        "No price for cached tokens: 2.83 times OpenAI's bill",
        "gpt-4.1: 10,000 in, of which 8,622 cached",
        (
            Telling(
                otel("openai", "gpt-4.1", 10_000, 0, cache_read=8_622),
                (mtok(1_378, "2"), mtok(8_622, "0.5")),
            ),
        ),
        theirs="0.02",
        note="The thread states the factor only; model and counts are ours, and give it.",
    ),
    Report(
        "langfuse/langfuse#2112",
        date(2024, 5, 21),
        "An answer from LangChain's own cache is charged once more",
        "gpt-3.5-turbo: 14 in, 300 out, and the same response again",
        (
            Telling(
                otel("openai", "gpt-3.5-turbo", 14, 300, id="chatcmpl-9RMcR5bYv0rkJ2HTQ6kqhqbW"),
                (mtok(14, "0.5"), mtok(300, "1.5")),
            ),
            Telling(
                otel("openai", "gpt-3.5-turbo", 14, 300, id="chatcmpl-9RMcR5bYv0rkJ2HTQ6kqhqbW"),
                "duplicate",
            ),
        ),
        theirs="0.000914",
        note="Counts are ours. The response from the cache has the id of the one that was paid.",
    ),
    Report(
        "Arize-ai/coding-harness-tracing#66",
        date(2026, 6, 16),
        "Input, cache reads and cache writes of Claude Code summed up: 3 to 4 times too much",
        "claude-opus-4-8: 131,000 in, of which 120,000 read from and 10,000 written to the cache; "
        "3,000 out",
        (
            Telling(
                openinference(
                    "claude-opus-4-8",
                    prompt=131_000,
                    completion=3_000,
                    prompt__cache_read=120_000,
                    prompt__cache_write=10_000,
                ),
                (mtok(1_000, "5"), mtok(120_000, "0.5"), mtok(10_000, "6.25"), mtok(3_000, "25")),
            ),
        ),
        theirs="0.73",
        note="The counts are ours. The emitter writes them so since it was mended.",
    ),
    Report(
        "pydantic/logfire#1494",
        date(2025, 10, 19),
        "Gemini's thinking tokens left out: almost half of the cost",
        "gemini-2.5-pro: 40,000 in; 2,500 out, and 6,000 to think",
        (
            Telling(
                otel("gcp.gemini", "gemini-2.5-pro", 40_000, 8_500, reasoning=6_000),
                (mtok(40_000, "1.25"), mtok(8_500, "10")),
            ),
        ),
        theirs="0.075",
        stated="0.135",
        note=(
            "The thread's counts are in pictures; these give both of its figures. OpenTelemetry's "
            "instrumentation has the thinking in the output since 2026, and it is not to be added."
        ),
    ),
    Report(
        "pydantic/genai-prices#400",
        date(2026, 6, 9),
        "OpenRouter's -1, for a price that depends on the route, is taken for a price",
        "openrouter/auto, which model served is not said: 1,000 in, 100 out",
        (Telling(otel("openrouter", "openrouter/auto", 1_000, 100), "dynamic_price"),),
        note="Counts are ours.",
    ),
    Report(
        "earendil-works/pi#8875",
        date(2026, 8, 31),
        "The same -1 as a million USD per million tokens",
        "openrouter/auto, served by deepseek-v4-flash-0731: 32,353 in, 287 out",
        (
            Telling(
                {
                    **otel("openrouter", "deepseek/deepseek-v4-flash-0731", 32_353, 287),
                    "gen_ai.request.model": "openrouter/auto",
                },
                (mtok(32_353, "0.08"), mtok(287, "0.18")),
            ),
        ),
        theirs="-32640",
    ),
    Report(
        "confident-ai/deepeval#2741",
        date(2026, 6, 10),
        "No place for cached tokens, which OpenAI counts as input and Anthropic does not",
        "gpt-4o: 10,000 in, of which 8,000 cached; claude-sonnet-4-6: 2,000 in and 8,000 cached; "
        "100 out each",
        (
            Telling(
                otel("openai", "gpt-4o", 10_000, 100, cache_read=8_000),
                (mtok(2_000, "2.5"), mtok(8_000, "1.25"), mtok(100, "10")),
            ),
            Telling(
                otel("anthropic", "claude-sonnet-4-6", 2_000, 100, cache_read=8_000),
                (mtok(2_000, "3"), mtok(8_000, "0.3"), mtok(100, "15")),
            ),
        ),
        theirs="0.0575",
        note=(
            "Models and counts are ours. More read from the cache than came in: such an input "
            "leaves out what was cached."
        ),
    ),
    Report(
        "pydantic/logfire#1316",
        date(2025, 8, 13),
        "Cached tokens not charged",
        "gpt-5-mini: 2,746 in, of which 2,208 cached; 197 out, of which 64 reasoning",
        (
            Telling(
                logfire(
                    "gpt-5-mini",
                    2_746,
                    197,
                    {
                        "prompt_tokens": 2_746,
                        "completion_tokens": 197,
                        "prompt_tokens_details": {"cached_tokens": 2_208},
                        "completion_tokens_details": {"reasoning_tokens": 64},
                    },
                ),
                (mtok(538, "0.25"), mtok(2_208, "0.025"), mtok(197, "2")),
            ),
        ),
        stated="0.000584",
    ),
    Report(
        "earendil-works/pi#2148",
        date(2026, 3, 14),
        "Cached tokens twice",
        "gemini-3-flash-preview: 20,212 in, of which 16,298 cached; 931 out",
        (
            Telling(
                otel("gcp.gemini", "gemini-3-flash-preview", 20_212, 931)
                | {"gen_ai.usage.cache_read_input_tokens": 16_298},
                (mtok(3_914, "0.5"), mtok(16_298, "0.05"), mtok(931, "3")),
            ),
        ),
        theirs="0.0137",
        stated="0.0056",
    ),
    Report(
        "anomalyco/opencode#534",
        date(2025, 6, 29),
        "Cached tokens at the full price of input: 3 USD where OpenRouter charged 0.13",
        "anthropic/claude-3-7-sonnet-20250219: 15,328 in, of which 15,252 read from and 70 written "
        "to the cache; 457 out",
        (
            Telling(
                ai_sdk(
                    "openrouter",
                    "anthropic/claude-3-7-sonnet-20250219",
                    15_328,
                    457,
                    {
                        "ai.usage.cachedInputTokens": 15_252,
                        "ai.usage.inputTokenDetails.cacheReadTokens": 15_252,
                        "ai.usage.inputTokenDetails.cacheWriteTokens": 70,
                    },
                ),
                (mtok(6, "3"), mtok(15_252, "0.3"), mtok(70, "3.75"), mtok(457, "15")),
            ),
        ),
        stated="0.0117111",
        note=(
            "One call of that session, to the last digit what OpenRouter charged. The 70 tokens "
            "follow from its `usage_cache`."
        ),
    ),
    Report(
        "langfuse/langfuse#14249",
        date(2026, 6, 15),
        "Cache writes not charged",
        "claude-sonnet-4-6: 15,460 in and 19,810 written to the cache; 10,370 out",
        (
            Telling(
                otel("anthropic", "claude-sonnet-4-6", 15_460, 10_370, cache_write=19_810),
                (mtok(15_460, "3"), mtok(19_810, "3.75"), mtok(10_370, "15")),
            ),
        ),
        theirs="0.201951",
        stated="0.28",
        note="The counts are rounded in the thread. As above, the input is without the cache.",
    ),
    Report(
        "gooyoung/pi-langfuse#19",
        date(2026, 9, 1),
        "Cache writes lost between the parts and the total: 92 % of the cost",
        "claude-opus-5: 2 in and 118,208 written to the cache; 2,546 out",
        (
            Telling(
                langfuse(
                    "claude-opus-5", input=2, output=2_546, cache_creation_input_tokens=118_208
                ),
                (mtok(2, "5"), mtok(118_208, "6.25"), mtok(2_546, "25")),
            ),
        ),
        theirs="0.06366",
        stated="0.80246",
    ),
    Report(
        "langfuse/codex-observability-plugin#22",
        date(2026, 7, 4),
        "Cached tokens of Codex added to an input that has them already",
        "gpt-5.5: 117,231 in, of which 115,584 cached; 225 out",
        (
            Telling(
                langfuse(
                    "gpt-5.5",
                    input=117_231,
                    output=225,
                    total=117_456,
                    cache_read_input_tokens=115_584,
                ),
                (mtok(1_647, "5"), mtok(115_584, "0.5"), mtok(225, "30")),
            ),
        ),
        theirs="0.650697",
        note="The thread names no model: gpt-5.5 is ours, and so are the USD.",
    ),
    Report(
        "langfuse/claude-observability-plugin#34",
        date(2026, 7, 21),
        "Cache writes kept for an hour at the price of five minutes",
        "claude-fable-5: 37,175 written to the cache",
        (
            Telling(
                otel("anthropic", "anthropic/claude-fable-5", 37_175, 0)
                | {
                    "trace.metadata.openrouter.source": "openrouter",
                    "gen_ai.usage.input_tokens.cache_write": 37_175,
                    "gen_ai.usage.input_tokens.cache_write_1h": 37_175,
                },
                (mtok(37_175, "20"),),
            ),
        ),
        theirs="0.4646875",
        stated="0.7435",
        note="In the names of OpenRouter's Broadcast, which say how long a cache is kept.",
    ),
    Report(
        "openlit/openlit#1378",
        date(2026, 7, 18),
        "Cached tokens at the full price of input: 2.2 times too much",
        "claude-sonnet-4-6: 6,200 in, of which 5,000 read from and 1,000 written to the cache; "
        "300 out",
        (
            Telling(
                otel(
                    "anthropic",
                    "claude-sonnet-4-6",
                    6_200,
                    300,
                    cache_read=5_000,
                    cache_write=1_000,
                )
                | {"telemetry.sdk.name": "openlit", "gen_ai.usage.cost": 0.0231},
                (mtok(200, "3"), mtok(5_000, "0.3"), mtok(1_000, "3.75"), mtok(300, "15")),
            ),
        ),
        theirs="0.0231",
        note="Which Claude is ours. The tool's own figure is on the span, and is not taken.",
    ),
    Report(
        "junhoyeo/tokscale#1279",
        date(2026, 9, 4),
        "The price of a long prompt for the part above 272,000 tokens alone",
        "gpt-6-astra: 300,000 in, 10,000 out",
        (
            Telling(
                otel("openai", "gpt-6-astra", 300_000, 10_000),
                (mtok(300_000, "20"), mtok(10_000, "75")),
            ),
        ),
        theirs="3.78",
        note="What the tool made of it is worked out from its description.",
    ),
    Report(
        "nearai/ironclaw#613",
        date(2026, 3, 6),
        "Free models of OpenRouter at the price of GPT-4o, for want of another",
        "stepfun/step-3.5-flash:free and openrouter/free: 1,000 in, 100 out each",
        (
            Telling(
                otel("openrouter", "stepfun/step-3.5-flash:free", 1_000, 100),
                (mtok(1_000, "0"), mtok(100, "0")),
            ),
            Telling(
                otel("openrouter", "openrouter/free", 1_000, 100),
                (mtok(1_000, "0"), mtok(100, "0")),
            ),
        ),
        theirs="0.007",
        stated="0",
        note="Counts are ours.",
    ),
    Report(
        "tailcallhq/forgecode#1641",
        date(2025, 10, 3),
        "0 for a call with a key of one's own, because OpenRouter charges nothing for it",
        "anthropic/claude-sonnet-4.5: 9,171 in, 113 out; cost 0, upstream 0.0360795",
        (
            Telling(
                otel(
                    "openrouter",
                    "anthropic/claude-sonnet-4.5",
                    9_171,
                    113,
                    **{
                        "genops.openrouter.is_byok": True,
                        "genops.cost.reported": 0.0,
                        "genops.cost.upstream_reported": 0.0360795,
                    },
                ),
                (bill("0.0360795"),),
            ),
        ),
        theirs="0",
        stated="0.0360795",
        note="The thread names no model; a Claude Sonnet fits its parts.",
    ),
    Report(
        "2witstudios/PageSpace#1561",
        date(2026, 6, 6),
        "OpenRouter's charge, and what it is made of, added up",
        "anthropic/claude-sonnet-4.6 over the AI SDK: cost 24, of which upstream 17",
        (
            Telling(
                ai_sdk(
                    "openrouter",
                    "anthropic/claude-sonnet-4.6",
                    7_000_000,
                    200_000,
                    {
                        "ai.response.providerMetadata": json.dumps(
                            {
                                "openrouter": {
                                    "usage": {
                                        "cost": 24,
                                        "costDetails": {"upstreamInferenceCost": 17},
                                    }
                                }
                            }
                        )
                    },
                ),
                (bill("24"),),
            ),
        ),
        theirs="41",
        stated="24",
        note="Many calls taken as one; model and counts are ours, and 24 USD is their price, too.",
    ),
    Report(
        "pydantic/pydantic-ai#3995",
        date(2026, 1, 13),
        "The span of an agent repeats the usage of its calls, and is charged as well",
        "gpt-4o: 56 in, 5 out; 57 in, 6 out; and an agent with 113 in, 11 out",
        (
            Telling(
                otel("openai", "gpt-4o", 113, 11)
                | {"gen_ai.operation.name": "invoke_agent", "model_name": "gpt-4o"},
                "aggregate",
            ),
            Telling(otel("openai", "gpt-4o", 56, 5), (mtok(56, "2.5"), mtok(5, "10"))),
            Telling(otel("openai", "gpt-4o", 57, 6), (mtok(57, "2.5"), mtok(6, "10"))),
        ),
        theirs="0.000785",
        note="The thread is about tokens: gpt-4o and the USD are ours.",
    ),
    Report(
        "Arize-ai/openinference#3164",
        date(2026, 5, 25),
        "The span of an agent repeats the usage of its calls: 59,798 tokens for 29,899",
        "gpt-4o: 3,031, 4,421, 10,709 and 11,738 tokens, and an agent with 29,899",
        (
            Telling(
                openinference("gpt-4o", "AGENT", prompt=29_899, completion=0, total=29_899)
                | {"llm.provider": "openai"},
                "aggregate",
            ),
            *(
                Telling(
                    openinference("gpt-4o", prompt=tokens, completion=0, total=tokens)
                    | {"llm.provider": "openai"},
                    (mtok(tokens, "2.5"),),
                )
                for tokens in (3_031, 4_421, 10_709, 11_738)
            ),
        ),
        theirs="0.149495",
        note="All tokens are taken for input; gpt-4o and the USD are ours.",
    ),
    Report(
        "vercel/ai#6082",
        date(2025, 5, 1),
        "Gemini's thinking tokens left out",
        "gemini-2.5-pro-preview-03-25: 7,477 in; 2,060 out, and 1,939 to think",
        (
            Telling(
                ai_sdk(
                    "google.generative-ai",
                    "gemini-2.5-pro-preview-03-25",
                    7_477,
                    2_060,
                    {"ai.usage.reasoningTokens": 1_939},
                ),
                "not_yet_priced",
            ),
        ),
        note="The catalog's first price of this preview is two days younger than the thread.",
    ),
)


@dataclass(frozen=True, slots=True)
class Blind:
    """A span of a report as it was really sent, without a fact that its cost depends on."""

    thread: str
    opened: date
    missing: str
    telling: Telling  # with the cost that follows from what is there
    right: str  # USD


BLIND = (
    Blind(
        "Arize-ai/coding-harness-tracing#66",
        date(2026, 6, 16),
        "how much of the input was read from and written to the cache",
        Telling(
            openinference("claude-opus-4-8", prompt=131_000, completion=3_000),
            (mtok(131_000, "5"), mtok(3_000, "25")),
        ),
        "0.2025",
    ),
    Blind(
        "langfuse/claude-observability-plugin#34",
        date(2026, 7, 21),
        "how long the cache is kept; so in the spans of Claude Code itself",
        Telling(
            {
                "span.type": "llm_request",
                "model": "claude-fable-5",
                "gen_ai.system": "anthropic",
                "gen_ai.request.model": "claude-fable-5",
                "input_tokens": 0,
                "output_tokens": 0,
                "cache_read_tokens": 0,
                "cache_creation_tokens": 37_175,
            },
            (mtok(37_175, "12.5"),),
        ),
        "0.7435",
    ),
    Blind(
        "pydantic/logfire#1494",
        date(2025, 10, 19),
        "the thinking tokens",
        Telling(
            otel("gcp.gemini", "gemini-2.5-pro", 40_000, 2_500),
            (mtok(40_000, "1.25"), mtok(2_500, "10")),
        ),
        "0.135",
    ),
    Blind(
        "langfuse/langfuse#2112",
        date(2024, 5, 21),
        "the id of the response, or that it came from a cache",
        Telling(
            otel("openai", "gpt-3.5-turbo", 14, 300),
            (mtok(14, "0.5"), mtok(300, "1.5")),
        ),
        "0",
    ),
)


def page() -> str:
    """docs/reports.md."""
    rows = [_row(report) for report in REPORTS]
    notes = [f"- {_link(report.thread)}: {report.note}" for report in REPORTS if report.note]
    blind = [_blind_row(each) for each in BLIND]
    return "\n".join([_HEAD, *rows, "", "## Notes", "", *notes, "", _BLIND_HEAD, *blind, ""])


_HEAD = """\
# Public bug reports

Threads in which a tool's cost of an LLM call is wrong, and what the enricher makes of that call.
Its usage becomes spans as the emitter in question writes them, on the day of the thread.
"Right" is written out as tokens × USD per million tokens, at the prices of that day.
A test holds the enricher to every row.
`python -m dialects.public_reports`, run in `tests/`, writes this page.

| Thread | What went wrong there | Usage | There, USD | Right, USD | Ours, USD |
|---|---|---|---|---|---|"""

_BLIND_HEAD = """\
## What a span does not say

Where an emitter leaves out a fact that the cost depends on, ours is as wrong as any.

| Thread | What the span leaves out | Right, USD | Ours, USD | Error |
|---|---|---|---|---|"""


def _row(report: Report) -> str:
    right = "; ".join(" + ".join(term.text for term in terms) for terms in report.costs)
    if report.right is not None:
        right += f" = {_usd(report.right)}"
    cells = (
        f"{_link(report.thread)}, {report.opened}",
        report.fault,
        report.usage,
        report.theirs or "–",
        right or "–",
        _ours(enriched(report.opened, report.tellings, report.overlay)),
    )
    return f"| {' | '.join(cells)} |"


def _blind_row(each: Blind) -> str:
    ours = _ours(enriched(each.opened, [each.telling]))
    error = Decimal(ours) - Decimal(each.right)
    cells = (_link(each.thread), each.missing, each.right, ours, f"{error.normalize():+f}")
    return f"| {' | '.join(cells)} |"


def _ours(spans: list[dict[str, object]]) -> str:
    totals = [each["genops.cost.total"] for each in spans if "genops.cost.total" in each]
    reasons = [
        str(each["genops.cost.unpriced_reason"])
        for each in spans
        if "genops.cost.unpriced_reason" in each
    ]
    cost = [_usd(sum((Decimal(str(total)) for total in totals), Decimal()))] if totals else []
    return "; ".join(cost + reasons)


def _usd(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _link(thread: str) -> str:
    repository, number = thread.split("#")
    return f"[{thread}](https://github.com/{repository}/issues/{number})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
