"""Prices that depend on size, time, variant and the upstream provider."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from genops_pricing import Catalog, Charge, Conditions, Offer, Usage, load_catalog
from genops_pricing.load import load_directory
from genops_pricing.show import show_lines
from pricing_files import at, catalog_of, model_file, ns, offer_at, quote, write_directory

M = 1_000_000

MODEL = """
id: acme/one
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "2", output: "10", cache_read: "0.5"}
    usd_per_unit: {web_search: "0.01"}
    overrides:
      - when: {prompt_over: 200000}
        usd_per_mtok: {input: "4"}
      - when: {prompt_from: 500000}
        usd_per_mtok: {input: "8", output: "20"}
      - when: {utc: "16:30-00:30", days: [mon, tue]}
        usd_per_mtok: {output: "5"}
      - when: {processing: batch}
        multiply: "0.5"
      - when: {processing: batch, prompt_over: 200000}
        usd_per_mtok: {input: "3"}
      - when: {service_tier: flex}
        usd_per_mtok: {input: "1.5"}
      - when: {region: eu}
        multiply: "1.1"
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return catalog_of(tmp_path, MODEL)


@pytest.mark.parametrize(
    ("tokens", "price"),
    [(200_000, 2), (200_001, 4), (499_999, 4), (500_000, 8)],
)
def test_sizes_are_exclusive_or_inclusive_as_stated(
    catalog: Catalog, tokens: int, price: int
) -> None:
    result = quote(catalog, "acme/one", "2024-06-05", input=tokens)

    assert result.total == Decimal(price) * tokens / M


def test_the_size_is_that_of_the_whole_prompt_and_absent_prices_are_inherited(
    catalog: Catalog,
) -> None:
    result = quote(catalog, "acme/one", "2024-06-05", input=200_001, cache_read=200_000, output=10)

    assert result.parts == {
        "input": Decimal(4) * 1 / M,
        "output": Decimal(10) * 10 / M,
        "cache_read": Decimal("0.5") * 200_000 / M,
    }


@pytest.mark.parametrize(
    ("conditions", "tokens", "price"),
    [
        (Conditions(), 1000, "2"),
        (Conditions(processing="batch"), 1000, "1"),  # 2 * 0.5
        (Conditions(processing="Batch"), 1000, "1"),
        (Conditions(processing="batch"), 300_000, "3"),  # stated after the multiplier
        (Conditions(service_tier="flex"), 1000, "1.5"),
        (Conditions(service_tier="flex"), 300_000, "1.5"),  # later entries win
        (Conditions(service_tier="flex", region="eu"), 1000, "1.65"),  # 1.5 * 1.1
        (Conditions(service_tier="priority"), 1000, "2"),
    ],
)
def test_later_overrides_win_for_each_unit(
    catalog: Catalog, conditions: Conditions, tokens: int, price: str
) -> None:
    result = catalog.quote(
        "acme/one", Usage(input=tokens), at=at("2024-06-05"), conditions=conditions
    )

    assert result.total == Decimal(price) * tokens / M


TIERED = """
id: acme-1
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "2", output: "10"}
    overrides:
      - when: {service_tier: priority}
        usd_per_mtok: {input: "4", output: "20"}
"""


@pytest.mark.parametrize(
    ("served", "price"),
    [
        (None, "2"),
        ("default", "2"),
        ("scale", "2"),  # bought beforehand; the list price is what the call is worth
        ("priority", "4"),
        ("Fast", "4"),  # another name of priority
        ("flex", None),  # costs something else, and no source tells what
    ],
)
def test_a_tier_with_a_price_of_its_own_is_never_charged_at_another(
    tmp_path: Path, served: str | None, price: str | None
) -> None:
    file = model_file(TIERED, market="openai")
    catalog = load_directory(write_directory(tmp_path, openai=file))

    result = catalog.quote(
        "acme-1",
        Usage(input=M),
        at=at("2024-06-05"),
        market="openai",
        conditions=Conditions(service_tier=served),
    )

    assert result.total == (None if price is None else Decimal(price))
    assert result.reason == (None if price else "suspect_price")
    if price is None:
        assert "service tier flex" in str(result.detail)


def test_what_an_overlay_states_holds_for_every_tier_that_it_does_not_name(tmp_path: Path) -> None:
    mine = """
id: gpt-3.5-turbo
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "1", output: "5"}
"""
    overlay = tmp_path / "contract.yaml"
    mine += """
    overrides:
      - when: {service_tier: fast}
        usd_per_mtok: {input: "3"}
"""
    overlay.write_text("overlay: contract\n" + model_file(mine, market="openai", author="openai"))

    def total(catalog: Catalog, served: str) -> Decimal | None:
        return catalog.quote(
            "gpt-3.5-turbo",
            Usage(input=M),
            at=at("2026-06-05"),
            market="openai",
            conditions=Conditions(service_tier=served),
        ).total

    assert [total(load_catalog(), tier) for tier in ("flex", "default")] == [None, Decimal("0.5")]
    own = load_catalog([overlay])
    assert [total(own, tier) for tier in ("flex", "default", "fast")] == [1, 1, 3]


def test_what_an_overlay_states_holds_for_every_region_that_it_does_not_name(
    tmp_path: Path,
) -> None:
    mine = """
id: gpt-5.4
prices:
  - effective_from: 2026-04-01
    usd_per_mtok: {input: "1", output: "5"}
    overrides: [{when: {region: eu}, multiply: "1.5"}]
"""
    overlay = tmp_path / "contract.yaml"
    overlay.write_text("overlay: contract\n" + model_file(mine, market="openai", author="openai"))
    catalog = load_catalog([overlay])

    def total(region: str | None) -> Decimal | None:
        return catalog.quote(
            "gpt-5.4",
            Usage(input=1000),
            at=at("2026-06-05"),
            market="openai",
            conditions=Conditions(region=region),
        ).total

    assert [total(region) for region in (None, "us", "eu")] == [
        Decimal("0.001"),
        Decimal("0.001"),
        Decimal("0.0015"),
    ]


def test_a_region_costs_more_unless_the_row_states_its_price(tmp_path: Path) -> None:
    rows = """
id: acme-1
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "2", output: "10"}
    overrides:
      - when: {region: eu}
        usd_per_mtok: {input: "3", output: "15"}
      - when: {prompt_over: 200000}
        usd_per_mtok: {input: "4", output: "20"}
"""
    file = model_file(rows, market="openai")
    catalog = load_directory(write_directory(tmp_path, openai=file))

    def total(region: str | None, tokens: int) -> Decimal | None:
        return catalog.quote(
            "acme-1",
            Usage(input=tokens),
            at=at("2024-06-05"),
            market="openai",
            conditions=Conditions(region=region),
        ).total

    assert total(None, M // 10) == Decimal("0.2")
    assert total("eu", M // 10) == Decimal("0.3")
    assert total("us", M // 10) == Decimal("0.22")
    assert total("us", M) == Decimal("4.4")


def test_a_multiplier_is_for_tokens_not_for_searches(catalog: Catalog) -> None:
    batch = Conditions(processing="batch")

    result = catalog.quote(
        "acme/one", Usage(output=100, web_searches=1), at=at("2024-06-05"), conditions=batch
    )
    assert result.parts == {
        "output": Decimal(10) * Decimal("0.5") * 100 / M,
        "web_search": Decimal("0.01"),
    }


@pytest.mark.parametrize(
    ("moment", "price"),
    [
        ("2024-06-03T16:29:59", 10),  # a Monday
        ("2024-06-03T16:30:00", 5),
        ("2024-06-04T00:29:59", 5),
        ("2024-06-04T00:30:00", 10),
        ("2024-06-04T23:59:59", 5),
        ("2024-06-05T00:00:00", 10),  # a Wednesday
    ],
)
def test_a_window_may_pass_midnight_and_looks_at_the_day_of_the_instant(
    catalog: Catalog, moment: str, price: int
) -> None:
    result = quote(catalog, "acme/one", moment, output=M)

    assert result.total == price


def test_an_offer_holds_until_the_next_edge_of_a_window(catalog: Catalog) -> None:
    offer = offer_at(catalog, "acme/one", ns("2024-06-03T20:00:00"))

    assert offer.valid_from_ns == ns("2024-06-03T16:30:00")
    assert offer.valid_until_ns == ns("2024-06-04")


def test_an_offer_ends_with_its_row_even_inside_a_window(tmp_path: Path) -> None:
    later = '  - {effective_from: "2024-06-03T18:00:00Z", usd_per_mtok: {input: "1"}}\n'
    catalog = catalog_of(tmp_path, MODEL + later)

    offer = offer_at(catalog, "acme/one", ns("2024-06-03T17:00:00"))
    assert offer.valid_until_ns == ns("2024-06-03T18:00:00")


def test_marginal_prices_hold_only_beyond_the_size(tmp_path: Path) -> None:
    catalog = catalog_of(
        tmp_path,
        """
id: acme/marginal
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "1", output: "4"}
    overrides:
      - when: {prompt_over: 100}
        mode: marginal
        usd_per_mtok: {input: "3"}
""",
    )

    totals = [quote(catalog, "acme/marginal", input=size, output=10).total for size in (100, 101)]
    assert totals == [
        (Decimal(1) * 100 + Decimal(4) * 10) / M,
        (Decimal(1) * 100 + Decimal(3) * 1 + Decimal(4) * 10) / M,
    ]


ENDPOINTS = """
id: acme/open
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "1", output: "1"}
  - effective_from: 2024-09-01
    usd_per_mtok: {input: "2", output: "2"}
endpoints:
  deep-host:
    quantization: fp8
    prices:
      - effective_from: 2024-03-01
        usd_per_mtok: {input: "0.5", output: "0.5"}
        provenance: {source: endpoints, seen_at: 2024-06-01, basis: snapshot}
"""


@pytest.mark.parametrize(
    ("day", "endpoint", "entry"),
    [
        ("2024-02-28", "deep-host", "openrouter/acme/open@2024-01-01T00:00:00Z"),
        ("2024-03-01", "deep-host", "openrouter/acme/open/deep-host@2024-03-01T00:00:00Z"),
        ("2024-03-01", "Deep Host", "openrouter/acme/open/deep-host@2024-03-01T00:00:00Z"),
        ("2024-03-01", "elsewhere", "openrouter/acme/open@2024-01-01T00:00:00Z"),
        ("2024-03-01", "", "openrouter/acme/open@2024-01-01T00:00:00Z"),
        # Last seen before the model's new price came into force: perhaps out of date.
        ("2024-09-01", "deep-host", "openrouter/acme/open@2024-09-01T00:00:00Z"),
    ],
)
def test_an_endpoint_has_its_own_price_unless_the_models_is_newer(
    tmp_path: Path, day: str, endpoint: str, entry: str
) -> None:
    catalog = catalog_of(tmp_path, ENDPOINTS)

    offer = offer_at(catalog, "acme/open", ns(day), endpoint=endpoint)
    assert offer.entry == entry
    assert (offer.endpoint is not None) == ("/deep-host@" in entry)


SEARCHING = """
id: acme/open
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "1", output: "1", cache_read: "0.1"}
    usd_per_unit: {web_search: "0.01", request: "0.5"}
endpoints:
  silent: {prices: [{effective_from: 2024-01-01, usd_per_mtok: {input: "2", output: "2"}}]}
  own:
    prices:
      - effective_from: 2024-01-01
        usd_per_mtok: {input: "2", output: "2"}
        usd_per_unit: {web_search: "0", request: "0.7"}
  alike: {quantization: fp8}
"""


@pytest.mark.parametrize(
    ("endpoint", "parts"),
    [
        # Its cached tokens cost what its input does; a search costs what it costs for the model.
        ("silent", {"input": "2", "cache_read": "2", "web_search": "0.02", "request": "0.5"}),
        ("own", {"input": "2", "cache_read": "2", "web_search": "0", "request": "0.7"}),
        ("alike", {"input": "1", "cache_read": "0.1", "web_search": "0.02", "request": "0.5"}),
        ("unheard-of", {"input": "1", "cache_read": "0.1", "web_search": "0.02", "request": "0.5"}),
    ],
)
def test_an_endpoint_takes_prices_of_searches_and_requests_from_the_model_unless_it_has_its_own(
    tmp_path: Path, endpoint: str, parts: dict[str, str]
) -> None:
    catalog = catalog_of(tmp_path, SEARCHING)
    million = 1_000_000

    charge = offer_at(catalog, "acme/open", ns("2024-06-01"), endpoint=endpoint).charge(
        Usage(input=2 * million, cache_read=million, web_searches=2)
    )
    assert isinstance(charge, Charge)
    assert {name: charge.usd(value) for name, value in charge.parts} == {
        name: Decimal(price) for name, price in parts.items()
    }


def test_an_offer_of_an_endpoint_ends_when_the_models_price_changes(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, ENDPOINTS)

    own = offer_at(catalog, "acme/open", ns("2024-05-01"), endpoint="deep-host")
    before = offer_at(catalog, "acme/open", ns("2024-02-01"), endpoint="deep-host")
    assert (own.valid_from_ns, own.valid_until_ns) == (ns("2024-03-01"), ns("2024-09-01"))
    assert before.valid_until_ns == ns("2024-03-01")


@pytest.mark.parametrize(
    ("output", "tier"),
    [
        ("0", "economy"),
        ("0.999999", "economy"),
        ("1", "balanced"),
        ("9.99", "balanced"),
        ("10", "premium"),
        ("49.99", "premium"),
        ("50", "flagship"),
    ],
)
def test_the_tier_follows_from_the_output_price(tmp_path: Path, output: str, tier: str) -> None:
    prices = f'prices: [{{effective_from: 2024-01-01, usd_per_mtok: {{output: "{output}"}}}}]'
    catalog = catalog_of(tmp_path, f"id: acme/one\n{prices}")

    assert offer_at(catalog, "acme/one", ns("2024-06-01")).tier == tier


def test_a_tier_is_of_the_base_price_whatever_the_conditions(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, MODEL)
    half = catalog.find(
        "acme/one",
        market=None,
        at_ns=ns("2024-06-05"),
        conditions=Conditions(processing="batch"),
    )

    assert isinstance(half, Offer)
    assert half.tier == "premium"


def test_a_model_may_state_its_tier_and_one_without_output_has_none(tmp_path: Path) -> None:
    input_only = 'prices: [{effective_from: 2024-01-01, usd_per_mtok: {input: "1"}}]'
    catalog = catalog_of(
        tmp_path,
        f"id: acme/embed\n{input_only}",
        f"id: acme/stated\ntier: flagship\ntier_reason: the docs say so\n{input_only}",
    )

    assert offer_at(catalog, "acme/embed", ns("2024-06-01")).tier is None
    assert offer_at(catalog, "acme/stated", ns("2024-06-01")).tier == "flagship"


def test_free_is_a_stated_price_of_zero(tmp_path: Path) -> None:
    catalog = catalog_of(
        tmp_path,
        """
id: "acme/gift:free"
prices: [{effective_from: 2024-01-01, usd_per_mtok: {input: "0", output: "0"}}]
""",
        """
id: acme/search
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "0", output: "0"}
    usd_per_unit: {web_search: "0.01"}
""",
    )

    gift = quote(catalog, "acme/gift:free", input=10, output=10)
    assert gift.status == "free"
    assert gift.total == 0
    assert quote(catalog, "acme/search", input=10).status == "priced"


def test_answers_that_are_remembered_change_at_the_very_edge(tmp_path: Path) -> None:
    catalog = catalog_of(
        tmp_path,
        """\
id: acme/one
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "1"}
    overrides:
      - when: {utc: "16:30-00:30"}
        usd_per_mtok: {input: "0.5"}
  - effective_from: 2024-06-01T12:00:00Z
    usd_per_mtok: {input: "2"}
""",
    )
    edges = {
        "2024-05-31T16:29:59": 1,
        "2024-05-31T16:30:00": Decimal("0.5"),
        "2024-06-01T00:29:59": Decimal("0.5"),
        "2024-06-01T00:30:00": 1,
        "2024-06-01T11:59:59": 1,
        "2024-06-01T12:00:00": 2,
        "2023-12-31T23:59:59": None,
    }

    for instants in (list(edges), list(edges)[::-1]):
        for instant in instants:
            assert quote(catalog, "acme/one", instant, input=1_000_000).total == edges[instant]
    assert offer_at(catalog, "acme/one", ns("2024-06-02")) is offer_at(
        catalog, "acme/one", ns("2024-06-03")
    )


def test_a_call_with_tokens_whose_price_nobody_tells_is_suspect(tmp_path: Path) -> None:
    model = MODEL.replace(', cache_read: "0.5"}', "}\n    unknown: [cache_read]")
    catalog = catalog_of(tmp_path, model)

    cached = quote(catalog, "acme/one", "2024-06-05", input=10, cache_read=1)
    assert (cached.status, cached.reason, cached.model) == ("unpriced", "suspect_price", "acme/one")
    assert cached.detail == "no source of the price tells that of cache_read tokens"
    assert quote(catalog, "acme/one", "2024-06-05", input=100_000).total == Decimal("0.2")


def test_a_price_that_nobody_tells_is_a_question_mark_in_the_history(tmp_path: Path) -> None:
    catalog = catalog_of(
        tmp_path, MODEL.replace(', cache_read: "0.5"}', "}\n    unknown: [cache_read]")
    )
    (model,) = catalog.models()

    lines = list(show_lines(catalog, model, ns("2024-06-05")))
    assert any(line.startswith("> 2024-01-01") and " ? " in line for line in lines)
    assert "  ? a price that no source tells: calls with such tokens are unpriced" in lines
