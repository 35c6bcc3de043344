"""OTLP/JSON as the specification has it, where it differs from protobuf's own mapping."""

from __future__ import annotations

import json
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from genops_enricher.decode.json_forms import is_repeated
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


@pytest.mark.parametrize("unknown", [{"kind": "SUN"}, {"traceId": "no hex"}, [{"code": "x"}]])
def test_what_an_unknown_field_holds_is_nobodys_business(unknown: object) -> None:
    assert read(document(weather=unknown, name="kept")).name == "kept"


WRONG: dict[str, list[object]] = {
    "bytesValue": ["not base64!", "A", ["AQI="]],
    "intValue": [True, 1.5, "1.5", "1_000", " 1", "", 2**63, "9" * 5000],
    "doubleValue": [True, "inf", "nan", "1e999", 10**400, "1_0", [], *map(float, ("nan", "-inf"))],
    "stringValue": [5, True, ["a"], "\ud800", "a\udfff"],
    "boolValue": [0, 1, "true"],
    "arrayValue": [[]],
    "kvlistValue": [{"values": [None]}],
}


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in WRONG.items() for value in values]
)
def test_a_value_of_another_kind_is_refused_and_never_bent(kind: str, value: object) -> None:
    attribute = {"key": "k", "value": {kind: value}}
    with pytest.raises(OtlpJsonError, match=rf"attributes\[1\]\.value\.{kind}.*: expected"):
        read(document(attributes=[{"key": "first"}, attribute]))


@pytest.mark.parametrize("value", [True, 2.7, "2", 2**31, 2**40, []])
def test_an_enum_is_an_integer_of_32_bits(value: object) -> None:
    with pytest.raises(OtlpJsonError, match=r"spans\[0\]\.kind: expected"):
        read(document(kind=value))


def test_an_enum_may_have_a_number_that_came_later() -> None:
    assert read(document(kind=99)).kind == 99


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"intValue": "-9223372036854775808"}, AnyValue(int_value=-(2**63))),
        ({"intValue": 9223372036854775807}, AnyValue(int_value=2**63 - 1)),
        ({"intValue": 1e3}, AnyValue(int_value=1000)),
        ({"intValue": "1e3"}, AnyValue(int_value=1000)),
        ({"doubleValue": "Infinity"}, AnyValue(double_value=float("inf"))),
        ({"doubleValue": "-Infinity"}, AnyValue(double_value=float("-inf"))),
        ({"doubleValue": "-1.5e-3"}, AnyValue(double_value=-0.0015)),
        ({"doubleValue": -0.0}, AnyValue(double_value=-0.0)),
        ({"doubleValue": 3}, AnyValue(double_value=3.0)),
        ({"bytesValue": "-_-_"}, AnyValue(bytes_value=b"\xfb\xff\xbf")),
        ({"bytesValue": "+/+/"}, AnyValue(bytes_value=b"\xfb\xff\xbf")),
        ({"bytesValue": "AQI"}, AnyValue(bytes_value=b"\x01\x02")),
        ({"stringValue": "\U0001f600"}, AnyValue(string_value="\U0001f600")),
        ({"stringValue": ""}, AnyValue(string_value="")),
        ({"intValue": 0, "doubleValue": None}, AnyValue(int_value=0)),
        ({"arrayValue": {}}, AnyValue(array_value=ArrayValue())),
        ({"arrayValue": {"values": [{}]}}, AnyValue(array_value=ArrayValue(values=[AnyValue()]))),
        ({}, AnyValue()),
    ],
    ids=str,
)
def test_every_value_is_exact(value: object, expected: AnyValue) -> None:
    (attribute,) = read(document(attributes=[{"key": "k", "value": value}])).attributes

    assert attribute == KeyValue(key="k", value=expected)
    assert attribute.SerializeToString() == KeyValue(key="k", value=expected).SerializeToString()


def test_of_a_oneof_one_member_may_stand_there() -> None:
    both = {"key": "k", "value": {"intValue": 1, "doubleValue": 1}}
    with pytest.raises(OtlpJsonError, match=r"value: expected one member of a oneof"):
        read(document(attributes=[both]))


@pytest.mark.parametrize(
    "value",
    [
        "the prompt",
        {"stringValue": "the prompt, cut in half \ud83d"},
        {"intValue": "the prompt"},
        {"boolValue": "the prompt"},
        {"bytesValue": "the prompt"},
        {"arrayValue": "the prompt"},
        {"kvlistValue": {"values": [{"key": "k", "value": "the prompt"}]}},
    ],
    ids=str,
)
def test_no_message_about_a_mistake_has_a_text_of_the_document(value: object) -> None:
    """It goes to the log. Senders that shorten a text often leave half a character behind."""
    with pytest.raises(OtlpJsonError, match=r"value.*: expected .*a text of \d+ char") as caught:
        read(document(attributes=[{"key": "k", "value": value}]))

    assert "prompt" not in str(caught.value)


def test_of_a_key_that_stands_there_twice_the_last_one_counts() -> None:
    assert read(document(name="last").replace('"name"', '"name": "first", "name"')).name == "last"


def test_messages_are_nested_a_hundred_deep_at_most() -> None:
    def nested(depth: int) -> str:
        value = '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth
        return document(attributes=[{"key": "deep", "value": None}]).replace("null", value)

    deepest = 47  # five messages lead to the value, two stand for a level of it, and it ends in one
    assert ExportTraceServiceRequest.FromString(
        from_json(nested(deepest), ExportTraceServiceRequest()).SerializeToString()
    )
    with pytest.raises(OtlpJsonError, match="100 deep"):
        from_json(nested(deepest + 1), ExportTraceServiceRequest())


REQUESTS: tuple[type[Message], ...] = (
    ExportTraceServiceRequest,
    ExportMetricsServiceRequest,
    ExportLogsServiceRequest,
)


@cache
def scalars(kind: int) -> st.SearchStrategy[Any]:
    integers = {
        Field.TYPE_INT32: 31, Field.TYPE_SINT32: 31, Field.TYPE_ENUM: 31,
        Field.TYPE_INT64: 63, Field.TYPE_SFIXED64: 63,
    }  # fmt: skip
    naturals = {
        Field.TYPE_UINT32: 32, Field.TYPE_FIXED32: 32,
        Field.TYPE_UINT64: 64, Field.TYPE_FIXED64: 64,
    }  # fmt: skip
    if kind in integers:
        return st.integers(-(2 ** integers[kind]), 2 ** integers[kind] - 1)
    if kind in naturals:
        return st.integers(0, 2 ** naturals[kind] - 1)
    return {
        Field.TYPE_STRING: st.text(max_size=5),
        Field.TYPE_BYTES: st.binary(max_size=20),
        Field.TYPE_BOOL: st.booleans(),
        Field.TYPE_DOUBLE: st.floats(allow_nan=False),  # which is not equal to itself
    }[kind]


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = 9) -> dict[str, Any]:
    """The fields of a message of any content, in which no two members of a oneof stand."""
    out: dict[str, Any] = {}
    for field in descriptor.fields:
        one = field.containing_oneof
        if one is not None and any(other.name in out for other in one.fields):
            continue
        if depth == 0 and field.message_type is not None:
            continue
        likely = field.message_type is not None and field.containing_oneof is None
        if not draw(
            st.booleans() if likely or depth < 3 else st.sampled_from((True, False, False))
        ):
            continue
        value: st.SearchStrategy[Any] = (
            scalars(field.type)
            if field.message_type is None
            else messages(field.message_type, depth - 1)
        )
        out[field.name] = draw(st.lists(value, max_size=2) if field.is_repeated else value)
    return out


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@pytest.mark.parametrize("kind", REQUESTS)
@given(data=st.data())
def test_whatever_protobuf_writes_is_read_as_protobuf_reads_it(
    kind: type[Message], data: st.DataObject
) -> None:
    message = kind(**data.draw(messages(cast("Descriptor", kind.DESCRIPTOR))))
    oracle = json_format.Parse(json_format.MessageToJson(message), kind())
    text = json.dumps(to_json(message))

    assert from_json(text, kind()).SerializeToString() == oracle.SerializeToString()
    assert oracle == message


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


def test_lists_are_told_in_protobuf_5_which_has_another_name_for_it() -> None:
    a_list = cast("Field", SimpleNamespace(label=3))
    a_single_value = cast("Field", SimpleNamespace(label=1))

    assert is_repeated(a_list)
    assert not is_repeated(a_single_value)
