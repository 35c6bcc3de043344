"""Log records that tell of LLM calls are told from all others."""

from __future__ import annotations

from collections import Counter

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from genops_enricher.decode.lens import DecodeError
from genops_enricher.decode.llm_logs import LLM_EVENTS, OTHER, count_llm_events
from otlp import Value, any_value, attributes


def record(values: dict[str, Value], *, body: str = "", event_name: str = "") -> LogRecord:
    made = LogRecord(attributes=attributes(values), event_name=event_name)
    if body:
        made.body.CopyFrom(any_value(body))
    return made


def logs(*records: LogRecord) -> bytes:
    message = ExportLogsServiceRequest()
    message.resource_logs.add().scope_logs.add().log_records.extend(records)
    return message.SerializeToString()


CLAUDE_CODE = record(
    {"event.name": "api_request", "input_tokens": "1200", "cost_usd": "0.01"},
    body="claude_code.api_request",
)
CODEX = record(
    {
        "event.name": "codex.sse_event",
        "event.kind": "response.completed",
        "input_token_count": "100",
        "output_token_count": "20",
    }
)
GEMINI = record({"event.name": "gemini_cli.api_response", "input_token_count": 7}, body="API call")
GENAI = record(
    {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 9},
    event_name="gen_ai.client.inference.operation.details",
)


@pytest.mark.parametrize(
    ("one", "event"),
    [
        (CLAUDE_CODE, "claude_code.api_request"),
        (CODEX, "codex.sse_event"),
        (GEMINI, "gemini_cli.api_response"),
        (GENAI, "gen_ai.client.inference.operation.details"),
        (record({"gen_ai.usage.input_tokens": 1}, body="called"), OTHER),
        (record({"gen_ai.usage.input_tokens": 1}, event_name="acme.call.4711"), OTHER),
    ],
)
def test_records_with_the_tokens_of_a_call_are_counted_by_event(one: LogRecord, event: str) -> None:
    assert count_llm_events(logs(one, record({"a": 1}), one)) == {event: 2}


@pytest.mark.parametrize(
    "one",
    [
        record({"event.name": "codex.sse_event", "event.kind": "response.output_text.delta"}),
        record({"event.name": "tool_result"}, body="claude_code.tool_result"),
        record({"gen_ai.system": "openai"}, event_name="gen_ai.user.message"),
        record({"gen_ai.usage.output_cost": 1}, body="no tokens"),
        record({}, body="claude_code.api_request and gen_ai.usage.input_tokens in a text"),
        record({}, body="claude_code.api_request" * 10_000),
        record({"input_tokens": 5}, body="an application's own log"),
    ],
)
def test_other_records_are_not(one: LogRecord) -> None:
    assert count_llm_events(logs(one)) == Counter()


def test_a_record_that_cannot_be_parsed_is_no_event_beside_its_neighbours() -> None:
    broken = b"\x32\x7fcodex.sse_event"
    scope = b"\x12" + bytes([len(broken)]) + broken
    two = logs(CODEX) + b"\x0a" + bytes([len(scope) + 2]) + b"\x12" + bytes([len(scope)]) + scope

    assert count_llm_events(two) == {"codex.sse_event": 1}


def test_every_event_of_the_table_is_found_by_the_scan_that_comes_first() -> None:
    for event, usage in LLM_EVENTS.items():
        assert count_llm_events(logs(record({usage: 1}, event_name=event))) == {event: 1}


def test_what_is_no_request_is_an_error() -> None:
    with pytest.raises(DecodeError):
        count_llm_events(b"\x0a\x05codex.sse_event")
