"""The hash that stands in place of a value: the same for the same value, wherever it is met.

A keyed hash (HMAC-SHA256): ids are few, and a plain hash of one is found by hashing them all. 128
bits are kept, which no two of any number of users share by accident.

What is hashed is the value as text, as OpenTelemetry spells it for protocols without its types, so
that the user 7 has one hash whether an emitter writes 7 or "7".
Source: https://opentelemetry.io/docs/specs/otel/common/#anyvalue-representation-for-non-otlp-protocols
"""

from __future__ import annotations

import base64
import hmac
import json
import math

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

__all__ = ["Hasher", "canonical"]

_PREFIX = "hmac-sha256:"
_HEX_DIGITS = 32
_INTEGRAL_MAX = float(1 << 53)


class Hasher:
    """Hashes with one key. Safe for use by several threads."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def of_text(self, text: str) -> str:
        """The hash of a text."""
        digest = hmac.digest(self._key, text.encode(errors="surrogatepass"), "sha256")
        return _PREFIX + digest.hex()[:_HEX_DIGITS]

    def of_value(self, raw: bytes) -> bytes:
        """The serialized AnyValue with the hash of another one.

        Raises:
            DecodeError: `raw` is no AnyValue, or nested deeper than protobuf reads.
        """
        return AnyValue(string_value=self.of_text(canonical(raw))).SerializeToString()


def canonical(raw: bytes) -> str:
    """The value of a serialized AnyValue as text. Raises DecodeError."""
    plain = _plain(AnyValue.FromString(raw))
    return plain if isinstance(plain, str) else _json(plain)


def _plain(value: AnyValue) -> object:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return _number(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
    return ""


def _number(number: float) -> object:
    """JSON has no NaN and no infinity, and one way to write 5."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")
    return int(number) if number.is_integer() and abs(number) <= _INTEGRAL_MAX else number


def _json(plain: object) -> str:
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
