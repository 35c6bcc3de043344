"""Random OTLP requests with every field of the protocol, made from its descriptors."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from genops_enricher.pipeline import Signal

MESSAGES: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}

Text = Callable[[tuple[str, ...]], str]

_ENVELOPES = ("resource", "scope", "metrics", "data_points", "spans", "log_records")


def random_request(signal: Signal, rng: random.Random, keys: Sequence[str], text: Text) -> Message:
    """A request with attributes under `keys`.

    `text` gets the keys of all attributes around a text, outermost first.
    """
    request = MESSAGES[signal]()
    _fill(request, rng, keys, text, 0)
    return request


def pairs_of(message: Message) -> Iterator[KeyValue]:
    """Every KeyValue in a message, at any depth."""
    if isinstance(message, KeyValue):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                yield from pairs_of(each)


def _fill(
    message: Message,
    rng: random.Random,
    keys: Sequence[str],
    text: Text,
    depth: int,
) -> None:
    if isinstance(message, KeyValue):
        message.key = rng.choice(keys)
        key = message.key
        _fill_value(message.value, rng, keys, lambda below: text((key, *below)), depth)
        return
    if isinstance(message, AnyValue):
        _fill_value(message, rng, keys, text, depth)
        return
    for field in message.DESCRIPTOR.fields:
        envelope = field.name in _ENVELOPES or field.name.endswith(("_spans", "_metrics", "_logs"))
        if field.containing_oneof is not None and message.WhichOneof(field.containing_oneof.name):
            continue
        if not envelope and rng.random() < 0.3:
            continue
        if field.is_repeated:
            values = getattr(message, field.name)
            for _ in range(rng.randint(1 if envelope else 0, 3)):
                if field.message_type is None:
                    values.append(_scalar(field, rng, text))
                else:
                    _fill(values.add(), rng, keys, text, depth + 1)
        elif field.message_type is None:
            setattr(message, field.name, _scalar(field, rng, text))
        else:
            below = getattr(message, field.name)
            below.SetInParent()
            _fill(below, rng, keys, text, depth + 1)


def _fill_value(
    value: AnyValue,
    rng: random.Random,
    keys: Sequence[str],
    text: Text,
    depth: int,
) -> None:
    match rng.choice(("text", "text", "bytes", "int", "double", "bool", "array", "map", "none")):
        case "text":
            value.string_value = text(()) * rng.choice((1, 1, 40))
        case "bytes":
            value.bytes_value = text(()).encode()
        case "int":
            value.int_value = rng.choice((0, 1, -1, 2**40))
        case "double":
            value.double_value = rng.random()
        case "bool":
            value.bool_value = True
        case "array" if depth < 12:
            value.array_value.SetInParent()
            for _ in range(rng.randint(0, 2)):
                _fill_value(value.array_value.values.add(), rng, keys, text, depth + 1)
        case "map" if depth < 12:
            value.kvlist_value.SetInParent()
            for _ in range(rng.randint(0, 2)):
                _fill(value.kvlist_value.values.add(), rng, keys, text, depth + 1)


def _scalar(field: Any, rng: random.Random, text: Text) -> str | bytes | int | float | bool:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return rng.randbytes(8)
        case FieldDescriptor.CPPTYPE_STRING:
            return text(())
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return rng.random()
        case FieldDescriptor.CPPTYPE_BOOL:
            return rng.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return 1
    return rng.choice((0, 1, 127, 128, 70_000))
