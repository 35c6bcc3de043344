"""OTLP messages seen through a lens: only the envelopes are parsed, all below them stays bytes.

A full decode of a trace request makes a Python object of every attribute of every span, most of
which the enricher neither reads nor changes. The lens messages have the field numbers of the real
ones but declare as `bytes` what is to stay as it came. Three rules:

- Every field of an envelope up to the highest that we need is declared, as repeated bytes. Fields
  are written in the order of their numbers, but unknown ones always after the known ones, so an
  undeclared `resource` would move behind the spans.
- The syntax is proto2: proto3 refuses a string that is not UTF-8, and it is not ours to refuse to
  pass such a span on.
- Attributes are a `map<string, bytes>`, which has the wire format of `repeated KeyValue`. The map
  is built in C, and a look-up costs the same however many attributes a span has. Of a key that
  stands there twice the last one counts.

Field numbers: opentelemetry-proto, trace/v1, metrics/v1, logs/v1 and resource/v1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableSequence, Sequence
from typing import Any, NamedTuple, Protocol, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

__all__ = [
    "DecodeError",
    "LogRecordLens",
    "ResourceSpans",
    "ScopeSpans",
    "SpanLens",
    "SpanPosition",
    "Status",
    "TraceRequest",
    "count_data_points",
    "count_log_records",
    "count_spans",
    "log_records",
    "parse_log_record",
    "parse_resource",
    "parse_span",
    "parse_traces",
]

_BYTES = "repeated bytes"
_ONE_BYTES = "bytes"
_FIXED64 = "fixed64"
_INT32 = "int32"
_ATTRIBUTES = "map<string, bytes>"

# message -> field -> (number, type); a type that is none of the above is a repeated message.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "TraceRequest": {"resource_spans": (1, "ResourceSpans")},
    "ResourceSpans": {
        "resource": (1, _BYTES),
        "scope_spans": (2, "ScopeSpans"),
        "schema_url": (3, _BYTES),
    },
    "ScopeSpans": {"scope": (1, _BYTES), "spans": (2, _BYTES), "schema_url": (3, _BYTES)},
    # What follows is read and never written, so only what is read is declared.
    "Span": {
        "trace_id": (1, _ONE_BYTES),
        "span_id": (2, _ONE_BYTES),
        "parent_span_id": (4, _ONE_BYTES),
        "start_time_unix_nano": (7, _FIXED64),
        "end_time_unix_nano": (8, _FIXED64),
        "attributes": (9, _ATTRIBUTES),
        "status": (15, "Status"),
    },
    "Status": {"code": (3, _INT32)},
    "Resource": {"attributes": (1, _ATTRIBUTES)},
    "MetricsRequest": {"resource_metrics": (1, "ResourceMetrics")},
    "ResourceMetrics": {"scope_metrics": (2, "ScopeMetrics")},
    "ScopeMetrics": {"metrics": (2, "Metric")},
    "Metric": {
        "gauge": (5, "Points"),
        "sum": (7, "Points"),
        "histogram": (9, "Points"),
        "exponential_histogram": (10, "Points"),
        "summary": (11, "Points"),
    },
    "Points": {"data_points": (1, _BYTES)},
    "LogsRequest": {"resource_logs": (1, "ResourceLogs")},
    "ResourceLogs": {"scope_logs": (2, "ScopeLogs")},
    "ScopeLogs": {"log_records": (2, _BYTES)},
    "LogRecord": {"body": (5, _BYTES), "attributes": (6, _ATTRIBUTES), "event_name": (12, _BYTES)},
}


_SCALARS = {
    _ONE_BYTES: descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    _FIXED64: descriptor_pb2.FieldDescriptorProto.TYPE_FIXED64,
    _INT32: descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
}


def _build_messages() -> dict[str, type[Message]]:
    package = "genops.lens"
    file = descriptor_pb2.FileDescriptorProto(
        name="genops/lens.proto", package=package, syntax="proto2"
    )
    types = descriptor_pb2.FieldDescriptorProto
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for name, (number, kind) in fields.items():
            field = message.field.add(name=name, number=number, label=types.LABEL_REPEATED)
            if kind in _SCALARS:
                field.label, field.type = types.LABEL_OPTIONAL, _SCALARS[kind]
            elif kind == _BYTES:
                field.type = types.TYPE_BYTES
            elif kind == _ATTRIBUTES:
                entry = message.nested_type.add(name="AttributesEntry")
                entry.options.map_entry = True
                for part, part_type in (("key", types.TYPE_STRING), ("value", types.TYPE_BYTES)):
                    entry.field.add(
                        name=part,
                        number=len(entry.field) + 1,
                        label=types.LABEL_OPTIONAL,
                        type=part_type,
                    )
                field.type = types.TYPE_MESSAGE
                field.type_name = f".{package}.{message_name}.{entry.name}"
            else:
                field.type = types.TYPE_MESSAGE
                field.type_name = f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _build_messages()
_POINT_KINDS = tuple(_MESSAGES["Metric"])


# What type checkers are to know of the classes built above.
class ScopeSpans(Protocol):
    """The spans of one scope, each still as bytes."""

    spans: MutableSequence[bytes]


class ResourceSpans(Protocol):
    """The scopes of one resource; `resource` holds the serialized Resource, mostly one."""

    resource: Sequence[bytes]
    scope_spans: Sequence[ScopeSpans]


class TraceRequest(Protocol):
    """ExportTraceServiceRequest."""

    resource_spans: Sequence[ResourceSpans]

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Encode the request; what was not touched comes out as it came in."""


class Status(Protocol):
    """How a span ended, as the number of a StatusCode."""

    code: int


class SpanLens(Protocol):
    """What is read of a span. Attribute values are serialized AnyValue messages."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    start_time_unix_nano: int
    end_time_unix_nano: int
    attributes: Mapping[str, bytes]
    status: Sequence[Status]  # at most one in a span that follows the protocol


def parse_traces(payload: bytes) -> TraceRequest:
    """Parse the envelopes of an ExportTraceServiceRequest. Raises DecodeError."""
    return cast("TraceRequest", _CLASSES["TraceRequest"].FromString(payload))


# Bound once: this is the call that is made for every span.
parse_span = cast("Callable[[bytes], SpanLens]", _CLASSES["Span"].FromString)
"""Parse one span as far as it is read. Raises DecodeError."""


def parse_resource(payload: bytes) -> Mapping[str, bytes]:
    """The attributes of a Resource, as serialized AnyValue messages. Raises DecodeError."""
    return cast("SpanLens", _CLASSES["Resource"].FromString(payload)).attributes


class SpanPosition(NamedTuple):
    """Where a span stands in its trace, and when.

    To be kept in place of a parsed span: a message takes kilobytes, and to hold those of all spans
    of a request takes a third of the time that pricing them does.
    """

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    start_time_unix_nano: int
    end_time_unix_nano: int

    @classmethod
    def of(cls, lens: SpanLens) -> SpanPosition:
        """The position of a parsed span."""
        return cls(
            lens.trace_id,
            lens.span_id,
            lens.parent_span_id,
            lens.start_time_unix_nano,
            lens.end_time_unix_nano,
        )


class LogRecordLens(Protocol):
    """What is read of a log record. Body and attribute values are serialized AnyValue messages."""

    body: Sequence[bytes]  # at most one, as of `event_name`, in a record that follows the protocol
    attributes: Mapping[str, bytes]
    event_name: Sequence[bytes]


def count_spans(payload: bytes) -> int:
    """How many spans an ExportTraceServiceRequest holds. Raises DecodeError."""
    return sum(
        len(scope_spans.spans)
        for resource_spans in parse_traces(payload).resource_spans
        for scope_spans in resource_spans.scope_spans
    )


def count_data_points(payload: bytes) -> int:
    """How many data points an ExportMetricsServiceRequest holds. Raises DecodeError.

    A metric in which none can be seen counts as one: it may be of a kind that came later.
    """
    request: Any = _CLASSES["MetricsRequest"].FromString(payload)
    return sum(
        sum(len(points.data_points) for kind in _POINT_KINDS for points in getattr(metric, kind))
        or 1
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def count_log_records(payload: bytes) -> int:
    """How many records an ExportLogsServiceRequest holds. Raises DecodeError."""
    return sum(len(records) for records in _log_records(payload))


def log_records(payload: bytes) -> Iterator[bytes]:
    """The records of an ExportLogsServiceRequest, each still as bytes. Raises DecodeError."""
    for records in _log_records(payload):
        yield from records


def _log_records(payload: bytes) -> Iterator[Sequence[bytes]]:
    request: Any = _CLASSES["LogsRequest"].FromString(payload)
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            yield scope.log_records


def parse_log_record(record: bytes) -> LogRecordLens:
    """Parse one log record as far as it is read. Raises DecodeError."""
    return cast("LogRecordLens", _CLASSES["LogRecord"].FromString(record))
