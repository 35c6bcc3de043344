"""Where keys can stand in OTLP, read off the descriptors of opentelemetry-proto.

So a field that a later version of the protocol has is known as soon as that version is installed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genops_enricher.decode.json_forms import is_repeated
from genops_enricher.pipeline import Signal

__all__ = ["BYTES", "REQUESTS", "Shape", "shape_of", "tag_of"]

BYTES = 2  # the wire type of strings, bytes, messages and packed numbers


@dataclass(slots=True, eq=False)
class Shape:
    """A message: the fields that have a length, by tag. None: a field in which no key can stand."""

    name: str
    fields: dict[int, Shape | None] = field(default_factory=dict)


def tag_of(number: int) -> int:
    """The tag of a field that has a length."""
    return number << 3 | BYTES


_SHAPES: dict[str, Shape] = {}


def _shape(descriptor: Descriptor) -> Shape:
    if descriptor.full_name in _SHAPES:  # values hold values
        return _SHAPES[descriptor.full_name]
    shape = _SHAPES[descriptor.full_name] = Shape(descriptor.name)
    for each in descriptor.fields:
        if each.message_type is not None:
            shape.fields[tag_of(each.number)] = _shape(each.message_type)
        elif is_repeated(each) or each.type in _TEXTS:  # a single number never has a length
            shape.fields[tag_of(each.number)] = None
    return shape


_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)

REQUESTS = {
    Signal.TRACES: _shape(ExportTraceServiceRequest.DESCRIPTOR),
    Signal.METRICS: _shape(ExportMetricsServiceRequest.DESCRIPTOR),
    Signal.LOGS: _shape(ExportLogsServiceRequest.DESCRIPTOR),
}


def shape_of(name: str) -> Shape:
    """The shape of a message within the requests, such as `opentelemetry.proto.trace.v1.Span`."""
    return _SHAPES[name]
