"""Attribute values: serialized AnyValue messages read as text and numbers.

Emitters write token counts as integers, doubles and numeric strings; all three are read. What is
not a finite number is told apart from what is absent, so that a bad count is never taken for 0.
"""

from __future__ import annotations

import struct

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

__all__ = [
    "BAD",
    "as_count",
    "as_float",
    "as_label",
    "as_text",
    "as_texts",
    "as_true",
    "to_bool",
    "to_count",
    "to_float",
]

BAD = -1
"""What `as_count` answers for a value that is no token count."""

_COUNT_LIMIT = 1 << 53  # beyond it a double no longer tells neighbouring integers apart
_NUMBER_BYTES_MAX = 512  # spelled out; what is longer is no number, and not worth a look

# First byte of an AnyValue with one field: its number and wire type.
_STRING, _BOOL, _INT, _DOUBLE = 0x0A, 0x10, 0x18, 0x21
_unpack_double = struct.Struct("<d").unpack_from


def as_text(raw: bytes | None) -> str:
    """The text of a string value; "" for an absent one and for every other kind of value."""
    if not raw or raw[0] != _STRING:
        return ""
    if len(raw) > 1 and raw[1] == len(raw) - 2:  # one string under 128 bytes, and nothing else
        return raw[2:].decode("utf-8", "replace")
    value = _parse(raw)
    return value if isinstance(value, str) else ""


def as_label(raw: bytes | None) -> str:
    """A string, integer or boolean as text, which is what a label for people is; else ""."""
    value = _parse(raw) if raw else None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else ""


def as_texts(raw: bytes | None) -> list[str]:
    """The strings of a list, or the one string; none for every other kind of value."""
    if not raw:
        return []
    try:
        value = AnyValue.FromString(raw)
    except DecodeError:
        return []
    return [value.string_value, *(item.string_value for item in value.array_value.values)]


def as_count(raw: bytes) -> int:
    """A count of 0 or more; BAD for a negative, fractional, infinite, huge or non-numeric value."""
    if len(raw) == 2 and raw[0] == _INT:
        return raw[1] if raw[1] < 0x80 else BAD
    if len(raw) == 3 and raw[0] == _INT and raw[1] >= 0x80 > raw[2]:
        return (raw[1] & 0x7F) | raw[2] << 7
    return to_count(_parse(raw)) if len(raw) <= _NUMBER_BYTES_MAX else BAD


def to_count(value: object) -> int:
    """A number, or one spelled out, as `as_count` has it."""
    if isinstance(value, str):
        try:
            value = float(value) if not value.strip().isdecimal() else int(value)
        except ValueError:
            return BAD
    if isinstance(value, bool) or not isinstance(value, int | float):
        return BAD
    if not 0 <= value < _COUNT_LIMIT or value != int(value):  # NaN fails the comparison
        return BAD
    return int(value)


def as_float(raw: bytes | None) -> float | None:
    """A finite number; None for an absent value and for everything that is not one."""
    if not raw:
        return None
    if len(raw) == 9 and raw[0] == _DOUBLE:
        number = float(_unpack_double(raw, 1)[0])
    else:
        return to_float(_parse(raw)) if len(raw) <= _NUMBER_BYTES_MAX else None
    return number if number - number == 0.0 else None  # inf - inf and nan are not 0


def to_float(value: object) -> float | None:
    """A number, or one spelled out, as `as_float` has it."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number - number == 0.0 else None


def as_true(raw: bytes | None) -> bool:
    """Whether the value is true, as a bool or spelled out."""
    if not raw:
        return False
    return to_bool(_parse(raw))


def to_bool(value: object) -> bool:
    """Whether a value is true, as `as_true` has it."""
    return value is True or (isinstance(value, str) and value.lower() == "true") or value == 1


def _parse(raw: bytes) -> str | int | float | bool | None:
    """The scalar of an AnyValue; None for lists, maps, bytes, nothing and what can't be parsed."""
    try:
        value = AnyValue.FromString(raw)
    except DecodeError:
        return None
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bool_value":
            return value.bool_value
    return None
