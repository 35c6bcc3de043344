"""The JSON encoding of OTLP, to and from protobuf.

It is protobuf's own JSON mapping but for four points (OTLP specification, "JSON Protobuf
Encoding"): trace and span ids are hexadecimal and not base64, enums are integers only, keys are
lowerCamelCase only, and unknown keys are ignored. `json_forms` reads by them. OTLP has no map
fields, so every key that is written is a field name and never a user's word.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from genops_enricher.decode.json_forms import WrongValueError, form_of

__all__ = ["OtlpJsonError", "from_json", "load_json", "to_json"]

_ID_KEYS = frozenset({"traceId", "spanId", "parentSpanId"})

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
        fields = form_of(message.DESCRIPTOR).read(document)
    except WrongValueError as error:
        raise OtlpJsonError(f"not OTLP/JSON: {error.path}: {error}") from None
    message.MergeFrom(type(message)(**fields))
    return message


def load_json(text: str | bytes) -> Any:
    """The value of a JSON text. Bytes are UTF-8 and nothing else, as JSON has it between systems.

    Raises:
        OtlpJsonError: it is no JSON, or nested too deeply to be read.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
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
