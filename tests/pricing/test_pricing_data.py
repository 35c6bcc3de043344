"""The bundled prices: what the guide names resolves, and known calls cost what they cost."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise

import pytest

from genops_pricing import (
    NO_CONDITIONS,
    Charge,
    Conditions,
    Miss,
    Offer,
    Usage,
    bundled_catalog,
)
from genops_pricing.importing.snapshots import undated
from genops_pricing.units import UNITS_BY_KEY
from pricing_files import at, ns, offer_at, quote

M = 1_000_000
NOW = "2026-11-22"

# Every model that the OpenRouter guide names, in its spelling.
GUIDE = (
    "anthropic/claude-3-sonnet",
    "anthropic/claude-3-opus",
    "anthropic/claude-3-haiku",
    "anthropic/claude-3-5-sonnet",
    "anthropic/claude-3.5-sonnet",
    "openai/gpt-4o",
    "openai/gpt-4o-mini",
    "openai/gpt-4-turbo",
    "openai/gpt-3.5-turbo",
    "openai/gpt-3.5-turbo-instruct",
    "google/gemini-1.5-pro",
    "google/gemini-1.5-flash",
    "google/gemini-2.0-flash",
    "google/gemini-2.0-flash-exp",
    "google/gemma-2-9b-it",
    "meta-llama/llama-3.1-8b-instruct",
    "meta-llama/llama-3.1-70b-instruct",
    "meta-llama/llama-3.1-405b-instruct",
    "meta-llama/llama-3.2-1b-instruct",
    "meta-llama/llama-3.2-3b-instruct",
    "meta-llama/llama-3.2-11b-instruct",
    "meta-llama/llama-3.2-90b-instruct",
    "mistralai/mistral-large",
    "mistralai/mistral-medium",
    "mistralai/mistral-small",
    "mistralai/mixtral-8x7b-instruct",
    "mistralai/mixtral-8x22b-instruct",
    "cohere/command-r-plus",
    "cohere/command-r",
    "cohere/command",
    "perplexity/sonar",
    "perplexity/sonar-pro",
)

# The model categories of the guide.
TIERS = {
    "meta-llama/llama-3.2-1b-instruct": "economy",
    "meta-llama/llama-3.2-3b-instruct": "economy",
    "google/gemma-2-9b-it": "economy",
    "openai/gpt-3.5-turbo": "balanced",
    "anthropic/claude-3-haiku": "balanced",
    "mistralai/mistral-small": "balanced",
    "openai/gpt-4o": "premium",
    "anthropic/claude-3-5-sonnet": "premium",
    "google/gemini-1.5-pro": "premium",
    "anthropic/claude-3-opus": "flagship",
    "meta-llama/llama-3.1-405b-instruct": "flagship",
}


@pytest.mark.parametrize("name", GUIDE)
def test_a_model_of_the_guide_has_a_price_and_a_family(name: str) -> None:
    offer = bundled_catalog().find(name, market=None, at_ns=ns(NOW))

    assert isinstance(offer, Offer), offer
    assert offer.family
    assert isinstance(offer.charge(Usage(input=10, output=10)), tuple)


@pytest.mark.parametrize(("name", "tier"), TIERS.items())
def test_a_model_has_the_tier_that_the_guide_lists_it_under(name: str, tier: str) -> None:
    assert offer_at(bundled_catalog(), name, ns(NOW)).tier == tier


@pytest.mark.parametrize(
    ("day", "total"),
    [
        ("2024-05-13", 5 + 15),
        ("2024-07-15", 5 + 15),
        ("2024-11-03T23:59:59", 5 + 15),
        ("2024-11-04", Decimal("2.5") + 10),
        (NOW, Decimal("2.5") + 10),
    ],
)
def test_gpt_4o_costs_what_it_cost_on_the_day(day: str, total: Decimal) -> None:
    assert quote(bundled_catalog(), "openai/gpt-4o", day, input=M, output=M).total == total


def test_a_removed_model_keeps_its_price_and_says_when_it_was_removed() -> None:
    result = quote(bundled_catalog(), "claude-3-sonnet", NOW, input=150, output=75)

    assert result.total == Decimal(3) * 150 / M + Decimal(15) * 75 / M == Decimal("0.001575")
    assert result.removed == "2025-08-12"
    assert result.model == "anthropic/claude-3-sonnet"


@pytest.mark.parametrize(
    ("day", "price"),
    [
        ("2024-09-05", "1.79"),
        ("2024-12-11", "0.9"),
        ("2025-01-17", "0.8"),
        ("2025-11-15", "3.5"),
        ("2026-03-03", "4"),
    ],
)
def test_llama_405b_follows_its_steps(day: str, price: str) -> None:
    result = quote(bundled_catalog(), "meta-llama/llama-3.1-405b-instruct", day, input=M, output=M)

    assert result.total == 2 * Decimal(price)


@pytest.mark.parametrize(
    ("model", "day", "total"),
    [
        ("mistralai/mistral-large", "2024-06-19", 8 + 24),
        ("mistralai/mistral-large", "2024-09-05", 3 + 9),
        ("mistralai/mistral-large", "2024-10-01", 2 + 6),
        ("moonshotai/kimi-k2", "2026-03-10", Decimal("0.55") + Decimal("2.2")),
        ("z-ai/glm-4.5", "2026-01-07", Decimal("0.35") + Decimal("1.55")),
        ("qwen/qwen3-vl-235b-a22b-instruct", "2025-11-07", Decimal("0.22") + Decimal("0.88")),
    ],
)
def test_a_step_that_snapshots_show_for_weeks_is_not_left_out(
    model: str, day: str, total: Decimal
) -> None:
    assert quote(bundled_catalog(), model, day, input=M, output=M).total == total


@pytest.mark.parametrize(
    ("model", "day"),
    [
        ("anthropic/claude-3-opus", "2026-01-07"),
        ("mistralai/mistral-small", "2025-12-06"),
        ("perplexity/sonar-reasoning", "2026-01-07"),
    ],
)
def test_a_model_was_removed_when_the_first_snapshot_lacked_it(model: str, day: str) -> None:
    assert quote(bundled_catalog(), model, NOW, input=1).removed == day


@pytest.mark.parametrize(("size", "price"), [(200_000, "1.25"), (200_001, "2.5")])
def test_audio_of_gemini_2_5_pro_costs_what_its_text_costs(size: int, price: str) -> None:
    result = quote(bundled_catalog(), "google/gemini-2.5-pro", NOW, input=size, input_audio=size)

    assert result.total == Decimal(price) * size / M


def test_a_long_prompt_of_sonnet_costs_the_long_context_price() -> None:
    short, long = (
        quote(bundled_catalog(), "anthropic/claude-sonnet-4.5", NOW, input=size, output=1000)
        for size in (200_000, 200_001)
    )

    assert short.total == (Decimal(3) * 200_000 + Decimal(15) * 1000) / M
    assert long.total == (Decimal(6) * 200_001 + Decimal("22.5") * 1000) / M


@pytest.mark.parametrize("day", ["2025-11-07", "2026-03-02", "2026-03-03"])
def test_a_search_is_charged_once_under_whichever_name(day: str) -> None:
    """OpenRouter stated this fee as that of a request until 2026-03-03, then as a search's."""
    model = "openai/gpt-4o-search-preview"
    result = quote(bundled_catalog(), model, day, input=1000, output=100, web_searches=1)

    expected = Decimal("2.5") * 1000 / M + Decimal(10) * 100 / M + Decimal("0.035")
    assert result.total == expected


def test_no_row_states_the_fee_of_a_search_twice() -> None:
    twice = [
        row.entry
        for model in bundled_catalog().models()
        for row in model.rows
        if "request" in row.prices
        and row.prices["request"] == row.prices.get("web_search")
        and row.entry not in {other.corrects for other in model.rows}
    ]

    assert twice == []


PROBES: tuple[tuple[str, Usage, Conditions], ...] = (
    ("long prompt", Usage(input=900_000, output=10), NO_CONDITIONS),
    ("cached", Usage(input=900, cache_read=500, cache_write=300), NO_CONDITIONS),
    ("search", Usage(input=10, web_searches=3), NO_CONDITIONS),
    ("flex", Usage(input=900, output=90, cache_read=500), Conditions(service_tier="flex")),
    ("priority", Usage(input=900, output=90, cache_read=500), Conditions(service_tier="priority")),
)


@pytest.mark.parametrize(("what", "usage", "conditions"), PROBES)
def test_a_snapshot_costs_what_its_name_without_a_day_costs(
    what: str, usage: Usage, conditions: Conditions
) -> None:
    """Providers answer with the name of the snapshot: what only the other states is not lost."""
    catalog = bundled_catalog()

    def charge(model: str, market: str, used: Usage, when: Conditions) -> Charge | Miss:
        offer = catalog.find(model, market=market, at_ns=ns(NOW), conditions=when)
        return offer.charge(used) if isinstance(offer, Offer) else offer

    def roots(model: str, market: str) -> list[Decimal]:
        found = [charge(model, market, used, NO_CONDITIONS) for used in (Usage(1), Usage(output=1))]
        return [one.usd(one.total) for one in found if not isinstance(one, Miss)]

    ids = {(model.market, model.id) for model in catalog.models()}
    differ, compared = [], 0
    for market, snapshot in sorted(ids):
        name = undated(snapshot)
        if market == "openrouter" or name is None or (market, name) not in ids:
            continue
        theirs = charge(name, market, usage, conditions)
        root = roots(name, market)
        if roots(snapshot, market) != root or len(root) < 2 or isinstance(theirs, Miss):
            continue
        if theirs.usd(theirs.total) == usage.input * root[0] + usage.output * root[1]:
            continue  # it has no other price for this
        compared += 1
        own = charge(snapshot, market, usage, conditions)
        if isinstance(own, Miss) or own.usd(own.total) != theirs.usd(theirs.total):
            differ.append((market, snapshot, own, theirs))

    assert compared > 5
    assert differ == [], what


def test_no_direct_price_of_cached_tokens_stands_in_a_wrong_column() -> None:
    """No provider asks less for writing tokens to a cache than for not writing them.

    OpenRouter does: what it states for Google since 2026 is the storage alone.
    """
    odd = [
        row.entry
        for model in bundled_catalog().models()
        if model.market != "openrouter"
        for row in model.rows
        if row.entry not in {other.corrects for other in model.rows}
        for text in [row.prices.get("input", Decimal(0))]
        if row.prices.get("cache_write", text) < text
        or row.prices.get("cache_read", 1) < text / 500
    ]

    assert odd == []


def test_a_canonical_slug_of_a_response_is_the_model() -> None:
    catalog = bundled_catalog()

    for name in ("anthropic/claude-4.5-sonnet-20250929", "claude-4.5-sonnet-20250929"):
        assert offer_at(catalog, name, ns(NOW)).model == "anthropic/claude-sonnet-4.5"
    offer = offer_at(catalog, "anthropic/claude-3-5-haiku", ns(NOW))
    assert offer.model == "anthropic/claude-3.5-haiku"


def test_a_dated_snapshot_that_is_listed_has_its_own_price() -> None:
    """In August 2024 openai/gpt-4o still was the snapshot of May, at twice the input price."""
    catalog = bundled_catalog()
    day = "2024-08-15"

    assert quote(catalog, "openai/gpt-4o", day, input=M).total == 5
    assert quote(catalog, "openai/gpt-4o-2024-08-06", day, input=M).total == Decimal("2.5")


def test_the_auto_router_has_no_price_of_its_own() -> None:
    miss = bundled_catalog().find("openrouter/auto", market=None, at_ns=ns(NOW))

    assert isinstance(miss, Miss)
    assert (miss.reason, miss.model) == ("dynamic_price", "openrouter/auto")


def test_a_free_model_is_free() -> None:
    result = quote(bundled_catalog(), "google/gemini-2.0-flash-exp:free", NOW, input=5, output=5)

    assert result.status == "free"
    assert result.total == 0


def test_the_same_model_may_cost_another_price_at_its_maker() -> None:
    catalog = bundled_catalog()
    usage = Usage(input=M, output=M)

    routed = catalog.quote("anthropic/claude-3.5-sonnet", usage, at=at("2026-01-01"))
    direct = catalog.quote(
        "claude-3-5-sonnet-20241022", usage, market="anthropic", at=at("2026-01-01")
    )
    assert routed.total == 6 + 30
    assert direct.total == 3 + 15


@pytest.mark.parametrize(
    ("market", "model", "day", "total"),
    [
        ("openai", "gpt-4.1-2025-04-14", "2025-04-14", "1"),
        ("openai", "o3-2025-04-16", "2025-06-09", "5"),
        ("openai", "o3-2025-04-16", "2025-06-10", "1"),
        ("openai", "o1-mini", "2025-01-01", "1.5"),
        ("openai", "gpt-5.6-sol", "2026-08-20", "3.5"),
        ("openai", "gpt-5.6-sol", "2026-08-21", "2.4"),
        ("anthropic", "claude-sonnet-4-5-20250929", "2025-10-01", "1.8"),
        ("xai", "grok-4-0709", "2025-08-01", "1.8"),
    ],
)
def test_what_a_maker_answered_in_its_time_has_the_price_of_then(
    market: str, model: str, day: str, total: str
) -> None:
    result = bundled_catalog().quote(
        model, Usage(input=M // 10, output=M // 10), market=market, at=at(day)
    )

    assert result.total == Decimal(total)


@pytest.mark.parametrize(
    ("host", "provider", "market"),
    [
        ("openrouter.ai", None, "openrouter"),
        ("eu.openrouter.ai", None, "openrouter"),
        ("api.openai.com", None, "openai"),
        ("acme.openai.azure.com", "openai", "azure"),
        ("api.anthropic.com", None, "anthropic"),
        ("generativelanguage.googleapis.com", None, "google"),
        ("europe-west4-aiplatform.googleapis.com", None, "google-vertex"),
        ("aiplatform.us.rep.googleapis.com", "anthropic", "google-vertex"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", None, "bedrock"),
        (None, "aws.bedrock", "bedrock"),
        (None, "azure.ai.openai", "azure"),
        (None, "gcp.gemini", "google"),
        (None, "mistral_ai", "mistral"),
        (None, "perplexity", "perplexity"),
        (None, "cohere", "cohere"),
        # What the AI SDK calls its providers.
        (None, "openai.chat", "openai"),
        (None, "openai.responses", "openai"),
        (None, "openai.embedding", "openai"),
        (None, "openai.completion", "openai"),
        (None, "google.generative-ai", "google"),
        (None, "google.vertex.chat", "google-vertex"),
        (None, "google.vertex.anthropic.messages", "google-vertex"),
        (None, "googleVertex.anthropic.messages", "google-vertex"),
        (None, "vertex.anthropic.messages", "google-vertex"),
        (None, "anthropic.messages", "anthropic"),
        (None, "azure-openai.chat", "azure"),
        (None, "azure-openai.responses", "azure"),
        (None, "azure.chat", "azure"),
        (None, "xai.chat", "xai"),
        (None, "mistral.chat", "mistral"),
        (None, "groq.chat", "groq"),
        (None, "deepseek.chat", "deepseek"),
        (None, "cohere.chat", "cohere"),
        (None, "togetherai.chat", "together"),
        (None, "fireworks.chat", "fireworks"),
        (None, "amazon-bedrock", "bedrock"),
        (None, "openrouter.chat", "openrouter"),
        # Clouds apart: what they bill is not the list price of those who share their name.
        ("api.moonshot.ai", "moonshot_ai", "moonshot"),
        ("api.moonshot.cn", "moonshot_ai", "moonshot-china"),
        ("dashscope-intl.aliyuncs.com", "dashscope", "alibaba"),
        ("dashscope.aliyuncs.com", "dashscope", "alibaba-china"),
        ("open.bigmodel.cn", "zai", "zai-china"),
        ("acme.openai.azure.cn", "azure.ai.openai", "azure-china"),
        ("acme.openai.azure.us", "azure.ai.openai", "azure-government"),
        ("bedrock-runtime.us-gov-west-1.amazonaws.com", "aws.bedrock", "bedrock-government"),
        ("bedrock-runtime-fips.us-gov-east-1.amazonaws.com", None, "bedrock-government"),
        ("bedrock-mantle.us-gov-west-1.api.aws", "openai", "bedrock-government"),
        ("bedrock-runtime.us-west-2.amazonaws.com", "aws.bedrock", "bedrock"),
        # Bedrock's second API speaks OpenAI's and Anthropic's.
        ("bedrock-mantle.us-east-1.api.aws", "openai", "bedrock"),
        # What only looks like one.
        (None, "gcp.chat", None),
        (None, "aws.openai", None),
        (None, "openaix.chat", None),
        (None, "my.openai", None),
        (None, ".openai", None),
    ],
)
def test_known_servers_and_providers_have_their_market(
    host: str | None, provider: str | None, market: str | None
) -> None:
    assert bundled_catalog().market_of(host=host, provider=provider, model="gpt-4o") == market


@pytest.mark.parametrize(
    ("market", "model", "tier"),
    [
        ("openai", "gpt-5.6-sol", "ultrafast"),
        ("openrouter", "openai/gpt-5.4", "flex"),
        ("openrouter", "openai/gpt-5.4", "priority"),
        ("google", "gemini-2.5-flash", "flex"),
        ("google", "gemini-2.5-flash", "priority"),
        ("bedrock", "openai.gpt-5.5", "flex"),
        ("bedrock", "openai.gpt-5.5", "priority"),
        ("xai", "grok-4.3", "priority"),
        ("fireworks", "accounts/fireworks/models/kimi-k2p6", "priority"),
    ],
)
def test_a_tier_whose_price_no_source_tells_does_not_cost_the_list_price(
    market: str, model: str, tier: str
) -> None:
    def find(served: str) -> Offer | Miss:
        conditions = Conditions(service_tier=served)
        return bundled_catalog().find(model, market=market, at_ns=ns(NOW), conditions=conditions)

    assert isinstance(find("default"), Offer)
    found = find(tier)
    assert isinstance(found, Miss)
    assert found.reason == "suspect_price"


@pytest.mark.parametrize(
    ("host", "model", "times"),
    [
        ("api.openai.com", "gpt-5.4", "1"),
        ("eu.api.openai.com", "gpt-5.4", "1.1"),
        ("us.api.openai.com", "gpt-5.4-mini-2026-03-17", "1.1"),
        ("EU.api.openai.com.", "gpt-6-sol", "1.1"),
        ("eu.api.openai.com", "gpt-4o", "1"),  # released before March 2026
        ("eu.api.openai.com", "gpt-5", "1"),
        ("aiplatform.googleapis.com", "claude-sonnet-4-5@20250929", "1"),
        ("us-east5-aiplatform.googleapis.com", "claude-sonnet-4-5@20250929", "1.1"),
        ("aiplatform.eu.rep.googleapis.com", "claude-opus-4-6", "1.1"),
        ("us-east5-aiplatform.googleapis.com", "claude-opus-4-1@20250805", "1"),
        ("us-east5-aiplatform.googleapis.com", "gemini-2.5-flash", "1"),
        ("europe-west4-aiplatform.googleapis.com", "gemini-3.5-flash", "1.1"),
        ("us-api.together.ai", "deepseek-ai/DeepSeek-V3.1", "1.25"),
    ],
)
def test_a_call_that_its_host_binds_to_a_region_costs_more(
    host: str, model: str, times: str
) -> None:
    catalog = bundled_catalog()
    market = catalog.market_of(host=host, provider=None, model=None)

    def total(region: str | None) -> Decimal:
        conditions = Conditions(region=region)
        usage = Usage(input=1000, output=100)
        cost = catalog.quote(model, usage, market=market, at=at(NOW), conditions=conditions).total
        assert cost is not None
        return cost

    region = catalog.region_of(market=market, host=host)
    assert total(region) == Decimal(times) * total(None)


@pytest.mark.parametrize(
    ("host", "model", "is_priced"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "amazon.nova-pro-v1:0", True),
        ("bedrock-runtime-fips.us-west-2.amazonaws.com", "amazon.nova-pro-v1:0", True),
        ("bedrock-runtime.ap-southeast-2.amazonaws.com", "amazon.nova-pro-v1:0", False),
        ("bedrock-mantle.eu-west-2.api.aws", "openai.gpt-5.5", False),
        (
            "bedrock-runtime.eu-central-1.amazonaws.com",
            "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            True,
        ),
        ("bedrock-runtime.eu-central-1.amazonaws.com", "anthropic.claude-sonnet-4-6", True),
        ("bedrock-runtime.eu-west-2.amazonaws.com", "meta.llama3-70b-instruct-v1:0", False),
    ],
)
def test_bedrock_costs_something_else_in_regions_that_do_not_share_the_listed_price(
    host: str, model: str, *, is_priced: bool
) -> None:
    catalog = bundled_catalog()
    market = catalog.market_of(host=host, provider="aws.bedrock", model=model)
    conditions = Conditions(region=catalog.region_of(market=market, host=host))
    found = catalog.find(model, market=market, at_ns=ns(NOW), conditions=conditions)

    assert isinstance(found, Offer) == is_priced
    assert isinstance(found, Offer) or found.reason == "suspect_price"


def test_inference_in_the_us_alone_costs_more_at_anthropic() -> None:
    def find(region: str) -> Decimal | None:
        usage, when = Usage(input=M), Conditions(region=region)
        quote = bundled_catalog().quote(
            "claude-opus-4-6", usage, market="anthropic", at=at(NOW), conditions=when
        )
        return quote.total

    assert (find("us"), find("global")) == (Decimal("5.5"), Decimal(5))


def test_what_is_free_is_free_at_every_tier() -> None:
    offer = bundled_catalog().find(
        "meta-llama/llama-3.3-70b-instruct:free",
        market="openrouter",
        at_ns=ns(NOW),
        conditions=Conditions(service_tier="flex"),
    )

    assert isinstance(offer, Offer)
    assert offer.status == "free"


def test_every_row_says_where_it_comes_from() -> None:
    for model in bundled_catalog().models():
        for row in (*model.rows, *(row for own in model.endpoints.values() for row in own.rows)):
            assert row.provenance is not None, row.entry
            assert row.provenance.source, row.entry
            assert row.provenance.seen_at, row.entry


def test_every_row_can_price_what_it_has_a_price_for() -> None:
    """The root price is there for every kind of token that has a price."""
    for model in bundled_catalog().models():
        for row in model.rows:
            for key in row.prices:
                root = UNITS_BY_KEY[key]
                while root.parent:
                    root = UNITS_BY_KEY[root.parent]
                assert root.key in row.prices, row.entry


def test_no_price_changes_more_than_fivefold_at_once_but_in_the_markets_own_words() -> None:
    """A guard against slips of the decimal point: what catalogs copy is not enough for such a step.

    Open-weight models move to another upstream provider's price, and old names to new models.
    """
    for model in bundled_catalog().models():
        for old, new in pairwise(row for row in model.rows if row.status is None):
            for key in ("input", "output"):
                before, after = old.prices.get(key), new.prices.get(key)
                if before and after and not Decimal("0.2") <= after / before <= 5:
                    assert new.provenance is not None
                    assert new.provenance.source.startswith("OpenRouter models API"), new.entry


def test_the_labs_whose_models_only_they_serve_keep_steady_prices() -> None:
    """A steep step of one of theirs would be a misread price, not another upstream provider."""
    for model in bundled_catalog().models("openrouter"):
        if model.author not in ("openai", "anthropic", "x-ai", "perplexity"):
            continue
        for old, new in pairwise(row for row in model.rows if row.status is None):
            ratio = new.prices["input"] / (old.prices["input"] or 1)
            assert old.prices["input"] == 0 or Decimal("0.2") <= ratio <= 5, new.entry


def test_every_model_has_an_author_and_all_but_routers_a_family() -> None:
    for model in bundled_catalog().models():
        assert model.author, model.id
        assert model.family or model.author == "openrouter", model.id


@pytest.mark.parametrize(
    ("market", "at_least"),
    [("openrouter", 1366), ("openai", 140), ("anthropic", 40), ("google", 50), ("bedrock", 200)],
)
def test_markets_are_whole(market: str, at_least: int) -> None:
    assert sum(1 for _ in bundled_catalog().models(market)) >= at_least


def test_a_price_that_no_unit_of_ours_can_state_is_suspect_and_not_free() -> None:
    """OpenRouter states 0 for the tokens of a model that is billed by the second of video."""
    miss = bundled_catalog().find("alibaba/wan-2.6", market="openrouter", at_ns=ns(NOW))

    assert isinstance(miss, Miss)
    assert miss.reason == "suspect_price"


def test_a_model_is_priced_only_where_all_that_it_puts_out_has_a_price() -> None:
    stated = {"text": "output", "embeddings": "input", "image": "output_image"}
    stated["audio"] = "output_audio"  # video, speech, rankings … have no unit
    in_part = [
        row.entry
        for model in bundled_catalog().models()
        for kind in filter(None, (model.modality or "").partition("->")[2].split("+"))
        for _, row in model.every_row()
        if any(row.prices.values())  # else free, or without a price
        and stated.get(kind) not in row.prices
        and row.entry not in {other.corrects for other in model.rows}
    ]

    assert in_part == []


def test_an_incredible_feed_value_leaves_a_model_unpriced_from_then_on() -> None:
    catalog = bundled_catalog()

    assert quote(catalog, "moonshotai/kimi-k3", "2026-09-01", input=M).total == 3
    miss = catalog.find("moonshotai/kimi-k3", market=None, at_ns=ns("2026-11-15"))
    assert isinstance(miss, Miss)
    assert miss.reason == "suspect_price"
    assert "0.192" in miss.detail


def test_image_tokens_of_a_mixed_model_have_their_own_price() -> None:
    usage = Usage(output=M, output_image=M)
    result = bundled_catalog().quote("google/gemini-2.5-flash-image", usage, at=at("2026-06-01"))

    assert result.total == 30


def test_bedrock_ids_of_a_geography_have_their_own_price() -> None:
    name = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    catalog = bundled_catalog()
    usage = Usage(input=M)

    world = catalog.quote(f"global.{name}", usage, market="bedrock", at=at(NOW))
    inside = catalog.quote(f"us.{name}", usage, market="bedrock", at=at(NOW))
    assert (world.total, inside.total) == (Decimal(3), Decimal("3.3"))


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("deepseek.v3.2", Decimal("0.62")),
        ("us.deepseek.v3.2", Decimal("0.62")),
        ("bedrock/us-east-1/deepseek.v3.2", Decimal("0.62")),
        ("eu.deepseek.v3.2", None),
        ("bedrock/eu-north-1/deepseek.v3.2", None),
    ],
)
def test_bedrock_ids_of_a_geography_without_a_sure_price_are_unpriced(
    name: str, total: Decimal | None
) -> None:
    usage = Usage(input=M)

    assert bundled_catalog().quote(name, usage, market="bedrock", at=at(NOW)).total == total


def test_a_quote_needs_an_instant_with_a_time_zone() -> None:
    with pytest.raises(ValueError, match=r"has no time zone\. Give an aware datetime"):
        bundled_catalog().quote("openai/gpt-4o", Usage(input=1), at=at(NOW).replace(tzinfo=None))


def test_a_snapshot_is_found_by_its_day_in_any_spelling() -> None:
    catalog = bundled_catalog()
    wrong = []
    for model in catalog.models():
        match = re.search(r"-(20\d\d)-?([01]\d)-?([0-3]\d)$", model.id)
        if match is None:
            continue
        base = model.id[: match.start()]
        for spelling in ("-{}-{}-{}", "-{}{}{}"):
            name = base + spelling.format(*match.groups())
            found = catalog.model(name, market=model.market)
            if getattr(found, "id", None) != model.id:
                wrong.append((name, model.id))
    assert not wrong


def test_no_name_of_a_paid_model_means_its_free_variant() -> None:
    catalog = bundled_catalog()
    ids = {model.id for model in catalog.models("openrouter")}
    wrong = [
        alias
        for model in catalog.models("openrouter")
        for alias in model.aliases
        if ":" in model.id and ":" not in alias and model.id.partition(":")[0] in ids
    ]
    assert not wrong
