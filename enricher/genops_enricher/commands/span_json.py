"""Spans as the JSON objects that commands print: one object a span, values as on the span."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

__all__ = ["span_objects"]


def span_objects(requests: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Every span of serialized trace requests as trace_id, span_id, name and attributes."""
    for payload in requests:
        for resource_spans in ExportTraceServiceRequest.FromString(payload).resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    yield {
                        "trace_id": span.trace_id.hex(),
                        "span_id": span.span_id.hex(),
                        "name": span.name,
                        "attributes": {a.key: plain(a.value) for a in span.attributes},
                    }


def plain(value: AnyValue) -> Any:
    """An attribute value as JSON has it; bytes as base64, which is how OTLP/JSON writes them."""
    kind = value.WhichOneof("value")
    match kind:
        case None:
            return None
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)
