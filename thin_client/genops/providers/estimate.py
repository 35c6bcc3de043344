"""What a call may cost, before it is made, and what it cost in the end: for budgets.

Reads the request as far as its size and its models go, and keeps nothing of it. Which price holds
is decided by `genops_pricing`, whether the call fits by `core.budget`.

An estimate is the input as counted by `tokens` at the full input price, plus the output: its stated
maximum, else 0.3 of the input, at least 512 tokens. An answer without a maximum may be longer: who
needs a hard bound states one. Of the models and the providers that the request names, the dearest
counts; where it names no provider, OpenRouter may choose a dearer one than the model's price says
(`provider.max_price` bounds that). Not estimated, though counted afterwards: web searches and other
plugins.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from genops.core import attributes as names
from genops.core.budget import Budget, BudgetError, BudgetUncheckedError, Reservation
from genops.core.budget import reserve as reserve_in
from genops.core.recording import Attributes, count, get
from genops.providers import prices
from genops.providers.hosts import address
from genops.providers.tokens import tokenizer_for

if TYPE_CHECKING:
    from genops_pricing import Offer, Usage

__all__ = ["COMPLETION_RATIO", "OUTPUT_TOKENS_MIN", "reserve"]

COMPLETION_RATIO: Final = Fraction(3, 10)  # output per input token; the guide's default
OUTPUT_TOKENS_MIN: Final = 512  # answers of chat models are seldom longer

# Tokens of one image: Anthropic's largest (https://docs.claude.com/en/docs/build-with-claude/vision)
# and more than OpenAI's 1,105 for a square one in high detail.
IMAGE_TOKENS: Final = 1600

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

# Failures after which the provider may go on generating, and bill: their estimate counts as spent.
_MAYBE_BILLED: Final = frozenset({"APITimeoutError", "CancelledError", "KeyboardInterrupt"})

_USAGE: Final = {
    "input": names.USAGE_INPUT,
    "output": names.USAGE_OUTPUT,
    "cache_read": names.USAGE_CACHE_READ,
    "reasoning": names.USAGE_REASONING,
    "cache_write": names.USAGE_CACHE_WRITE,
    "input_audio": names.USAGE_AUDIO_INPUT,
    "output_audio": names.USAGE_AUDIO_OUTPUT,
    "output_image": names.USAGE_IMAGE_OUTPUT,
    "web_searches": names.USAGE_WEB_SEARCHES,
}


@dataclass(frozen=True, slots=True)
class _Called:
    """Who was called, as far as prices depend on it."""

    provider: str
    host: str | None
    model: str
    service_tier: str | None


def reserve(
    budgets: Sequence[Budget],
    operation: str,
    client: object,
    kwargs: Mapping[str, Any],
    *,
    provider: str,
) -> Reservation:
    """Hold what a call may cost in the budgets over it.

    Args:
        budgets: All that are in force.
        operation: `gen_ai.operation.name`.
        client: The SDK's client.
        kwargs: Keywords of the SDK's method; not changed.
        provider: `gen_ai.provider.name`.

    Raises:
        BudgetExceededError: the estimate does not fit.
        BudgetUncheckedError: there is no price, or the size of the input can't be told.
    """
    try:
        body = {**kwargs, **(kwargs.get("extra_body") or {})}  # as the SDK sends it
        models = _models(body)
        called = _Called(
            provider=provider,
            host=address(str(get(client, "base_url")))[0],
            model=models[0],
            service_tier=_text(body.get("service_tier")),
        )
        estimate, model = max(
            (_estimate(operation, body, called, model), model) for model in models
        )
    except BudgetError:
        raise
    except Exception as error:
        raise BudgetUncheckedError(
            f"the call was not made: estimating its cost failed ({type(error).__name__}), so the "
            "budget can't be checked. Leave out the budget to make the call"
        ) from error
    return reserve_in(budgets, estimate, model, partial(cost_of, called))


def _models(body: Mapping[str, Any]) -> list[str]:
    """The models that may answer, the first choice first."""
    others = body.get("models")
    asked = [body.get("model"), *(others if isinstance(others, list | tuple) else ())]
    models = [model for model in dict.fromkeys(asked) if isinstance(model, str) and model]
    if not models:
        raise BudgetUncheckedError(
            "the call was not made: it names no model, so the budget can't be checked. "
            "Give model=, or leave out the budget"
        )
    return models


def _endpoints(body: Mapping[str, Any]) -> list[str | None]:
    """The upstream providers that may serve, by slug; None for any."""
    only, order = get(body, "provider", "only"), get(body, "provider", "order")
    named = [slug for slugs in (only, order) if isinstance(slugs, list | tuple) for slug in slugs]
    pinned = bool(only) or get(body, "provider", "allow_fallbacks") is False
    return [*map(_text, named), *(() if named and pinned else (None,))]


def _estimate(operation: str, body: Mapping[str, Any], called: _Called, model: str) -> Fraction:
    from genops_pricing import Usage

    offers = [_offer(called, model, endpoint) for endpoint in _endpoints(body)]
    if all(offer.status == "free" for offer in offers):
        return Fraction(0)
    usage = Usage(input=_input_tokens(body, model))
    if operation != "embeddings":
        usage = usage._replace(output=_output_tokens(body, usage.input))
    return max(_charge(offer, usage) for offer in offers)


def _offer(called: _Called, model: str, endpoint: str | None) -> Offer:
    from genops_pricing import Miss

    offer = prices.find(
        model,
        provider=called.provider,
        at_ns=time.time_ns(),
        host=called.host,
        endpoint=endpoint,
        service_tier=called.service_tier,
    )
    if isinstance(offer, Miss):
        closest = f" Closest names: {', '.join(offer.closest)}." if offer.closest else ""
        raise BudgetUncheckedError(
            f"the call to {model} was not made: it has no price ({offer.reason}: {offer.detail}), "
            f"so the budget can't be checked.{closest} Name another model, update genops-ai for "
            "newer prices, or leave out the budget"
        )
    return offer


def _charge(offer: Offer, usage: Usage) -> Fraction:
    from genops_pricing import Miss

    charge = offer.charge(usage)
    if isinstance(charge, Miss):
        raise BudgetUncheckedError(
            f"the call to {offer.model} was not made: {charge.detail}, so the budget can't be "
            "checked. Name another model, or leave out the budget"
        )
    return prices.exact(charge)


def _input_tokens(body: Mapping[str, Any], model: str) -> int:
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
        kind = value.get("type")
        if kind in _UNSIZED:
            raise _unsized(f"its input has a part of type {kind!r}")
        if kind in _IMAGES:
            yield IMAGE_TOKENS
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


def _output_tokens(body: Mapping[str, Any], input_tokens: int) -> int:
    stated = [limit for name in _OUTPUT_LIMITS if (limit := count(body.get(name))) is not None]
    tokens = max(stated) if stated else max(OUTPUT_TOKENS_MIN, int(input_tokens * COMPLETION_RATIO))
    answers = max(count(body.get(name)) or 1 for name in ("n", "best_of"))
    return tokens * answers


def cost_of(called: _Called, attributes: Attributes) -> Fraction | None:
    """What a call cost in USD, from the attributes of its response; None if that is not known.

    What the provider reports goes before what follows from the tokens. A failure without tokens
    cost nothing, if it is certain that it failed before the provider billed it.
    """
    reported = attributes.get(names.COST_REPORTED)
    # A reported 0 for an answer is a cost that nobody filled in.
    if isinstance(reported, float) and (reported or not attributes.get(names.USAGE_OUTPUT)):
        upstream = attributes.get(names.COST_UPSTREAM_REPORTED, 0.0)
        return Fraction(str(reported)) + Fraction(str(upstream))
    if names.USAGE_INPUT in attributes:
        return _computed(called, attributes)
    error = attributes.get(names.ERROR_TYPE)
    began = names.STREAM_COMPLETED in attributes or names.RESPONSE_ID in attributes
    return None if error is None or error in _MAYBE_BILLED or began else Fraction(0)


def _computed(called: _Called, attributes: Attributes) -> Fraction | None:
    from genops_pricing import Miss, Usage

    found = prices.find(
        str(attributes.get(names.RESPONSE_MODEL, called.model)),
        provider=called.provider,
        at_ns=time.time_ns(),
        host=called.host,
        endpoint=_text(attributes.get(names.ACTUAL_PROVIDER)),
        service_tier=_text(attributes.get(names.RESPONSE_SERVICE_TIER)) or called.service_tier,
    )
    if isinstance(found, Miss):
        return None
    counts = {field: count(attributes.get(name)) or 0 for field, name in _USAGE.items()}
    charge = found.charge(Usage(**counts))
    return None if isinstance(charge, Miss) else prices.exact(charge)


def _unsized(why: str) -> BudgetUncheckedError:
    return BudgetUncheckedError(
        f"the call was not made: {why}, so its cost can't be estimated and the budget can't be "
        "checked. Leave out the budget to make the call"
    )


def _is_given(value: object) -> bool:
    # The SDK's marks for "not given" are instances of these classes.
    return value is not None and type(value).__name__ not in ("NotGiven", "Omit")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
