"""How large a request is before it is made, in tokens: its input, and the longest answer to it.

Reads bodies of the OpenAI API (chat, completions, embeddings, responses) as far as their size goes,
and keeps nothing of them. Pure, but for what `tokens` reads of a tokenizer.

The answer counts its stated maximum, else 0.3 of the input, at least 512 tokens. An answer without
a maximum may be longer: who needs a hard bound states one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from genops.core.budget import BudgetUncheckedError
from genops.core.recording import count, get
from genops.providers.tokens import tokenizer_for

__all__ = ["cached_for", "input_tokens", "output_tokens"]

_COMPLETION_RATIO: Final = Fraction(3, 10)  # output per input token; the guide's default
_OUTPUT_TOKENS_MIN: Final = 512  # answers of chat models are seldom longer

# Tokens of one image: Anthropic's largest (https://docs.claude.com/en/docs/build-with-claude/vision)
# and more than OpenAI's 1,105 for a square one in high detail.
_IMAGE_TOKENS: Final = 1600

_INPUTS: Final = (
    *("messages", "prompt", "input", "instructions", "suffix"),
    *("tools", "functions", "response_format", "text", "text_format"),
)
_OUTPUT_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_IMAGES: Final = frozenset({"image_url", "input_image"})
# Their size in tokens follows from seconds or pages, which the request does not state.
_UNSIZED: Final = frozenset({"input_audio", "file", "input_file", "video_url"})
# What the server puts before the input.
_SERVER_SIDE: Final = ("previous_response_id", "conversation")


def input_tokens(body: Mapping[str, Any], model: str) -> int:
    """The tokens of a request's input.

    Raises:
        BudgetUncheckedError: a part of it has a size that the request does not tell.
    """
    for name in _SERVER_SIDE:
        if _is_given(body.get(name)):
            raise _unsized(f"{name}= adds what the server holds to the input")
    tokenizer = tokenizer_for(model)
    return sum(
        tokenizer.count(part) if isinstance(part, str) else part
        for name in _INPUTS
        if _is_given(body.get(name))
        for part in _parts(body[name])
    )


def _parts(value: object) -> Iterator[str | int]:
    """The texts in a part of a request, and the tokens of what is no text.

    Keys count too: they stand for the marks that providers put between messages and tools.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        kind = value.get("type")  # in a schema it may be a property of this name
        if not isinstance(kind, str):
            kind = None
        if kind in _UNSIZED:
            raise _unsized(f"its input has a part of type {kind!r}")
        if kind in _IMAGES:
            yield _IMAGE_TOKENS
            return
        for key, item in value.items():
            yield str(key)
            yield from _parts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item)
    elif value is None or isinstance(value, int | float):
        yield 1  # a token id, or a number in a schema
    elif isinstance(value, type):  # the caller's class for a parsed answer
        schema = getattr(value, "model_json_schema", None)
        if schema is not None:
            yield json.dumps(schema())
    elif hasattr(value, "model_dump"):  # a message of an earlier answer
        yield from _parts(value.model_dump(exclude_none=True))
    else:  # an iterator can be read only once, and that is the SDK's to do
        raise _unsized(f"its input is a {type(value).__name__}: give a list")


def cached_for(body: Mapping[str, Any]) -> str | None:
    """How long a cache is to keep parts of the input ("5m", "1h"); None if the call asks for none.

    Where marks differ the longest counts. To write a cache costs more than input:
    https://openrouter.ai/docs/features/prompt-caching.
    """
    named = {name: body.get(name) for name in ("cache_control", *_INPUTS)}
    marks = list(_cache_marks(named))
    ttls = {get(mark, "ttl") for mark in marks}
    return ("1h" if "1h" in ttls else "5m") if marks else None


def _cache_marks(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "cache_control" and isinstance(item, Mapping):
                yield item
            else:
                yield from _cache_marks(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _cache_marks(item)


def output_tokens(body: Mapping[str, Any], prompt: int) -> int:
    """The tokens of the longest answers that a request with this many input tokens allows."""
    stated = [limit for name in _OUTPUT_LIMITS if (limit := count(body.get(name))) is not None]
    tokens = max(stated) if stated else max(_OUTPUT_TOKENS_MIN, int(prompt * _COMPLETION_RATIO))
    answers = max(count(body.get(name)) or 1 for name in ("n", "best_of"))
    return tokens * answers


def _unsized(why: str) -> BudgetUncheckedError:
    return BudgetUncheckedError(
        f"the call was not made: {why}, so its cost can't be estimated and the budget can't be "
        "checked. Leave out the budget to make the call"
    )


def _is_given(value: object) -> bool:
    # The SDK's marks for "not given" are instances of these classes.
    return value is not None and type(value).__name__ not in ("NotGiven", "Omit")
