"""Spans for people and JSON: read from OTLP into plain values, and the lines that commands print.

Not used on the way of a span through the service, where spans stay bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from genops_enricher.printable import printable_json

__all__ = ["Span", "short_json", "span_from_json", "span_to_json", "spans_of"]


@dataclass(frozen=True, slots=True)
class Span:
    """A span. Ids are hex, bytes base64, times Unix nanoseconds; other values their JSON type."""

    trace_id: str
    span_id: str
    name: str
    attributes: Mapping[str, Any]
    parent_span_id: str = ""
    kind: int = 0  # the number of opentelemetry.proto.trace.v1.Span.SpanKind
    start_time_unix_nano: int = 0
    end_time_unix_nano: int = 0
    status: int = 0  # the number of opentelemetry.proto.trace.v1.Status.StatusCode
    events: tuple[Mapping[str, Any], ...] = ()  # name and attributes
    scope: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict)


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """Read every span of an export request."""
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    name=span.name,
                    attributes=_attributes(span.attributes),
                    parent_span_id=span.parent_span_id.hex(),
                    kind=int(span.kind),
                    start_time_unix_nano=span.start_time_unix_nano,
                    end_time_unix_nano=span.end_time_unix_nano,
                    status=int(span.status.code),
                    events=tuple(
                        {"name": event.name, "attributes": _attributes(event.attributes)}
                        for event in span.events
                    ),
                    scope=scope_spans.scope.name,
                    resource=resource,
                )


def span_to_json(span: Span) -> str:
    """Write the span as one line."""
    return json.dumps(asdict(span), ensure_ascii=False)


def short_json(span: Span) -> str:
    """What commands print with --json: the span's ids, name and attributes on one line."""
    keys = ("trace_id", "span_id", "name", "attributes")
    return printable_json({key: getattr(span, key) for key in keys})


def span_from_json(line: str) -> Span:
    """Read a line that `span_to_json` wrote."""
    fields = json.loads(line)
    return Span(**fields | {"events": tuple(fields["events"])})


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None
