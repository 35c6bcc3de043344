from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from genops_enricher.decode.values import BAD, as_count, as_float, as_label, as_text, as_true
from otlp import Value, any_value


def raw(value: Value) -> bytes:
    return any_value(value).SerializeToString()


@given(st.text())
def test_text_of_any_length_and_script_is_read(text: str) -> None:
    assert as_text(raw(text)) == text


@pytest.mark.parametrize("value", [7, 1.5, True, ["a"]])
def test_what_is_no_text_reads_as_empty(value: Value) -> None:
    assert as_text(raw(value)) == ""


@pytest.mark.parametrize(
    ("value", "label"), [("ads", "ads"), (42, "42"), (True, "true"), (1.5, ""), (["a"], "")]
)
def test_labels_are_text_whole_numbers_and_booleans(value: Value, label: str) -> None:
    assert as_label(raw(value)) == label


def test_absent_text_reads_as_empty() -> None:
    assert as_text(None) == ""
    assert as_text(b"") == ""


@given(st.integers(min_value=0, max_value=2**53 - 1))
def test_counts_are_read_from_integers_doubles_and_numeric_text(count: int) -> None:
    assert as_count(raw(count)) == count
    assert as_count(raw(float(count))) == count
    assert as_count(raw(str(count))) == count


@pytest.mark.parametrize(
    "value",
    [-1, -0.5, 0.5, 2**53, math.nan, math.inf, -math.inf, True, "", "many", "1e999", "-3", ["1"]],
)
def test_what_is_no_count_is_told_apart_from_zero(value: Value) -> None:
    assert as_count(raw(value)) == BAD


def test_a_count_with_a_fraction_of_zero_in_text_is_read() -> None:
    assert as_count(raw("12.0")) == 12


@pytest.mark.parametrize("broken", [b"\x18", b"\x18\x80", b"\x18\x80\x80", b"\x0a\x05ab", b"\xff"])
def test_a_value_cut_short_is_no_count_and_no_text(broken: bytes) -> None:
    assert as_count(broken) == BAD
    assert as_text(broken) == ""
    assert as_float(broken) is None
    assert not as_true(broken)


@given(st.binary(max_size=24))
def test_no_bytes_make_reading_fail(data: bytes) -> None:
    assert as_count(data) >= BAD
    assert isinstance(as_text(data), str)
    as_float(data)
    as_true(data)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_exactly(number: float) -> None:
    assert as_float(raw(number)) == number
    assert as_float(raw(repr(number))) == number


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "nan", "inf", "x", ["1"]])
def test_what_is_no_finite_number_is_none(value: Value) -> None:
    assert as_float(raw(value)) is None


def test_truth_is_a_bool_or_spelled_out() -> None:
    assert as_true(raw(True))
    assert as_true(raw("TRUE"))
    assert as_true(raw(1))
    assert not as_true(raw(False))
    assert not as_true(raw("yes"))
    assert not as_true(AnyValue().SerializeToString())
