"""The attributes that the enricher writes: their names, types, meaning and wire form.

The table is the source of docs/attributes.md. Attributes are encoded here as what they are on the
wire, field 9 of a Span, because protobuf fields concatenate: a span's bytes followed by these are
the span with these attributes added.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from genops_pricing.units import PARTS

__all__ = [
    "ATTRIBUTES",
    "COST_PARTS",
    "OWN",
    "OWN_OF_UNPRICED",
    "REASONS",
    "Attribute",
    "double_attribute",
    "int_attribute",
    "serialized_attribute",
    "text_attribute",
]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: its name, OTLP value type, and what it says."""

    name: str
    type: str  # string | double | int
    meaning: str
    added_to: str = "priced and free spans"


_LLM = "every LLM span that lacks it"
_CALL = "every inference and embedding span that lacks it and is no duplicate"
_ALL = "every LLM span"

ATTRIBUTES = (
    Attribute(
        "genops.cost.total",
        "double",
        "USD. What the call cost: as the provider reported it, else computed.",
    ),
    Attribute(
        "genops.cost.input",
        "double",
        "USD, computed: input tokens that were neither read from nor written to a cache.",
    ),
    Attribute("genops.cost.output", "double", "USD, computed: output tokens, reasoning included."),
    Attribute("genops.cost.cache_read", "double", "USD, computed: input tokens read from a cache."),
    Attribute(
        "genops.cost.cache_write", "double", "USD, computed: input tokens written to a cache."
    ),
    Attribute("genops.cost.audio", "double", "USD, computed: audio tokens in and out."),
    Attribute("genops.cost.image", "double", "USD, computed: image tokens and images."),
    Attribute("genops.cost.web_search", "double", "USD, computed: web searches."),
    Attribute("genops.cost.request", "double", "USD, computed: the fee on each request."),
    Attribute(
        "genops.cost.estimated",
        "double",
        "USD. The computed cost, where the total is the one that the provider reported.",
        "spans with a reported cost",
    ),
    Attribute("genops.cost.currency", "string", "Always `USD`."),
    Attribute("genops.cost.source", "string", "Who says so: `reported` or `computed`."),
    Attribute("genops.cost.status", "string", "`priced`, `free` or `unpriced`.", _ALL),
    Attribute(
        "genops.cost.unpriced_reason",
        "string",
        "Why there is no cost: one of the reasons below.",
        "unpriced spans",
    ),
    Attribute(
        "genops.cost.duplicate_of",
        "string",
        "The span that has the cost of this call, as `TRACE_ID:SPAN_ID` in hex.",
        "duplicates",
    ),
    Attribute("genops.model_family", "string", "The model's family, such as `claude-3`."),
    Attribute(
        "genops.model_tier",
        "string",
        "`economy`, `balanced`, `premium` or `flagship`, by the model's output price.",
    ),
    Attribute(
        "genops.pricing.version",
        "string",
        "Version and digest of the catalog. A span that has it is not priced again.",
        _ALL,
    ),
    Attribute("genops.pricing.entry", "string", "Id of the price row used."),
    Attribute(
        "genops.pricing.effective_from", "string", "Instant (UTC) from which that row holds."
    ),
    Attribute("genops.provider", "string", "Who was called: `openrouter`, `openai`, …", _LLM),
    Attribute("genops.model", "string", "The model asked for.", _LLM),
    Attribute("genops.tokens.input", "int", "Tokens of input, cached ones included.", _CALL),
    Attribute("genops.tokens.output", "int", "Tokens of output, reasoning included.", _CALL),
    Attribute("genops.tokens.total", "int", "The sum of the two.", _CALL),
)

REASONS = {
    "unknown_model": "The catalog does not have the model, or does not know the provider or host "
    "that was called. Update it, or add an overlay.",
    "ambiguous_model": "The name fits several models of the catalog.",
    "no_model": "The span names no model.",
    "no_usage": "The span states no token counts, or of an inference only one of the two.",
    "bad_usage": "A count is negative, no number, or larger than the whole that it is a part of.",
    "dynamic_price": "A router's price depends on the model it chose, which the span does not say.",
    "not_yet_priced": "The call ended before the first price that the catalog has for the model.",
    "suspect_price": "The price in force then is in doubt, or depends on what nobody tells of the "
    "call, and is left out rather than guessed.",
    "duplicate": "Another span of the same call has the cost.",
    "aggregate": "The span repeats the usage of the calls below it, such as `invoke_agent`.",
    "foreign_cost": "Somebody else's `genops.cost.total` is on the span, and not overwritten.",
}
"""Every value of genops.cost.unpriced_reason, and what it means."""

OWN = frozenset(a.name for a in ATTRIBUTES if a.added_to not in (_LLM, _CALL))
"""What only an enricher writes: the attributes that a re-pricing takes away first."""

OWN_OF_UNPRICED = frozenset(
    {
        "genops.cost.status",
        "genops.cost.unpriced_reason",
        "genops.cost.duplicate_of",
        "genops.pricing.version",
    }
)
"""Of these, what it writes on an unpriced span: a cost beside them is somebody else's."""

COST_PARTS = {part: f"genops.cost.{part}" for part in PARTS}
"""Part of a charge -> the attribute that holds it."""

_ATTRIBUTES_FIELD = 0x4A  # Span.attributes: field 9, length-delimited
_KEY, _VALUE = 0x0A, 0x12  # KeyValue: fields 1 and 2
_TEXT, _INT, _DOUBLE = 0x0A, 0x18, 0x21  # AnyValue: string_value, int_value, double_value
_pack_double = struct.Struct("<d").pack


def text_attribute(name: str, text: str) -> bytes:
    """A string attribute of a span."""
    data = text.encode()
    return serialized_attribute(name, bytes([_TEXT]) + _varint(len(data)) + data)


def int_attribute(name: str, number: int) -> bytes:
    """An integer attribute of a span; `number` is not negative."""
    data = _varint(number)
    return _INT_HEADS[name][len(data)] + data


def double_attribute(name: str, number: float) -> bytes:
    """A double attribute of a span."""
    return _DOUBLE_HEADS[name] + _pack_double(number)


def serialized_attribute(name: str, value: bytes) -> bytes:
    """An attribute of a span whose value is a serialized AnyValue."""
    key = name.encode()
    body = bytes([_KEY]) + _varint(len(key)) + key + bytes([_VALUE]) + _varint(len(value)) + value
    return bytes([_ATTRIBUTES_FIELD]) + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    if number < 1 << 7:
        return bytes((number,))
    if number < 1 << 14:
        return bytes((number & 0x7F | 0x80, number >> 7))
    return bytes((number & 0x7F | 0x80,)) + _varint(number >> 7)


# All of an attribute but its number, which is the only part that varies: for a double eight bytes,
# for an integer a varint, and one head for each length (up to 10 bytes) that a varint can have.
_DOUBLE_HEADS = {
    a.name: serialized_attribute(a.name, bytes([_DOUBLE]) + bytes(8))[:-8]
    for a in ATTRIBUTES
    if a.type == "double"
}
_INT_HEADS = {
    a.name: [
        serialized_attribute(a.name, bytes([_INT]) + bytes(n))[: -n or None] for n in range(11)
    ]
    for a in ATTRIBUTES
    if a.type == "int"
}
