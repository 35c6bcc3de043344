"""What is taken out of requests, what is hashed, and what becomes of what can't be read."""

from __future__ import annotations

import hashlib
import hmac
import math

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from genops_enricher.config.patterns import Rules
from genops_enricher.pipeline import Signal
from genops_enricher.redact import Redactor
from genops_enricher.redact.hashing import canonical
from genops_enricher.redact.redactor import Redacted
from otlp import attributes, plain_attributes, request, span, spans_of

KEY = "a key for tests only"
SECRET = b"S3CR3T"
PROMPT = Redactor(Rules(["gen_ai.prompt"]))
UNNAMED = Redactor(Rules(["log.body", "span.status.message"]))  # whose names stand nowhere
USER = Redactor(Rules([], ["user.id"]), KEY)


def hashed(text: str) -> str:
    digest = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"hmac-sha256:{digest[:32]}"


def field(number: int, content: bytes) -> bytes:
    """A field with a length, as it stands on the wire; both numbers below 128."""
    assert number < 16
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def traces(*spans: bytes) -> bytes:
    """A request of spans as they stand on the wire."""
    return field(1, field(2, b"".join(field(2, each) for each in spans)))


def pair(key: bytes, value: bytes) -> bytes:
    return field(1, key) + field(2, value)


TEXT = field(1, SECRET)  # an AnyValue
PROMPT_PAIR = pair(b"gen_ai.prompt", TEXT)


def redact(payload: bytes, redactor: Redactor = PROMPT, signal: Signal = Signal.TRACES) -> Redacted:
    return redactor.redact(signal, payload)


def log(*records: LogRecord) -> bytes:
    message = ExportLogsServiceRequest()
    message.resource_logs.add().scope_logs.add().log_records.extend(records)
    return message.SerializeToString()


def records_of(payload: bytes) -> list[LogRecord]:
    message = ExportLogsServiceRequest.FromString(payload)
    return [r for x in message.resource_logs for y in x.scope_logs for r in y.log_records]


def test_what_matches_is_gone_and_its_neighbours_keep_their_bytes() -> None:
    secret, other = span({"a": 1, "gen_ai.prompt": "S3CR3T", "b": 2}), span({"c": "d"}, number=2)

    redacted = redact(request(secret, other))

    assert redacted == Redacted(request(span({"a": 1, "b": 2}), other), dropped=1)


def test_a_request_in_which_nothing_matches_is_the_same_bytes() -> None:
    payload = request(span({"gen_ai.prompts": "x", "a": ["b"], "gen_ai.prompt.0": "y"}))

    assert redact(payload).payload is payload
    assert redact(b"").payload == b""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("u-7", "u-7"),
        (7, "7"),
        (7.0, "7"),
        (7.5, "7.5"),
        (True, "true"),
        (["a", "ü"], '["a","ü"]'),
        ("", ""),
    ],
)
def test_a_value_of_any_type_is_hashed_as_its_text(
    value: str | float | list[str], text: str
) -> None:
    redacted = redact(request(span({"user.id": value})), USER)

    assert redacted.hashed == 1
    assert plain_attributes(spans_of(redacted.payload)[0]) == {"user.id": hashed(text)}


def test_the_text_of_a_value_is_what_opentelemetry_makes_of_it() -> None:
    pairs = [KeyValue(key=k, value=AnyValue(int_value=n)) for n, k in enumerate("ba")]
    texts = [
        (AnyValue(bytes_value=b"\xff\x00"), "/wA="),
        (AnyValue(kvlist_value=KeyValueList(values=pairs)), '{"a":1,"b":0}'),
        (AnyValue(double_value=math.inf), "Infinity"),
        (AnyValue(double_value=math.nan), "NaN"),
        (AnyValue(double_value=1e300), "1e+300"),
        (AnyValue(), ""),
    ]

    for value, text in texts:
        assert canonical(value.SerializeToString()) == text


def test_a_value_has_one_hash_in_every_signal_and_as_a_label() -> None:
    pairs = attributes({"user.id": "u-7"})

    (record,) = records_of(redact(log(LogRecord(attributes=pairs)), USER, Signal.LOGS).payload)
    (one,) = spans_of(redact(request(Span(attributes=pairs)), USER).payload)

    assert record.attributes[0].value.string_value == hashed("u-7")
    assert one.attributes == record.attributes
    assert USER.label("user.id", "u-7") == hashed("u-7")
    assert (USER.label("user.id", ""), USER.label("a", "b")) == ("", "b")
    assert Redactor(Rules(["user.*"])).label("user.id", "u-7") == ""
    assert USER.label("user.id", "u-8") != hashed("u-7")
    assert Redactor(Rules([], ["user.id"]), "another key").label("user.id", "u-7") != hashed("u-7")


def test_keys_inside_of_values_are_found_at_any_depth() -> None:
    value = AnyValue(string_value="S3CR3T")
    for key in ("gen_ai.prompt", *"abcdefgh"):
        below = AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=key, value=value)]))
        value = AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), below]))
    payload = request(Span(attributes=[KeyValue(key="a", value=value)]))

    redacted = redact(payload)

    assert (redacted.dropped, redacted.unreadable) == (1, 0)
    assert SECRET not in redacted.payload
    assert len(spans_of(redacted.payload)[0].attributes) == 1


def test_what_is_nested_deeper_than_parsers_go_is_removed_if_a_name_may_be_in_it() -> None:
    secret, harmless = PROMPT_PAIR, pair(b"a", TEXT)
    for _ in range(20):  # of each a message more than a length of one byte holds
        secret, harmless = (
            KeyValue(key="a", value=_nested(each)).SerializeToString()
            for each in (secret, harmless)
        )
    one = Span.FromString(b"")
    assert redact(request(one) + _wrapped(secret)).unreadable == 0
    for _ in range(20):
        secret, harmless = (_nested_pair(each) for each in (secret, harmless))

    redacted = redact(_wrapped(secret))
    assert redacted.unreadable == 1
    assert SECRET not in redacted.payload
    assert redact(_wrapped(harmless)).payload == _wrapped(harmless)


def _nested(pair_bytes: bytes) -> AnyValue:
    below = AnyValue(kvlist_value=KeyValueList())
    below.kvlist_value.MergeFromString(_long_field(1, pair_bytes))
    return below


def _nested_pair(pair_bytes: bytes) -> bytes:
    return field(1, b"a") + _long_field(2, _long_field(6, _long_field(1, pair_bytes)))


def _wrapped(pair_bytes: bytes) -> bytes:
    return _long_field(1, _long_field(2, _long_field(2, _long_field(9, pair_bytes))))


def _long_field(number: int, content: bytes) -> bytes:
    size, low = divmod(len(content), 128)
    assert size < 128
    return bytes([number << 3 | 2, low | 0x80, size]) + content


def test_the_body_of_a_record_is_redacted_by_its_name_or_that_of_its_event() -> None:
    body = AnyValue(string_value="S3CR3T")
    of_event = Redactor(Rules(["gen_ai.*.body"]))
    payload = log(
        LogRecord(body=body, event_name="gen_ai.choice", severity_text="INFO"),
        LogRecord(body=body, attributes=attributes({"event.name": "gen_ai.user.message"})),
        LogRecord(body=AnyValue(string_value="other"), event_name="app.started"),
    )

    redacted = redact(payload, of_event, Signal.LOGS)

    assert redacted.dropped == 2
    assert SECRET not in redacted.payload
    texts = [record.body.string_value for record in records_of(redacted.payload)]
    assert texts == ["", "", "other"]
    everything = redact(payload, UNNAMED, Signal.LOGS)
    assert (everything.dropped, b"other" in everything.payload) == (3, False)
    hashing = Redactor(Rules([], ["log.body"]), KEY)
    (first, *_) = records_of(redact(payload, hashing, Signal.LOGS).payload)
    assert first.body.string_value == hashed("S3CR3T")


def test_keys_in_a_structured_body_are_found() -> None:
    body = AnyValue(kvlist_value=KeyValueList(values=attributes({"gen_ai.prompt": "S3CR3T"})))
    by_key = Redactor(Rules(["gen_ai.prompt"]))

    redacted = redact(log(LogRecord(body=body)), by_key, Signal.LOGS)

    assert redacted.dropped == 1
    assert SECRET not in redacted.payload


def test_the_status_message_of_a_span_is_redacted_by_its_name() -> None:
    failed = Span(name="a", status=Status(code=Status.STATUS_CODE_ERROR, message="S3CR3T"))
    hashing = Redactor(Rules([], ["span.status.message"]), KEY)

    dropped = redact(request(failed), UNNAMED)

    assert spans_of(dropped.payload)[0].status == Status(code=Status.STATUS_CODE_ERROR)
    assert dropped.dropped == 1
    assert spans_of(redact(request(failed), hashing).payload)[0].status.message == hashed("S3CR3T")


@pytest.mark.parametrize(
    "hidden",
    [
        # the same field of a pair twice: parsers take the last
        field(9, field(1, b"a") + field(1, b"gen_ai.prompt") + field(2, TEXT)),
        field(9, field(1, b"gen_ai.prompt") + field(1, b"a") + field(2, TEXT)),
        field(9, pair(b"gen_ai.prompt", b"") + field(2, TEXT)),
        # the value before the key, and a length with more bytes than it needs
        field(9, field(2, TEXT) + field(1, b"gen_ai.prompt")),
        field(9, b"\x0a\x8d\x00gen_ai.prompt" + field(2, TEXT)),
        field(9, b"\x8a\x00\x0dgen_ai.prompt" + field(2, TEXT)),
        # several kinds of value in one: parsers take the last, or merge
        field(9, pair(b"a", field(1, b"x") + field(6, field(1, PROMPT_PAIR)))),
        field(9, pair(b"a", b"\x18\x01" + field(6, field(1, PROMPT_PAIR)))),
        field(9, pair(b"a", field(6, field(1, PROMPT_PAIR)) + field(1, b"x"))),
        field(
            9, field(1, b"a") + field(2, field(1, b"x")) + field(2, field(6, field(1, PROMPT_PAIR)))
        ),
        # fields that the protocol does not have
        field(9, PROMPT_PAIR + field(7, b"x")),
        field(9, pair(b"a", TEXT) + field(7, b"gen_ai.prompt")),
        field(14, PROMPT_PAIR),
        field(15, field(9, PROMPT_PAIR)),
        # a key by number, in a dictionary that there is not
        field(9, PROMPT_PAIR + b"\x18\x01"),
        # keys that are no UTF-8
        field(9, pair(b"gen_ai.prompt\xff", TEXT)),
        # messages that break off
        field(9, PROMPT_PAIR[:-1]),
        field(9, b"\x0a\x0dgen_ai.prompt" + b"\x12"),
        field(11, field(3, PROMPT_PAIR) + b"\x1a\x7f"),
        field(9, PROMPT_PAIR) + b"\x0a",
        field(9, PROMPT_PAIR) + b"\x0a\x05ab",
        # groups, the number 0, and tags and numbers with too many bytes
        b"\x0b" + field(9, PROMPT_PAIR) + b"\x0c",
        field(9, PROMPT_PAIR) + b"\x08" + b"\xff" * 10 + b"\x01",
        field(9, PROMPT_PAIR) + b"\xff\xff\xff\xff\xff\x01\x01",
    ],
)
def test_no_form_of_the_wire_hides_a_name(hidden: bytes) -> None:
    payload = traces(field(5, b"chat") + hidden, field(5, b"other"))

    redacted = redact(payload)

    assert SECRET not in redacted.payload
    assert redacted.dropped + redacted.unreadable >= 1
    assert b"other" in redacted.payload


@pytest.mark.parametrize(
    "odd",
    [
        field(9, pair(b"a\xff", TEXT)),
        field(9, b"\x0a\x7f"),
        field(14, b"of the future"),
        field(9, pair(b"a", TEXT) + b"\x18\x01"),
        b"\x0a\x7f",
        b"\x0b\x0c",
    ],
)
def test_what_can_not_be_read_and_holds_no_name_stays_as_it_came(odd: bytes) -> None:
    payload = traces(odd, field(9, PROMPT_PAIR))

    redacted = redact(payload)

    assert (redacted.dropped, redacted.unreadable) == (1, 0)
    assert redacted.payload == traces(odd, b"")


def test_where_a_name_stands_nowhere_all_that_can_not_be_read_is_removed() -> None:
    payload = traces(b"\x0a\x7f", field(14, b"of the future"), b"")

    assert redact(payload, UNNAMED) == Redacted(traces(b"", b""), unreadable=2)


def test_a_value_that_can_not_be_read_is_removed_and_not_hashed() -> None:
    payload = traces(field(9, pair(b"user.id", b"\x0a\x7fS3CR3T")))

    redacted = redact(payload, USER)

    assert redacted == Redacted(traces(b""), unreadable=1)


def test_a_long_key_is_not_taken_for_a_short_one_that_stays() -> None:
    """Its length has two bytes; read as one byte, all of this is a well-formed pair too."""
    key = b"gen_ai.prompt.".ljust(127, b"x") + b"\x12"
    disguised = b"\x0a\x80\x01" + key + field(2, b"\x10\x01" + TEXT) + field(2, field(1, b"abc"))
    redactor = Redactor(Rules(["gen_ai.prompt.*"]))
    harmless = Span(attributes=attributes({(b"\x01" + key[:127]).decode(): "x"}))
    redact(request(harmless), redactor)  # now its key is known as one that stays

    redacted = redact(_wrapped(disguised), redactor)

    assert SECRET not in redacted.payload
    assert redacted.dropped == 1


@pytest.mark.parametrize("record", [b"\x32\x7f\x0a", b"\x62\x7fgen_ai.choice", b"\x32\x05\x0a"])
def test_a_record_that_breaks_off_in_the_name_of_its_event_is_removed(record: bytes) -> None:
    payload = field(1, field(2, field(2, field(5, TEXT) + record)))

    redacted = redact(payload, UNNAMED, Signal.LOGS)

    assert redacted == Redacted(field(1, field(2, b"")), unreadable=1)


def test_an_envelope_that_can_not_be_walked_goes_if_a_name_may_be_in_it() -> None:
    """Groups at the top: protobuf passes over them, OTLP has none."""
    group = b"\x0b\x0c"

    assert redact(traces(field(9, PROMPT_PAIR)) + group) == Redacted(b"", unreadable=1)
    assert Redactor(Rules(["group:content"])).redact(Signal.TRACES, group).payload == group


def test_names_as_long_as_senders_like_are_not_remembered() -> None:
    redactor = Redactor(Rules(["gen_ai.prompt.*"]))
    names = {f"gen_ai.prompt.{'x' * 300}": "S3CR3T", "gen_ai." + "y" * 300: "b"}

    redacted = redact(request(span(names)), redactor)

    assert redacted.dropped == 1
    assert all(len(key) < 300 for key in redactor._actions._known)
