"""The sums of cost and tokens: exact, bounded, and the same on the page."""

from __future__ import annotations

import threading

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from genops_enricher.spend import Amounts, Ledger, SpendCollector
from genops_enricher.spend.ledger import FEMTODOLLARS, METRICS, OVERFLOW

CENT = FEMTODOLLARS // 100


def page(ledger: Ledger) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SpendCollector(ledger))
    return generate_latest(registry).decode()


def test_rows_add_up_by_label_values() -> None:
    ledger = Ledger(("genops.team",), 10)
    ledger.add({("search",): Amounts(CENT, 10, 2), ("chat",): Amounts(3 * CENT, 1, 1, 1)})
    ledger.add({("search",): Amounts(2 * CENT, 5, 1, reasoning=1)})

    assert ledger.rows() == {
        ("search",): Amounts(3 * CENT, 15, 3, 0, 0, 1),
        ("chat",): Amounts(3 * CENT, 1, 1, 1),
    }


def test_a_million_calls_of_a_tenth_of_a_cent_cost_exactly_a_thousand_dollars() -> None:
    ledger = Ledger(("genops.team",), 10)
    for _ in range(1000):
        ledger.add({("a",): Amounts(1000 * CENT // 10)})

    (cost,) = [m.read(ledger.rows()["a",]) for m in METRICS if m.name == "genops.cost"]
    assert cost == 1000.0


def test_what_exceeds_the_bound_goes_to_one_row_and_nothing_is_lost() -> None:
    ledger = Ledger(("genops.team",), 3)
    for number in range(10):
        ledger.add({(f"team {number}",): Amounts(CENT, 1)})
    ledger.add({("team 1",): Amounts(CENT, 1), ("team 9",): Amounts(CENT, 1)})

    rows = ledger.rows()
    assert rows == {
        ("team 0",): Amounts(CENT, 1),
        ("team 1",): Amounts(2 * CENT, 2),
        OVERFLOW: Amounts(9 * CENT, 9),
    }
    assert ledger.attributes(OVERFLOW) == {"otel.metric.overflow": True}
    assert 'genops_cost_total{otel_metric_overflow="true"} 0.09' in page(ledger)


def test_calls_without_a_cost_have_tokens_and_no_cost_of_zero() -> None:
    ledger = Ledger(("genops.team",), 10)
    ledger.add({("unpriced",): Amounts(None, 7, 1), ("free",): Amounts(0, 5, 1)})

    text = page(ledger)
    assert 'genops_tokens_input_total{genops_team="unpriced"} 7.0' in text
    assert 'genops_cost_total{genops_team="free"} 0.0' in text
    assert 'genops_cost_total{genops_team="unpriced"}' not in text


def test_a_cost_that_comes_later_starts_the_series() -> None:
    ledger = Ledger(("genops.team",), 10)
    ledger.add({("a",): Amounts(None, 7)})
    ledger.add({("a",): Amounts(CENT, 7)})
    ledger.add({("a",): Amounts(None, 7)})

    assert ledger.rows()["a",] == Amounts(CENT, 21)


def test_the_page_can_be_read_and_hostile_values_stay_values() -> None:
    ledger = Ledger(("genops.team", "app-1.x"), 10)
    ledger.add({('a"b\\c\n', ""): Amounts(CENT, 1)})

    families = {f.name: f for f in text_string_to_metric_families(page(ledger))}
    assert families["genops_cost"].samples[0].labels == {"genops_team": 'a"b\\c\n'}
    assert {f"{name}_total" for name in families} == {metric.page_name for metric in METRICS}


def test_threads_lose_nothing() -> None:
    ledger = Ledger(("genops.team",), 10)

    def work() -> None:
        for _ in range(2000):
            ledger.add({("a",): Amounts(1, 1)})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ledger.rows()["a",] == Amounts(8000, 8000)


@pytest.mark.parametrize(
    ("attribute", "label"),
    [
        ("genops.model_family", "genops_model_family"),
        ("http.x-tenant", "http_x_tenant"),
        ("2nd.team", "key_2nd_team"),
        ("__name__", "_name_"),  # as it is, it would be the name of the metric once more
    ],
)
def test_labels_follow_opentelemetrys_rules_for_prometheus(attribute: str, label: str) -> None:
    ledger = Ledger((attribute,), 10)
    ledger.add({("core",): Amounts(CENT)})

    families = text_string_to_metric_families(page(ledger))

    samples = [s for family in families for s in family.samples if s.name == "genops_cost_total"]
    assert [s.labels for s in samples] == [{label: "core"}]
