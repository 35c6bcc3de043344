"""The report says what the spans say, adds decimals, and holds them against the bill."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from genops_enricher.demo.report import reconcile, render_json, render_report
from genops_enricher.demo.tables import Column, render_table
from genops_enricher.spans import Span

NOON_NS = 1_795_435_200 * 10**9  # 2026-11-23T12:00:00Z


def span(span_id: str, attributes: dict[str, Any], *, ended_ns: int = NOON_NS) -> Span:
    return Span(
        trace_id="t" * 32,
        span_id=span_id,
        name="chat",
        attributes=attributes,
        end_time_unix_nano=ended_ns,
    )


def priced(span_id: str, usd: float, **attributes: Any) -> Span:
    return span(
        span_id,
        {
            "genops.team": "support",
            "genops.model": "openai/gpt-4o",
            "gen_ai.response.id": span_id,
            "gen_ai.response.model": "openai/gpt-4o",
            "genops.tokens.input": 1200,
            "genops.tokens.output": 100,
            "genops.cost.total": usd,
            "genops.cost.status": "priced",
            "genops.cost.source": "reported",
            "genops.pricing.version": "2026.11.22+abc",
        }
        | attributes,
    )


def unpriced(span_id: str, reason: str) -> Span:
    return span(
        span_id,
        {
            "genops.team": "data",
            "genops.model": "example/preview-1",
            "gen_ai.response.id": span_id,
            "genops.cost.status": "unpriced",
            "genops.cost.unpriced_reason": reason,
        },
    )


def entry(generation_id: str, total: str, upstream: str | None = None) -> dict[str, str]:
    return {"id": generation_id, "total": total, "upstream_cost": upstream or total}


def row(report: str, start: str) -> list[str]:
    [line] = [line for line in report.splitlines() if line.startswith(start)]
    return line.split()


def test_a_call_shows_its_team_models_tokens_cost_family_and_tier() -> None:
    call = priced(
        "1",
        0.0015,
        **{
            "gen_ai.response.model": "anthropic/claude-3-haiku",
            "genops.openrouter.actual_provider_name": "Google",
            "gen_ai.usage.cache_read.input_tokens": 1000,
            "genops.model_family": "claude-3",
            "genops.model_tier": "balanced",
        },
    )

    report = render_report([call], None, width=200)

    assert "catalog 2026.11.22+abc" in report
    assert row(report, "12:00:00") == [
        *("12:00:00", "support", "openai/gpt-4o", "1,200", "1,000", "100", "0.001500"),
        *("reported", "→", "anthropic/claude-3-haiku", "Google", "claude-3", "balanced"),
    ]


def test_a_narrow_terminal_gets_the_details_on_a_line_of_their_own() -> None:
    call = priced("1", 0.0015, **{"genops.model_family": "gpt-4o", "genops.model_tier": "premium"})

    lines = render_report([call], None, width=80).splitlines()

    [index] = [index for index, line in enumerate(lines) if line.startswith("12:00:00")]
    assert lines[index].endswith("0.001500")
    assert lines[index + 1] == "    reported · gpt-4o · premium"
    assert max(map(len, lines)) <= 80


def test_an_unpriced_call_shows_its_reason_and_no_cost() -> None:
    report = render_report([unpriced("1", "unknown_model")], None, width=200)

    assert row(report, "12:00:00") == [
        *("12:00:00", "data", "example/preview-1", "—", "unpriced:", "unknown_model"),
    ]


def test_a_call_of_another_day_shows_its_date() -> None:
    old = priced("1", 0.001575, **{"genops.team": "archive"})
    old = Span(old.trace_id, old.span_id, old.name, old.attributes, end_time_unix_nano=10**18)

    report = render_report([old, priced("2", 0.0015)], None, width=200)

    assert row(report, "2001-09-09")[1] == "archive"
    assert row(report, "12:00:00")[1] == "support"


def test_totals_add_decimals_by_team_and_by_model() -> None:
    spans = [priced("1", 0.1), priced("2", 0.2), unpriced("3", "no_usage")]

    report = render_report(spans, None, width=200)

    assert row(report, "support") == ["support", "2", "2,400", "200", "0.300000"]
    assert row(report, "openai/gpt-4o") == ["openai/gpt-4o", "2", "2,400", "200", "0.300000"]
    assert row(report, "data") == ["data", "1", "0", "0", "0.000000", "1"]


def test_spans_that_are_no_llm_calls_are_counted_but_not_listed() -> None:
    report = render_report([span("1", {}), priced("2", 0.1)], None, width=200)

    assert report.startswith("1 LLM call and 1 other span arrived.")


def test_the_bill_agrees_when_each_cost_is_what_was_billed() -> None:
    spans = [
        priced("1", 0.0015, **{"genops.cost.estimated": 0.0015}),
        priced("2", 0.001575, **{"genops.cost.estimated": 0.0015}),  # BYOK: a fee of 5 %
        priced("3", 0.0002, **{"genops.cost.source": "computed"}),
        unpriced("4", "unknown_model"),
        priced("of another day's bill", 0.5),
    ]
    ledger = [
        entry("1", "0.0015"),
        entry("2", "0.001575", "0.0015"),
        entry("3", "0.0002"),
        entry("4", "0.0007"),
    ]

    bill = reconcile(spans, ledger)

    assert bill.agrees
    assert bill.billed == Decimal("0.003975") == bill.reported + bill.computed + bill.unpriced
    assert (bill.reported_calls, bill.computed_calls, bill.unpriced_calls) == (2, 1, 1)
    assert (bill.elsewhere, bill.elsewhere_calls) == (Decimal("0.5"), 1)
    assert (bill.estimates, bill.equal_estimates) == (2, 2)
    assert "Every cost on a span is what was billed." in render_report(spans, ledger, width=200)


@pytest.mark.parametrize(
    "spans",
    [
        [priced("1", 0.0016)],  # another cost
        [],  # the span got lost
        [
            span("1", {"gen_ai.response.id": "1", "genops.cost.reported": 0.0015})
        ],  # the reported cost was not used
    ],
)
def test_the_bill_does_not_agree_when_a_cost_is_wrong_or_lost(spans: list[Span]) -> None:
    ledger = [entry("1", "0.0015")]

    bill = reconcile(spans, ledger)

    assert bill.wrong == ("1",)
    assert "Not as billed: 1." in render_report(spans, ledger, width=200)


def test_no_spans_make_an_empty_report() -> None:
    assert render_report([], None, width=80).startswith("0 LLM calls and 0 other spans arrived.")


def test_json_lines_hold_four_keys_and_the_values_as_on_the_span() -> None:
    first, second = (
        json.loads(line)
        for line in render_json([priced("2", 0.0015), priced("1", 0.5)]).splitlines()
    )

    assert list(first) == ["trace_id", "span_id", "name", "attributes"]
    assert (first["span_id"], second["span_id"]) == ("1", "2")
    assert second["attributes"]["genops.cost.total"] == 0.0015
    assert second["attributes"]["genops.tokens.input"] == 1200


COLUMNS = (Column("name", shrinks=True), Column("count", right=True))


def test_a_table_aligns_its_columns() -> None:
    assert render_table(COLUMNS, [["a", "10"], ["long name", "5"]], width=80).splitlines() == [
        "name       count",
        "─────────  ─────",
        "a             10",
        "long name      5",
    ]


@pytest.mark.parametrize("width", [15, 20, 30])
def test_a_table_cuts_texts_to_fit_the_width(width: int) -> None:
    table = render_table(COLUMNS, [["x" * 40, "1234"]], width)

    assert max(map(len, table.splitlines())) == width
    assert "…" in table
    assert "1234" in table


def test_a_table_never_cuts_numbers() -> None:
    assert "123456789" in render_table(COLUMNS, [["x" * 40, "123456789"]], width=5)
