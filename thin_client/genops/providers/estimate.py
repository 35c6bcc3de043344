"""What a call may cost, before it is made, and what it cost in the end: for budgets.

Which price holds is decided by `genops_pricing`, whether the call fits by `core.budget`.

An estimate is the size of the request (`request_size`) at full prices, those of writing to a cache
where the call asks for it. Of the models and the providers that the request names, the dearest
counts; where it names no provider, OpenRouter may choose a dearer one than the model's price says
(`provider.max_price` bounds that). Not estimated, though counted afterwards: web searches and other
plugins.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from genops.providers.request_size import cached_for, input_tokens, output_tokens

if TYPE_CHECKING:
    from genops_pricing import Offer, Usage

__all__ = ["reserve"]

# Failures whose estimate counts as spent: after the first the provider may go on generating, and
# bill; the others are the SDK's, and `parse`'s, about an answer that came and was billed.
_MAYBE_BILLED: Final = frozenset(
    {
        *("APITimeoutError", "CancelledError", "KeyboardInterrupt"),
        *("ContentFilterFinishReasonError", "LengthFinishReasonError"),
        *("APIResponseValidationError", "JSONDecodeError", "ValidationError"),
    }
)

# Tiers that cost less than the list price wherever they are sold: that bounds what they cost.
_CHEAPER_TIERS: Final = frozenset({"flex"})

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
    """What was called, as far as its cost depends on it."""

    operation: str
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
            operation=operation,
            provider=provider,
            host=address(str(get(client, "base_url")))[0],
            model=models[0],
            service_tier=_text(body.get("service_tier")),
        )
        estimate, model = max((_estimate(body, called, model), model) for model in models)
    except BudgetError:
        raise
    except Exception as error:
        raise BudgetUncheckedError(
            f"the call was not made: estimating its cost failed ({type(error).__name__}), so the "
            "budget can't be checked. Leave out the budget to make the call"
        ) from error
    return reserve_in(budgets, estimate, model, partial(_cost_of, called))


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


def _estimate(body: Mapping[str, Any], called: _Called, model: str) -> Fraction:
    from genops_pricing import Usage

    offers = [_offer(called, model, endpoint) for endpoint in _endpoints(body)]
    if all(offer.status == "free" for offer in offers):
        return Fraction(0)
    usage = Usage(input=input_tokens(body, model))
    if called.operation != "embeddings":
        usage = usage._replace(output=output_tokens(body, usage.input))
    usages = [usage, *_outputs_of_other_kinds(body, usage)]
    if kept := cached_for(body):  # all of the input may be written to the cache
        written = {"cache_write": usage.input, "cache_write_1h": usage.input * (kept == "1h")}
        usages += [used._replace(**written) for used in usages]
    return max(_charge(offer, used) for offer in offers for used in usages)


def _outputs_of_other_kinds(body: Mapping[str, Any], usage: Usage) -> list[Usage]:
    """The usage if all of the output is an image or speech: few models can, and some dearly."""
    asked = body.get("modalities")
    kinds = asked if isinstance(asked, list | tuple) else ("image", "audio")
    images = [usage._replace(output_image=usage.output)] if "image" in kinds else []
    return images + ([usage._replace(output_audio=usage.output)] if "audio" in kinds else [])


def _offer(called: _Called, model: str, endpoint: str | None) -> Offer:
    from genops_pricing import Miss

    find = partial(
        prices.find,
        model,
        provider=called.provider,
        at_ns=time.time_ns(),
        host=called.host,
        endpoint=endpoint,
    )
    offer = find(service_tier=called.service_tier)
    if isinstance(offer, Miss) and called.service_tier in _CHEAPER_TIERS:
        offer = find()
    if isinstance(offer, Miss):
        detail = offer.detail.rstrip(".")
        closest = f" Closest names: {', '.join(offer.closest)}." if offer.closest else ""
        raise BudgetUncheckedError(
            f"the call to {model} was not made: it has no price ({offer.reason}: {detail}), "
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


def _cost_of(called: _Called, attributes: Attributes) -> Fraction | None:
    """What a call cost in USD, from the attributes of its response; None if that is not known.

    What the provider reports goes before what follows from the tokens. A failure without tokens
    cost nothing, if it is certain that it failed before the provider billed it.
    """
    reported = attributes.get(names.COST_REPORTED)
    # A reported 0 for an answer is a cost that nobody filled in.
    if isinstance(reported, float) and (reported or not attributes.get(names.USAGE_OUTPUT)):
        upstream = attributes.get(names.COST_UPSTREAM_REPORTED)
        if upstream is not None:
            return Fraction(str(reported)) + Fraction(str(upstream))
        # With a key of one's own what is reported is OpenRouter's fee, a twentieth of the cost.
        if attributes.get(names.IS_BYOK) is not True:
            return Fraction(str(reported))
    outputs = called.operation == "embeddings" or names.USAGE_OUTPUT in attributes
    if names.USAGE_INPUT in attributes and outputs:
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


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
