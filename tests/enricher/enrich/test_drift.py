"""Bills that differ from the catalog are counted by model, and said rarely."""

from __future__ import annotations

import logging

import pytest

from genops_enricher.enrich.enricher import Enricher
from genops_enricher.spend.drift import Audit, Drift
from genops_enricher.telemetry import Telemetry
from genops_pricing import bundled_catalog
from otlp import Value, chat, span

ENRICHER = Enricher(bundled_catalog())
SPANS, USD = "genops_pricing_drift_spans_total", "genops_pricing_drift_usd_total"
LABELS = {"market": "openrouter", "model": "a/b"}


def audited(*pairs: tuple[float, float]) -> Telemetry:
    telemetry = Telemetry()
    drift = Drift(0.02, telemetry)
    drift.audit(Audit("openrouter", "a/b", billed, computed) for billed, computed in pairs)
    return telemetry


@pytest.mark.parametrize(
    ("billed", "computed"),
    [(1.0, 1.0), (1.0, 0.981), (0.981, 1.0), (1e-9, 0.0), (0.0, 0.0), (0.0035, 0.00350000001)],
)
def test_what_is_within_the_tolerance_is_not_counted(billed: float, computed: float) -> None:
    assert audited((billed, computed)).total(SPANS) == 0


def test_what_is_beyond_it_is_counted_in_its_direction_with_the_difference() -> None:
    telemetry = audited((1.0, 0.97), (2.0, 1.0), (0.5, 1.0))

    more, less = LABELS | {"direction": "billed_more"}, LABELS | {"direction": "billed_less"}
    assert telemetry.value(SPANS, **more) == 2
    assert float(telemetry.value(USD, **more)) == pytest.approx(1.03)
    assert telemetry.value(SPANS, **less) == 1
    assert telemetry.value(USD, **less) == 0.5


def test_a_bill_for_what_the_catalog_has_as_free_is_counted() -> None:
    assert audited((0.01, 0.0)).total(SPANS) == 1


def test_more_models_than_a_hundred_share_one_series() -> None:
    telemetry = Telemetry()
    drift = Drift(0.02, telemetry)
    drift.audit([Audit("openrouter", f"a/{number}", 2.0, 1.0) for number in range(500)])

    assert len(telemetry.labelled(SPANS)) == 101
    other = {"market": "other", "model": "other", "direction": "billed_more"}
    assert telemetry.value(SPANS, **other) == 400


def test_the_log_says_it_once_for_each_power_of_ten(caplog: pytest.LogCaptureFixture) -> None:
    drift = Drift(0.02, Telemetry())
    with caplog.at_level(logging.WARNING):
        for _ in range(250):
            drift.audit([Audit("openrouter", "a/b", 2.0, 1.0)])

    said = [record.getMessage() for record in caplog.records]
    assert [text.partition("; ")[2].partition(" ")[0] for text in said] == ["1", "10", "100"]


def audit_of(more: dict[str, Value]) -> Audit | None:
    return ENRICHER.enrich(span(chat(more=more)).SerializeToString()).audit


def test_a_reported_cost_is_compared_with_the_computed_one() -> None:
    audit = audit_of({"genops.cost.reported": 0.005})

    assert audit == Audit("openrouter", "openai/gpt-4o", 0.005, 0.0035)


def test_without_a_reported_cost_or_a_price_nothing_is_compared() -> None:
    assert audit_of({}) is None
    unknown: dict[str, Value] = {
        "gen_ai.response.model": "acme/unknown",
        "genops.cost.reported": 0.005,
    }
    assert audit_of(unknown) is None


def test_with_an_own_provider_key_the_providers_part_is_compared_without_the_fee() -> None:
    byok: dict[str, Value] = {"genops.openrouter.is_byok": True, "genops.cost.reported": 0.000175}

    audit = audit_of(byok | {"genops.cost.upstream_reported": 0.0035})
    assert audit is not None
    assert audit.billed == 0.0035
    assert audit_of(byok) is None
