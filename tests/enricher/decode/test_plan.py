"""Reading plans: any span can be read, at bounded cost, whatever its attributes are."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from genops_enricher.decode.dialects import DIALECTS
from genops_enricher.decode.lens import parse_span
from genops_enricher.decode.plan import Plans
from genops_enricher.decode.values import BAD
from genops_enricher.enrich.attributes import serialized_attribute
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_enricher.enrich.status import Status
from genops_pricing import Usage, bundled_catalog
from otlp import Value, any_value, chat, plain_attributes, request, span, spans_of

ENRICHER = Enricher(bundled_catalog())

NAMES = sorted({name for dialect in DIALECTS for name in dialect.names})
_words = sorted(
    {value for d in DIALECTS for rule in d.kinds for value in rule.kinds}
    | {
        "openrouter",
        "openai/gpt-4o",
        "gpt-4o",
        "ai.doGenerate",
        "https://openrouter.ai:x/",
        "provider",
    }
)
_numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(0, 10_000), st.floats(), st.booleans()
)
_json = st.recursive(
    st.one_of(_numbers, st.none(), st.text(max_size=5)),
    lambda inner: st.dictionaries(
        st.sampled_from(
            sorted(
                {
                    part
                    for dialect in DIALECTS
                    for document in dialect.documents
                    for path in (*document.counts, *document.service_tier, document.region)
                    for part in path.split("/")
                }
                | {"total", "cost", "openrouter", "usage"}
            )
        ),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)
_values = st.one_of(
    _numbers.map(any_value),
    st.sampled_from(_words).map(any_value),
    st.text(max_size=20).map(any_value),
    _json.map(lambda value: AnyValue(string_value=json.dumps(value))),
    st.binary(max_size=20).map(lambda raw: AnyValue(bytes_value=raw)),
    st.lists(st.text(max_size=5), max_size=3).map(any_value),
    st.just(AnyValue()),
)


@given(st.dictionaries(st.sampled_from(NAMES), _values, max_size=40))
def test_any_values_under_any_names_are_read_without_failing(values: dict[str, AnyValue]) -> None:
    message = Span(attributes=[KeyValue(key=key, value=value) for key, value in values.items()])
    attributes = parse_span(message.SerializeToString()).attributes
    plan = Plans().of(attributes)
    identity = plan.identity(attributes)
    usage, reported, _ = plan.read(attributes, identity, "openrouter")

    if isinstance(usage, Usage):
        assert BAD not in usage
        assert usage.cache_read + usage.cache_write <= usage.input
        assert usage.reasoning <= usage.output
    if reported is not None:
        assert 0 <= reported.total < float("inf")
    assert ENRICHER.enrich(message.SerializeToString()).status in Status


@given(st.sampled_from(NAMES), st.binary(max_size=300))
def test_any_bytes_as_a_value_are_read_without_failing(name: str, raw: bytes) -> None:
    enriched = ENRICHER.enrich(span(chat()).SerializeToString() + serialized_attribute(name, raw))

    assert enriched.status in Status


def test_a_flood_of_shapes_takes_no_memory() -> None:
    shapes = [
        {name: 1 for bit, name in enumerate(NAMES) if number >> bit & 1} for number in range(5000)
    ]
    spans = [span(dict(shape)).SerializeToString() for shape in shapes]
    plans = Plans()
    tracemalloc.start()
    for one in spans:
        plans.of(parse_span(one).attributes)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 8_000_000


def test_names_that_nobody_knows_make_no_shapes() -> None:
    plans = Plans()
    made = {
        plans.of(
            parse_span(span(chat() | {f"gen_ai.prompt.{n}.x": "y"}).SerializeToString()).attributes
        )
        for n in range(100)
    }

    assert len(made) == 1


def test_a_span_with_ten_thousand_attributes_is_priced_like_any_other() -> None:
    crowd: dict[str, Value] = {f"app.attribute.{n}": n for n in range(10_000)}

    outcome = ENRICHER.enrich(span(crowd | chat()).SerializeToString())

    assert outcome.total == ENRICHER.enrich(span(chat()).SerializeToString()).total


@pytest.mark.parametrize(
    "name", ["gen_ai.request.model", "gen_ai.response.id", "server.address", "gen_ai.usage.raw"]
)
def test_ten_megabytes_of_text_are_neither_kept_nor_taken_apart(name: str) -> None:
    large = span(chat(more={"gen_ai.usage.raw": "{}", name: "x/" * 5_000_000})).SerializeToString()
    tracemalloc.start()
    outcome = ENRICHER.enrich(large)
    del outcome
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 1_000_000


def test_text_that_is_no_utf8_is_read_as_far_as_it_goes() -> None:
    broken = span(chat()).SerializeToString().replace(b"openai/gpt-4o", b"openai/gpt-\xff\xfe")

    assert ENRICHER.enrich(broken).reason == "unknown_model"


def test_values_nested_deeply_are_no_numbers() -> None:
    nested = AnyValue(int_value=1)
    for _ in range(60):
        outer = AnyValue()
        outer.kvlist_value.values.add(key="k").value.CopyFrom(nested)
        nested = outer
    message = span(chat())
    for pair in message.attributes:
        if pair.key == "gen_ai.usage.input_tokens":
            pair.value.CopyFrom(nested)

    assert ENRICHER.enrich(message.SerializeToString()).reason == "bad_usage"


def test_spans_that_mean_harm_leave_the_prices_of_their_neighbours_alone() -> None:
    harm: list[dict[str, Value]] = [
        {f"gen_ai.usage.{n}": n for n in range(10_000)},
        chat(more={"gen_ai.usage.raw": "[" * 100_000}),
        chat(more={"gen_ai.usage.input_tokens": "9" * 1_000_000}),
        chat(more={"gen_ai.response.id": ":attempt-1" * 100_000}),
        chat(more={"gen_ai.response.finish_reasons": ["stop"] * 100_000}),
        chat("m" * 1_000_000),
        chat(more={"gen_ai.input.messages": "x" * 10_000_000}),
    ]
    payload = request(*[span(values, number=n) for n, values in enumerate([*harm, chat()])])

    last = plain_attributes(spans_of(enrich_request(payload, ENRICHER).payload)[-1])

    assert last["genops.cost.status"] == "priced"


@pytest.mark.parametrize(
    "name", [name for d in DIALECTS for name in (*d.served, *d.asked, *d.provider, *d.host, *d.ids)]
)
def test_long_texts_are_not_repeated_on_the_span(name: str) -> None:
    enriched = ENRICHER.enrich(span(chat(more={name: "x" * 1_000_000})).SerializeToString())

    assert len(enriched.addition) < 10_000
