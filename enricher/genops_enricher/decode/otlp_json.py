"""The JSON encoding of OTLP, to and from protobuf.

protobuf's own JSON mapping differs from OTLP's in four ways, which are mended here (OTLP
specification, "JSON Protobuf Encoding"): trace and span ids are hexadecimal and not base64, enums
are integers only, keys are lowerCamelCase only, and unknown keys are ignored. OTLP has no map
fields, so every key of a JSON object is a field name and never a user's word.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

__all__ = ["OtlpJsonError", "from_json", "load_json", "to_json"]

_ID_KEYS = frozenset({"traceId", "spanId", "parentSpanId"})
_ENUM_KEYS = frozenset({"kind", "code", "severityNumber", "aggregationTemporality"})

M = TypeVar("M", bound=Message)


class OtlpJsonError(ValueError):
    """A document is not OTLP in JSON; the message says what and where."""


def from_json(document: str | bytes | dict[str, Any], message: M) -> M:
    """Fill `message` from OTLP/JSON and return it.

    Raises:
        OtlpJsonError: the document is no JSON, or not of this message's form.
    """
    if not isinstance(document, dict):
        document = load_json(document)
    if not isinstance(document, dict):
        raise OtlpJsonError(f"expected a JSON object, found {type(document).__name__}")
    try:
        return json_format.ParseDict(_to_proto(document, ""), message, ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError, TypeError, ValueError, OverflowError) as error:
        raise OtlpJsonError(f"not OTLP/JSON: {error}") from error


def load_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        OtlpJsonError: it is no JSON, or nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise OtlpJsonError("not JSON that can be read: nested too deeply") from None
    except ValueError as error:
        raise OtlpJsonError(f"not JSON: {error}") from error


def to_json(message: Message) -> dict[str, Any]:
    """`message` as a document in OTLP/JSON.

    Protobuf fields that this release does not know are left out: JSON has no way to say them.
    """
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    _ids_to_hex(document)
    return document


def _to_proto(node: Any, path: str) -> Any:
    """The document as protobuf's JSON mapping wants it."""
    if isinstance(node, list):
        return [_to_proto(item, f"{path}[{index}]") for index, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        here = f"{path}.{key}" if path else key
        if "_" in key or not key.isascii():
            # No field of OTLP is spelled so in JSON: unknown, and ignored. At a key with a lone
            # surrogate protobuf raises SystemError.
            continue
        if key in _ID_KEYS and value is not None:
            out[key] = _hex_to_base64(value, here)
        elif key in _ENUM_KEYS and isinstance(value, str):
            raise OtlpJsonError(f"{here}: {value!r} is a name; OTLP/JSON wants the enum's integer")
        else:
            out[key] = _to_proto(value, here)
    return out


def _hex_to_base64(value: Any, path: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(value)).decode()
    except (TypeError, ValueError) as error:
        raise OtlpJsonError(f"{path}: {value!r} is not hexadecimal") from error


def _ids_to_hex(node: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _ids_to_hex(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in _ID_KEYS:
                node[key] = binascii.hexlify(base64.b64decode(value)).decode()
            else:
                _ids_to_hex(value)
