"""Calls whose cost other tools got wrong in public get the right one here."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dialects.public_reports import BLIND, PAGE, REPORTS, Blind, Report, Telling, enriched, page


def check(attributes: dict[str, object], telling: Telling) -> None:
    if isinstance(telling.right, str):
        assert attributes["genops.cost.unpriced_reason"] == telling.right
        assert "genops.cost.total" not in attributes
    else:
        right = sum((term.usd for term in telling.right), Decimal())
        assert attributes["genops.cost.total"] == float(right)
        assert attributes["genops.cost.status"] == ("priced" if right else "free")
        assert {attributes["genops.cost.source"]} == {term.source for term in telling.right}


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.thread)
def test_a_call_of_a_public_report_gets_the_right_cost(report: Report) -> None:
    spans = enriched(report.opened, report.tellings, report.overlay)

    for attributes, telling in zip(spans, report.tellings, strict=True):
        check(attributes, telling)


@pytest.mark.parametrize(
    "report", [each for each in REPORTS if each.stated], ids=lambda report: report.thread
)
def test_what_is_right_is_what_the_thread_says(report: Report) -> None:
    stated = Decimal(report.stated)

    assert report.right is not None
    assert report.right.quantize(stated) == stated


@pytest.mark.parametrize("blind", BLIND, ids=lambda blind: blind.thread)
def test_a_span_that_leaves_out_a_fact_gets_the_cost_of_what_it_says(blind: Blind) -> None:
    [attributes] = enriched(blind.opened, [blind.telling])

    check(attributes, blind.telling)


def test_the_page_is_what_the_reports_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run in tests/: python -m dialects.public_reports"
    )
