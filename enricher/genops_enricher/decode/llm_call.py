"""The LLM call that a span tells of: which attributes say what, and which spans are calls at all.

Knows names and what they mean; knows neither prices nor bytes of the wire. The names are those of
the OpenTelemetry GenAI semantic conventions, in all the spellings that they have had, and those of
the genops client. Counts are inclusive, as the conventions say: input holds what was read from and
written to a cache, output holds reasoning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from genops_enricher.decode.values import BAD, as_count, as_float, as_text, as_texts, as_true
from genops_pricing import Usage

__all__ = [
    "IDENTITY_NAMES",
    "KEY_PREFIX",
    "CallIdentity",
    "Kind",
    "ended_early",
    "has_usage",
    "read_comparable_cost",
    "read_identity",
    "read_reported_cost",
    "read_response_id",
    "read_usage",
]

Attributes = Mapping[str, bytes]

KEY_PREFIX = b"gen_ai."
"""A span whose bytes do not hold this tells of no LLM call."""


class Kind(Enum):
    """What a span stands for, as far as its cost goes."""

    INFERENCE = "inference"
    EMBEDDINGS = "embeddings"
    AGGREGATE = "aggregate"  # repeats the usage of the calls below it
    UNSTATED = "unstated"  # no operation is named: a call if there is a model and usage
    OTHER = "other"


# gen_ai.operation.name -> kind. The conventions' own values, and synonyms seen in the wild.
_KIND_OF_OPERATION = {
    "chat": Kind.INFERENCE,
    "generate_content": Kind.INFERENCE,
    "text_completion": Kind.INFERENCE,
    "completion": Kind.INFERENCE,
    "embeddings": Kind.EMBEDDINGS,
    "embedding": Kind.EMBEDDINGS,
    "invoke_agent": Kind.AGGREGATE,
    "create_agent": Kind.AGGREGATE,
    "invoke_workflow": Kind.AGGREGATE,
    "plan": Kind.AGGREGATE,
}

# Of each list the first name that is present counts.
_OPERATION = "gen_ai.operation.name"
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "genops.provider")
_REQUEST_MODEL = ("gen_ai.request.model", "genops.model")
_RESPONSE_MODEL = "gen_ai.response.model"
_HOST = "server.address"
_ENDPOINT = "genops.openrouter.actual_provider"
# Renamed in semantic conventions 1.37. The tier that served the call is the one that is billed.
_SERVICE_TIER = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")

IDENTITY_NAMES = (
    _OPERATION, *_PROVIDER, *_REQUEST_MODEL, _RESPONSE_MODEL, _HOST, _ENDPOINT, *_SERVICE_TIER
)  # fmt: skip
"""The attributes that `read_identity` reads: equal values, equal identity."""

# Attribute -> field of Usage. Of several for one field the first that is present counts.
_COUNTS = {
    "gen_ai.usage.input_tokens": "input",
    "gen_ai.usage.prompt_tokens": "input",  # until semantic conventions 1.27
    "genops.tokens.input": "input",
    "gen_ai.usage.output_tokens": "output",
    "gen_ai.usage.completion_tokens": "output",
    "genops.tokens.output": "output",
    "gen_ai.usage.cache_read.input_tokens": "cache_read",
    "gen_ai.usage.cache_read_input_tokens": "cache_read",
    "gen_ai.usage.cache_write.input_tokens": "cache_write",
    "gen_ai.usage.cache_creation.input_tokens": "cache_write",  # renamed in the GenAI conventions
    "gen_ai.usage.cache_creation_input_tokens": "cache_write",
    "gen_ai.usage.reasoning.output_tokens": "reasoning",
    "gen_ai.usage.reasoning_tokens": "reasoning",
    "gen_ai.usage.audio.input_tokens": "input_audio",
    "gen_ai.usage.audio.output_tokens": "output_audio",
    "gen_ai.usage.image.input_tokens": "input_image",
    "gen_ai.usage.image.output_tokens": "output_image",
    "genops.usage.web_search_requests": "web_searches",
}
_TOTALS = [name for name, field in _COUNTS.items() if field in ("input", "output")]

_REPORTED = "genops.cost.reported"
_UPSTREAM_REPORTED = "genops.cost.upstream_reported"
_IS_BYOK = "genops.openrouter.is_byok"
_RESPONSE_ID = "gen_ai.response.id"
_SUFFIX = re.compile(r":(?:attempt-\d+|generation)\Z")
_ID_SHORTEST, _ID_LONGEST = 16, 256  # characters
_ERROR = "error.type"
_FINISH_REASONS = "gen_ai.response.finish_reasons"


class CallIdentity(NamedTuple):
    """What stays the same from call to call of one model at one place; "" for what is not said."""

    kind: Kind
    provider: str
    request_model: str
    response_model: str
    host: str
    endpoint: str  # who served the call behind a router such as OpenRouter, as a slug
    service_tier: str  # flex, priority… as served


def read_identity(attributes: Attributes) -> CallIdentity:
    """Which model was called where."""
    operation = as_text(attributes.get(_OPERATION)).lower()
    kind = _KIND_OF_OPERATION.get(operation, Kind.OTHER) if operation else Kind.UNSTATED
    return CallIdentity(
        kind=kind,
        provider=_first_text(attributes, _PROVIDER).lower(),
        request_model=_first_text(attributes, _REQUEST_MODEL),
        response_model=as_text(attributes.get(_RESPONSE_MODEL)),
        host=as_text(attributes.get(_HOST)).lower(),
        endpoint=as_text(attributes.get(_ENDPOINT)),
        service_tier=_first_text(attributes, _SERVICE_TIER),
    )


def has_usage(attributes: Attributes) -> bool:
    """Whether the span states token counts at all, right or wrong."""
    return any(name in attributes for name in _TOTALS)


def read_usage(attributes: Attributes, kind: Kind) -> Usage | str:
    """The token counts, or the reason why they can't be priced: `no_usage` or `bad_usage`.

    An embedding has no output. An inference that states only one of input and output states no
    usage: what the other one cost would be a guess.
    """
    counts: dict[str, int] = {}
    for name in [name for name in _COUNTS if name in attributes]:
        field = _COUNTS[name]
        if field not in counts:
            counts[field] = as_count(attributes[name])
    if kind is Kind.EMBEDDINGS:
        counts.setdefault("output", 0)
    if "input" not in counts or "output" not in counts:
        return "no_usage"
    if BAD in counts.values():
        return "bad_usage"
    if counts.get("reasoning", 0) > counts["output"]:
        # Seen on OpenRouter: 2590 of 2567. Reasoning is part of the output, whoever counts it.
        counts["reasoning"] = counts["output"]
    return Usage(**counts)


def read_reported_cost(attributes: Attributes) -> float | None:
    """USD that the call cost by the provider's word; None where it says nothing or nothing usable.

    With a key of one's own (BYOK) OpenRouter's `cost` is only its fee, and the provider's bill
    comes beside it; without one, upstream is a breakdown of the same money.
    Source: OpenRouter documentation, usage accounting and BYOK.
    """
    if _REPORTED not in attributes:
        return None
    amounts = [as_float(attributes[_REPORTED])]
    if as_true(attributes.get(_IS_BYOK)):
        amounts.append(as_float(attributes.get(_UPSTREAM_REPORTED)))
    total = 0.0
    for amount in amounts:
        if amount is None or amount < 0:
            return None
        total += amount
    return total if math.isfinite(total) else None


def read_comparable_cost(attributes: Attributes) -> float | None:
    """USD of the reported cost that the catalog's price stands for.

    With a key of one's own that is what the provider bills, without OpenRouter's fee on top.
    """
    if as_true(attributes.get(_IS_BYOK)):
        return as_float(attributes.get(_UPSTREAM_REPORTED))
    return read_reported_cost(attributes)


def read_response_id(attributes: Attributes) -> str:
    """The id that the provider gave the response; "" where there is none that tells calls apart.

    OpenRouter's Broadcast puts `:attempt-N` and `:generation` behind it on the spans below that of
    the call. An id of a few characters is not unique: Ollama numbers its responses at random, below
    a thousand (middleware/openai.go). One that is very long is no id, and not to be remembered.
    """
    if _RESPONSE_ID not in attributes:
        return ""
    response_id = _SUFFIX.sub("", as_text(attributes[_RESPONSE_ID]))
    return response_id if _ID_SHORTEST <= len(response_id) <= _ID_LONGEST else ""


def ended_early(attributes: Attributes) -> bool:
    """Whether the call failed or ended without a finish reason: such a call may really cost 0."""
    return _ERROR in attributes or {"", "error"}.issuperset(
        as_texts(attributes.get(_FINISH_REASONS))
    )


def _first_text(attributes: Attributes, names: tuple[str, ...]) -> str:
    for name in names:
        if name in attributes and (text := as_text(attributes[name])):
            return text
    return ""
