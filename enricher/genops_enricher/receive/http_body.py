"""From the body of an OTLP/HTTP request to the serialized message: unpacked, and out of JSON.

No I/O. The size limit holds after unpacking too, as the OTLP specification demands: what is
unpacked is bounded while it is unpacked, not afterwards.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genops_enricher.decode.otlp_json import OtlpJsonError, from_json
from genops_enricher.errors import OversizeError, PermanentError, not_otlp
from genops_enricher.pipeline import Signal

__all__ = ["TooLargeError", "gunzip", "json_needs", "json_to_protobuf"]

_REQUESTS: dict[Signal, Callable[[], Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}
_GZIP = 31  # zlib's word for a gzip header and the largest window
_PIECE = 64 << 10  # read at a time: zlib copies what it has not read yet
_JSON_VALUES_MAX = 1_000_000  # a value of two bytes takes a hundred and more once it is read
# What reading a document takes beside it, measured (tests/enricher/receive/test_http_json.py): for
# each byte, since Python keeps a text by its widest character; and for each value, `{}` as a span.
_JSON_PER_BYTE, _JSON_PER_WIDE_BYTE, _JSON_PER_VALUE = 4, 11, 256
# In linear time, also where a text has no end.
_TEXT_OR_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{,]', re.DOTALL)
_QUOTE = ord('"')
_MEMBERS_MAX = 1000  # each costs time however small it is; senders write one


class TooLargeError(OversizeError):
    """The request is larger than a limit, which `limit` says."""

    def __init__(self, limit: str) -> None:
        super().__init__(f"the request is larger than {limit}; send smaller batches")

    @classmethod
    def of_bytes(cls, limit: int) -> TooLargeError:
        """The error for a body of more than `limit` bytes."""
        key = "receivers.otlp.protocols.http.max_request_body_size"
        return cls(f"{limit} bytes, {key} of the enricher")


def gunzip(data: bytes, limit: int, take: Callable[[int], None]) -> bytes:
    """The content of gzip `data`, of one member or several.

    Args:
        data: the body.
        limit: the most bytes that the content may have.
        take: told of each piece of content, by its size; may raise.

    Raises:
        TooLargeError: the content is larger. At most one byte more than `limit` was unpacked.
        PermanentError: this is no gzip, or cut short.
    """
    content: list[bytes] = []
    left = limit
    members = 1
    unpacker = zlib.decompressobj(_GZIP)
    for start in range(0, len(data), _PIECE):
        packed = data[start : start + _PIECE]
        while packed:
            if unpacker.eof:
                members += 1
                unpacker = zlib.decompressobj(_GZIP)
            try:
                piece = unpacker.decompress(packed, left + 1)
            except zlib.error as error:
                raise PermanentError(
                    f"the body is not the gzip it is said to be: {error}"
                ) from None
            if len(piece) > left:
                raise TooLargeError.of_bytes(limit)
            if members > _MEMBERS_MAX:
                raise PermanentError(f"the gzip body has more than {_MEMBERS_MAX} members")
            take(len(piece))
            content.append(piece)
            left -= len(piece)
            packed = unpacker.unused_data
    if not unpacker.eof:
        raise PermanentError("the gzip body is cut short")
    return b"".join(content)


def json_to_protobuf(signal: Signal, document: bytes) -> bytes:
    """The serialized request that an OTLP/JSON document says.

    Raises:
        TooLargeError: it has more values than should be held in memory.
        PermanentError: it is not OTLP/JSON.
    """
    # To count is quick; to read may fill the memory.
    if _has_too_many_values(document):
        raise TooLargeError(f"{_JSON_VALUES_MAX} values of JSON")
    try:
        return from_json(document, _REQUESTS[signal]()).SerializeToString()
    except OtlpJsonError as error:
        raise not_otlp(signal, error) from error


def json_needs(document: bytes) -> int:
    """How many bytes it may take at most to read a document of OTLP/JSON, beside the document."""
    per_byte = _JSON_PER_BYTE if document.isascii() else _JSON_PER_WIDE_BYTE
    return len(document) * per_byte + _marks(document) * _JSON_PER_VALUE


def _marks(document: bytes) -> int:
    """At least as many as there are values."""
    return sum(document.count(mark) for mark in (b",", b"[", b"{"))


def _has_too_many_values(document: bytes) -> bool:
    if _marks(document) <= _JSON_VALUES_MAX:
        return False
    # A prompt may hold as many commas as it likes, so texts are left out where it matters. JSON
    # has two texts for a mark at most.
    marks = 0
    for number, part in enumerate(_TEXT_OR_MARK.finditer(document)):
        marks += document[part.start()] != _QUOTE
        if marks > _JSON_VALUES_MAX or number > 3 * _JSON_VALUES_MAX:
            return True
    return False
