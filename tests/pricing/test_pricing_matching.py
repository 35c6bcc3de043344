"""Which model a name means, and who bills."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from genops_pricing import Catalog, Miss, Model, Offer, bundled_catalog
from genops_pricing.load import load_catalog, load_directory
from pricing_files import catalog_of, model_file, ns, write_directory

PRICES = '\nprices: [{effective_from: 2024-01-01, usd_per_mtok: {input: "1", output: "2"}}]\n'
FREE = '\nprices: [{effective_from: 2024-01-01, usd_per_mtok: {input: "0", output: "0"}}]\n'
MODELS = (
    f"id: acme/one\naliases: [acme/one-canonical, acme/uno]{PRICES}",
    f'id: "acme/one:free"{FREE}',
    f"id: acme/one-2024-05-13{PRICES}",
    f'id: "acme/two:nitro"{PRICES}',
    f"id: acme/two{PRICES}",
    f"id: other/two{PRICES}",
    f"id: openrouter/auto{PRICES}",
)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return catalog_of(tmp_path, *MODELS)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("acme/one", "acme/one"),
        ("ACME/One", "acme/one"),
        (" acme/one ", "acme/one"),
        ("acme/uno", "acme/one"),
        ("uno", "acme/one"),
        ("one", "acme/one"),
        ("openrouter/acme/one", "acme/one"),
        ("openrouter/auto", "openrouter/auto"),
        ("auto", "openrouter/auto"),
        ("acme/one:nitro", "acme/one"),
        ("acme/one:floor", "acme/one"),
        ("acme/one:online", "acme/one"),
        ("acme/one:exacto", "acme/one"),
        ("acme/one:online:nitro", "acme/one"),
        ("acme/two:nitro", "acme/two:nitro"),
        ("acme/one:free", "acme/one:free"),
        ("one:free", "acme/one:free"),
        ("acme/one:free:online", "acme/one:free"),
        ("acme/one-20251211", "acme/one"),
        ("acme/one-2025-12-11", "acme/one"),
        ("acme/one-20251211:free", "acme/one:free"),
        ("acme/one-2024-05-13", "acme/one-2024-05-13"),
        ("openrouter/acme/uno-20251211:floor", "acme/one"),
    ],
)
def test_a_spelling_means_the_model_it_is_a_spelling_of(
    catalog: Catalog, name: str, model: str
) -> None:
    offer = catalog.find(name, market=None, at_ns=ns("2024-06-01"))

    assert isinstance(offer, Offer), offer
    assert offer.model == model


@pytest.mark.parametrize(
    "name",
    [
        "acme/three",
        "acme/two:free",  # only the catalog says what is free
        "acme/one:thinking",
        "acme/one-20251399",
        "acme/one-2025-1211",
        "one/acme",
        "acme/on",
    ],
)
def test_a_name_that_fits_nothing_is_unknown_and_never_guessed(catalog: Catalog, name: str) -> None:
    miss = catalog.find(name, market="openrouter", at_ns=ns("2024-06-01"))

    assert isinstance(miss, Miss)
    assert (miss.reason, miss.model, miss.family) == ("unknown_model", None, None)


def test_a_name_longer_than_any_id_is_not_remembered(catalog: Catalog) -> None:
    """Names come from spans: what is remembered must stay small."""
    name = "acme/" + "x" * 100_000
    before = sys.getrefcount(name)

    assert isinstance(catalog.find(name, market=None, at_ns=0), Miss)
    assert sys.getrefcount(name) == before


def test_a_bare_name_of_two_vendors_is_ambiguous(catalog: Catalog) -> None:
    miss = catalog.find("two", market=None, at_ns=ns("2024-06-01"))

    assert isinstance(miss, Miss)
    assert miss.reason == "ambiguous_model"
    assert miss.closest == ("acme/two", "other/two")


def test_an_unknown_name_comes_with_the_closest_known_ones(catalog: Catalog) -> None:
    full = catalog.find("acme/onne", market=None, at_ns=0)
    bare = catalog.find("onne", market=None, at_ns=0)

    assert isinstance(full, Miss)
    assert isinstance(bare, Miss)
    assert full.closest[0] == "acme/one"
    assert "acme/one" in bare.closest


@pytest.mark.parametrize("name", ["", "  "])
def test_a_call_without_a_model_is_told_apart(catalog: Catalog, name: str) -> None:
    miss = catalog.find(name, market=None, at_ns=0)

    assert isinstance(miss, Miss)
    assert miss.reason == "no_model"


@pytest.mark.parametrize(
    ("market", "name"),
    [
        ("azure", "evil/gpt-4o"),
        ("azure", "prod.gpt-4o"),
        ("azure", "azure/us-gov/gpt-4o"),  # government clouds have prices of their own
        ("bedrock", "bedrock/us-gov-west-1/anthropic.claude-opus-4-5-20251101-v1:0"),
        ("anthropic", "vertex_ai/claude-opus-4-5"),
        ("fireworks", "accounts/acme/models/deepseek-v3"),
    ],
)
def test_the_bundled_catalog_drops_no_word_that_may_name_another_price(
    market: str, name: str
) -> None:
    model = bundled_catalog().model(name, market=market)

    assert isinstance(model, Miss)
    assert model.reason == "unknown_model"


@pytest.mark.parametrize(
    ("market", "name", "model"),
    [
        ("azure", "openai/gpt-4o", "gpt-4o"),
        ("azure", "azure_ai/gpt-4o", "gpt-4o"),
        ("google-vertex", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("xai", "x-ai/grok-4", "grok-4"),
        ("mistral", "mistralai/mistral-large-latest", "mistral-large-latest"),
    ],
)
def test_the_bundled_catalog_drops_the_makers_that_it_knows(
    market: str, name: str, model: str
) -> None:
    found = bundled_catalog().model(name, market=market)

    assert isinstance(found, Model), found
    assert found.id == model


def test_the_author_of_an_overlay_is_a_maker_that_is_known(tmp_path: Path) -> None:
    overlay = tmp_path / "own.yaml"
    overlay.write_text(
        "overlay: own\nmarket: openai_compatible\nauthor: acme\n"
        'models: [{id: one, prices: [{effective_from: 2024-01-01, usd_per_mtok: {input: "1"}}]}]\n'
    )
    catalog = load_catalog([overlay])

    assert isinstance(catalog.model("acme/one", market="openai_compatible"), Model)
    assert isinstance(catalog.model("someone/one", market="openai_compatible"), Miss)


def test_markets_do_not_share_models(tmp_path: Path) -> None:
    directory = write_directory(
        tmp_path,
        router=model_file(MODELS[0]),
        direct=model_file(f"id: gpt-9{PRICES}", market="openai", author="openai"),
    )
    catalog = load_directory(directory)

    direct = catalog.find("openai/gpt-9", market="openai", at_ns=ns("2024-06-01"))
    assert isinstance(direct, Offer)
    assert (direct.market, direct.model) == ("openai", "gpt-9")
    assert isinstance(catalog.find("gpt-9", market="openrouter", at_ns=0), Miss)
    assert isinstance(catalog.find("acme/one", market="openai", at_ns=0), Miss)
    nowhere = catalog.find("acme/one", market="azure", at_ns=0)
    assert isinstance(nowhere, Miss)
    assert nowhere.detail == "the catalog holds no prices of market azure"


@pytest.mark.parametrize(
    ("host", "provider", "model", "market"),
    [
        ("openrouter.ai", "openai", "gpt-4o", "openrouter"),
        ("EU.openrouter.ai.", None, None, "openrouter"),
        ("api.openai.com", "openrouter", "openai/gpt-4o", "openai"),
        ("localhost", "OpenAI", "openai/gpt-4o", "openai"),
        ("notopenrouter.ai", None, None, None),
        ("openrouter.ai.evil.example", None, None, None),
        (None, "openrouter", "gpt-4o", "openrouter"),
        (None, None, "openai/gpt-4o", "openrouter"),
        (None, "someone", "openai/gpt-4o", "openrouter"),
        (None, None, "gpt-4o", None),
        (None, None, "/", None),
        ("", "", "", None),
        (None, None, None, None),
    ],
)
def test_the_biller_is_told_by_host_then_provider_then_the_shape_of_the_id(
    catalog: Catalog, host: str | None, provider: str | None, model: str | None, market: str | None
) -> None:
    assert catalog.market_of(host=host, provider=provider, model=model) == market
