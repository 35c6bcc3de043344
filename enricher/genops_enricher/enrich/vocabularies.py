"""What the enricher knows, under the names that other tools look for. By config, off by default.

One table: for each vocabulary the attributes it adds, and what each is made from. The sources are
attributes of the enriched span, so a vocabulary never says anything else than `genops.*` does.
Nothing that a span has is overwritten or repeated.

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
from genops_enricher.decode.values import BAD, as_count, as_float, as_text
from genops_enricher.enrich.attributes import serialized_attribute

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


def _count(raw: bytes) -> bytes | None:
    count = as_count(raw)
    return None if count == BAD else AnyValue(int_value=count).SerializeToString()


def _text(text: str) -> bytes | None:
    return AnyValue(string_value=text).SerializeToString() if text else None


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
    """An attribute to add, made from the first of `sources` that the span has."""

    name: str
    sources: tuple[str, ...]
    read: Callable[[bytes], bytes | None]
    type: str  # string | double | int | bool

    def value(self, attributes: Attributes, added: Attributes = _NOTHING) -> bytes | None:
        """The serialized AnyValue that follows from a span's attributes; None if nothing does."""
        for source in self.sources:
            # `in` and `[]` are C here, `.get` is a Python method of the mapping.
            if source in attributes:
                return self.read(attributes[source])
            if source in added:
                return self.read(added[source])
        return None


def _cost(name: str, source: str) -> Alias:
    return Alias(name, (source,), _double, "double")


def _tokens(name: str, *sources: str) -> Alias:
    return Alias(name, sources, _count, "int")


VOCABULARIES: dict[Vocabulary, tuple[Alias, ...]] = {
    Vocabulary.PROVIDER_NAME: (
        Alias("gen_ai.provider.name", ("genops.provider",), _provider, "string"),
    ),
    # Names that the conventions have had for the same counts, and ours, which are inclusive.
    Vocabulary.USAGE: (
        _tokens("gen_ai.usage.input_tokens", "genops.tokens.input"),
        _tokens("gen_ai.usage.output_tokens", "genops.tokens.output"),
        _tokens(
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "llm.token_count.prompt_details.cache_read",
        ),
        _tokens(
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "llm.token_count.prompt_details.cache_write",
        ),
        _tokens(
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
        ),
    ),
    Vocabulary.USAGE_COST: (_cost("gen_ai.usage.cost", "genops.cost.total"),),
    Vocabulary.USAGE_COST_AMOUNT: (
        _cost("gen_ai.usage.cost.amount", "genops.cost.total"),
        Alias("gen_ai.usage.cost.currency", ("genops.cost.currency",), bytes, "string"),
        Alias("gen_ai.usage.cost.source", ("genops.cost.source",), _who_says, "string"),
    ),
    Vocabulary.OPERATION_COST: (_cost("operation.cost", "genops.cost.total"),),
    # OpenInference. Its .prompt and .completion are sums that ours does not have in every case.
    Vocabulary.LLM_COST: (
        _cost("llm.cost.total", "genops.cost.total"),
        _cost("llm.cost.prompt_details.input", "genops.cost.input"),
        _cost("llm.cost.prompt_details.cache_read", "genops.cost.cache_read"),
        _cost("llm.cost.prompt_details.cache_write", "genops.cost.cache_write"),
        _cost("llm.cost.completion_details.output", "genops.cost.output"),
    ),
    Vocabulary.LANGFUSE: (
        Alias(
            "langfuse.observation.cost_details", ("genops.cost.total",), _total_in_json, "string"
        ),
    ),
    # Datadog's documentation asks for it on the spans that its LLM view is to show.
    Vocabulary.DATADOG: (
        Alias("dd_llmobs_enabled", ("genops.cost.status",), lambda _: _TRUE, "bool"),
    ),
}


def vocabulary_aliases(vocabularies: Iterable[Vocabulary]) -> tuple[Alias, ...]:
    """The aliases of several vocabularies, in the order of the table."""
    chosen = set(vocabularies)
    return tuple(
        alias for name, aliases in VOCABULARIES.items() if name in chosen for alias in aliases
    )


def vocabulary_attributes(
    aliases: Iterable[Alias], attributes: Attributes, addition: bytes
) -> bytes:
    """What the vocabularies add to a span.

    Args:
        aliases: those of the vocabularies in use.
        attributes: the attributes that the span came with, as serialized AnyValue messages.
        addition: those that the enricher adds to it, as bytes of a Span.
    """
    added = parse_span(addition).attributes
    out = b""
    for alias in aliases:
        if alias.name not in attributes and alias.name not in added:
            value = alias.value(attributes, added)
            if value is not None:
                out += serialized_attribute(alias.name, value)
    return out
