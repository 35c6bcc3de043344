"""What the calls of a request cost and consumed, by label values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from genops_enricher.config.model import AttributionRule
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import EnrichStage, enrich_request
from genops_enricher.enrich.tally import LabelTexts, Tally
from genops_enricher.errors import RetryableError
from genops_enricher.pipeline import Batch
from genops_enricher.spend import Amounts, Labels, Ledger
from genops_enricher.spend.ledger import FEMTODOLLARS
from genops_enricher.telemetry import Telemetry
from genops_pricing import bundled_catalog
from otlp import chat, plain_attributes, request, span, spans_of

CATALOG = bundled_catalog()


def tally(data: bytes, *names: str, rules: Sequence[AttributionRule] = ()) -> dict[Labels, Amounts]:
    sums = Tally(LabelTexts(names))
    enrich_request(data, Enricher(CATALOG, rules, labels=names), tally=sums)
    return sums.amounts()


def test_labels_come_from_the_span_and_from_what_is_added_to_it() -> None:
    data = request(span(chat(more={"genops.team": "search"})), span(chat(), number=2))
    names = (
        "genops.team",
        "genops.provider",
        "genops.model",
        "genops.model_family",
        "genops.model_tier",
    )

    cost = FEMTODOLLARS * 35 // 10_000
    rest = ("openrouter", "openai/gpt-4o", "gpt-4o", "premium")
    assert tally(data, *names) == {
        ("search", *rest): Amounts(cost, 1000, 100),
        ("", *rest): Amounts(cost, 1000, 100),
    }


def test_labels_that_attribution_fills_count_as_any_other() -> None:
    rule = AttributionRule("genops.team", ("resource:service.namespace",))
    data = request(span(chat()), resource={"service.namespace": "shop"})

    labels = tally(data, "genops.team", rules=[rule])
    assert set(labels) == {("shop",)}


def test_equal_labels_of_different_models_and_types_are_one_row() -> None:
    data = request(
        span(chat(more={"genops.team": 7})),
        span(chat("anthropic/claude-3-haiku", {"genops.team": "7"}), number=2),
    )

    (row,) = tally(data, "genops.team").values()
    assert (row.input, row.output) == (2000, 200)


def test_the_cost_is_the_sum_of_what_stands_on_the_spans() -> None:
    models = ("openai/gpt-4o", "anthropic/claude-3-haiku", "acme/unknown", "openai/gpt-4.1-mini")
    data = request(
        *(
            span(chat(models[n % 4], input_tokens=997 + n, output_tokens=n), number=n)
            for n in range(400)
        )
    )

    sums = Tally(LabelTexts(()))
    payload = enrich_request(data, Enricher(CATALOG), tally=sums).payload
    (row,) = sums.amounts().values()
    on_spans = [plain_attributes(one).get("genops.cost.total") for one in spans_of(payload)]
    assert row.cost is not None
    assert row.cost / FEMTODOLLARS == pytest.approx(
        math.fsum(cost for cost in on_spans if isinstance(cost, float)), abs=1e-12
    )
    assert row.input == sum(997 + n for n in range(400))


def test_tokens_that_stand_on_another_span_are_not_counted_again() -> None:
    data = request(
        span(chat()),
        span(chat(more={"gen_ai.operation.name": "invoke_agent"}), number=2),
        span(chat(more={"genops.pricing.version": "2020.1.1"}), number=3),
        span({"http.request.method": "GET"}, number=4),
    )

    (row,) = tally(data, "genops.team").values()
    assert row.input == 1000


def test_a_cost_beyond_any_bill_harms_nobody() -> None:
    data = request(span(chat(more={"genops.cost.reported": 1e300})))

    (row,) = tally(data, "genops.team").values()
    assert row.cost is not None
    assert row.cost / FEMTODOLLARS == 1e12


def test_long_values_are_cut() -> None:
    (labels,) = tally(request(span(chat(more={"genops.team": "x" * 10_000}))), "genops.team")

    assert labels == ("x" * 256,)


class Next:
    refuse = True

    def consume(self, batch: Batch) -> None:
        if self.refuse:
            raise RetryableError("full")


def test_a_request_counts_once_it_is_accepted_and_not_before() -> None:
    ledger, after = Ledger(("genops.team",), 10), Next()
    stage = EnrichStage(Enricher(CATALOG, labels=ledger.names), after, Telemetry(), ledger)
    data = request(span(chat()))
    with pytest.raises(RetryableError):
        stage.accept(data)

    assert ledger.rows() == {}
    after.refuse = False
    stage.accept(data)
    assert [row.input for row in ledger.rows().values()] == [1000]
