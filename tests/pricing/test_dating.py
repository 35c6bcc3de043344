"""The first price of a maker's model is dated by what dated histories show."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from genops_pricing.importing.dating import Dated, date_first
from genops_pricing.importing.days import day_in
from genops_pricing.importing.pasts import Pasts, Stood, past_of_raw, settled

SEEN = datetime(2026, 2, 6, tzinfo=UTC)


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def price(amount: str) -> dict[str, Decimal]:
    return {"input": Decimal(amount), "output": Decimal(amount)}


def past(*steps: tuple[str, str] | tuple[str, str, str], source: str = "dated") -> list[Stood]:
    """Steps of (start or "", price or "", last day of the price before)."""
    return [
        Stood(
            start=at(start) if start else None,
            prices=price(amount) if amount else {},
            not_before=date.fromisoformat(last[0]) if last else None,
            source=source,
        )
        for start, amount, *last in steps
    ]


def dated(
    *,
    model: str = "one",
    siblings: list[list[Stood]] | None = None,
    told: list[list[Stood]] | None = None,
    other_until: date | None = None,
    disputed: bool = True,
) -> Dated | None:
    return date_first(
        model,
        price("2"),
        SEEN,
        siblings=siblings or [],
        told=told or [],
        other_until=other_until,
        disputed=disputed,
    )


def start_of(found: Dated | None) -> str | None:
    return found.start.date().isoformat() if found else None


@pytest.mark.parametrize(
    ("sibling", "start"),
    [
        (past(("2025-04-14", "2")), "2025-04-14"),
        (past(("2025-04-14", "2"), ("2025-09-01", "2")), "2025-04-14"),
        (past(("2025-04-14", "5"), ("2025-09-01", "2", "2025-08-01")), "2025-09-01"),
        (past(("2025-01-01", "2"), ("2025-03-01", "5"), ("2025-09-01", "2")), "2025-09-01"),
        (past(("2025-04-14", "2"), ("2026-03-01", "5")), "2025-04-14"),
        (past(("2025-04-14", "2"), ("2025-09-01", "5")), None),
        (past(("2025-04-14", "2"), ("2025-09-01", "")), None),
        (past(("2026-03-01", "2")), None),
        ([], None),
    ],
)
def test_a_price_holds_since_openrouter_has_had_it_without_interruption(
    sibling: list[Stood], start: str | None
) -> None:
    assert start_of(dated(siblings=[sibling])) == start


def test_a_change_at_openrouter_says_until_when_the_older_price_was_seen() -> None:
    sibling = past(("2025-04-14", "5"), ("2025-09-01", "2", "2025-08-01"))

    found = dated(siblings=[sibling])

    assert found is not None
    assert found.not_before == date(2025, 8, 1)


@pytest.mark.parametrize(
    ("model", "start"),
    [
        ("one-2025-08-07", "2025-08-07"),
        ("one-20250929", "2025-09-29"),
        ("one-2505", "2025-05-01"),
        ("one-2024-05-13", "2025-04-14"),
    ],
)
def test_no_price_holds_before_the_model(model: str, start: str) -> None:
    found = dated(model=model, siblings=[past(("2025-04-14", "2"))])

    assert start_of(found) == start


def test_a_dated_statement_of_the_makers_price_dates_it() -> None:
    assert start_of(dated(told=[past(("", "2"), ("2025-06-17", "2"))])) == "2025-06-17"
    assert dated(told=[past(("", "2"))]) is None


def test_a_statement_counts_after_the_changes_that_others_show() -> None:
    released = past(("2025-03-10", "2"))
    changed = past(("", "5"), ("2025-05-20", "2"))

    found = dated(told=[released, changed])

    assert found is not None
    assert (start_of(found), found.changed) == ("2025-05-20", True)


def test_a_statement_counts_for_nothing_while_most_catalogs_state_another_price() -> None:
    told = [past(("2025-06-17", "2"))]

    assert dated(told=told, other_until=date(2025, 12, 12)) is None
    assert start_of(dated(told=told, other_until=date(2025, 6, 1))) == "2025-06-17"


def test_who_states_the_older_price_on_the_day_of_the_change_only_lags() -> None:
    told = [past(("", "3"), ("2025-08-21", "2"))]

    assert start_of(dated(told=told, other_until=date(2025, 8, 21))) == "2025-08-21"


def test_a_statement_between_the_snapshots_around_a_change_dates_it() -> None:
    sibling = past(("2025-04-16", "10"), ("2025-07-01", "2", "2025-06-05"))

    between = dated(siblings=[sibling], told=[past(("2025-06-10", "2"))])
    too_early = dated(siblings=[sibling], told=[past(("2025-04-16", "2"))])

    assert start_of(between) == "2025-06-10"
    assert start_of(too_early) == "2025-07-01"


def test_openrouter_may_have_raised_its_price_after_the_maker_was_seen_with_it() -> None:
    sibling = past(("2024-06-20", "2"), ("2025-12-06", "6"))

    assert start_of(dated(siblings=[sibling], told=[past(("2025-06-17", "2"))])) == "2024-06-20"


def test_a_price_before_needs_both_openrouter_and_a_dated_statement() -> None:
    sibling = past(("2025-01-01", "7"), ("2025-04-16", "10"), ("2025-07-01", "2", "2025-06-05"))
    told = past(("", "10"), ("2025-06-10", "2"), source="genai-prices")

    found = dated(siblings=[sibling], told=[told])
    alone = dated(siblings=[sibling])

    assert found is not None
    assert alone is not None
    assert [(step.start, by) for step, by in found.before] == [(at("2025-04-16"), "genai-prices")]
    assert alone.before == ()


def test_a_model_is_found_by_its_own_name_before_that_without_its_day() -> None:
    own, base = past(("2025-04-14", "2")), past(("2025-01-01", "2"))
    pasts = Pasts()
    pasts.add("openai", "gpt-4.1", base)
    pasts.add("openai", "gpt-4.1-2025-04-14", own)

    assert pasts.find("openai", "gpt-4-1") == [base]
    assert pasts.find("openai", "gpt-4.1-2025-04-14") == [own, base]
    assert pasts.find("openai", "gpt-4.1-20250414") == [own, base]
    assert pasts.find("openai", "gpt-4.1-mini") == []


@pytest.mark.parametrize(
    ("model", "day"),
    [
        ("gpt-4.1-2025-04-14", date(2025, 4, 14)),
        ("claude-opus-4-20250514", date(2025, 5, 14)),
        ("claude-opus-4@20250514", date(2025, 5, 14)),
        ("mistral-large-2411", date(2024, 11, 1)),
        ("one-20251399", None),
    ],
)
def test_an_id_may_end_in_a_day(model: str, day: date | None) -> None:
    assert day_in(model) == day


def test_rows_of_a_price_file_are_a_history() -> None:
    provenance = {"source": "API", "url": "https://example.com", "seen_at": "2025-06-01"}
    rows = [
        {
            "effective_from": "2025-04-14",
            "usd_per_mtok": {"input": "2", "output": "2"},
            "provenance": {**provenance, "not_before": "2025-04-01"},
        },
        {"effective_from": "2025-06-01", "status": "suspect", "provenance": provenance},
    ]

    first, second = past_of_raw(rows)

    assert (first.start, first.prices) == (at("2025-04-14"), price("2"))
    assert (first.not_before, second.prices) == (date(2025, 4, 1), {})


@pytest.mark.parametrize(
    ("model", "start"),
    [
        ("one-2025-03-11", "2025-03-11"),
        ("mistral-medium-2508", "2025-08-01"),
        ("deep-research-preview-04-2025", "2025-04-01"),
        ("one-0613", None),
        ("one-1310", None),
        ("one", None),
    ],
)
def test_a_price_that_nobody_states_otherwise_holds_since_the_day_in_the_id(
    model: str, start: str | None
) -> None:
    assert start_of(dated(model=model, disputed=False)) == start


@pytest.mark.parametrize(
    ("history", "start"), [(past(("", "2")), "2025-03-11"), (past(("", "3")), None)]
)
def test_another_price_at_any_time_leaves_the_day_in_the_id_untold(
    history: list[Stood], start: str | None
) -> None:
    found = dated(model="one-2025-03-11", told=[history], disputed=False)

    assert start_of(found) == start
    assert start_of(dated(model="one-2025-03-11", told=[history], disputed=True)) is None


def test_a_promotion_of_a_seller_is_no_step_of_the_makers_price() -> None:
    sold = past(
        ("2026-01-01", "2"),
        ("2026-03-10", "1", "2026-03-09"),
        ("2026-03-30", "3", "2026-03-29"),
    )

    kept = settled(sold)

    assert [step.prices for step in kept] == [price("2"), price("3")]
    assert kept[1].not_before == date(2026, 3, 9)
    assert len(settled(past(("2026-01-01", "2"), ("2026-03-10", "1"), ("2026-05-01", "3")))) == 3
