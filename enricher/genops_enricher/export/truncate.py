"""Shorten what a span says, where that is all that keeps a destination from taking it.

Only attributes that the configuration names are touched, in the order in which it names them, on
the span and on its events; each loses no more than is needed. So the cost of the span arrives.
Text ends in a mark where it was cut. What is no text can't be cut, and becomes the mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

__all__ = ["MARK", "shorten"]

MARK = "…[truncated]"
_MARK_BYTES = len(MARK.encode())


def shorten(payload: bytes, names: Sequence[str], limit_bytes: int) -> bytes | None:
    """The trace request with at most `limit_bytes`, or as close to that as the names allow.

    None if nothing of the kind is there, or the request can't be read as protobuf text allows.
    """
    try:
        request = ExportTraceServiceRequest.FromString(payload)
    except DecodeError:
        return None
    excess = len(payload) - limit_bytes
    changed = False
    for name in names:
        for attribute in _attributes(request):
            if attribute.key == name and excess > 0:
                saved = _shorten(attribute, excess)
                excess -= saved
                changed = changed or saved > 0
    return request.SerializeToString() if changed else None


def _attributes(request: ExportTraceServiceRequest) -> Iterator[KeyValue]:
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield from span.attributes
                for event in span.events:
                    yield from event.attributes


def _shorten(attribute: KeyValue, excess: int) -> int:
    """Take `excess` bytes out of the value, as far as it has them; give how many came out."""
    value = attribute.value
    before = value.ByteSize()
    text = value.string_value.encode() if value.HasField("string_value") else b""
    if text.endswith(MARK.encode()):
        text = text[:-_MARK_BYTES]
    keep = max(len(text) - excess - _MARK_BYTES, 0)
    # A character that would be cut in the middle goes as a whole.
    short = text[:keep].decode(errors="ignore") + MARK
    if len(short.encode()) + 2 >= before:
        return 0
    value.string_value = short
    return before - value.ByteSize()
