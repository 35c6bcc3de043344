"""What the readers of JSON sources share: exact numbers, units of money, ids and markets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from genops_pricing.importing.decision import Refused
from genops_pricing.importing.observation import Observation
from genops_pricing.rates import EXACT

__all__ = [
    "MARKETS",
    "Found",
    "Statement",
    "count",
    "decimal",
    "is_price",
    "objects",
    "parse_json",
    "per_mtok",
    "plain_id",
    "text",
    "without_repeats",
]

# What a source says of one subject: a price, or something that can't be read as one.
Statement = Observation | Refused
Found = Iterator[Statement]

_COUNT_LIMIT: Final = 10**12
_MTOK: Final = Decimal(1_000_000)

# Our markets by the names that sources have for them.
MARKETS: Final[Mapping[str, str]] = {
    "alibaba": "alibaba",
    "amazon-bedrock": "bedrock",
    "anthropic": "anthropic",
    "aws": "bedrock",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "codestral": "mistral",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "dashscope": "alibaba",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "fireworks-ai": "fireworks",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "google": "google",
    "google-vertex": "google-vertex",
    "google-vertex-anthropic": "google-vertex",
    "groq": "groq",
    "mistral": "mistral",
    "moonshot": "moonshot",
    "moonshotai": "moonshot",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "together_ai": "together",
    "togetherai": "together",
    "vertex_ai": "google-vertex",
    "x-ai": "xai",
    "xai": "xai",
    "zai": "zai",
}
# A price of one region, a fine-tune, an image size: no model that a call could name.
_NO_MODEL: Final = re.compile(r"^[a-z]{2}(-gov)?-[a-z]+-\d/|^(us|eu)/|[\s*()$^|]|ft[:-]|^\d+-x-\d+")


def parse_json(data: bytes) -> Any:
    """Read JSON with exact numbers.

    Raises:
        ValueError: it is no JSON, or holds a number that is none.
    """

    def refuse(text: str) -> Any:
        raise ValueError(f"{text} is no number")

    try:
        return json.loads(data, parse_float=Decimal, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def objects(value: Any, what: str) -> list[Mapping[str, Any]]:
    """A list of JSON objects.

    Raises:
        ValueError: it is something else: a file of another source, or of another shape.
    """
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(f"{what} is no list of objects: the file is of another shape")
    return value


def decimal(value: Any) -> Decimal:
    """An exact number from JSON text or number.

    Raises:
        ValueError: it is no finite number.
    """
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        # What is out of these bounds is no price, and would not fit in a row.
        if number == 0 or (number.is_finite() and -20 < number.adjusted() < 9):
            return number
    raise ValueError(f"{value!r} is no price")


def per_mtok(value: Any) -> Decimal:
    """A price per token as one per 1,000,000 tokens, without the noise of binary floats."""
    price = EXACT.multiply(decimal(value), _MTOK)
    rounded = price.quantize(Decimal("0.000001"))
    noise = abs(price - rounded) < Decimal("0.00000001")
    return (rounded if rounded and noise else price).normalize()


def is_price(value: Any) -> bool:
    """Whether a source states anything: None and "" state nothing."""
    return value is not None and value != ""


def plain_id(model: str, market: str) -> str | None:
    """An id as its market spells it, without the market's name; None for what is no model."""
    prefix, slash, rest = model.partition("/")
    # together/openai/gpt-oss is Together's model openai/gpt-oss, and openai/gpt-4o OpenRouter's.
    if slash and MARKETS.get(prefix) == market:
        model = rest
    return None if not model.isprintable() or not model or _NO_MODEL.search(model) else model


def text(value: Any) -> str | None:
    """A text of one line; None for what is none."""
    return value if isinstance(value, str) and value and value.isprintable() else None


def count(value: Any) -> int | None:
    """A number of tokens; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int(value) if 0 < value < _COUNT_LIMIT else None


def without_repeats(found: Found) -> Found:
    """One statement a subject. A source that names a model twice, at two prices, states none."""
    first: dict[Any, Statement] = {}
    for statement in found:
        known = first.setdefault(statement.subject, statement)
        if (
            isinstance(known, Observation)
            and isinstance(statement, Observation)
            and (known.prices, known.conditions) != (statement.prices, statement.conditions)
        ):
            first[statement.subject] = Refused(statement.subject, "the source states two prices")
    yield from first.values()
