"""Builders of OTLP messages for tests: short to write, nothing hidden."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Value = str | bool | int | float | list[str]

JULY_2024_NS = 1_721_001_600_000_000_000  # 2024-07-15T00:00:00Z
OCT_2026_NS = 1_791_072_000_000_000_000  # 2026-10-04T00:00:00Z


def any_value(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case list():
            wrapped = AnyValue()
            wrapped.array_value.values.extend(any_value(item) for item in value)
            return wrapped


def attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def span(values: Mapping[str, Value], *, end_ns: int = OCT_2026_NS, number: int = 1) -> Span:
    return Span(
        trace_id=struct.pack(">QQ", 7, number),
        span_id=struct.pack(">Q", number),
        name="chat",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=end_ns - 1_000_000_000,
        end_time_unix_nano=end_ns,
        attributes=attributes(values),
    )


def request(*spans: Span, resource: Mapping[str, Value] | None = None) -> bytes:
    message = ExportTraceServiceRequest()
    envelope = message.resource_spans.add()
    envelope.resource.attributes.extend(attributes(resource or {"service.name": "app"}))
    scope = envelope.scope_spans.add()
    scope.scope.name = "test"
    scope.spans.extend(spans)
    return message.SerializeToString()


def chat(
    model: str = "openai/gpt-4o",
    more: Mapping[str, Value] = {},
    *,
    input_tokens: int = 1000,
    output_tokens: int = 100,
) -> dict[str, Value]:
    """The attributes of an inference span as another instrumentation writes them."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openrouter",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.response.id": "gen-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": input_tokens,
        "gen_ai.usage.output_tokens": output_tokens,
        "server.address": "openrouter.ai",
        **more,
    }


def plain_attributes(message: Span) -> dict[str, object]:
    """Attributes of a span as Python values; fails on a repeated key."""
    out: dict[str, object] = {}
    for pair in message.attributes:
        assert pair.key not in out, f"{pair.key} stands twice"
        kind = pair.value.WhichOneof("value")
        out[pair.key] = getattr(pair.value, kind) if kind else None
    return out


def spans_of(payload: bytes) -> list[Span]:
    return [
        span
        for resource_spans in ExportTraceServiceRequest.FromString(payload).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
