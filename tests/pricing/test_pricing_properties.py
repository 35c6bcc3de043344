"""What holds for every row with a size tier and every usage."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from genops_pricing import Charge, Usage
from genops_pricing.rates import Rates, make_rates
from genops_pricing.units import UNITS

TOKENS = [unit for unit in UNITS if unit.table == "usd_per_mtok"]
START = 200_001  # first prompt size of the upper tier

decimals = st.decimals(0, 1000, places=4, allow_nan=False, allow_infinity=False)
prices = st.fixed_dictionaries(
    {"input": decimals, "output": decimals},
    optional={unit.key: decimals for unit in TOKENS if unit.key not in ("input", "output")},
)
Prices = dict[str, Decimal]


@st.composite
def usages(draw: st.DrawFn, least: int = 0, most: int = 400_000) -> Usage:
    prompt = draw(st.integers(least, most))
    read = draw(st.integers(0, prompt))
    write = draw(st.integers(0, prompt - read))
    completion = draw(st.integers(0, 100_000))
    return Usage(
        input=prompt,
        output=completion,
        cache_read=read,
        cache_write=write,
        cache_write_1h=draw(st.integers(0, write)),
        reasoning=draw(st.integers(0, completion)),
    )


def cost(rates: Rates, usage: Usage) -> Decimal:
    charge = rates.charge(usage)
    assert isinstance(charge, Charge), charge
    return charge.usd(charge.total)


def tiered(base: Prices, above: Prices) -> Rates:
    return make_rates([(0, base), (START, {**base, **above})])


@given(prices, prices, usages())
def test_the_tier_is_that_of_the_whole_prompt_and_prices_the_whole_call(
    base: Prices, above: Prices, usage: Usage
) -> None:
    alone = make_rates([(0, base if usage.input < START else {**base, **above})])

    assert cost(tiered(base, above), usage) == cost(alone, usage)
    assert cost(tiered(base, above), usage) >= 0


@given(prices, prices, usages(most=100_000), usages(most=100_000))
def test_costs_add_up_within_a_tier(base: Prices, above: Prices, a: Usage, b: Usage) -> None:
    rates = tiered(base, above)
    both = Usage(*(first + second for first, second in zip(a, b, strict=True)))

    assert cost(rates, both) == cost(rates, a) + cost(rates, b)


@given(prices, usages(), st.integers(0, 100_000))
def test_caching_more_never_costs_more_where_reading_a_cache_is_not_dearer(
    base: Prices, usage: Usage, more: int
) -> None:
    assume(base.get("cache_read", base["input"]) <= base["input"])
    assume(usage.cache_read + usage.cache_write + more <= usage.input)
    rates = make_rates([(0, base)])

    cached = usage._replace(cache_read=usage.cache_read + more)
    assert cost(rates, cached) <= cost(rates, usage)


@given(prices, usages(), st.sampled_from(["input", "output"]), st.integers(1, 10**6))
def test_more_tokens_never_cost_less_within_a_tier(
    base: Prices, usage: Usage, bucket: str, more: int
) -> None:
    rates = make_rates([(0, base)])
    larger = usage._replace(**{bucket: getattr(usage, bucket) + more})

    assert cost(rates, larger) >= cost(rates, usage)


@given(prices, usages())
def test_reasoning_is_priced_apart_only_where_the_row_says_so(base: Prices, usage: Usage) -> None:
    stated = base.pop("reasoning", Decimal(7))
    plain = make_rates([(0, base)])
    apart = make_rates([(0, {**base, "reasoning": stated})])

    assert cost(plain, usage) == cost(plain, usage._replace(reasoning=0))
    difference = usage.reasoning * (stated - base["output"]) / 1_000_000
    assert cost(apart, usage) - cost(plain, usage) == difference


@given(prices, usages())
def test_a_cached_token_is_counted_once(base: Prices, usage: Usage) -> None:
    flat = dict.fromkeys(base, Decimal(1))

    assert cost(make_rates([(0, flat)]), usage) == Decimal(usage.input + usage.output) / 1_000_000
