"""Requests that are almost OTLP: valid ones of every signal, changed in ways that break parsers.

Pure and repeatable: the same seed and number always give the same bytes.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from enum import StrEnum
from functools import cache

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from genops_enricher.decode.otlp_json import to_json
from genops_enricher.pipeline import Signal
from otlp import attributes, chat, request, span

_SIZE_MAX = 64 << 10
_DEPTHS = (10, 99, 100, 101, 1000, 10_000)
_NUMBERS = (0, 1, 127, 128, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 2**70)
_TOKENS = (
    *(b"null", b"true", b"-1", b"1.5", b"1e999", b"NaN", b"9" * 5000, b"[]", b"{}"),
    *(b'""', b'"\\ud800"', b'"\\u0000"', b'"\xff"'),
    *(b"[" * 90 + b"]" * 90, b"[" * 20_000, b'{"arrayValue":' * 2000),
)
_TOKEN = re.compile(rb'"[^"]*"|-?\d+|[\[\]{}:,]')
_MESSAGES: dict[Signal, Callable[[], Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}


class Encoding(StrEnum):
    PROTOBUF = "protobuf"
    JSON = "json"


@cache
def seeds(signal: Signal, encoding: Encoding = Encoding.PROTOBUF) -> tuple[bytes, ...]:
    """Valid requests of a signal, from none of its items to several."""
    if encoding is Encoding.JSON:
        messages = [_MESSAGES[signal]() for _ in seeds(signal)]
        for message, payload in zip(messages, seeds(signal), strict=True):
            message.ParseFromString(payload)
        return tuple(json.dumps(to_json(message)).encode() for message in messages)
    match signal:
        case Signal.TRACES:
            usage = {"gen_ai.usage.cache_read.input_tokens": 10, "gen_ai.usage.cost": 0.5}
            return (
                b"",
                request(),
                request(span(chat())),
                request(span(chat(more=usage)), span({"http.route": "/"}, number=2)),
                request(*(span(chat("anthropic/claude-3-haiku"), number=n) for n in range(20))),
                request(span({"llm.model_name": "gpt-4o", "llm.token_count.prompt": 5})),
            )
        case Signal.METRICS:
            metrics = ExportMetricsServiceRequest()
            scope = metrics.resource_metrics.add().scope_metrics.add()
            scope.metrics.add(name="m").sum.data_points.add(as_double=1.5)
            scope.metrics.add(name="h").histogram.data_points.add(count=2, bucket_counts=[1, 1])
            return (b"", metrics.SerializeToString())
        case Signal.LOGS:
            logs = ExportLogsServiceRequest()
            record = logs.resource_logs.add().scope_logs.add().log_records.add()
            record.event_name = "claude_code.api_request"
            record.attributes.extend(attributes({"input_tokens": 5, "model": "gpt-4o"}))
            return (b"", logs.SerializeToString())


def mutated(
    seed: int, number: int, signal: Signal, encoding: Encoding = Encoding.PROTOBUF
) -> bytes:
    """Request `number` of the run with this seed."""
    dice = random.Random(seed << 40 | number)
    payload = dice.choice(seeds(signal, encoding))
    for _ in range(dice.choice((0, 1, 1, 1, 2, 4, 16))):
        payload = dice.choice(_MUTATIONS[encoding])(payload, dice, signal)[:_SIZE_MAX]
    return payload


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _framed(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _at(payload: bytes, dice: random.Random) -> int:
    return dice.randrange(len(payload) + 1)


def _flip(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    if not payload:
        return payload
    at = dice.randrange(len(payload))
    return payload[:at] + bytes([payload[at] ^ 1 << dice.randrange(8)]) + payload[at + 1 :]


def _replace(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    at, size = _at(payload, dice), dice.choice((1, 2, 8, 100))
    return payload[:at] + dice.randbytes(size) + payload[at + size :]


def _insert(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    at = _at(payload, dice)
    return payload[:at] + dice.randbytes(dice.choice((1, 3, 50))) + payload[at:]


def _cut(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    at = _at(payload, dice)
    return payload[:at] + payload[at + dice.choice((1, 4, 64)) :]


def _truncate(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    return payload[: _at(payload, dice)]


def _repeat(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    at = _at(payload, dice)
    return payload[:at] + payload[at : at + dice.choice((8, 200))] * dice.choice((2, 50)) + payload


def _splice(payload: bytes, dice: random.Random, signal: Signal) -> bytes:
    other = dice.choice(seeds(dice.choice((signal, *Signal))))
    return payload[: _at(payload, dice)] + other[_at(other, dice) :]


def _number(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    at = _at(payload, dice)
    return payload[:at] + _varint(dice.choice(_NUMBERS)) + payload[at + 1 :]


def _token(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    """Put something else in the place of a name, a value or a sign of JSON."""
    found = _TOKEN.search(payload, _at(payload, dice))
    if found is None:
        return payload
    return payload[: found.start()] + dice.choice(_TOKENS) + payload[found.end() :]


def _unknown_field(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    field, kind = dice.choice((0, 1, 2, 15, 999, 2**29 - 1, 2**29)), dice.randrange(8)
    return payload + _varint(field << 3 | kind) + dice.randbytes(dice.choice((0, 1, 8)))


def _group(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    return payload + b"\x0b" * dice.choice(_DEPTHS) + b"\x0c" * dice.choice((0, *_DEPTHS))


def _text(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    """Break the UTF-8 of a name that matters."""
    name = dice.choice((b"gen_ai", b"openai", b"usage", b"model", b"chat"))
    return payload.replace(name, bytes([0xFF, *name[1:]]), 1)


def _attribute(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    """One more span, with a value of a kind that nobody expects there."""
    key = dice.choice(
        ("gen_ai.usage.input_tokens", "gen_ai.request.model", "gen_ai.usage.cost", "server.address")
    )
    value = dice.choice(
        (
            AnyValue(),
            AnyValue(bytes_value=b"\xff"),
            AnyValue(double_value=dice.choice((float("nan"), float("inf"), -1.0, 1e308))),
            AnyValue(int_value=dice.choice((-1, -(2**63), 2**63 - 1))),
            AnyValue(bool_value=True),
            AnyValue(string_value=dice.choice(("", "\0", "9" * 5000, "1e999", "[" * 5000))),
            _nested(dice.randrange(1, 25)),
        )
    )
    odd = span(chat())
    odd.attributes.append(KeyValue(key=key, value=value))
    return payload + request(odd)


def _deep(payload: bytes, dice: random.Random, _signal: Signal) -> bytes:
    """An attribute of the resource that is nested deeper than parsers go."""
    body = _arrays(dice.choice(_DEPTHS))
    return payload + _framed(1, _framed(1, _framed(1, _framed(2, body))))


@cache
def _arrays(depth: int) -> bytes:
    body = b""
    for _ in range(depth):
        body = _framed(5, _framed(1, body))  # AnyValue.array_value.values
    return body


@cache
def _nested(depth: int) -> AnyValue:
    value = AnyValue(string_value="x")
    for _ in range(depth):
        outer = AnyValue()
        outer.kvlist_value.values.append(KeyValue(key="k", value=value))
        value = outer
    return value


_BYTES = (_flip, _replace, _insert, _cut, _truncate, _repeat, _splice, _text)
_MUTATIONS: dict[Encoding, tuple[Callable[[bytes, random.Random, Signal], bytes], ...]] = {
    Encoding.PROTOBUF: (*_BYTES, _number, _unknown_field, _group, _attribute, _deep),
    Encoding.JSON: (*_BYTES, *(_token,) * len(_BYTES)),
}
