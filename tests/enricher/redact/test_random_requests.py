"""Whatever a request holds: nothing is left of what is to go, and all of the rest."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from genops_enricher.config.patterns import Rules
from genops_enricher.decode.lens import (
    count_data_points,
    count_log_records,
    count_spans,
)
from genops_enricher.pipeline import Signal
from genops_enricher.redact import Redactor
from random_otlp import MESSAGES, pairs_of, random_request
from soak.mutate import mutated

_SECRET = "S3CR3T"
_DROP, _HASH = ("gen_ai.prompt", "gen_ai.prompt.*", "*password"), ("user.*",)
_DROPPED = ("gen_ai.prompt", "gen_ai.prompt.0.content", "db.password", "password")
_HASHED = ("user.id", "user.name")
_KEPT = ("gen_ai.prompts", "a", "http.request.method", "User.id", "gen_ai.completion", "")
_COUNT = {
    Signal.TRACES: count_spans,
    Signal.METRICS: count_data_points,
    Signal.LOGS: count_log_records,
}


def _redactor() -> Redactor:
    return Redactor(Rules(_DROP, _HASH), "a key for tests only")


def _matches(key: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in (*_DROP, *_HASH))


def _text(keys: tuple[str, ...]) -> str:
    return _SECRET if any(map(_matches, keys)) else "harmless"


def _without(message: Message, redactor: Redactor) -> None:
    """What the redactor is to do, done by protobuf itself."""
    for field, value in list(message.ListFields()):
        if field.message_type is None:
            continue
        if field.message_type.full_name != KeyValue.DESCRIPTOR.full_name:
            for each in value if field.is_repeated else [value]:
                _without(each, redactor)
            continue
        kept = [pair for pair in value if not any(fnmatchcase(pair.key, p) for p in _DROP)]
        for pair in kept:
            if _matches(pair.key):
                pair.value.CopyFrom(_hashed(pair, redactor))
            else:
                _without(pair, redactor)
        copies = [type(pair).FromString(pair.SerializeToString()) for pair in kept]
        message.ClearField(field.name)
        getattr(message, field.name).extend(copies)


def _hashed(pair: KeyValue, redactor: Redactor) -> Message:
    return type(pair.value).FromString(redactor._actions.hashed(pair.value.SerializeToString()))


@pytest.mark.parametrize("signal", Signal)
@settings(max_examples=150, deadline=None)
@given(rng=st.randoms(use_true_random=False))
def test_nothing_is_left_of_what_matches_and_everything_of_the_rest(
    signal: Signal, rng: random.Random
) -> None:
    redactor = _redactor()
    message = random_request(signal, rng, (*_DROPPED, *_HASHED, *_KEPT), _text)
    payload = message.SerializeToString()

    redacted = redactor.redact(signal, payload)

    expected = MESSAGES[signal].FromString(payload)
    _without(expected, redactor)
    assert redacted.unreadable == 0
    assert MESSAGES[signal].FromString(redacted.payload) == expected
    assert _SECRET.encode() not in redacted.payload
    if not any(_matches(pair.key) for pair in pairs_of(message)):
        assert redacted.payload is payload


@pytest.mark.parametrize("signal", Signal)
@settings(max_examples=150, deadline=None)
@given(rng=st.randoms(use_true_random=False))
def test_of_damaged_requests_no_parser_reads_a_name_that_matches(
    signal: Signal, rng: random.Random
) -> None:
    redactor = _redactor()
    data = bytearray(
        random_request(signal, rng, (*_DROPPED, *_HASHED, *_KEPT), _text).SerializeToString()
    )
    for _ in range(rng.randint(1, 4)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    payload = bytes(data)
    try:
        _COUNT[signal](payload)
    except DecodeError:
        return  # a receiver refuses it

    redacted = redactor.redact(signal, payload)

    assert _COUNT[signal](redacted.payload) <= max(_COUNT[signal](payload), 1)
    try:
        seen = MESSAGES[signal].FromString(redacted.payload)
    except DecodeError:
        return
    for pair in pairs_of(seen):
        if _matches(pair.key):
            assert pair.value.string_value.startswith("hmac-sha256:")


@pytest.mark.parametrize("signal", Signal)
def test_requests_that_are_almost_otlp_are_redacted_as_far_as_any_parser_reads_them(
    signal: Signal,
) -> None:
    rules = Rules(["group:content", "group:errors", "a*"], ["group:user"])
    redactor = Redactor(rules, "a key for tests only")
    read = 0
    for number in range(1500):
        payload = mutated(11, number, signal)
        try:
            _COUNT[signal](payload)
        except DecodeError:
            continue
        redacted = redactor.redact(signal, payload)
        _COUNT[signal](redacted.payload)
        try:
            seen = MESSAGES[signal].FromString(redacted.payload)
        except DecodeError:
            continue
        read += 1
        for pair in pairs_of(seen):
            if rules.action(pair.key):
                assert pair.value.string_value.startswith("hmac-sha256:")
    assert read > 100


@pytest.mark.parametrize("signal", Signal)
def test_the_requests_of_these_tests_have_names_that_match_at_every_place(signal: Signal) -> None:
    places: set[str] = set()
    for seed in range(40):
        message = random_request(signal, random.Random(seed), _DROPPED, _text)
        places |= _places(message)

    assert places >= {
        Signal.TRACES: {"Resource", "InstrumentationScope", "Span", "Event", "Link"},
        Signal.METRICS: {
            *("Resource", "InstrumentationScope", "Metric", "Exemplar", "NumberDataPoint"),
            *("HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint"),
        },
        Signal.LOGS: {"Resource", "InstrumentationScope", "LogRecord"},
    }[signal] | {"KeyValueList"}


def _places(message: Message) -> set[str]:
    found: set[str] = set()
    for field, value in message.ListFields():
        if field.message_type is not None:
            if field.message_type.name == "KeyValue":
                found.add(message.DESCRIPTOR.name)
            for each in value if field.is_repeated else [value]:
                found |= _places(each)
    return found
