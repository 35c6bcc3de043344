"""An independent calculator and catalog, genai-prices, says what ours says."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices.types import ModelPrice, Tier, TieredPrices

from genops_pricing import Charge, Offer, Usage, bundled_catalog
from genops_pricing.instants import instant_of
from genops_pricing.rates import Rates, make_rates
from pricing.oracles.genai_rows import AT, UNITS, Comparison, as_model_price, compare_prices
from pricing.oracles.reasons import REASONS, Reason
from pricing.oracles.report import NO_REASON, explain, read_table, report

USAGES = 4000


def a_usage(random_: random.Random, *, audio: bool) -> Usage:
    """A call that both can price: no report says which of the cached tokens were audio."""
    prompt = random_.choice([0, 1, 999, 128_000, 199_999, 200_000, 200_001, 272_001, 900_000])
    completion = random_.randrange(0, 50_000)
    if audio:
        return Usage(
            input=prompt,
            output=completion,
            input_audio=random_.randint(0, prompt),
            output_audio=random_.randint(0, completion),
        )
    read = random_.randint(0, prompt)
    write = random_.randint(0, prompt - read)
    return Usage(
        input=prompt,
        output=completion,
        cache_read=read,
        cache_write=write,
        cache_write_1h=random_.randint(0, write),
    )


def ours(rates: Rates, usage: Usage) -> Decimal:
    charge = rates.charge(usage)
    assert isinstance(charge, Charge), charge
    return charge.usd(charge.total)


def theirs(price: ModelPrice, usage: Usage) -> Decimal:
    counts = {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "input_audio_tokens": usage.input_audio,
        "output_audio_tokens": usage.output_audio,
    }
    return price.calc_price(TheirUsage(**counts))["total_price"]


def test_arithmetic_is_the_same_on_generated_rows_and_usages() -> None:
    random_ = random.Random(20261122)
    for _ in range(USAGES):
        audio = random_.random() < 0.3
        units = [unit for unit in UNITS if unit.endswith("audio") == audio]
        drawn = {unit: Decimal(random_.randrange(0, 100_000)) / 1000 for unit in UNITS}
        optional = [unit for unit in units if unit not in ("input", "output")]
        stated = {"input", "output", *random_.sample(optional, random_.randint(0, len(optional)))}
        if "cache_write_1h" in stated:
            stated.add("cache_write")  # genai-prices knows no row without the parent's price
        base = {unit: drawn[unit] for unit in UNITS if unit in stated}
        start = random_.choice([None, 128_000, 200_000, 272_000])
        bands = [(0, base)]
        price = ModelPrice(**{UNITS[unit]: value for unit, value in base.items()})
        if start is not None:
            above = {unit: value * 2 for unit, value in base.items()}
            bands.append((start + 1, above))
            price = ModelPrice(
                **{
                    UNITS[unit]: TieredPrices(base=value, tiers=[Tier(start, above[unit])])
                    for unit, value in base.items()
                }
            )
        usage = a_usage(random_, audio=audio)
        assert ours(make_rates(bands), usage) == theirs(price, usage), (bands, usage)


def test_arithmetic_is_the_same_on_every_row_in_force() -> None:
    random_ = random.Random(7)
    catalog = bundled_catalog()
    priced = 0
    for model in catalog.models():
        offer = catalog.find(model.id, market=model.market, at_ns=instant_of(AT))
        if not isinstance(offer, Offer):
            continue
        row = next(row for row in model.rows if row.entry == offer.entry)
        if row.unknown:
            continue  # genai-prices has no word for it
        price = as_model_price(row)
        if price is None or offer.valid_until_ns - offer.valid_from_ns < 7 * 86_400 * 10**9:
            continue
        for _ in range(3):
            audio = "input_audio_mtok" in vars(price)
            usage = a_usage(random_, audio=audio)._replace(requests=0)
            assert ours(offer.rates, usage) == theirs(price, usage), (offer.entry, usage)
        priced += 1
    assert priced > 1000


def test_prices_are_those_of_genai_prices_but_for_the_exceptions_in_the_table() -> None:
    catalog = bundled_catalog()
    compared = list(compare_prices(catalog))
    exceptions = explain(catalog, compared, read_table())

    print(*report(compared, exceptions), sep="\n")
    assert len(compared) > 1000
    assert exceptions == read_table(), (
        "review: PYTHONPATH=tests python tests/pricing/oracles/report.py --write"
    )
    assert all(one.source and one.seen_at for one in exceptions)
    assert all(reason.name in REASONS and reason.evidence for reason in exceptions.values()), (
        "write a reason and what shows it into tests/pricing/oracles/exceptions.csv"
    )


def a_difference(theirs: str, *, since: str = "", model: str = "openai/gpt-4o") -> Comparison:
    """One that does not exist: genai-prices and we agree on this model."""
    cited = ("OpenRouter models API", "2026-08-22", "2024-11-04T00:00:00Z")
    return Comparison("openrouter", model, "output", "10", theirs, *cited, since)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (
            a_difference("15"),
            Reason("catalog_lags", "openrouter/openai/gpt-4o@2024-05-13T00:00:00Z"),
        ),
        (
            a_difference("15", since="2026-11-01"),
            Reason("newer_claim", "genai-prices: since 2026-11-01"),
        ),
        (a_difference("12.34"), NO_REASON),
        (a_difference("12.34", since="2026-08-01"), NO_REASON),
    ],
)
def test_a_reason_is_derived_only_from_what_shows_it(one: Comparison, reason: Reason) -> None:
    assert explain(bundled_catalog(), [one], {}) == {one: reason}


def test_a_reason_by_hand_holds_only_for_the_two_prices_that_it_was_written_for() -> None:
    written, other = a_difference("12.34"), a_difference("12.35")
    table = {written: Reason("outvoted", "LiteLLM 2026-11")}

    assert explain(bundled_catalog(), [written], table) == table
    assert explain(bundled_catalog(), [other], table) == {other: NO_REASON}
    lines = list(report([other], {other: NO_REASON}))
    assert any("NO REASON" in line for line in lines)
