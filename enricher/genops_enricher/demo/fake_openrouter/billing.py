"""What the fake OpenRouter charges: its own price list and its own arithmetic.

This is the independent check on the enricher's costs, so it shares nothing with `genops_pricing`:
prices are typed in again from OpenRouter's public list, and sums are done in `Decimal`. Prices are
USD per million tokens, as GET https://openrouter.ai/api/v1/models listed them in November 2026
(there per token).

Rules, from https://openrouter.ai/docs/guides/administration/usage-accounting and the prompt
caching guide: prompt counts include cached and cache-write tokens, completion counts include
reasoning tokens; a kind of token without a price of its own is billed as plain input. With your
own provider key (BYOK) the provider charges the price, and OpenRouter takes a fee of five percent
of it, waived below a monthly allowance.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["MODELS", "Bill", "Model", "Rates", "Tokens", "bill"]

MILLION = Decimal(1_000_000)
BYOK_FEE = Decimal("0.05")


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per million tokens. None: that kind of token is billed as plain input."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    audio: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model on the fake's list, with the upstream providers that serve it, best first."""

    id: str
    name: str
    created: int  # Unix seconds
    context_length: int  # tokens
    providers: tuple[str, ...]
    rates: Rates
    canonical_slug: str = ""  # the dated name; the id where there is none
    over_200k: Rates | None = None  # for the whole call, when the prompt is above 200,000 tokens

    @property
    def slug(self) -> str:
        """The dated name of the model, which some responses carry in place of its id."""
        return self.canonical_slug or self.id


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts of one call, as OpenRouter reports them: the parts are inside the totals."""

    prompt: int
    completion: int
    cached: int = 0  # within prompt
    cache_write: int = 0  # within prompt
    audio: int = 0  # within prompt
    reasoning: int = 0  # within completion

    def __post_init__(self) -> None:
        parts = (self.cached, self.cache_write, self.audio, self.reasoning)
        if min(self.prompt, self.completion, *parts) < 0:
            raise ValueError("token counts can't be negative")
        if self.cached + self.cache_write + self.audio > self.prompt:
            raise ValueError("cached, cache_write and audio tokens are part of the prompt tokens")
        if self.reasoning > self.completion:
            raise ValueError("reasoning tokens are part of the completion tokens")


@dataclass(frozen=True, slots=True)
class Bill:
    """What one call costs, in USD."""

    prompt: Decimal  # the upstream provider's charge for the prompt
    completion: Decimal  # … and for the completion
    is_byok: bool = False
    fee_waived: bool = False  # BYOK below the monthly allowance

    @property
    def upstream(self) -> Decimal:
        """The upstream provider's charge. With BYOK it is on the caller's bill there."""
        return self.prompt + self.completion

    @property
    def cost(self) -> Decimal:
        """The credits that OpenRouter takes: `usage.cost` of the response."""
        if not self.is_byok:
            return self.upstream
        return Decimal(0) if self.fee_waived else self.upstream * BYOK_FEE

    @property
    def total(self) -> Decimal:
        """What the caller pays to everybody."""
        return self.cost + self.upstream if self.is_byok else self.cost


def bill(model: Model, tokens: Tokens, *, is_byok: bool = False, fee_waived: bool = False) -> Bill:
    """Price one call at the fake's own list."""
    rates = model.rates
    if model.over_200k is not None and tokens.prompt > 200_000:
        rates = model.over_200k
    plain = tokens.prompt - tokens.cached - tokens.cache_write - tokens.audio
    prompt = (
        plain * rates.input
        + tokens.cached * _or(rates.cache_read, rates.input)
        + tokens.cache_write * _or(rates.cache_write, rates.input)
        + tokens.audio * _or(rates.audio, rates.input)
    )
    return Bill(prompt / MILLION, tokens.completion * rates.output / MILLION, is_byok, fee_waived)


def _or(price: Decimal | None, default: Decimal) -> Decimal:
    return default if price is None else price


def _usd(
    input: str,  # noqa: A002 - the name of the field that it fills
    output: str,
    *,
    cache_read: str | None = None,
    cache_write: str | None = None,
    audio: str | None = None,
) -> Rates:
    return Rates(
        Decimal(input),
        Decimal(output),
        *(None if price is None else Decimal(price) for price in (cache_read, cache_write, audio)),
    )


MODELS = {
    model.id: model
    for model in (
        Model(
            "openai/gpt-4o",
            "OpenAI: GPT-4o",
            created=1_715_558_400,
            context_length=128_000,
            providers=("OpenAI", "Azure"),
            rates=_usd("2.50", "10", cache_read="1.25"),
        ),
        Model(
            "openai/gpt-4o-mini",
            "OpenAI: GPT-4o-mini",
            created=1_721_260_800,
            context_length=128_000,
            providers=("OpenAI", "Azure"),
            rates=_usd("0.15", "0.60", cache_read="0.075"),
        ),
        Model(
            "openai/gpt-5-mini",
            "OpenAI: GPT-5 Mini",
            created=1_754_587_407,
            context_length=400_000,
            providers=("OpenAI",),
            rates=_usd("0.25", "2", cache_read="0.025"),
            canonical_slug="openai/gpt-5-mini-2025-08-07",
        ),
        Model(
            "openai/gpt-3.5-turbo",
            "OpenAI: GPT-3.5 Turbo",
            created=1_685_232_000,
            context_length=16_385,
            providers=("OpenAI",),
            rates=_usd("0.50", "1.50"),
        ),
        Model(
            "openai/gpt-3.5-turbo-instruct",
            "OpenAI: GPT-3.5 Turbo Instruct",
            created=1_695_859_200,
            context_length=4_095,
            providers=("OpenAI",),
            rates=_usd("1.50", "2"),
        ),
        Model(
            "openai/text-embedding-3-small",
            "OpenAI: Text Embedding 3 Small",
            created=1_761_857_455,
            context_length=8_192,
            providers=("OpenAI",),
            rates=_usd("0.02", "0"),
        ),
        Model(
            "anthropic/claude-sonnet-4.5",
            "Anthropic: Claude Sonnet 4.5",
            created=1_759_161_676,
            context_length=1_000_000,
            providers=("Anthropic", "Amazon Bedrock", "Google"),
            rates=_usd("3", "15", cache_read="0.30", cache_write="3.75"),
            canonical_slug="anthropic/claude-4.5-sonnet-20250929",
        ),
        Model(
            "anthropic/claude-haiku-4.5",
            "Anthropic: Claude Haiku 4.5",
            created=1_760_547_638,
            context_length=200_000,
            providers=("Anthropic", "Amazon Bedrock", "Google"),
            rates=_usd("1", "5", cache_read="0.10", cache_write="1.25"),
            canonical_slug="anthropic/claude-4.5-haiku-20251001",
        ),
        Model(
            "anthropic/claude-3-haiku",
            "Anthropic: Claude 3 Haiku",
            created=1_710_288_000,
            context_length=200_000,
            providers=("Amazon Bedrock", "Google"),
            rates=_usd("0.25", "1.25", cache_read="0.03", cache_write="0.30"),
        ),
        Model(
            "google/gemini-2.5-flash",
            "Google: Gemini 2.5 Flash",
            created=1_750_172_488,
            context_length=1_048_576,
            providers=("Google AI Studio", "Google"),
            rates=_usd("0.30", "2.50", cache_read="0.03", cache_write="0.083333", audio="1"),
        ),
        Model(
            "google/gemini-2.5-pro",
            "Google: Gemini 2.5 Pro",
            created=1_750_169_544,
            context_length=1_048_576,
            providers=("Google AI Studio", "Google"),
            rates=_usd("1.25", "10", cache_read="0.125", cache_write="0.375"),
            over_200k=_usd("2.50", "15", cache_read="0.25", cache_write="0.375"),
        ),
        Model(
            "mistralai/mistral-large",
            "Mistral Large",
            created=1_708_905_600,
            context_length=128_000,
            providers=("Mistral",),
            rates=_usd("2", "6", cache_read="0.20"),
        ),
        Model(
            "meta-llama/llama-3.2-3b-instruct:free",
            "Meta: Llama 3.2 3B Instruct (free)",
            created=1_727_222_400,
            context_length=131_072,
            providers=("Venice",),
            rates=_usd("0", "0"),
        ),
        # Retired ones answer at their last price: applications still ask for them.
        Model(
            "anthropic/claude-3-sonnet",
            "Anthropic: Claude 3 Sonnet",
            created=1_709_596_800,
            context_length=200_000,
            providers=("Anthropic",),
            rates=_usd("3", "15"),
        ),
        Model(
            "anthropic/claude-3.5-sonnet",
            "Anthropic: Claude 3.5 Sonnet",
            created=1_729_555_200,
            context_length=200_000,
            providers=("Amazon Bedrock",),
            rates=_usd("6", "30"),
            canonical_slug="anthropic/claude-3-5-sonnet",
        ),
        Model(
            "google/gemini-pro-1.5",
            "Google: Gemini 1.5 Pro",
            created=1_712_620_800,
            context_length=2_000_000,
            providers=("Google", "Google AI Studio"),
            rates=_usd("1.25", "5"),
            canonical_slug="google/gemini-1.5-pro",
        ),
        Model(
            "meta-llama/llama-3.1-70b-instruct",
            "Meta: Llama 3.1 70B Instruct",
            created=1_721_692_800,
            context_length=131_072,
            providers=("DeepInfra",),
            rates=_usd("0.72", "0.72"),
        ),
        Model(
            "meta-llama/llama-3.1-8b-instruct",
            "Meta: Llama 3.1 8B Instruct",
            created=1_721_692_800,
            context_length=131_072,
            providers=("Groq", "DeepInfra"),
            rates=_usd("0.05", "0.08"),
        ),
        # On no price list but this one: what a model looks like on the day before its price is
        # known anywhere.
        Model(
            "example/preview-1",
            "Example: Preview 1",
            created=1_795_000_000,
            context_length=128_000,
            providers=("Example",),
            rates=_usd("0.40", "1.60"),
        ),
    )
}
