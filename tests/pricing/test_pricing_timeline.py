"""Which row is in force at an instant, and how long the answer holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genops_pricing import Conditions, Miss, Offer
from genops_pricing.answers import ALWAYS_NS
from genops_pricing.instants import format_instant, instant_of, parse_instant
from genops_pricing.model import Override, Row
from genops_pricing.timeline import make_timeline
from pricing_files import catalog_of, ns, offer_at, quote

EVEN = Decimal(1)
STEPS = """
id: acme/one
prices:
  - effective_from: 2024-05-13
    usd_per_mtok: {input: "5", output: "15"}
  - effective_from: "2024-11-04T16:00:00Z"
    usd_per_mtok: {input: "2.5", output: "10"}
"""


def make_row(entry: str, start: int, end: int | None = None, layer: int = 0) -> Row:
    return Row(
        entry=entry,
        effective_from="",
        start_ns=start,
        end_ns=end,
        layer=layer,
        status=None,
        reason=None,
        prices={},
        overrides=(),
        corrects=None,
        provenance=None,
    )


def test_a_row_holds_until_the_last_instant_before_the_next(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, STEPS)
    change = ns("2024-11-04T16:00:00")

    old, new = offer_at(catalog, "acme/one", change - 1), offer_at(catalog, "acme/one", change)
    assert old.entry == "openrouter/acme/one@2024-05-13T00:00:00Z"
    assert (old.valid_from_ns, old.valid_until_ns) == (ns("2024-05-13"), change)
    assert new.entry == "openrouter/acme/one@2024-11-04T16:00:00Z"
    assert (new.valid_from_ns, new.valid_until_ns) == (change, ALWAYS_NS[1])


def test_before_its_first_row_a_model_is_not_yet_priced(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, STEPS)
    start = ns("2024-05-13")

    miss = catalog.find("acme/one", market=None, at_ns=start - 1)
    assert isinstance(miss, Miss)
    assert (miss.reason, miss.model, miss.valid_until_ns) == ("not_yet_priced", "acme/one", start)
    assert "2024-05-13T00:00:00Z" in miss.detail
    assert isinstance(catalog.find("acme/one", market=None, at_ns=start), Offer)


@pytest.mark.parametrize(("day", "status"), [("0001-01-01", "unpriced"), ("9999-12-31", "priced")])
def test_the_first_and_the_last_day_of_all_are_before_and_after_every_row(
    tmp_path: Path, day: str, status: str
) -> None:
    catalog = catalog_of(tmp_path, STEPS)

    assert quote(catalog, "acme/one", day, input=1).status == status


def test_a_promotion_states_its_end_and_gives_the_price_back(tmp_path: Path) -> None:
    promotion = """
  - effective_from: 2025-01-10
    effective_to: 2025-01-20
    reason: launch offer
    usd_per_mtok: {input: "1", output: "1"}
"""
    catalog = catalog_of(tmp_path, STEPS + promotion)

    costs = [
        quote(catalog, "acme/one", day, input=1_000_000).total
        for day in ("2025-01-09T23:59:59", "2025-01-10", "2025-01-19T23:59:59", "2025-01-20")
    ]
    assert [str(cost.normalize()) for cost in costs if cost] == ["2.5", "1", "1", "2.5"]


def test_a_correction_takes_the_place_of_the_row_that_it_names(tmp_path: Path) -> None:
    correction = """
  - effective_from: 2024-05-13
    revision: 2
    corrects: openrouter/acme/one@2024-05-13T00:00:00Z
    reason: the source was misread
    usd_per_mtok: {input: "6", output: "15"}
"""
    catalog = catalog_of(tmp_path, STEPS + correction)

    offer = offer_at(catalog, "acme/one", ns("2024-06-01"))
    assert offer.entry == "openrouter/acme/one@2024-05-13T00:00:00Z#2"
    assert offer.valid_until_ns == ns("2024-11-04T16:00:00")


def test_rows_without_prices_say_why(tmp_path: Path) -> None:
    catalog = catalog_of(
        tmp_path,
        """
id: acme/auto
family: auto
prices:
  - effective_from: 2024-01-01
    status: dynamic
    reason: routed per call
  - effective_from: 2025-01-01
    status: suspect
    reason: sources disagree
""",
    )

    misses = [
        catalog.find("acme/auto", market=None, at_ns=ns(f"{year}-06-01")) for year in (2024, 2025)
    ]
    assert [
        (miss.reason, miss.detail, miss.family) for miss in misses if isinstance(miss, Miss)
    ] == [
        ("dynamic_price", "routed per call", "auto"),
        ("suspect_price", "sources disagree", "auto"),
    ]


@given(
    starts=st.lists(st.integers(0, 100), min_size=1, max_size=8, unique=True),
    contracts=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 30)), max_size=3),
    instant=st.integers(-5, 140),
)
def test_every_instant_has_the_row_that_the_definition_gives(
    starts: list[int], contracts: list[tuple[int, int]], instant: int
) -> None:
    rows = [make_row(f"list {start}", start) for start in starts]
    # Each in a layer of its own, so that they may overlap.
    rows += [
        make_row(f"contract {layer}", start, start + length, layer)
        for layer, (start, length) in enumerate(contracts, start=1)
    ]
    begun = [start for start in starts if start <= instant]
    expected = f"list {max(begun)}" if begun else None
    for layer, (start, length) in enumerate(contracts, start=1):
        if start <= instant < start + length:
            expected = f"contract {layer}"

    timeline = make_timeline(rows)
    row, lower, upper = timeline.at(instant)
    assert (row and row.entry) == expected
    assert lower <= instant < upper
    assert timeline.at(lower)[0] is row
    assert upper == ALWAYS_NS[1] or timeline.at(upper - 1)[0] is row
    assert upper == ALWAYS_NS[1] or timeline.at(upper)[0] is not row


minutes = st.integers(0, 1439)


@given(
    start=minutes,
    end=minutes,
    days=st.frozensets(st.integers(0, 6), max_size=3),
    second=st.integers(1_500_000_000, 1_900_000_000),
)
def test_a_time_window_is_open_as_the_clock_says_and_until_the_edge_it_names(
    start: int, end: int, days: frozenset[int], second: int
) -> None:
    override = Override(0, False, (start, end), days, (), {}, None)
    moment = datetime.fromtimestamp(second, UTC)
    minute = moment.hour * 60 + moment.minute
    inside = start <= minute < end if start <= end else not end <= minute < start
    expected = inside and (not days or moment.weekday() in days)

    at_ns = instant_of(moment)
    row = Row("", "", 0, None, 0, None, None, {}, (override,), None, None)
    _, lower, upper = row.rates_at(at_ns, Conditions(), EVEN)
    assert override.is_open(at_ns) is expected
    assert lower <= at_ns < upper <= at_ns + instant_of(datetime(1970, 1, 2, tzinfo=UTC))
    assert override.is_open(lower) is override.is_open(upper - 1) is expected


def test_an_instant_reads_back_as_written() -> None:
    for text in ("2024-05-13T00:00:00Z", "2024-05-13T16:00:00.250000Z"):
        assert format_instant(parse_instant(text)) == text
    assert parse_instant("2024-05-13T18:00:00+02:00") == parse_instant("2024-05-13T16:00:00Z")
    assert parse_instant("2024-05-13") == datetime(2024, 5, 13, tzinfo=UTC)
    assert instant_of(parse_instant("1970-01-01") - timedelta(microseconds=1)) == -1000
