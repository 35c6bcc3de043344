"""The walk through a request: bytes kept, books balanced, nothing broken let in or thrown away."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from genops_enricher.decode.lens import DecodeError, parse_traces
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import EnrichStage, enrich_request
from genops_enricher.errors import PermanentError, RetryableError
from genops_enricher.pipeline import Batch
from genops_enricher.seen.duplicates import Duplicates
from genops_enricher.seen.orphans import Orphans
from genops_enricher.telemetry import Telemetry
from genops_pricing import bundled_catalog
from otlp import any_value, chat, request, span, spans_of

ENRICHER = Enricher(bundled_catalog())

HTTP = {"http.request.method": "GET", "server.address": "example.org"}


class Sink:
    """The next stage: keeps what it accepts, or refuses."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.batches: list[Batch] = []
        self.refuse = refuse

    def consume(self, batch: Batch) -> None:
        if self.refuse:
            raise RetryableError("full")
        self.batches.append(batch)


def raw_spans(payload: bytes) -> list[bytes]:
    """Every span's own bytes, as the envelopes hold them."""
    return [
        bytes(data)
        for resource_spans in parse_traces(payload).resource_spans
        for scope_spans in resource_spans.scope_spans
        for data in scope_spans.spans
    ]


def field(number: int, data: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def test_a_request_to_which_nothing_is_added_leaves_as_the_bytes_that_came() -> None:
    data = request(span(HTTP), span({}, number=2))

    assert enrich_request(data, ENRICHER).payload is data


def test_each_span_keeps_its_bytes_as_a_prefix_and_its_place() -> None:
    data = request(span(HTTP), span(chat(), number=2), span(HTTP, number=3))
    after = enrich_request(data, ENRICHER).payload

    before, now = raw_spans(data), raw_spans(after)
    assert now[0] == before[0]
    assert now[1].startswith(before[1])
    assert len(now[1]) > len(before[1])
    assert now[2] == before[2]


def test_unknown_fields_and_odd_field_order_survive_at_every_level() -> None:
    inner = span(chat()).SerializeToString()
    unknown = field(1999, b"from a later release")
    span_bytes = unknown + inner + varint(1998 << 3 | 0) + b"\x07"
    # ScopeSpans and ResourceSpans with their fields in reverse, and fields nobody knows.
    scope = field(3, b"schema") + field(2, span_bytes) + field(1, b"\x0a\x01s") + unknown
    resource = field(3, b"schema-url") + field(2, scope) + field(1, b"") + unknown
    data = field(1, resource) + unknown

    after = enrich_request(data, ENRICHER).payload

    assert raw_spans(after)[0].startswith(span_bytes)
    stripped = ExportTraceServiceRequest.FromString(after)
    added = stripped.resource_spans[0].scope_spans[0].spans[0].attributes
    del added[len(chat()) :]
    assert stripped == ExportTraceServiceRequest.FromString(data)
    assert after.count(b"from a later release") == 4


def test_text_that_is_not_utf8_passes_in_spans_of_any_kind() -> None:
    bad_name = field(5, b"\xff\xfe")
    llm = span(chat()).SerializeToString() + bad_name
    data = field(1, field(2, field(2, llm) + field(2, bad_name)))

    after = raw_spans(enrich_request(data, ENRICHER).payload)

    assert after[0].startswith(llm)
    assert b"genops.cost.total" in after[0]
    assert after[1] == bad_name


def test_a_span_malformed_inside_passes_as_it_came_beside_its_neighbours() -> None:
    broken = b"\x4a\x7fgen_ai."  # an attribute that claims more bytes than there are
    data = field(1, field(2, field(2, broken) + field(2, span(chat()).SerializeToString())))
    result = enrich_request(data, ENRICHER)

    after = raw_spans(result.payload)
    assert after[0] == broken
    assert b"genops.cost.total" in after[1]
    assert result.spans == 2


@pytest.mark.parametrize(
    "broken", [b"\x0a", b"\x0a\x05abc", b"\xff\xff", b"\x0a\x02\x12\x05", b"{}"]
)
def test_a_broken_envelope_can_never_be_accepted(broken: bytes) -> None:
    sink = Sink()
    with pytest.raises(PermanentError, match="can't be read as OTLP traces"):
        EnrichStage(ENRICHER, sink, Telemetry()).accept(broken)

    assert sink.batches == []


def test_an_empty_request_succeeds_and_is_not_passed_on() -> None:
    sink = Sink()
    EnrichStage(ENRICHER, sink, Telemetry()).accept(b"")
    EnrichStage(ENRICHER, sink, Telemetry()).accept(request())

    assert sink.batches == []


def test_the_books_balance_and_count_each_status() -> None:
    telemetry = Telemetry()
    data = request(
        span(HTTP),
        span(chat()),
        span(chat("acme/unknown")),
        span(chat("openrouter/auto")),
        span(chat() | {"genops.pricing.version": "2020.1.1"}),
    )
    EnrichStage(ENRICHER, Sink(), telemetry).accept(data)

    assert telemetry.value("genops_received_items_total", signal="traces") == 5
    assert telemetry.total("genops_spans_total") == 5
    for status, reason in [
        ("not_llm", ""),
        ("priced", ""),
        ("unpriced", "unknown_model"),
        ("unpriced", "dynamic_price"),
        ("already_enriched", ""),
    ]:
        assert telemetry.value("genops_spans_total", status=status, reason=reason) == 1
    assert telemetry.value("genops_unknown_model_spans_total", market="openrouter") == 1


def test_a_reported_cost_that_cannot_be_right_is_counted() -> None:
    telemetry = Telemetry()
    EnrichStage(ENRICHER, Sink(), telemetry).accept(
        request(span(chat() | {"genops.cost.reported": 0.0}), span(chat(), number=2))
    )

    assert telemetry.total("genops_implausible_cost_spans_total") == 1


def test_a_refused_request_stands_in_no_book() -> None:
    telemetry = Telemetry()
    stage = EnrichStage(ENRICHER, Sink(refuse=True), telemetry)
    with pytest.raises(RetryableError):
        stage.accept(request(span(chat())))

    assert telemetry.total("genops_received_items_total") == 0
    assert telemetry.total("genops_spans_total") == 0


KEYS = st.one_of(
    st.sampled_from([*chat(), "genops.cost.total", "genops.provider", "error.type", "http.route"]),
    st.text(max_size=20),
)
VALUES = st.one_of(
    st.text(max_size=40),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from(
        [
            "chat",
            "invoke_agent",
            "gen-1763900000-abcdefghijkl",
            "openai/gpt-4o",
            "anthropic/claude-3-haiku",
            "x",
        ]
    ),
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    message = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        resource_spans = message.resource_spans.add(schema_url=draw(st.text(max_size=5)))
        for _ in range(draw(st.integers(0, 2))):
            scope_spans = resource_spans.scope_spans.add(schema_url=draw(st.text(max_size=5)))
            for _ in range(draw(st.integers(0, 4))):
                one = scope_spans.spans.add(
                    trace_id=draw(st.sampled_from([bytes(16), b"x" * 16, b"", b"short"])),
                    span_id=draw(st.sampled_from([bytes(8), b"y" * 8, b"z" * 8, b""])),
                    parent_span_id=draw(st.sampled_from([b"", b"y" * 8, b"z" * 8])),
                    name=draw(st.text(max_size=10)),
                    end_time_unix_nano=draw(st.integers(0, 2**64 - 1)),
                    flags=draw(st.integers(0, 2**32 - 1)),
                )
                for key, value in draw(st.dictionaries(KEYS, VALUES, max_size=12)).items():
                    one.attributes.add(key=key).value.CopyFrom(any_value(value))
    return message.SerializeToString()


@settings(max_examples=300, deadline=None)
@given(requests())
def test_any_valid_request_keeps_its_content_and_its_spans_as_prefixes(data: bytes) -> None:
    with Duplicates(60.0, 1000).request() as seen:
        result = enrich_request(data, ENRICHER, seen=seen, orphans=Orphans(60.0, 1000))

    before, after = raw_spans(data), raw_spans(result.payload)
    assert len(after) == len(before) == result.spans == result.outcomes.total()
    assert all(now.startswith(was) for was, now in zip(before, after, strict=True))
    stripped = ExportTraceServiceRequest.FromString(result.payload)
    for one, was in zip(
        (s for r in stripped.resource_spans for sc in r.scope_spans for s in sc.spans),
        spans_of(data),
        strict=True,
    ):
        keys = [a.key for a in one.attributes]
        assert len(set(keys)) == len(keys)
        del one.attributes[len(was.attributes) :]
    was_message = ExportTraceServiceRequest.FromString(data)
    # As bytes, because a message that holds a NaN does not equal itself.
    assert stripped.SerializeToString() == was_message.SerializeToString()
    assert enrich_request(result.payload, ENRICHER).payload == result.payload


@settings(max_examples=500, deadline=None)
@given(requests(), st.randoms(use_true_random=False))
def test_no_bytes_get_past_as_anything_but_a_request_or_an_error(
    data: bytes, chance: random.Random
) -> None:
    mutated = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        if mutated:
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
    try:
        result = enrich_request(bytes(mutated), ENRICHER)
    except DecodeError:
        return

    before, after = raw_spans(bytes(mutated)), raw_spans(result.payload)
    assert all(now.startswith(was) for was, now in zip(before, after, strict=True))


def test_a_span_of_every_type_of_number_is_priced_alike() -> None:
    costs = set()
    for convert in (int, float, str):
        values = chat() | {
            "gen_ai.usage.input_tokens": convert(1000),
            "gen_ai.usage.output_tokens": convert(100),
        }
        data = span(values).SerializeToString()
        added = Span.FromString(data + ENRICHER.enrich(data).addition).attributes
        costs |= {a.value.double_value for a in added if a.key == "genops.cost.total"}

    assert len(costs) == 1
