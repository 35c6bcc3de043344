"""What calls to OpenRouter cost: prices and estimates for applications.

    from genops.providers.openrouter_pricing import calculate_openrouter_cost

    calculate_openrouter_cost("openai/gpt-4o", input_tokens=200, output_tokens=100)  # 0.0015

Prices come from the dated catalog of `genops_pricing`, in USD. Sums are exact; a float is made
once, at the end. A model without a price is an error that says why, never a guess.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from genops.providers import prices
from genops.providers.hosts import OPENROUTER
from genops.providers.tokens import load_tokenizer, tokenizer_for

if TYPE_CHECKING:
    from genops_pricing import Miss, Offer

__all__ = [
    "NoPriceError",
    "OpenRouterPricing",
    "UnknownModelError",
    "calculate_openrouter_cost",
    "estimate_cost_for_text",
    "get_cost_breakdown",
    "get_supported_models",
    "load_tokenizer",
]


class NoPriceError(LookupError):
    """A model has no price.

    Attributes:
        model: The name asked for.
        reason: "unknown_model", "ambiguous_model", "no_model", "not_yet_priced", "suspect_price"
            (sources contradict one another) or "dynamic_price" (routed to another model).
        closest: Names of the catalog that are most like it, best first.
    """

    def __init__(self, model: str, reason: str, detail: str, closest: tuple[str, ...] = ()) -> None:
        super().__init__(model, reason, detail, closest)
        self.model = model
        self.reason = reason
        self.detail = detail
        self.closest = closest

    def __str__(self) -> str:
        hint = f" Did you mean {', '.join(self.closest)}?" if self.closest else ""
        return f"no price for {self.model!r}: {self.reason}: {self.detail}.{hint}"


class UnknownModelError(NoPriceError):
    """The catalog has no model of this name."""


@dataclass(frozen=True, slots=True)
class OpenRouterPricing:
    """The price of a model in force now, in USD; for prompts of the smallest size tier."""

    input_cost_per_token: float
    output_cost_per_token: float
    currency: str
    provider: str  # the maker: "anthropic"
    model_family: str | None
    tier: str | None  # economy, balanced, premium or flagship
    cache_read_cost_per_token: float | None  # None: no source tells it
    cache_write_cost_per_token: float | None
    context_length: int | None  # tokens
    entry: str  # id of the price in the catalog
    effective_from: str  # "2024-11-04T00:00:00Z"


def calculate_openrouter_cost(
    model_name: str,
    actual_provider: str | None = None,
    input_tokens: int = 0,
    output_tokens: int = 0,
    *,
    cache_read: int = 0,
    cache_write: int = 0,
    reasoning: int = 0,
    at: datetime | None = None,
) -> float:
    """The cost of one call in USD.

    Args:
        model_name: As OpenRouter names it: "anthropic/claude-3-sonnet".
        actual_provider: Who served the call, by name or slug ("Amazon Bedrock"): its own price is
            taken where the catalog has one.
        input_tokens: All of the prompt, what was read from and written to a cache included.
        output_tokens: All of the answer, reasoning included.
        cache_read: Input tokens read from a cache.
        cache_write: Input tokens written to a cache.
        reasoning: Output tokens spent on reasoning.
        at: When the call ended, with a time zone; by default now.

    Raises:
        UnknownModelError: the catalog has no such model; the error names the closest ones.
        NoPriceError: the model, or a kind of its tokens, has no price; the error says why.
        ValueError: a count can't be right, or `at` has no time zone.
    """
    breakdown = get_cost_breakdown(
        model_name,
        actual_provider,
        input_tokens,
        output_tokens,
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=reasoning,
        at=at,
    )
    return float(breakdown["total_cost"])


def get_cost_breakdown(
    model_name: str,
    actual_provider: str | None = None,
    input_tokens: int = 0,
    output_tokens: int = 0,
    *,
    cache_read: int = 0,
    cache_write: int = 0,
    reasoning: int = 0,
    at: datetime | None = None,
) -> dict[str, Any]:
    """The cost of one call and how it comes about.

    Takes and raises the same as `calculate_openrouter_cost`.

    Returns:
        Costs (`total_cost`, `input_cost`, `output_cost`, `cache_read_cost`, `cache_write_cost`,
        `request_cost`), counts (`input_tokens`, `output_tokens`, `cache_read_tokens`,
        `cache_write_tokens`, `reasoning_tokens`), prices (`input_cost_per_token`,
        `output_cost_per_token`), names (`model_name`, `provider`, `model_family`, `tier`,
        `currency`) and what the price is: `pricing_version`, `entry` (its id), `effective_from`,
        `endpoint` (the provider whose own price it is, else None), `removed` (the day on which
        OpenRouter stopped to offer the model, else None). `input_cost` is that of uncached tokens;
        the costs sum to the total.
    """
    from genops_pricing import Miss, Usage, bundled_catalog

    usage = Usage(
        input=_count("input_tokens", input_tokens),
        output=_count("output_tokens", output_tokens),
        cache_read=_count("cache_read", cache_read),
        cache_write=_count("cache_write", cache_write),
        reasoning=_count("reasoning", reasoning),
    )
    offer = _offer(model_name, actual_provider, at)
    charge = offer.charge(usage)
    if isinstance(charge, Miss):
        if charge.reason != "bad_usage":
            raise _no_price(model_name, charge)
        raise ValueError(f"tokens of {model_name}: {charge.detail}")  # noqa: TRY004 - the type is ours
    parts = dict(charge.parts)
    return {
        "total_cost": charge.total / charge.divisor,
        **{
            f"{part}_cost": parts.get(part, 0) / charge.divisor
            for part in ("input", "output", "cache_read", "cache_write", "request")
        },
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "reasoning_tokens": usage.reasoning,
        "input_cost_per_token": _per_token(offer, "input", usage.input) or 0.0,
        "output_cost_per_token": _per_token(offer, "output", usage.input) or 0.0,
        "provider": actual_provider or _author(offer),
        "model_family": offer.family,
        "tier": offer.tier,
        "currency": "USD",
        "model_name": model_name,
        "pricing_version": bundled_catalog().version,
        "entry": offer.entry,
        "effective_from": offer.effective_from,
        "endpoint": offer.endpoint,
        "removed": offer.removed,
    }


def estimate_cost_for_text(
    model_name: str,
    text: str,
    completion_ratio: float = 0.3,
    *,
    actual_provider: str | None = None,
    at: datetime | None = None,
) -> tuple[float, dict[str, Any]]:
    """What a call with this text may cost, before it is made.

    Tokens are counted with tiktoken where it is ready (see `load_tokenizer`), else by size: four
    bytes to a token. OpenAI's encoding stands in for those of other makers.

    Args:
        model_name: As OpenRouter names it.
        text: The prompt.
        completion_ratio: Tokens of the answer for each of the prompt.
        actual_provider: As in `calculate_openrouter_cost`.
        at: As in `calculate_openrouter_cost`.

    Returns:
        The cost in USD, and the breakdown of `get_cost_breakdown` with `completion_ratio` and
        `tokenizer` ("tiktoken:o200k_base", "utf8_bytes/4") added.

    Raises:
        UnknownModelError: the catalog has no such model; the error names the closest ones.
        NoPriceError: the model has no price; the error says why.
        ValueError: the ratio is no finite number from 0, or `at` has no time zone.
    """
    if not math.isfinite(completion_ratio) or completion_ratio < 0:
        raise ValueError(
            f"completion_ratio={completion_ratio!r}: give output tokens per input token, from 0"
        )
    tokenizer = tokenizer_for(model_name)
    input_tokens = tokenizer.count(text)
    breakdown = get_cost_breakdown(
        model_name,
        actual_provider,
        input_tokens,
        math.ceil(input_tokens * Fraction(str(completion_ratio))),
        at=at,
    )
    details = breakdown | {"completion_ratio": completion_ratio, "tokenizer": tokenizer.name}
    return breakdown["total_cost"], details


def get_supported_models() -> dict[str, OpenRouterPricing]:
    """The models that OpenRouter offers and whose price is known now, by name.

    Left out: models that were removed, prices that sources contradict one another on, and routers
    such as openrouter/auto, whose price is that of the model they choose.
    """
    from genops_pricing import Miss, bundled_catalog

    now = time.time_ns()
    supported: dict[str, OpenRouterPricing] = {}
    for model in bundled_catalog().models(OPENROUTER):
        offer = prices.find(model.id, provider=OPENROUTER, at_ns=now)
        if model.removed or isinstance(offer, Miss):
            continue
        supported[model.id] = OpenRouterPricing(
            input_cost_per_token=_per_token(offer, "input") or 0.0,
            output_cost_per_token=_per_token(offer, "output") or 0.0,
            currency="USD",
            provider=_author(offer),
            model_family=offer.family,
            tier=offer.tier,
            cache_read_cost_per_token=_per_token(offer, "cache_read"),
            cache_write_cost_per_token=_per_token(offer, "cache_write"),
            context_length=model.context_length,
            entry=offer.entry,
            effective_from=offer.effective_from,
        )
    return supported


def _offer(model_name: str, actual_provider: str | None, at: datetime | None) -> Offer:
    from genops_pricing import Miss

    offer = prices.find(
        model_name, provider=OPENROUTER, at_ns=_instant(at), endpoint=actual_provider
    )
    if isinstance(offer, Miss):
        raise _no_price(model_name, offer)
    return offer


def _no_price(model_name: str, miss: Miss) -> NoPriceError:
    kind = UnknownModelError if miss.reason == "unknown_model" else NoPriceError
    return kind(model_name, miss.reason, miss.detail.rstrip("."), miss.closest)


def _instant(at: datetime | None) -> int:
    from genops_pricing.instants import instant_of

    if at is None:
        return time.time_ns()
    if at.tzinfo is None:
        raise ValueError(f"at={at} has no time zone. Give an aware datetime: tzinfo=UTC")
    return instant_of(at)


def _count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name}={value!r} is no count of tokens. Give an integer from 0")
    return value


def _author(offer: Offer) -> str:
    return offer.model.partition("/")[0]


def _per_token(offer: Offer, unit: str, prompt_tokens: int = 0) -> float | None:
    """The price of one token in USD, in the size tier of the prompt; None where it has none."""
    from genops_pricing.units import UNITS

    rates = offer.rates
    position = next(index for index, known in enumerate(UNITS) if known.key == unit)
    band = 0 if rates.marginal else bisect_right(rates.starts, prompt_tokens) - 1
    rate = rates.bands[band][position]
    return None if rate is None else rate / rates.divisor
