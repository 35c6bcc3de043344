"""An operator's files on top of the catalog: contract prices, discounts, own models."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from genops_pricing import (
    CatalogError,
    Charge,
    Model,
    Offer,
    Usage,
    bundled_catalog,
    load_catalog,
)
from pricing_files import ns, offer_at, quote

M = 1_000_000


def overlay(tmp_path: Path, text: str, name: str = "acme") -> Path:
    path = tmp_path / f"{name}.yaml"
    path.write_text(f"overlay: {name}\n{text}")
    return path


CONTRACT = """\
market: openrouter
models:
  - id: openai/gpt-4o
    prices:
      - effective_from: 2025-01-01
        effective_to: 2026-01-01
        reason: contract 4711
        usd_per_mtok: {input: "2", output: "8"}
"""


def test_a_contract_holds_from_its_first_to_its_last_instant(tmp_path: Path) -> None:
    catalog = load_catalog([overlay(tmp_path, CONTRACT)])

    entries = {
        instant: offer_at(catalog, "openai/gpt-4o", ns(instant)).entry
        for instant in ("2024-12-31T23:59:59", "2025-01-01", "2025-12-31T23:59:59", "2026-01-01")
    }
    listed = "openrouter/openai/gpt-4o@2024-11-04T00:00:00Z"
    agreed = "openrouter/openai/gpt-4o@2025-01-01T00:00:00Z+acme"
    assert list(entries.values()) == [listed, agreed, agreed, listed]
    assert quote(catalog, "openai/gpt-4o", "2025-06-01", input=M, output=M).total == 2 + 8


def test_a_contract_outranks_later_list_prices_and_those_of_endpoints(tmp_path: Path) -> None:
    text = CONTRACT.replace("        effective_to: 2026-01-01\n", "").replace(
        "        reason: contract 4711\n", ""
    )
    catalog = load_catalog([overlay(tmp_path, text)])

    offer = offer_at(catalog, "openai/gpt-4o", ns("2026-11-22"), endpoint="azure")
    assert offer.entry == "openrouter/openai/gpt-4o@2025-01-01T00:00:00Z+acme"


def test_an_overlay_may_add_models_and_aliases(tmp_path: Path) -> None:
    text = """\
market: openrouter
author: acme
models:
  - id: acme/own
    family: own
    prices: [{effective_from: 2025-01-01, usd_per_mtok: {input: "1", output: "60"}}]
  - id: openai/gpt-4o
    aliases: [house-model]
"""
    catalog = load_catalog([overlay(tmp_path, text)])

    own = offer_at(catalog, "acme/own", ns("2025-06-01"))
    assert (own.family, own.tier) == ("own", "flagship")
    assert offer_at(catalog, "house-model", ns("2025-06-01")).model == "openai/gpt-4o"
    model = catalog.model("gpt-4o")
    assert isinstance(model, Model)
    assert model.author == "openai"


DISCOUNT = """\
discounts:
  - {market: openrouter, author: openai, percent: "20", effective_from: 2025-01-01}
  - {market: openrouter, model: openai/gpt-4o, percent: "10", effective_from: 2025-07-01,
     effective_to: 2025-08-01}
"""


@pytest.mark.parametrize(
    ("instant", "left"),
    [
        ("2024-12-31T23:59:59", "1"),
        ("2025-01-01", "0.8"),
        ("2025-06-30T23:59:59", "0.8"),
        ("2025-07-01", "0.72"),  # 0.8 * 0.9
        ("2025-07-31T23:59:59", "0.72"),
        ("2025-08-01", "0.8"),
    ],
)
def test_discounts_are_off_every_price_while_they_hold(
    tmp_path: Path, instant: str, left: str
) -> None:
    catalog = load_catalog([overlay(tmp_path, DISCOUNT)])

    result = quote(catalog, "openai/gpt-4o", instant, input=2 * M, cache_read=M, output=M)
    assert result.parts == {
        "input": Decimal("2.5") * Decimal(left),
        "output": Decimal(10) * Decimal(left),
        "cache_read": Decimal("1.25") * Decimal(left),
    }


def test_a_discounted_price_says_so_and_ends_with_the_discount(tmp_path: Path) -> None:
    catalog = load_catalog([overlay(tmp_path, DISCOUNT)])

    offer = offer_at(catalog, "openai/gpt-4o", ns("2025-03-01"))
    assert offer.entry == "openrouter/openai/gpt-4o@2024-11-04T00:00:00Z~acme"
    assert (offer.valid_from_ns, offer.valid_until_ns) == (ns("2025-01-01"), ns("2025-07-01"))
    untouched = offer_at(catalog, "anthropic/claude-3-haiku", ns("2025-03-01"))
    assert "~" not in untouched.entry


def test_a_discount_may_be_for_calls_that_one_provider_served(tmp_path: Path) -> None:
    text = (
        "discounts:\n"
        '  - {market: openrouter, provider: azure, percent: "50", effective_from: 2024-12-01}\n'
    )
    catalog = load_catalog([overlay(tmp_path, text)])
    when = ns("2025-03-01")

    assert offer_at(catalog, "openai/gpt-4o", when, endpoint="Azure").entry.endswith("~acme")
    assert not offer_at(catalog, "openai/gpt-4o", when, endpoint="OpenAI").entry.endswith("~acme")


@pytest.mark.parametrize("named", ["Google", "google-vertex", "google-vertex/europe"])
def test_a_provider_is_meant_by_its_name_its_slug_or_an_endpoints_tag(
    tmp_path: Path, named: str
) -> None:
    """OpenRouter's slug of the provider that it calls Google is google-vertex."""
    text = (
        "market: openrouter\nmodels:\n"
        "  - id: meta-llama/llama-4-scout\n"
        "    endpoints:\n"
        "      google-vertex:\n"
        "        prices:\n"
        "          - effective_from: 2026-06-01\n"
        '            usd_per_mtok: {input: "1", output: "1"}\n'
        "discounts:\n"
        "  - market: openrouter\n"
        "    provider: google-vertex\n"
        "    rate: '0.5'\n"
        "    effective_from: 2026-07-01\n"
    )
    catalog = load_catalog([overlay(tmp_path, text)])

    def cost(day: str) -> Decimal:
        offer = offer_at(catalog, "meta-llama/llama-4-scout", ns(day), endpoint=named)
        charge = offer.charge(Usage(input=1_000_000))
        assert isinstance(charge, Charge)
        return charge.usd(charge.total)

    assert cost("2026-05-18") == Decimal("0.25")  # by the endpoints API
    assert cost("2026-06-01") == 1
    assert cost("2026-07-01") == Decimal("0.5")


def test_a_discount_may_be_a_rate_of_what_is_paid(tmp_path: Path) -> None:
    text = DISCOUNT.replace('percent: "20"', 'rate: "0.8"').replace('percent: "10"', 'rate: "0.9"')
    by_percent = load_catalog([overlay(tmp_path, DISCOUNT)])
    by_rate = load_catalog([overlay(tmp_path, text)])

    for instant in ("2024-12-01", "2025-06-01", "2025-08-01"):
        paid = quote(by_rate, "openai/gpt-4o", instant, input=M).total
        assert paid == quote(by_percent, "openai/gpt-4o", instant, input=M).total


def test_the_tier_stays_that_of_the_list_price(tmp_path: Path) -> None:
    catalog = load_catalog([overlay(tmp_path, DISCOUNT)])

    # 10 USD per million is premium; the 8 USD that are left would be balanced.
    assert offer_at(catalog, "openai/gpt-4o", ns("2025-03-01")).tier == "premium"


def test_the_version_names_the_overlays_and_their_order(tmp_path: Path) -> None:
    one = overlay(tmp_path, CONTRACT)
    two = overlay(tmp_path, DISCOUNT, "other")
    base = bundled_catalog()

    first, again, swapped = (
        load_catalog([one, two]),
        load_catalog([one, two]),
        load_catalog([two, one]),
    )
    assert first.version.startswith(f"{base.version}.overlay.")
    assert (first.version, first.digest) == (again.version, again.digest)
    assert len({base.digest, first.digest, swapped.digest}) == 3
    assert len({base.version, first.version, swapped.version}) == 3


def test_wrong_overlays_are_reported_with_file_and_line(tmp_path: Path) -> None:
    wrong = overlay(
        tmp_path,
        "market: openruter\nmodels:\n  - id: x/y\n    prices: [{effective_from: 2025-01-01, "
        'usd_per_mtok: {input: "1"}}]\n',
    )
    misnamed = overlay(
        tmp_path,
        "discounts:\n"
        '  - {market: openrouter, model: openai/gpt4o, percent: "5", effective_from: 2025-01-01}\n',
        "misnamed",
    )
    missing = tmp_path / "missing.yaml"

    with pytest.raises(CatalogError) as caught:
        load_catalog([wrong, misnamed])
    first, second = caught.value.problems
    assert first.startswith(f'{wrong}:2: no market "openruter". Known: ')
    assert second.startswith(f'{misnamed}:3: market openrouter has no model id "openai/gpt4o".')
    assert "openai/gpt-4o" in second
    with pytest.raises(CatalogError, match="can't be read: No such file"):
        load_catalog([missing])


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            ["market: openrouter", "author: opneai"],
            ':5: market openrouter has no models of author "opneai". Closest: openai',
        ),
        (
            ["market: openrouter", "provider: azrue"],
            ':5: market openrouter has no upstream provider "azrue". Closest: azure',
        ),
        (
            ["market: openai", "provider: azure"],
            ':5: market openai has no upstream provider "azure". Name another, or drop `provider`',
        ),
        (
            ["market: openrouter", "model: openai/gpt4o"],
            ':5: market openrouter has no model id "openai/gpt4o". Closest: openai/gpt-4o',
        ),
        (["market: watsonx"], ":4: market watsonx has no models. Add them, or name another market"),
        (["market: openruoter"], ':4: no market "openruoter". Known: '),
        (
            ["market: openrouter", "model: openai/gpt-4o", "effective_to: 2024-05-13"],
            ":6: the discount ends before the first price that it could lower, of "
            "2024-05-13T00:00:00Z. Correct the year, or drop it",
        ),
    ],
)
def test_a_discount_that_can_never_hold_is_an_error(
    tmp_path: Path, lines: list[str], problem: str
) -> None:
    keys = "\n    ".join(['percent: "5"', *lines, "effective_from: 2020-01-01"])
    path = overlay(tmp_path, f"discounts:\n  - {keys}\n")

    with pytest.raises(CatalogError) as caught:
        load_catalog([path])
    (found,) = caught.value.problems
    assert found.startswith(f"{path}{problem}")


def test_a_discount_may_name_what_a_later_overlay_adds(tmp_path: Path) -> None:
    discount = overlay(
        tmp_path,
        "discounts:\n"
        '  - {market: openai_compatible, author: acme, percent: "5", effective_from: 2025-01-01}\n'
        '  - {market: openrouter, provider: acme-gpu, percent: "5", effective_from: 2025-01-01}\n',
    )
    models = overlay(
        tmp_path,
        "market: openai_compatible\nauthor: acme\nmodels:\n  - id: own\n"
        '    prices: [{effective_from: 2025-01-01, usd_per_mtok: {input: "1"}}]\n',
        "models",
    )
    served = overlay(
        tmp_path,
        "market: openrouter\nmodels:\n  - id: openai/gpt-4o\n"
        "    endpoints: {acme-gpu: {quantization: fp8}}\n",
        "served",
    )

    catalog = load_catalog([discount, models, served])
    own = catalog.find("own", market="openai_compatible", at_ns=ns("2025-06-01"))
    assert isinstance(own, Offer)
    assert own.entry.endswith("~acme")
    gpu = offer_at(catalog, "openai/gpt-4o", ns("2025-06-01"), endpoint="acme-gpu")
    assert gpu.entry == "openrouter/openai/gpt-4o@2024-11-04T00:00:00Z~acme"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            'discounts: [{market: openrouter, rate: "1.1", effective_from: 2025-01-01}]\n',
            ":2: rate: 1.1 is no discount",
        ),
        (
            'discounts: [{market: openrouter, rate: "0.9", percent: "10", '
            "effective_from: 2025-01-01}]\n",
            ":2: a discount states either `percent`",
        ),
        (
            "discounts: [{market: openrouter, effective_from: 2025-01-01}]\n",
            ":2: a discount states either `percent`",
        ),
        (
            'discounts: [{market: openrouter, percent: "101", effective_from: 2025-01-01}]\n',
            ":2: percent: 101 percent off is too much",
        ),
        (
            "discounts:\n  - {market: openrouter, author: a, model: openai/gpt-4o, "
            'percent: "1", effective_from: 2025-01-01}\n',
            ":3: a discount is for one of",
        ),
        ("models: [{id: a/b}]\n", ":1: an overlay with `models` needs their `market`"),
        ("schema: 9\n", ":2: schema 9 is newer than this release reads (1)"),
        ("market: openrouter\nmodels: [{id: a/b}]\n", ':3: "a/b" has neither prices nor'),
    ],
)
def test_what_an_overlay_can_not_say_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(CatalogError) as caught:
        load_catalog([overlay(tmp_path, text)])

    assert problem in str(caught.value)


def test_an_overlay_may_correct_a_row_of_the_catalog(tmp_path: Path) -> None:
    text = """\
market: openrouter
models:
  - id: openai/gpt-4o
    prices:
      - effective_from: 2024-10-02
        corrects: openrouter/openai/gpt-4o@2024-11-04T00:00:00Z
        reason: our invoices show the new price from this day
        usd_per_mtok: {input: "2.5", output: "10", cache_read: "1.25"}
"""
    catalog = load_catalog([overlay(tmp_path, text)])

    assert quote(catalog, "openai/gpt-4o", "2024-10-01T23:59:59", input=M).total == 5
    assert quote(catalog, "openai/gpt-4o", "2024-10-02", input=M).total == Decimal("2.5")
