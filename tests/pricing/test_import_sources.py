"""How each source of prices is read: small files of its shape."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from genops_pricing.importing.decision import Refused
from genops_pricing.importing.observation import ConditionalPrice, Observation
from genops_pricing.importing.run import SOURCES

DAY = date(2026, 11, 20)


def observe(source: str, content: Any) -> dict[str, Observation]:
    """What a source states, by owner; refusals fail the test."""
    found = list(SOURCES[source](json.dumps(content).encode(), DAY))
    assert all(isinstance(one, Observation) for one in found), found
    return {one.subject.owner: one for one in found if isinstance(one, Observation)}


def refusals(source: str, content: Any) -> dict[str, str]:
    found = SOURCES[source](json.dumps(content).encode(), DAY)
    return {one.subject.owner: one.reason for one in found if isinstance(one, Refused)}


def usd(**prices: str) -> dict[str, Decimal]:
    return {unit: Decimal(price) for unit, price in prices.items()}


def models(*raws: Any) -> Any:
    return {"data": list(raws)}


def model(model_id: str = "acme/one", **pricing: Any) -> Any:
    return {"id": model_id, "pricing": {"prompt": "0.000001", "completion": "0.000002", **pricing}}


def test_openrouter_states_prices_per_token_and_facts_of_the_model() -> None:
    raw = model(
        request="0", internal_reasoning="0.000002", input_cache_read="0.0000001", web_search="0.01"
    ) | {
        "canonical_slug": "acme/one-20261101",
        "name": "Acme: One",
        "created": 1793491200,
        "context_length": 131072,
        "architecture": {"modality": "text->text"},
    }
    one = observe("openrouter", models(raw))["openrouter/acme/one"]

    assert dict(one.prices) == usd(input="1", output="2", cache_read="0.1", web_search="0.01")
    assert (one.name, one.author, one.canonical_slug) == ("One", "acme", "acme/one-20261101")
    assert (one.created, one.context_length, one.modality) == (
        date(2026, 11, 1),
        131072,
        "text->text",
    )
    assert one.starts == datetime(2026, 11, 20, tzinfo=UTC)


def test_openrouter_overrides_become_conditions_in_their_order() -> None:
    raw = model(
        overrides=[
            {"min_prompt_tokens": 200000, "prompt": "0.000004"},
            {"utc_start": 1630, "utc_end": 30, "completion": "0.000001"},
            {"utc_start": 0, "utc_end": 2400, "utc_days": ["Saturday", "sun"], "prompt": "0"},
        ]
    )
    one = observe("openrouter", models(raw))["openrouter/acme/one"]

    assert one.conditions == (
        ConditionalPrice({"prompt_over": 200000}, usd(input="4")),
        ConditionalPrice({"utc": "16:30-00:30"}, usd(output="1")),
        ConditionalPrice({"days": ("sat", "sun")}, usd(input="0")),
    )


def test_openrouter_override_states_again_what_the_base_prices_apart() -> None:
    raw = model(
        audio="0.000007",
        overrides=[{"min_prompt_tokens": 9, "prompt": "0.000002", "audio": "0.000002"}],
    )
    one = observe("openrouter", models(raw))["openrouter/acme/one"]

    assert one.conditions == (
        ConditionalPrice({"prompt_over": 9}, usd(input="2", input_audio="2")),
    )


def test_openrouter_says_by_minus_one_that_there_is_no_fixed_price() -> None:
    one = observe("openrouter", models(model(prompt="-1", completion="-1")))["openrouter/acme/one"]

    assert (one.status, dict(one.prices)) == ("dynamic", {})


@pytest.mark.parametrize(
    ("image", "unit"),
    [("0.000001", None), ("0.00000125", "input_image"), ("0.00765", "image")],
)
def test_openrouter_image_price_is_per_image_or_token_by_its_size(
    image: str, unit: str | None
) -> None:
    one = observe("openrouter", models(model(image=image)))["openrouter/acme/one"]

    prices = {"input_image": Decimal("1.25"), "image": Decimal("0.00765")}
    assert set(one.prices) - {"input", "output"} == ({unit} if unit else set())
    assert unit is None or one.prices[unit] == prices[unit]


@pytest.mark.parametrize(
    "pricing",
    [
        {"prompt": "NaN"},
        {"prompt": "1e400"},
        {"prompt": True},
        {"completion": None},
        {"overrides": [{"moon_phase": "full", "prompt": "0"}]},
        {"overrides": [{"utc_days": [0], "prompt": "0"}]},
        {"overrides": [{"prompt": "0"}]},
    ],
)
def test_openrouter_models_that_cannot_be_read_are_refused_and_the_others_read(
    pricing: dict[str, Any],
) -> None:
    content = models(model("acme/bad", **pricing), model("acme/good"))

    assert list(refusals("openrouter", content)) == ["openrouter/acme/bad"]
    found = SOURCES["openrouter"](json.dumps(content).encode(), DAY)
    assert [one.subject.model for one in found if isinstance(one, Observation)] == ["acme/good"]


def endpoint(provider: str, prompt: str = "0.000001", **more: Any) -> Any:
    return {
        "provider_name": provider,
        "pricing": {"prompt": prompt, "completion": "0.000002", "discount": 0.35},
        **more,
    }


def test_openrouter_endpoints_are_one_price_for_each_upstream_provider() -> None:
    content = {
        "data": {
            "id": "acme/one",
            "endpoints": [
                endpoint("Deep Infra", quantization="fp4", tag="deepinfra/fp4"),
                endpoint("Groq", quantization="unknown"),
                endpoint("Two", quantization="fp8"),
                endpoint("Two", "0.000003", quantization="bf16"),
            ],
        }
    }
    found = list(SOURCES["openrouter"](json.dumps(content).encode(), DAY))

    seen = {one.subject.endpoint: one for one in found if isinstance(one, Observation)}
    assert {slug: one.quantization for slug, one in seen.items()} == {
        "deep-infra": "fp4",
        "groq": None,
    }
    assert dict(seen["deep-infra"].prices) == usd(input="1", output="2")  # net of the discount
    assert list(refusals("openrouter", content)) == ["openrouter/acme/one/two"]


def test_litellm_keys_hold_conditions() -> None:
    raw = {
        "litellm_provider": "vertex_ai-language-models",
        "mode": "chat",
        "max_input_tokens": 1000,
        "input_cost_per_token": 3e-07,
        "output_cost_per_token": 2.5e-06,
        "cache_read_input_token_cost": 3.0000000000000004e-08,
        "cache_creation_input_token_cost_above_1hr": 6e-06,
        "input_cost_per_token_above_200k_tokens": 6e-07,
        "input_cost_per_token_batches": 1.5e-07,
        "output_cost_per_token_above_200k_tokens_priority": 9e-06,
        "output_cost_per_reasoning_token": 0,
        "supports_vision": True,
    }
    content = {"vertex_ai/gemini-9": raw, "sample_spec": {"litellm_provider": "one of …"}}
    one = observe("litellm", content)["google-vertex/gemini-9"]

    assert dict(one.prices) == usd(input="0.3", output="2.5", cache_read="0.03", cache_write_1h="6")
    assert one.conditions == (
        ConditionalPrice({"processing": "batch"}, usd(input="0.15")),
        ConditionalPrice({"prompt_over": 200000}, usd(input="0.6")),
        ConditionalPrice({"prompt_over": 200000, "service_tier": "priority"}, usd(output="9")),
    )
    assert one.context_length == 1000


def test_litellm_zero_and_other_markets_state_nothing() -> None:
    chat = {"mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0}
    content = {
        "gpt-0": {"litellm_provider": "openai", **chat},
        "x/y": {"litellm_provider": "someone", **chat, "input_cost_per_token": 1e-06},
        "azure/eu/gpt-1": {"litellm_provider": "azure", **chat, "input_cost_per_token": 1e-06},
    }

    assert observe("litellm", content) == {}


def test_litellm_ids_lose_the_name_of_their_market_and_no_more() -> None:
    raw = {"mode": "chat", "input_cost_per_token": 1e-06}
    content = {
        "groq/openai/gpt-oss-20b": {"litellm_provider": "groq", **raw},
        "openrouter/openai/gpt-4o": {"litellm_provider": "openrouter", **raw},
        "gpt-4o": {"litellm_provider": "openai", **raw},
    }

    assert list(observe("litellm", content)) == [
        "groq/openai/gpt-oss-20b",
        "openrouter/openai/gpt-4o",
        "openai/gpt-4o",
    ]


def test_genai_prices_take_the_last_price_in_force() -> None:
    raw = {
        "id": "one-1",
        "name": "One",
        "context_window": 1000,
        "prices": [
            {"prices": {"input_mtok": 4}},
            {
                "constraint": {"start_date": "2026-10-01"},
                "prices": {
                    "input_mtok": {"base": 2, "tiers": [{"start": 200000, "price": 3}]},
                    "web_searches_kcount": 10,
                },
            },
            {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 9}},
        ],
        "price_variants": [{"when": {"processing": "batch"}, "prices": {"input_mtok": 1}}],
    }
    one = observe("genai-prices", [{"id": "x-ai", "models": [raw]}])["xai/one-1"]

    assert dict(one.prices) == usd(input="2", web_search="0.01")
    assert (one.starts, one.basis) == (datetime(2026, 10, 1, tzinfo=UTC), "documented")
    assert one.conditions == (
        ConditionalPrice({"prompt_over": 200000}, usd(input="3")),
        ConditionalPrice({"processing": "batch"}, usd(input="1")),
    )


def test_genai_prices_windows_and_prices_without_a_start() -> None:
    raw = {
        "id": "one",
        "prices": [
            {"prices": {"input_mtok": "0.27"}},
            {
                "constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"},
                "prices": {"input_mtok": "0.135"},
            },
        ],
    }
    one = observe("genai-prices", {"providers": [{"id": "deepseek", "models": [raw]}]})[
        "deepseek/one"
    ]

    assert one.starts is None
    assert one.conditions == (ConditionalPrice({"utc": "16:30-00:30"}, usd(input="0.135")),)


def test_models_dev_states_prices_per_million_tokens() -> None:
    raw = {
        "name": "One",
        "family": "one",
        "cost": {
            "input": 1.25,
            "output": 10,
            "cache_read": 0,
            "context_over_200k": {"input": 2.5, "output": 15},
        },
        "limit": {"context": 1000},
        "modalities": {"input": ["text", "image"], "output": ["text"]},
    }
    content = {"google": {"models": {"one": raw, "two": {"cost": {"input": 0}}, "three": {}}}}
    found = observe("models.dev", content)

    assert list(found) == ["google/one"]
    one = found["google/one"]
    assert dict(one.prices) == usd(input="1.25", output="10")
    assert one.conditions == (
        ConditionalPrice({"prompt_over": 200000}, usd(input="2.5", output="15")),
    )
    assert (one.family, one.modality) == ("one", "text+image->text")


def test_a_source_that_contradicts_itself_is_refused() -> None:
    chat = {"mode": "chat", "litellm_provider": "groq", "output_cost_per_token": 1e-06}
    content = {
        "groq/one": {**chat, "input_cost_per_token": 1e-06},
        "one": {**chat, "input_cost_per_token": 2e-06},
    }

    assert refusals("litellm", content) == {"groq/one": "the source states two prices"}


@pytest.mark.parametrize("read", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("data", [b"", b"[1]", b'"x"', b"{", b'{"data": 5}', b"[" * 100_000])
def test_a_file_of_another_shape_is_refused_as_a_whole(
    read: Callable[[bytes, date], Any], data: bytes
) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(read(data, DAY))


@pytest.mark.parametrize(
    "model_id",
    [
        "acme",
        "",
        None,
        5,
        "/etc/one",
        "../one",
        "acme/../one",
        "a b/one",
        "acme/one@2026",
        "a/",
    ],
)
def test_openrouter_ids_are_author_and_model(model_id: Any) -> None:
    content = models(model(), model(model_id))

    assert [reason[:5] for reason in refusals("openrouter", content).values()] == ["no id"]


def test_openrouter_states_two_prices_of_one_id() -> None:
    content = models(model(), model(), model("acme/two"), model("acme/two", prompt="0.000005"))

    assert refusals("openrouter", content) == {
        "openrouter/acme/two": "the source states two prices"
    }


@pytest.mark.parametrize("pricing", [{"prompt": "-0.5"}, {"completion": "-2"}])
def test_openrouter_says_nothing_by_other_negative_prices(pricing: Any) -> None:
    (reason,) = refusals("openrouter", models(model(**pricing))).values()

    assert "negative" in reason


def test_openrouter_units_that_are_not_known_leave_no_price() -> None:
    content = models(
        model("acme/one", moon_phase="0.1", discount=0.5, input_audio_cache="0.0000001"),
        model("acme/two", moon_phase="0"),
    )

    assert list(refusals("openrouter", content)) == ["openrouter/acme/one"]


@pytest.mark.parametrize(
    "facts",
    [
        {"created": 10**30},
        {"created": -1},
        {"created": 4000000000},
        {"context_length": -5},
        {"name": "a\x1b[31m"},
        {"name": "a\ud800"},
        {"name": 5},
        {"architecture": {"modality": 5}},
        {"architecture": {"modality": "text\n->text"}},
        {"canonical_slug": 5},
        {"canonical_slug": "acme/a b"},
    ],
)
def test_openrouter_facts_that_can_not_be_right_are_not_stated(facts: Any) -> None:
    one = observe("openrouter", models(model() | facts))["openrouter/acme/one"]

    assert (one.name, one.created, one.context_length) == (None, None, None)
    assert (one.modality, one.canonical_slug) == (None, None)


@pytest.mark.parametrize("provider", [None, "", "A/B@C\n", "\u00dcn\u00ef", 5])
def test_openrouter_endpoints_without_a_name_are_refused(provider: Any) -> None:
    pricing = {"prompt": "0.000001", "completion": "0.000002"}
    content = {
        "data": {
            "id": "acme/one",
            "endpoints": [
                {"provider_name": "Io Net", "quantization": 5, "pricing": pricing},
                {"provider_name": provider, "pricing": pricing},
            ],
        }
    }
    found = list(SOURCES["openrouter"](json.dumps(content).encode(), DAY))

    assert [isinstance(one, Observation) for one in found] == [True, False]
    assert found[0].subject.endpoint == "io-net"


SHAPES: dict[str, Any] = {
    "openrouter": models(
        model(overrides=[{"min_prompt_tokens": 9, "prompt": "0.000002", "utc_days": ["mon"]}])
        | {"name": "One", "created": 1793491200, "architecture": {"modality": "text->text"}}
    ),
    "litellm": {
        "gpt-9": {
            "litellm_provider": "openai",
            "mode": "chat",
            "input_cost_per_token": 1e-6,
            "input_cost_per_token_above_200k_tokens": 2e-6,
            "max_input_tokens": 128000,
        }
    },
    "genai-prices": [
        {
            "id": "openai",
            "models": [
                {
                    "id": "gpt-9",
                    "match": {"equals": "gpt-9"},
                    "context_window": 128000,
                    "prices": [
                        {"prices": {"input_mtok": 1}},
                        {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": 2}},
                    ],
                }
            ],
        }
    ],
    "models.dev": {
        "openai": {
            "models": {
                "gpt-9": {
                    "name": "GPT-9",
                    "cost": {"input": 1, "output": 2, "context_over_200k": {"input": 3}},
                    "limit": {"context": 128000},
                    "modalities": {"input": ["text"], "output": ["text"]},
                }
            }
        }
    },
}
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e30,
    10**30,
    "",
    "x",
    "a\x00",
    "\ud800",
    [],
    [1],
    {},
    {"a": 1},
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


@pytest.mark.parametrize("source", SHAPES)
@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_an_odd_value_anywhere_is_refused_or_left_out(source: str, odd: Any) -> None:
    for path in list(_places(SHAPES[source]))[1:]:
        content = copy.deepcopy(SHAPES[source])
        node = content
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = odd
        try:
            found = list(SOURCES[source](json.dumps(content).encode(), DAY))
        except ValueError:
            continue  # the file is of another shape
        for one in found:
            assert isinstance(one, Observation | Refused)
            assert one.subject.owner.isprintable(), path
            if isinstance(one, Observation):
                assert isinstance(one.name, str | None), path
                assert one.context_length is None or one.context_length > 0, path
                assert (one.name or "").isprintable(), path
