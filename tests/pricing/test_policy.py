"""Which observations become price rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from genops_pricing.importing.agreement import agree, joint
from genops_pricing.importing.decision import NewRow, Refused
from genops_pricing.importing.history import history
from genops_pricing.importing.observation import ConditionalPrice, Observation, Source, Subject
from genops_pricing.importing.policy import decide
from genops_pricing.importing.steps import Step, raw_row
from genops_pricing.model import Row, build_rows

MODEL = Subject("openrouter", "acme/one")
API = Source("OpenRouter models API", "openrouter", "https://openrouter.ai/api/v1/models")
ARCHIVE = Source("OpenRouter models API, archived", "openrouter", "https://example.org/archive")
GUIDE = Source("Guide", "guide", "https://example.org/guide")
COPY = Source("Copy of the guide", "guide", "https://example.org/copy")
BOOK = Source("Book", "book", "https://example.org/book")


def seen(
    day: str,
    price: str,
    output: str | None = None,
    *,
    source: Source = API,
    dated: bool = True,
    conditions: tuple[ConditionalPrice, ...] = (),
    **more: str,
) -> Observation:
    when = date.fromisoformat(day)
    prices = {"input": price, "output": output or price, **more}
    return Observation(
        MODEL,
        source,
        when,
        prices={key: Decimal(stated) for key, stated in prices.items()},
        conditions=conditions,
        starts=datetime(when.year, when.month, when.day, tzinfo=UTC) if dated else None,
    )


def rows_of(*raws: dict[str, Any]) -> tuple[Row, ...]:
    return build_rows("openrouter/acme/one", raws, layer=0, overlay=None)


def row(day: str, price: str, output: str | None = None, **more: str) -> dict[str, Any]:
    prices = {"input": price, "output": output or price, **more}
    provenance = {"source": API.name, "url": API.url, "seen_at": day, "basis": "snapshot"}
    return {"effective_from": day, "usd_per_mtok": prices, "provenance": provenance}


def told(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.start.date().isoformat(), str(step.prices["input"])) for step in steps]


def test_a_history_has_a_step_for_each_price_that_stood() -> None:
    steps = history([seen("2025-01-01", "1"), seen("2025-03-01", "2"), seen("2025-06-01", "4")])

    assert told(steps) == [("2025-01-01", "1"), ("2025-03-01", "2"), ("2025-06-01", "4")]
    assert [step.not_before for step in steps] == [None, date(2025, 1, 1), date(2025, 3, 1)]


@pytest.mark.parametrize(("back", "is_momentary"), [("2025-04-30", True), ("2025-05-01", False)])
def test_a_price_that_is_back_within_sixty_days_was_momentary(
    back: str, is_momentary: bool
) -> None:
    steps = history([seen("2025-01-01", "3"), seen("2025-03-01", "1"), seen(back, "3")])

    assert told(steps) == (
        [("2025-01-01", "3")]
        if is_momentary
        else [("2025-01-01", "3"), ("2025-03-01", "1"), (back, "3")]
    )


@pytest.mark.parametrize(("after", "is_kept"), [("2025-03-27", False), ("2025-03-28", True)])
def test_a_step_between_others_may_have_stood_for_twenty_eight_days(
    after: str, is_kept: bool
) -> None:
    """From the last snapshot that shows the price before to the first that shows the one after."""
    step = replace(seen("2025-03-10", "2"), not_before=date(2025, 2, 28))

    steps = history([seen("2025-01-01", "3"), step, seen(after, "1")])

    assert (("2025-03-10", "2") in told(steps)) is is_kept
    assert told(steps)[-1] == (after, "1")


def test_the_last_step_stands_however_short() -> None:
    assert told(history([seen("2025-01-01", "3"), seen("2025-01-02", "2")]))[-1][1] == "2"


def test_what_is_stated_later_held_since_the_row_began() -> None:
    steps = history([seen("2025-01-01", "3"), seen("2025-03-01", "3", cache_read="0.3")])

    assert told(steps) == [("2025-01-01", "3")]
    assert steps[0].prices["cache_read"] == Decimal("0.3")


def test_another_cache_price_is_another_step() -> None:
    steps = history(
        [seen("2025-01-01", "3", cache_read="0.3"), seen("2025-03-01", "3", cache_read="0.1")]
    )

    assert len(steps) == 2


def test_the_first_price_held_since_the_model_was_created() -> None:
    steps = history([seen("2025-01-20", "3")], created=date(2025, 1, 3))

    assert told(steps) == [("2025-01-03", "3")]
    assert raw_row(steps[0])["provenance"]["basis"] == "derived"


def test_an_exact_price_replaces_a_rounded_one_of_the_archive() -> None:
    steps = history([seen("2025-01-01", "0.0375", source=ARCHIVE), seen("2025-02-01", "0.03754")])

    assert told(steps) == [("2025-01-01", "0.03754")]


def test_sources_that_copy_from_each_other_count_once() -> None:
    group = agree(
        [
            seen("2026-01-01", "1", source=GUIDE),
            seen("2026-01-01", "1", source=COPY),
            seen("2025-01-01", "2", source=API),
            seen("2025-01-01", "2", source=BOOK),
        ]
    )

    assert {item.source.name for item in group} == {API.name, BOOK.name}


def test_as_many_for_one_price_as_for_another_is_decided_by_the_newest() -> None:
    group = agree([seen("2025-01-01", "1", source=GUIDE), seen("2025-02-01", "2", source=BOOK)])

    assert group[0].prices["input"] == 2


def test_a_unit_on_which_sources_disagree_is_not_stated() -> None:
    prices, _ = joint(
        [
            seen("2025-01-01", "2", source=GUIDE, cache_read="0.2", web_search="0.01"),
            seen("2025-01-01", "2", source=BOOK, cache_read="0.5"),
        ]
    )

    assert prices == {"input": 2, "output": 2, "web_search": Decimal("0.01")}


def test_a_condition_needs_two_independent_sources() -> None:
    batch = ConditionalPrice({"processing": "batch"}, {"input": Decimal(1), "output": Decimal(1)})
    flex = ConditionalPrice({"service_tier": "flex"}, {"input": Decimal(1), "output": Decimal(1)})

    _, conditions = joint(
        [
            seen("2025-01-01", "2", source=GUIDE, conditions=(batch, flex)),
            seen("2025-01-01", "2", source=COPY, conditions=(flex,)),
            seen("2025-01-01", "2", source=BOOK, conditions=(batch,)),
        ]
    )

    assert conditions == [batch]


def test_a_new_price_is_a_new_row_that_says_since_when() -> None:
    (decision,) = decide(rows_of(row("2026-01-01", "2")), [seen("2026-03-01", "3", dated=False)])

    assert isinstance(decision, NewRow)
    assert decision.raw["effective_from"] == "2026-03-01"
    assert decision.raw["usd_per_mtok"] == {"input": "3", "output": "3"}
    assert decision.raw["provenance"]["not_before"] == "2026-01-01"
    assert decision.ratios == {"input": Decimal("1.5"), "output": Decimal("1.5")}


def test_a_price_that_still_holds_adds_nothing() -> None:
    rows = rows_of(row("2026-01-01", "2", cache_read="0.2", input_audio="2"))

    assert decide(rows, [seen("2026-03-01", "2", dated=False, cache_read="0.2")]) == []


def test_a_price_that_the_market_withdraws_holds_no_longer() -> None:
    rows = rows_of(row("2026-01-01", "2", cache_read="0.2"))

    (decision,) = decide(rows, [seen("2026-03-01", "2", dated=False)])

    assert isinstance(decision, NewRow)
    assert decision.raw["usd_per_mtok"] == {"input": "2", "output": "2"}


def test_a_catalog_that_is_silent_on_a_price_withdraws_nothing() -> None:
    rows = rows_of(row("2026-01-01", "2", cache_read="0.2"))

    assert decide(rows, [seen("2026-03-01", "2", dated=False, source=GUIDE)]) == []


def test_an_odd_price_of_cached_tokens_leaves_the_rest_priced() -> None:
    """The row before prices them on: the full price of input would be as wrong as the odd one."""
    rows = rows_of(row("2026-01-01", "2", cache_read="0.2"))

    priced, refused = decide(rows, [seen("2026-03-01", "3", cache_read="0.002")])

    assert isinstance(priced, NewRow)
    assert priced.raw["usd_per_mtok"] == {"input": "3", "output": "3", "cache_read": "0.2"}
    assert isinstance(refused, Refused)
    assert "cache_read 0.002 after 0.2: more than 5 times" in refused.reason


def test_an_odd_price_of_cached_tokens_alone_adds_no_row() -> None:
    rows = rows_of(row("2026-01-01", "2", cache_read="0.2"))

    (decision,) = decide(rows, [seen("2026-03-01", "2", cache_read="0.002")])

    assert isinstance(decision, Refused)


def test_an_odd_price_that_two_sources_state_counts() -> None:
    rows = rows_of(row("2026-01-01", "2", cache_read="0.2"))
    stated = [seen("2026-03-01", "2", cache_read="0.002", source=source) for source in (API, GUIDE)]

    (decision,) = decide(rows, stated)

    assert isinstance(decision, NewRow)
    assert decision.raw["usd_per_mtok"]["cache_read"] == "0.002"


def test_a_first_price_of_cached_tokens_far_above_input_is_not_taken() -> None:
    (decision,) = decide(
        rows_of(row("2026-01-01", "2")), [seen("2026-03-01", "2", cache_read="20")]
    )

    assert isinstance(decision, Refused)
    assert "cache_read 20 after none" in decision.reason


def test_nothing_is_priced_where_neither_old_nor_new_price_of_cached_tokens_fits() -> None:
    rows = rows_of(row("2026-01-01", "2", cache_read="1.9"))

    (decision,) = decide(rows, [seen("2026-03-01", "0.5", cache_read="0.002")])

    assert isinstance(decision, NewRow)
    assert decision.raw["status"] == "suspect"


def test_a_price_that_starts_before_the_last_row_is_refused() -> None:
    (decision,) = decide(rows_of(row("2026-01-01", "2")), [seen("2025-12-01", "3")])

    assert isinstance(decision, Refused)
    assert "openrouter/acme/one@2026-01-01" in decision.reason


@pytest.mark.parametrize("price", ["11", "0.39"])
def test_a_change_of_more_than_five_times_is_suspect(price: str) -> None:
    (decision,) = decide(rows_of(row("2026-01-01", "2")), [seen("2026-03-01", price)])

    assert isinstance(decision, NewRow)
    assert decision.raw["status"] == "suspect"
    assert f"states input {price} after 2, output {price} after 2: more" in decision.raw["reason"]


def test_the_reason_of_a_doubt_names_what_changed_and_only_that() -> None:
    rows = rows_of(row("2026-01-01", "2", "4", cache_read="0.2"))

    (decision,) = decide(rows, [seen("2026-03-01", "2", "40", cache_read="0.2")])

    assert isinstance(decision, NewRow)
    assert decision.raw["reason"] == (
        "OpenRouter models API states output 40 after 4: more than 5 times, and no other source "
        "says so."
    )


@pytest.mark.parametrize(("backing", "is_priced"), [(GUIDE, True), (ARCHIVE, False)])
def test_a_second_source_that_does_not_copy_the_first_lets_a_steep_change_pass(
    backing: Source, is_priced: bool
) -> None:
    observations = [seen("2026-03-01", "11"), seen("2026-03-01", "11", source=backing)]

    (decision,) = decide(rows_of(row("2026-01-01", "2")), observations)
    assert isinstance(decision, NewRow)
    assert ("usd_per_mtok" in decision.raw) is is_priced


def test_zeroes_of_a_catalog_are_not_free() -> None:
    (decision,) = decide(
        rows_of(row("2026-01-01", "2")), [seen("2026-03-01", "0", source=GUIDE, dated=False)]
    )

    assert isinstance(decision, Refused)


def test_a_price_that_is_back_corrects_the_momentary_row() -> None:
    rows = rows_of(row("2026-01-01", "2"), row("2026-03-01", "1"))

    (decision,) = decide(rows, [seen("2026-03-20", "2")])

    assert isinstance(decision, NewRow)
    assert decision.raw["corrects"] == "openrouter/acme/one@2026-03-01T00:00:00Z"
    assert (decision.raw["effective_from"], decision.raw["revision"]) == ("2026-03-01", 2)
    assert decision.raw["usd_per_mtok"]["input"] == "2"


@pytest.mark.parametrize(
    "subject", [Subject("openrouter", "openai/gpt-9"), Subject("together", "acme/one")]
)
def test_a_list_price_that_is_back_was_charged_in_between(subject: Subject) -> None:
    rows = build_rows(
        subject.owner, [row("2026-01-01", "2"), row("2026-03-01", "1")], layer=0, overlay=None
    )

    (decision,) = decide(rows, [replace(seen("2026-03-20", "2"), subject=subject)])

    assert isinstance(decision, NewRow)
    assert "corrects" not in decision.raw
    assert decision.raw["effective_from"] == "2026-03-20"


def test_a_dynamic_price_is_stated_once() -> None:
    routed = Observation(MODEL, API, date(2026, 3, 1), status="dynamic", reason="Routed.")

    (decision,) = decide(rows_of(row("2026-01-01", "2")), [routed])

    assert isinstance(decision, NewRow)
    assert decision.raw["status"] == "dynamic"
    assert decide(rows_of(dict(decision.raw)), [routed]) == []


def doubtful(day: str) -> dict[str, Any]:
    raw = row(day, "1")
    del raw["usd_per_mtok"]
    return raw | {"status": "suspect", "reason": "Far from its peers."}


@pytest.mark.parametrize(
    ("price", "sources", "is_priced"),
    [
        ("2.5", (API,), True),
        ("0.1", (API,), False),
        ("0.1", (API, GUIDE), True),
        ("0", (API,), False),
    ],
)
def test_a_doubt_is_settled_by_two_sources_or_a_price_near_the_last(
    price: str, sources: tuple[Source, ...], is_priced: bool
) -> None:
    rows = rows_of(row("2026-01-01", "2"), doubtful("2026-03-01"))

    (decision,) = decide(rows, [seen("2026-04-01", price, source=source) for source in sources])

    assert isinstance(decision, NewRow if is_priced else Refused)


def test_a_model_whose_units_no_row_can_state_is_not_made_free() -> None:
    (decision,) = decide(rows_of(doubtful("2026-03-01")), [seen("2026-04-01", "0")])

    assert isinstance(decision, Refused)
    assert "Far from its peers." in decision.reason
