"""The names of other tools: added where asked for, never over what is there."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_enricher.config.model import Vocabulary
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_enricher.enrich.tally import LabelTexts, Tally
from genops_enricher.enrich.vocabularies import VOCABULARIES
from genops_enricher.spend import Ledger
from genops_enricher.spend.otlp import Interval, encode
from genops_pricing import bundled_catalog
from otlp import Value, chat, plain_attributes, request, span, spans_of

CATALOG = bundled_catalog()
COST = 0.0035  # 1000 * 2.50 / 1M + 100 * 10 / 1M


def enriched(values: dict[str, Value], *vocabularies: Vocabulary) -> dict[str, object]:
    result = enrich_request(request(span(values)), Enricher(CATALOG, (), vocabularies))
    (one,) = spans_of(result.payload)
    return plain_attributes(one)


def added(values: dict[str, Value], *vocabularies: Vocabulary) -> dict[str, object]:
    """What the vocabularies add beyond what the enricher adds without them."""
    without = enriched(values)
    return {k: v for k, v in enriched(values, *vocabularies).items() if k not in without}


OLD_NAMES: dict[str, Value] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "xai",
    "gen_ai.request.model": "grok-4",
    "gen_ai.usage.prompt_tokens": 1000,
    "gen_ai.usage.completion_tokens": "100",
    "gen_ai.usage.cache_creation_input_tokens": "10",
    "gen_ai.usage.cache_read_input_tokens": 20,
}


@pytest.mark.parametrize(
    ("vocabulary", "values", "expected"),
    [
        (Vocabulary.PROVIDER_NAME, OLD_NAMES, {"gen_ai.provider.name": "x_ai"}),
        (
            Vocabulary.USAGE,
            OLD_NAMES,
            {
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 100,
                "gen_ai.usage.cache_read.input_tokens": 20,
                "gen_ai.usage.cache_write.input_tokens": 10,
            },
        ),
        (Vocabulary.USAGE_COST, chat(), {"gen_ai.usage.cost": COST}),
        (
            Vocabulary.USAGE_COST_AMOUNT,
            chat(),
            {
                "gen_ai.usage.cost.amount": COST,
                "gen_ai.usage.cost.currency": "USD",
                "gen_ai.usage.cost.source": "local",
            },
        ),
        (
            Vocabulary.USAGE_COST_AMOUNT,
            chat(more={"genops.cost.reported": 0.004}),
            {
                "gen_ai.usage.cost.amount": 0.004,
                "gen_ai.usage.cost.currency": "USD",
                "gen_ai.usage.cost.source": "provider",
            },
        ),
        (Vocabulary.OPERATION_COST, chat(), {"operation.cost": COST}),
        (
            Vocabulary.LLM_COST,
            chat(more={"gen_ai.usage.cache_read.input_tokens": 100}),
            {
                "llm.cost.total": 0.003375,  # 900 * 2.50 / 1M + 100 * 1.25 / 1M + 100 * 10 / 1M
                "llm.cost.prompt_details.input": 0.00225,
                "llm.cost.prompt_details.cache_read": 0.000125,
                "llm.cost.completion_details.output": 0.001,
            },
        ),
        (Vocabulary.LANGFUSE, chat(), {"langfuse.observation.cost_details": '{"total": 0.0035}'}),
        (Vocabulary.DATADOG, chat(), {"dd_llmobs_enabled": True}),
    ],
)
def test_each_vocabulary_adds_what_its_tools_read(
    vocabulary: Vocabulary, values: dict[str, Value], expected: dict[str, object]
) -> None:
    assert added(values, vocabulary) == expected


def test_nothing_is_added_unless_asked_for() -> None:
    names = {alias.name for aliases in VOCABULARIES.values() for alias in aliases}

    assert names.isdisjoint(enriched(OLD_NAMES))


def test_every_vocabulary_of_the_configuration_is_in_the_table() -> None:
    assert set(VOCABULARIES) == set(Vocabulary)


@pytest.mark.parametrize("name", ["gen_ai.usage.cost", "operation.cost", "dd_llmobs_enabled"])
def test_what_a_span_has_is_neither_overwritten_nor_repeated(name: str) -> None:
    attributes = enriched(chat(more={name: "theirs"}), *Vocabulary)

    assert attributes[name] == "theirs"


@pytest.mark.parametrize(
    "values",
    [
        chat("acme/unknown"),
        chat(more={"gen_ai.operation.name": "invoke_agent"}),
        chat(more={"genops.cost.total": 5.0, "genops.pricing.version": "2020.1.1"}),
        chat(more={"genops.cost.total": 5.0}),  # foreign_cost
        chat("acme/unknown", {"genops.cost.input": 5.0, "genops.cost.currency": "EUR"}),
    ],
)
def test_a_span_without_a_cost_of_ours_gets_no_cost_under_any_name(
    values: dict[str, Value],
) -> None:
    assert not [name for name in added(values, *Vocabulary) if "cost" in name]


def test_an_aggregate_gets_no_token_counts_that_a_sum_would_count_twice() -> None:
    values: dict[str, Value] = OLD_NAMES | {"gen_ai.operation.name": "invoke_agent"}

    assert "gen_ai.usage.input_tokens" not in added(values, Vocabulary.USAGE)


def test_spans_that_are_no_calls_keep_every_byte() -> None:
    data = request(span({"http.request.method": "GET", "note": "gen_ai.usage."}))

    assert enrich_request(data, Enricher(CATALOG, (), tuple(Vocabulary))).payload == data


TYPES = {alias.name: alias.type for aliases in VOCABULARIES.values() for alias in aliases}
KEYS = [
    *chat(),
    *TYPES,
    "gen_ai.system",
    "genops.cost.currency",
    "genops.cost.reported",
    "genops.provider",
    "genops.team",
]
VALUES = st.one_of(
    st.text(max_size=20),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.lists(st.text(max_size=5), max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8))
def test_no_values_break_a_request_or_repeat_a_name(values: dict[str, Value]) -> None:
    before = span(chat() | values)
    labels = ("genops.team", "gen_ai.request.model", "gen_ai.usage.cost")
    enricher = Enricher(CATALOG, (), tuple(Vocabulary), labels)
    ledger = Ledger(labels, 10)

    tally = Tally(LabelTexts(labels))
    (after,) = spans_of(enrich_request(request(before), enricher, tally=tally).payload)
    ledger.add(tally.amounts())
    rows = [(ledger.attributes(row), amounts) for row, amounts in ledger.rows().items()]
    encode(rows, Interval(1, 2, delta=False), {})

    assert after.SerializeToString().startswith(before.SerializeToString())
    plain_attributes(after)  # fails on a repeated name
    for attribute in after.attributes[len(before.attributes) :]:
        if attribute.key in TYPES:
            assert attribute.value.WhichOneof("value") == f"{TYPES[attribute.key]}_value"
