"""What a call costs at one price: exact, never counted twice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genops_pricing import Charge, Usage
from genops_pricing.rates import UnknownPrice, make_rates
from genops_pricing.units import PARTS, UNITS

MTOK = Decimal(1_000_000)
LEAVES = ("text", "read", "write", "write_1h", "audio", "image")
OUT = ("out_text", "reasoning", "out_audio", "out_image")

counts = st.integers(0, 10**7)
leaves = st.fixed_dictionaries(
    dict.fromkeys((*LEAVES, *OUT, "requests", "searches", "images"), counts)
)
decimals = st.decimals(0, 1000, places=6, allow_nan=False, allow_infinity=False)
prices = st.fixed_dictionaries(
    {"input": decimals, "output": decimals},
    optional={unit.key: decimals for unit in UNITS if unit.key not in ("input", "output")},
)


def usage_of(leaf: dict[str, int]) -> Usage:
    """The inclusive counts of leaves that do not overlap."""
    return Usage(
        input=sum(leaf[name] for name in LEAVES),
        output=sum(leaf[name] for name in OUT),
        cache_read=leaf["read"],
        cache_write=leaf["write"] + leaf["write_1h"],
        cache_write_1h=leaf["write_1h"],
        reasoning=leaf["reasoning"],
        input_audio=leaf["audio"],
        output_audio=leaf["out_audio"],
        input_image=leaf["image"],
        output_image=leaf["out_image"],
        requests=leaf["requests"],
        web_searches=leaf["searches"],
        images=leaf["images"],
    )


def cost_by_hand(leaf: dict[str, int], price: dict[str, Decimal]) -> Decimal:
    """The sum of count times price, the parent's price where there is none."""
    write = price.get("cache_write", price["input"])
    tokens = (
        leaf["text"] * price["input"]
        + leaf["read"] * price.get("cache_read", price["input"])
        + leaf["write"] * write
        + leaf["write_1h"] * price.get("cache_write_1h", write)
        + leaf["audio"] * price.get("input_audio", price["input"])
        + leaf["image"] * price.get("input_image", price["input"])
        + leaf["out_text"] * price["output"]
        + leaf["reasoning"] * price.get("reasoning", price["output"])
        + leaf["out_audio"] * price.get("output_audio", price["output"])
        + leaf["out_image"] * price.get("output_image", price["output"])
    )
    each = (
        leaf["requests"] * price.get("request", Decimal(0))
        + leaf["searches"] * price.get("web_search", Decimal(0))
        + leaf["images"] * price.get("image", Decimal(0))
    )
    return tokens / MTOK + each


def charge(price: dict[str, Decimal], usage: Usage) -> Charge:
    result = make_rates([(0, price)]).charge(usage)
    assert isinstance(result, Charge), result
    return result


@given(leaves, prices)
def test_integers_give_what_decimal_arithmetic_gives(
    leaf: dict[str, int], price: dict[str, Decimal]
) -> None:
    result = charge(price, usage_of(leaf))

    assert result.usd(result.total) == cost_by_hand(leaf, price)


@given(
    st.builds(
        Usage,
        input=st.integers(-1, 40),
        output=st.integers(-1, 20),
        cache_read=st.integers(-1, 20),
        reasoning=st.integers(-1, 20),
        requests=st.sampled_from((1, 1, 1, 0, 2)),
        cache_write=st.sampled_from((0, 0, 0, 5)),
        web_searches=st.sampled_from((0, 0, 0, 1)),
    ),
    st.lists(prices, min_size=1, max_size=3),
    st.booleans(),
)
def test_a_plain_call_is_charged_as_any_other(
    usage: Usage, bands: list[dict[str, Decimal]], marginal: bool
) -> None:
    """The short way for plain calls gives the amounts, the parts and the complaints of the long."""
    rates = make_rates([(start * 15, band) for start, band in enumerate(bands)], marginal=marginal)

    assert rates.charge(usage) == replace(rates, plain=None).charge(usage)


def test_plain_calls_take_the_short_way_where_nothing_else_has_a_price() -> None:
    price = {"input": Decimal(3), "output": Decimal(15)}

    assert make_rates([(0, price)]).plain == ((3, 15, 3),)
    assert make_rates([(0, price), (9, price)]).plain == ((3, 15, 3), (3, 15, 3))
    for other in ("request", "reasoning"):
        assert make_rates([(0, price | {other: Decimal(1)})]).plain is None
    assert make_rates([(0, {"input": Decimal(3)})]).plain is None
    assert make_rates([(0, price), (9, price)], marginal=True).plain is None


@given(leaves, prices)
def test_parts_sum_to_the_total_stand_in_order_and_are_never_negative(
    leaf: dict[str, int], price: dict[str, Decimal]
) -> None:
    result = charge(price, usage_of(leaf))

    names = [name for name, _ in result.parts]
    assert sum(value for _, value in result.parts) == result.total
    assert all(value >= 0 for _, value in result.parts)
    assert names == sorted(names, key=PARTS.index)
    assert set(str(result.divisor)) <= {"1", "0"}


@given(leaves, leaves, prices)
def test_costs_add_up(a: dict[str, int], b: dict[str, int], price: dict[str, Decimal]) -> None:
    both = {name: a[name] + b[name] for name in a}

    apart = charge(price, usage_of(a)).total + charge(price, usage_of(b)).total
    assert charge(price, usage_of(both)).total == apart


@given(leaves, prices, st.sampled_from((*LEAVES, *OUT, "requests", "searches", "images")), counts)
def test_more_of_anything_never_costs_less(
    leaf: dict[str, int], price: dict[str, Decimal], name: str, more: int
) -> None:
    grown = leaf | {name: leaf[name] + more}

    assert charge(price, usage_of(grown)).total >= charge(price, usage_of(leaf)).total


@given(leaves)
def test_cached_tokens_are_never_counted_twice(leaf: dict[str, int]) -> None:
    one = {"input": Decimal(1), "output": Decimal(1), "cache_read": Decimal(1)}
    usage = usage_of(leaf)

    result = charge(one, usage)
    assert result.usd(result.total) * MTOK == usage.input + usage.output


@given(leaves, counts)
def test_cached_audio_is_billed_as_cached_once(leaf: dict[str, int], cached: int) -> None:
    one = {"input": Decimal(1), "output": Decimal(1)}
    usage = usage_of(leaf)
    usage = usage._replace(
        cache_read=min(usage.cache_read + cached, usage.input - usage.cache_write)
    )

    result = charge(one, usage)
    assert result.usd(result.total) * MTOK == usage.input + usage.output


def test_a_call_at_known_prices_costs_what_a_reader_computes() -> None:
    price = {
        "input": Decimal(3),
        "output": Decimal(15),
        "cache_read": Decimal("0.3"),
        "cache_write": Decimal("3.75"),
        "cache_write_1h": Decimal(6),
        "web_search": Decimal("0.01"),
    }
    usage = Usage(
        input=1000, output=200, cache_read=500, cache_write=300, cache_write_1h=100, web_searches=2
    )

    result = charge(price, usage)
    assert {name: result.usd(value) for name, value in result.parts} == {
        "input": Decimal(3) * (1000 - 500 - 300) / MTOK,
        "output": Decimal(15) * 200 / MTOK,
        "cache_read": Decimal("0.3") * 500 / MTOK,
        "cache_write": (Decimal("3.75") * (300 - 100) + Decimal(6) * 100) / MTOK,
        "web_search": Decimal("0.01") * 2,
    }


def test_cached_tokens_without_a_price_of_their_own_cost_what_input_costs() -> None:
    result = charge({"input": Decimal(2), "output": Decimal(8)}, Usage(input=10, cache_read=4))

    assert dict(result.parts) == {"input": 12, "cache_read": 8}


def test_a_part_that_was_not_used_or_has_no_price_is_left_out() -> None:
    result = charge({"input": Decimal(2), "output": Decimal(0)}, Usage(output=5, web_searches=3))

    assert result.parts == (("output", 0),)


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        (Usage(input=-1), "input is negative: -1"),
        (Usage(requests=-2), "requests is negative: -2"),
        (Usage(input=10, cache_read=11), "more cached tokens (11 + 0) than input tokens (10)"),
        (Usage(input=10, cache_read=6, cache_write=5), "more cached tokens (6 + 5)"),
        (Usage(input=9, cache_write=5, cache_write_1h=6), "cache_write_1h (6) exceeds"),
        (Usage(input=9, input_audio=5, input_image=5), "more audio and image tokens (5 + 5)"),
        (Usage(output=9, reasoning=10), "more reasoning, audio and image tokens (10 + 0 + 0)"),
    ],
)
def test_counts_that_can_not_be_right_are_refused(usage: Usage, problem: str) -> None:
    result = make_rates([(0, {"input": Decimal(1), "output": Decimal(1)})]).charge(usage)

    assert isinstance(result, str)
    assert problem in result


def test_tokens_of_a_kind_without_any_price_are_refused() -> None:
    embedding = make_rates([(0, {"input": Decimal("0.02")})])

    assert isinstance(embedding.charge(Usage(input=5)), Charge)
    assert embedding.charge(Usage(input=5, output=1)) == (
        "1 output tokens, but the model has no price for them"
    )


@pytest.mark.parametrize(
    "usage", [Usage(input=9, cache_read=1), Usage(input=9, cache_write_1h=1, cache_write=1)]
)
def test_tokens_whose_own_price_nobody_tells_are_not_charged_as_others(usage: Usage) -> None:
    price = {"input": Decimal(3), "output": Decimal(15)}
    rates = make_rates([(0, price)], unknown=("cache_read", "cache_write"))

    assert isinstance(rates.charge(usage), UnknownPrice)
    assert rates.charge(Usage(input=9, output=1)) == make_rates([(0, price)]).charge(
        Usage(input=9, output=1)
    )


def test_a_conditional_price_of_what_is_unknown_else_is_charged() -> None:
    price = {"input": Decimal(3), "output": Decimal(15)}
    rates = make_rates(
        [(0, price), (100, price | {"cache_read": Decimal(1)})], unknown=("cache_read",)
    )

    assert isinstance(rates.charge(Usage(input=99, cache_read=1)), UnknownPrice)
    assert isinstance(rates.charge(Usage(input=100, cache_read=1)), Charge)


def test_a_cliff_prices_the_whole_prompt_from_its_first_token_on() -> None:
    low = {"input": Decimal(1), "output": Decimal(4)}
    high = {"input": Decimal(2), "output": Decimal(6)}
    rates = make_rates([(0, low), (200_001, high)])

    last_low = rates.charge(Usage(input=200_000, output=1))
    first_high = rates.charge(Usage(input=200_001, output=1))
    assert isinstance(last_low, Charge)
    assert isinstance(first_high, Charge)
    assert last_low.total == 1 * 200_000 + 4
    assert first_high.total == 2 * 200_001 + 6


@given(
    read=st.integers(0, 40),
    write=st.integers(0, 40),
    write_1h=st.integers(0, 40),
    text=st.integers(0, 60),
    output=st.integers(0, 60),
)
def test_a_marginal_band_prices_each_prompt_token_where_it_stands(
    read: int, write: int, write_1h: int, text: int, output: int
) -> None:
    bands = [
        (0, {"input": Decimal(3), "output": Decimal(7), "cache_read": Decimal(1)}),
        (51, {"input": Decimal(5), "output": Decimal(7), "cache_read": Decimal(2)}),
        (101, {"input": Decimal(9), "output": Decimal(7), "cache_read": Decimal(2)}),
    ]
    kinds = ["cache_read"] * read + ["input"] * (write_1h + write + text)
    by_hand = sum(
        int([prices for start, prices in bands if start <= position][-1][kind])
        for position, kind in enumerate(kinds, start=1)
    )

    usage = Usage(
        input=len(kinds),
        output=output,
        cache_read=read,
        cache_write=write + write_1h,
        cache_write_1h=write_1h,
    )
    result = make_rates(bands, marginal=True).charge(usage)
    assert isinstance(result, Charge)
    assert result.total == by_hand + 7 * output
    assert sum(value for _, value in result.parts) == result.total


def test_money_is_exact_far_beyond_what_a_double_holds() -> None:
    result = charge(
        {"input": Decimal("0.000000000000001"), "output": Decimal(1)}, Usage(input=10**15 + 1)
    )

    assert result.usd(result.total) == Decimal("0.000001000000000000001")
