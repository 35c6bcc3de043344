"""What the enricher knows, under the names that other tools look for. By config, off by default.

One table: for each vocabulary the attributes it adds, and what each is made from: an attribute of
the enriched span, or a count of its usage. So a vocabulary never says anything else than `genops.*`
does. Nothing that a span has is overwritten or repeated.

`gen_ai.usage.cost.*` is never added unasked: the proposal that defines it (semantic-conventions-
genai, pull request 443) leaves costs that are worked out after the fact out of its scope.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from genops_enricher.config.model import Vocabulary
from genops_enricher.decode.lens import parse_span
from genops_enricher.decode.values import as_float, as_text
from genops_enricher.enrich.attributes import serialized_attribute
from genops_pricing import Usage

__all__ = ["VOCABULARIES", "Alias", "vocabulary_aliases", "vocabulary_attributes"]

Attributes = Mapping[str, bytes]

# gen_ai.system -> gen_ai.provider.name, where more than the attribute was renamed.
# Source: semantic conventions 1.37.
_PROVIDERS = {
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "xai": "x_ai",
}

_NOTHING: Attributes = {}
_TRUE = AnyValue(bool_value=True).SerializeToString()


# From a serialized AnyValue to another; None where there is nothing to say.
def _double(raw: bytes) -> bytes | None:
    number = as_float(raw)
    return None if number is None else AnyValue(double_value=number).SerializeToString()


def _text(text: str) -> bytes | None:
    return AnyValue(string_value=text).SerializeToString() if text else None


def _same_text(raw: bytes) -> bytes | None:
    return _text(as_text(raw))


def _provider(raw: bytes) -> bytes | None:
    name = as_text(raw).lower()
    return _text(_PROVIDERS.get(name, name))


def _who_says(raw: bytes) -> bytes | None:
    return _text("provider" if as_text(raw) == "reported" else "local")


def _total_in_json(raw: bytes) -> bytes | None:
    number = as_float(raw)
    return None if number is None else _text(json.dumps({"total": number}))


@dataclass(frozen=True, slots=True)
class Alias:
    """An attribute to add, made from `source`: an attribute, or a count if `read` is None."""

    name: str
    type: str  # string | double | int | bool
    source: str
    read: Callable[[bytes], bytes | None] | None

    def value(
        self, attributes: Attributes, added: Attributes = _NOTHING, usage: Usage | None = None
    ) -> bytes | None:
        """The serialized AnyValue that follows from a span; None if nothing does."""
        if self.read is None:
            count = getattr(usage, self.source, 0)
            return AnyValue(int_value=count).SerializeToString() if count else None
        # `in` and `[]` are C here, `.get` is a Python method of the mapping.
        if self.source in attributes:
            return self.read(attributes[self.source])
        return self.read(added[self.source]) if self.source in added else None


def _cost(name: str, source: str = "genops.cost.total") -> Alias:
    return Alias(name, "double", source, _double)


def _tokens(name: str, field: str) -> Alias:
    return Alias(name, "int", field, None)


VOCABULARIES: dict[Vocabulary, tuple[Alias, ...]] = {
    Vocabulary.PROVIDER_NAME: (
        Alias("gen_ai.provider.name", "string", "genops.provider", _provider),
    ),
    Vocabulary.USAGE: (
        _tokens("gen_ai.usage.input_tokens", "input"),
        _tokens("gen_ai.usage.output_tokens", "output"),
        _tokens("gen_ai.usage.cache_read.input_tokens", "cache_read"),
        _tokens("gen_ai.usage.cache_write.input_tokens", "cache_write"),
        _tokens("gen_ai.usage.reasoning.output_tokens", "reasoning"),
    ),
    Vocabulary.USAGE_COST: (_cost("gen_ai.usage.cost"),),
    Vocabulary.USAGE_COST_AMOUNT: (
        _cost("gen_ai.usage.cost.amount"),
        Alias("gen_ai.usage.cost.currency", "string", "genops.cost.currency", _same_text),
        Alias("gen_ai.usage.cost.source", "string", "genops.cost.source", _who_says),
    ),
    Vocabulary.OPERATION_COST: (_cost("operation.cost"),),
    # OpenInference. Its .prompt and .completion are sums that ours does not have in every case.
    Vocabulary.LLM_COST: (
        _cost("llm.cost.total"),
        _cost("llm.cost.prompt_details.input", "genops.cost.input"),
        _cost("llm.cost.prompt_details.cache_read", "genops.cost.cache_read"),
        _cost("llm.cost.prompt_details.cache_write", "genops.cost.cache_write"),
        _cost("llm.cost.completion_details.output", "genops.cost.output"),
    ),
    Vocabulary.LANGFUSE: (
        Alias("langfuse.observation.cost_details", "string", "genops.cost.total", _total_in_json),
    ),
    # Datadog's documentation asks for it on the spans that its LLM view is to show.
    Vocabulary.DATADOG: (
        Alias("dd_llmobs_enabled", "bool", "genops.cost.status", lambda _: _TRUE),
    ),
}

# Sources that say what a call cost. On a span without a cost of ours they are somebody else's.
_COSTS = frozenset(
    alias.source
    for aliases in VOCABULARIES.values()
    for alias in aliases
    if alias.source.startswith("genops.cost.") and alias.source != "genops.cost.status"
)


def vocabulary_aliases(vocabularies: Iterable[Vocabulary]) -> tuple[Alias, ...]:
    """The aliases of several vocabularies, in the order of the table."""
    chosen = set(vocabularies)
    return tuple(
        alias for name, aliases in VOCABULARIES.items() if name in chosen for alias in aliases
    )


def vocabulary_attributes(
    aliases: Iterable[Alias],
    attributes: Attributes,
    addition: bytes,
    usage: Usage | None = None,
) -> bytes:
    """What the vocabularies add to a span.

    Args:
        aliases: those of the vocabularies in use.
        attributes: the attributes that the span came with, as serialized AnyValue messages.
        addition: those that the enricher adds to it, as bytes of a Span.
        usage: its token counts, if it is a single call and states them.
    """
    added = parse_span(addition).attributes
    out = b""
    has_cost = "genops.cost.total" in added
    for alias in aliases:
        if alias.source in _COSTS and not has_cost:
            continue
        if alias.name not in attributes and alias.name not in added:
            value = alias.value(attributes, added, usage)
            if value is not None:
                out += serialized_attribute(alias.name, value)
    return out
