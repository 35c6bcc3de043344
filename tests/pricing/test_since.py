"""What catalogs saw of a model of OpenRouter after the last snapshot of its API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from genops_pricing.importing.history import history
from genops_pricing.importing.observation import Observation, Source, Subject
from genops_pricing.importing.since import since
from genops_pricing.importing.steps import Step

MODEL = Subject("openrouter", "acme/one")
API = Source("OpenRouter models API", "openrouter")
SOURCES: Mapping[str, Source] = {
    "genai": Source("genai-prices 0.2.3", "genai-prices"),
    "pi": Source("pi-ai 1.5.2", "models.dev"),
    "meter": Source("metergraph 0.7.4", "metergraph"),
    "litellm": Source("LiteLLM", "litellm"),
    "auto": Source("tokencostauto 0.1.717", "litellm"),
}


def says(
    source: str, price: str, day: str, until: str | None = None, cached: str | None = None
) -> Observation:
    """A statement of a day; with `until`, of a price that the source dates."""
    first = date.fromisoformat(day)
    return Observation(
        MODEL,
        SOURCES[source],
        date.fromisoformat(until or day),
        prices={"input": Decimal(price), "output": Decimal(price)}
        | ({"cache_read": Decimal(cached)} if cached else {}),
        starts=datetime(first.year, first.month, first.day, tzinfo=UTC) if until else None,
    )


def last_step(price: str = "0.96", cached: str | None = None) -> Step:
    seen = replace(says("genai", price, "2026-08-19", "2026-08-19", cached), source=API)
    (step,) = history([seen])
    step.last = date(2026, 9, 2)
    return step


def told(steps: list[Step]) -> list[tuple[str, str]]:
    return [
        (step.start.date().isoformat(), step.status or str(step.prices["input"])) for step in steps
    ]


def test_a_price_that_two_catalogs_state_stands_until_a_doubt() -> None:
    """What the newest states alone, far from it, undoes no price that was there before."""
    steps = since(
        last_step(),
        [
            says("litellm", "0.6", "2026-10-08"),
            says("genai", "0.62", "2026-10-19", "2026-11-02"),
            says("meter", "0.62", "2026-10-20", "2026-10-25"),
            says("genai", "1.4", "2026-11-03", "2026-11-03"),
            says("pi", "0.0062", "2026-11-10"),
        ],
        doubted=True,
    )

    assert told(steps) == [("2026-10-19", "0.62"), ("2026-11-10", "suspect")]
    assert steps[0].not_before == date(2026, 9, 2)
    assert steps[1].reason == (
        "pi-ai 1.5.2 states 0.0062/0.0062 USD per million tokens after 0.62/0.62: "
        "more than 5 times apart."
    )


@pytest.mark.parametrize("second", ["genai", "auto"])
def test_one_catalog_or_two_that_copy_from_each_other_change_no_price(second: str) -> None:
    first = {"genai": "genai", "auto": "litellm"}[second]

    assert (
        since(last_step(), [says(first, "1", "2026-10-08"), says(second, "1", "2026-10-10")]) == []
    )


def test_what_two_state_now_follows_what_two_stated_before() -> None:
    steps = since(
        last_step("0.2"),
        [
            says("auto", "0.18", "2026-10-01"),
            says("meter", "0.18", "2026-10-20", "2026-10-25"),
            says("genai", "0.35", "2026-11-03", "2026-11-03"),
            says("pi", "0.35", "2026-11-10"),
        ],
    )

    assert told(steps) == [("2026-10-01", "0.18"), ("2026-11-03", "0.35")]
    assert [step.last for step in steps] == [date(2026, 10, 1), date(2026, 11, 3)]
    assert steps[1].not_before == date(2026, 10, 25)
    assert steps[1].also == ["pi-ai 1.5.2"]


def test_a_price_that_the_newest_undoes_was_momentary() -> None:
    last = last_step()

    steps = since(
        last,
        [
            says("genai", "0.5", "2026-10-19", "2026-11-02"),
            says("meter", "0.5", "2026-10-20", "2026-10-25"),
            says("pi", "0.96", "2026-11-10"),
        ],
    )

    assert steps == []
    assert last.also == ["pi-ai 1.5.2"]


def test_a_list_that_lags_does_not_bring_the_price_before_back() -> None:
    steps = since(
        last_step(),
        [
            says("auto", "0.6", "2026-10-01"),
            says("litellm", "0.96", "2026-10-08"),
            says("pi", "0.6", "2026-11-10"),
        ],
    )

    assert told(steps) == [("2026-10-01", "0.6")]


def test_copies_of_the_api_do_not_confirm_each_others_steep_change() -> None:
    steps = since(last_step(), [says("genai", "9", "2026-11-09"), says("pi", "9", "2026-11-10")])

    assert told(steps) == [("2026-11-10", "suspect")]


@pytest.mark.parametrize(("listed", "prices"), [(True, ["2.5", "1", "2"]), (False, ["2.5", "2"])])
def test_a_list_price_counts_however_short_it_stood(listed: bool, prices: list[str]) -> None:
    first, other, then = (
        replace(says("genai", price, day, day), source=API)
        for price, day in (("2.5", "2026-07-09"), ("1", "2026-07-30"), ("2", "2026-08-17"))
    )
    first = replace(first, seen_at=first.seen_at + timedelta(days=20))

    assert [
        str(step.prices["input"]) for step in history([first, other, then], listed=listed)
    ] == prices


def test_a_list_price_that_was_back_soon_was_charged_all_the_same() -> None:
    days = {"2026-07-01": "2", "2026-07-10": "1", "2026-07-20": "2"}
    stated = [replace(says("genai", price, day, day), source=API) for day, price in days.items()]

    assert [str(step.prices["input"]) for step in history(stated, listed=True)] == ["2", "1", "2"]


@pytest.mark.parametrize(
    ("second", "cached", "expected"),
    [
        ("pi", "0.1", ["0.1"]),
        ("pi", "0.23", []),  # only one says 0.1, and not the newest
        ("litellm", "0.1", []),
    ],
)
def test_a_new_price_of_cached_tokens_needs_two_families_too(
    second: str, cached: str, expected: list[str]
) -> None:
    first = {"pi": "genai", "litellm": "auto"}[second]

    steps = since(
        last_step("2", "0.2"),
        [
            says(first, "2", "2026-10-19", "2026-10-19", "0.1"),
            says(second, "2", "2026-11-10", cached=cached),
        ],
    )

    assert [str(step.prices["cache_read"]) for step in steps] == expected
    assert all(step.start.date() == date(2026, 10, 19) for step in steps)


def test_a_price_of_cached_tokens_that_is_rounded_is_the_same() -> None:
    later = [
        says("genai", "2", "2026-10-19", "2026-10-19", "0.03"),
        says("pi", "2", "2026-11-10", cached="0.03"),
    ]

    assert since(last_step("2", "0.025"), later) == []


def test_catalogs_that_differ_in_cached_tokens_leave_their_price_unknown() -> None:
    (step,) = since(
        last_step("2", "0.2"),
        [
            says("genai", "3", "2026-10-19", "2026-10-19", "0.3"),
            says("pi", "3", "2026-11-10", cached="0.6"),
        ],
    )

    assert step.unknown == ("cache_read",)
    assert "cache_read" not in step.prices
