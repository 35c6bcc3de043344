"""OTLP/JSON as the specification has it, where it differs from protobuf's own mapping."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genops_enricher.decode.otlp_json import OtlpJsonError, from_json, to_json
from otlp import request, span


def document(**fields: Any) -> str:
    one = {"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174", **fields}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]})


def read(text: str) -> Any:
    return from_json(text, ExportTraceServiceRequest()).resource_spans[0].scope_spans[0].spans[0]


def test_ids_are_hexadecimal_in_either_case() -> None:
    one = read(document(links=[{"traceId": "00" * 16, "spanId": "AB" * 8}]))

    assert one.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert one.span_id.hex() == "eee19b7ec3c1b174"
    assert one.links[0].span_id.hex() == "ab" * 8


@pytest.mark.parametrize("value", ["zz", "abc", 7])
def test_an_id_that_is_not_hexadecimal_says_where(value: object) -> None:
    with pytest.raises(OtlpJsonError, match=r"resourceSpans\[0\]\.scopeSpans\[0\].*traceId"):
        read(document(traceId=value))


def test_null_is_the_same_as_absent() -> None:
    one = read(document(parentSpanId=None, kind=None, name=None, attributes=None))

    assert (one.parent_span_id, one.kind, one.name) == (b"", 0, "")


def test_enums_are_integers_and_names_are_refused() -> None:
    assert read(document(kind=3)).kind == 3
    with pytest.raises(OtlpJsonError, match="SPAN_KIND_CLIENT"):
        read(document(kind="SPAN_KIND_CLIENT"))


def test_unknown_keys_and_other_spellings_of_keys_are_ignored() -> None:
    one = read(document(laterField={"a": 1}, start_time_unix_nano="5", name="kept"))

    assert (one.name, one.start_time_unix_nano) == ("kept", 0)


def test_64_bit_numbers_come_as_text_or_number() -> None:
    for value in ("1790000000000000001", 1790000000000000001):
        assert read(document(endTimeUnixNano=value)).end_time_unix_nano == 1790000000000000001


@pytest.mark.parametrize("text", ["[]", "7", "{", '{"resourceSpans": 7}', "[" * 5000])
def test_what_is_no_request_is_an_error(text: str) -> None:
    with pytest.raises(OtlpJsonError):
        from_json(text, ExportTraceServiceRequest())


@given(
    st.dictionaries(
        st.text(max_size=9),
        st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans(),
        max_size=5,
    )
)
def test_what_is_written_reads_back_the_same(values: dict[str, str | int | bool]) -> None:
    message = ExportTraceServiceRequest.FromString(request(span(values)))
    text = json.dumps(to_json(message))

    assert from_json(text, ExportTraceServiceRequest()) == message


def test_written_ids_are_lower_case_hex_and_written_enums_integers() -> None:
    one = to_json(ExportTraceServiceRequest.FromString(request(span({}))))["resourceSpans"][0][
        "scopeSpans"
    ][0]["spans"][0]

    assert one["traceId"] == f"{7:016x}{1:016x}"
    assert one["kind"] == 3
    assert one["endTimeUnixNano"] == "1791072000000000000"


@pytest.mark.parametrize("key", ["\\ud800", "\\u00e9"])
def test_a_key_that_no_field_can_have_is_ignored(key: str) -> None:
    document = f'{{"resourceSpans": [{{"{key}": [], "schemaUrl": "s"}}]}}'

    message = from_json(document, ExportTraceServiceRequest())

    assert message.resource_spans[0].schema_url == "s"
