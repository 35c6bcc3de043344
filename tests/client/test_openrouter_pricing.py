"""The pricing functions that applications call."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import Any

import pytest

from genops.providers.openrouter_pricing import (
    NoPriceError,
    OpenRouterPricing,
    UnknownModelError,
    calculate_openrouter_cost,
    estimate_cost_for_text,
    get_cost_breakdown,
    get_supported_models,
)
from genops_pricing import Offer, bundled_catalog

SONNET = "anthropic/claude-3-sonnet"
JULY_2024 = datetime(2024, 7, 1, tzinfo=UTC)
TODAY = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("model", "input_tokens", "output_tokens", "usd"),
    [
        (SONNET, 150, 75, 0.001575),
        ("openai/gpt-4o", 200, 100, 0.0015),
        ("anthropic/claude-3-opus", 1000, 500, 0.0525),
        ("google/gemma-4-31b-it:free", 1000, 500, 0.0),
    ],
)
def test_a_call_costs_its_tokens_at_the_price_in_force(
    model: str, input_tokens: int, output_tokens: int, usd: float
) -> None:
    cost = calculate_openrouter_cost(
        model, input_tokens=input_tokens, output_tokens=output_tokens, at=TODAY
    )

    assert isinstance(cost, float)
    assert cost == usd


def test_a_call_of_the_past_costs_what_it_cost_then() -> None:
    cost = calculate_openrouter_cost(
        "openai/gpt-4o", input_tokens=10**6, output_tokens=10**6, at=JULY_2024
    )

    assert cost == 20.0


def test_cached_tokens_cost_their_own_price() -> None:
    breakdown = get_cost_breakdown(
        "openai/gpt-4o", input_tokens=1000, output_tokens=0, cache_read=400, at=TODAY
    )

    assert breakdown["input_cost"] == 600 * 2.5 / 1e6
    assert breakdown["cache_read_cost"] == 400 * 1.25 / 1e6
    assert breakdown["total_cost"] == 0.002


def test_a_breakdown_says_what_the_guide_says_and_which_price_it_is() -> None:
    breakdown = get_cost_breakdown(
        model_name="openai/gpt-4o", input_tokens=200, output_tokens=100, at=TODAY
    )

    assert breakdown.pop("pricing_version").startswith("20")
    assert breakdown == {
        "total_cost": 0.0015,
        "input_cost": 0.0005,
        "output_cost": 0.001,
        "cache_read_cost": 0.0,
        "cache_write_cost": 0.0,
        "request_cost": 0.0,
        "input_tokens": 200,
        "output_tokens": 100,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "input_cost_per_token": 0.0000025,
        "output_cost_per_token": 0.00001,
        "provider": "openai",
        "model_family": "gpt-4o",
        "tier": "premium",
        "currency": "USD",
        "model_name": "openai/gpt-4o",
        "entry": "openrouter/openai/gpt-4o@2024-11-04T00:00:00Z",
        "effective_from": "2024-11-04T00:00:00Z",
        "endpoint": None,
        "removed": None,
    }


def test_a_long_prompt_is_priced_in_its_size_tier() -> None:
    short = get_cost_breakdown("anthropic/claude-sonnet-4", input_tokens=200_000, at=TODAY)
    long = get_cost_breakdown("anthropic/claude-sonnet-4", input_tokens=200_001, at=TODAY)

    assert (short["input_cost_per_token"], long["input_cost_per_token"]) == (3e-6, 6e-6)
    assert long["total_cost"] == 1.200006


def test_the_price_of_the_provider_that_served_wins_where_the_catalog_has_one() -> None:
    azure = get_cost_breakdown("openai/gpt-4o", "Azure", 1000, 0, cache_read=1000, at=TODAY)
    openai = get_cost_breakdown("openai/gpt-4o", "OpenAI", 1000, 0, cache_read=1000, at=TODAY)

    assert (azure["endpoint"], azure["provider"], azure["total_cost"]) == ("azure", "Azure", 0.0025)
    assert (openai["endpoint"], openai["total_cost"]) == (None, 0.00125)


def test_an_unknown_model_is_an_error_that_names_the_closest_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"Did you mean openai/gpt-4o\b") as caught:
        calculate_openrouter_cost("openai/gpt-4oo", input_tokens=1)

    assert isinstance(caught.value, LookupError)
    assert caught.value.closest[0] == "openai/gpt-4o"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("model", "at", "reason"),
    [
        ("openrouter/auto", TODAY, "dynamic_price"),
        ("openai/gpt-4o", datetime(2023, 1, 1, tzinfo=UTC), "not_yet_priced"),
        (" ", TODAY, "no_model"),
    ],
)
def test_a_model_without_a_price_is_an_error_that_says_why(
    model: str, at: datetime, reason: str
) -> None:
    with pytest.raises(NoPriceError, match=reason) as caught:
        get_cost_breakdown(model, input_tokens=1, at=at)

    assert caught.value.reason == reason
    assert not isinstance(caught.value, UnknownModelError)


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": -1},
        {"output_tokens": -1},
        {"input_tokens": None},
        {"input_tokens": 1.5},
        {"input_tokens": True},
        {"input_tokens": 10, "cache_read": 11},
        {"output_tokens": 10, "reasoning": 11},
    ],
)
def test_impossible_counts_are_errors(counts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="tokens"):
        calculate_openrouter_cost("openai/gpt-4o", **counts)


def test_tokens_whose_price_no_source_tells_are_no_wrong_count() -> None:
    unknown = "minimax/minimax-m2.5"

    with pytest.raises(NoPriceError) as raised:
        calculate_openrouter_cost(unknown, input_tokens=10, cache_read=5, at=TODAY)
    assert raised.value.reason == "suspect_price"
    assert calculate_openrouter_cost(unknown, input_tokens=10, at=TODAY) > 0


def test_a_price_that_no_source_tells_is_not_shown_as_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = int(TODAY.timestamp()) * 10**9
    monkeypatch.setattr("time.time_ns", lambda: now)
    models = get_supported_models()
    offers = {name: bundled_catalog().find(name, market="openrouter", at_ns=now) for name in models}
    unknown = {
        name
        for name, offer in offers.items()
        if isinstance(offer, Offer) and "cache_read" in offer.rates.unknown
    }

    assert "minimax/minimax-m2.5" in unknown
    assert {n for n, m in models.items() if m.cache_read_cost_per_token is None} == unknown


def test_an_instant_without_a_time_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="time zone"):
        calculate_openrouter_cost("openai/gpt-4o", input_tokens=1, at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_more_than_400_models_are_supported_with_their_prices() -> None:
    models = get_supported_models()

    assert len(models) >= 400
    assert all(model.partition("/")[0] == pricing.provider for model, pricing in models.items())
    assert all(f"{pricing.input_cost_per_token:.8f}" for pricing in models.values())
    assert "openrouter/auto" not in models
    gpt_4o = models["openai/gpt-4o"]
    assert isinstance(gpt_4o, OpenRouterPricing)
    assert (gpt_4o.input_cost_per_token, gpt_4o.output_cost_per_token) == (2.5e-6, 1e-5)
    assert (gpt_4o.provider, gpt_4o.model_family, gpt_4o.tier) == ("openai", "gpt-4o", "premium")
    with pytest.raises(FrozenInstanceError):
        gpt_4o.currency = "EUR"  # type: ignore[misc]


def test_every_supported_model_can_be_priced_at_the_price_it_states() -> None:
    for name, pricing in get_supported_models().items():
        cost = calculate_openrouter_cost(name, input_tokens=1, output_tokens=1)
        stated = pricing.input_cost_per_token + pricing.output_cost_per_token
        assert cost >= stated * (1 - 1e-12), name  # a request may have a price too


def test_a_text_is_estimated_with_the_output_in_proportion() -> None:
    cost, details = estimate_cost_for_text(SONNET, "x" * 400, completion_ratio=0.4, at=TODAY)

    assert details["tokenizer"] == "utf8_bytes/4"
    assert (details["input_tokens"], details["output_tokens"]) == (100, 40)
    assert cost == details["total_cost"] == 0.0009


@pytest.mark.parametrize("ratio", [-0.1, float("nan"), float("inf")])
def test_an_impossible_ratio_is_an_error(ratio: float) -> None:
    with pytest.raises(ValueError, match="completion_ratio"):
        estimate_cost_for_text(SONNET, "text", completion_ratio=ratio)


def test_pricing_needs_neither_yaml_nor_the_sdk_nor_an_exporter() -> None:
    code = """
import sys
for name in ("yaml", "openai", "opentelemetry.sdk", "grpc", "tiktoken"):
    sys.modules[name] = None
from genops.providers.openrouter_pricing import estimate_cost_for_text, get_supported_models
assert len(get_supported_models()) >= 400
print(estimate_cost_for_text("anthropic/claude-3-sonnet", "x" * 400)[0])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "0.00075\n", "")
