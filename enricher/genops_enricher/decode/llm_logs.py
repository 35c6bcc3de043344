"""Log records that state the tokens of an LLM call: how many there are, by event.

Coding agents and some instrumentations report calls as events and not as spans. Such records pass
through as they came and are not priced. They are counted, so that it shows what the costs on spans
leave out.

Only attribute names and the name of the event are looked at, never what was said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from genops_enricher.decode.lens import DecodeError, log_records, parse_log_record
from genops_enricher.decode.values import as_text

__all__ = ["LLM_EVENTS", "OTHER", "count_llm_events"]

# Event -> an attribute that it has where it tells of a call that consumed something.
# Sources: code.claude.com/docs/en/monitoring-usage (the name is the body, `event.name` is only
# its end); the `otel` section of Codex' configuration (an event of this name comes for each piece
# of a stream, the last has the counts); Gemini CLI's telemetry page; OpenTelemetry GenAI events.
LLM_EVENTS: Mapping[str, str] = {
    "claude_code.api_request": "input_tokens",
    "codex.sse_event": "input_token_count",
    "gemini_cli.api_response": "input_token_count",
    "gen_ai.client.inference.operation.details": "gen_ai.usage.input_tokens",
}

OTHER = "other"
"""Stands for events that are not in the table but have `gen_ai.usage.input_tokens`."""

_USAGE = "gen_ai.usage.input_tokens"
_HINT = re.compile(
    rb"claude_code\.api_request|codex\.sse_event|gemini_cli\.api_resp|gen_ai\.usage\."
)
_EVENT_NAME = "event.name"  # where it stood before log records had a field for it
_NAME_BYTES_MAX = 100


def count_llm_events(payload: bytes) -> Counter[str]:
    """Count the records of a serialized ExportLogsServiceRequest, by event of the table or `other`.

    A request without the words that such records hold is not parsed; a record that can't be parsed
    is not counted.

    Raises:
        DecodeError: the envelopes are no ExportLogsServiceRequest.
    """
    events: Counter[str] = Counter()
    if _HINT.search(payload):
        for raw in log_records(payload):
            if _HINT.search(raw) and (event := _event(raw)):
                events[event] += 1
    return events


def _event(raw: bytes) -> str | None:
    try:
        record = parse_log_record(raw)
    except DecodeError:
        return None
    attributes = record.attributes
    named = [name.decode("utf-8", "replace") for name in record.event_name]
    named += [
        as_text(value)
        for value in (attributes.get(_EVENT_NAME), *record.body)
        if value and len(value) <= _NAME_BYTES_MAX
    ]
    for name in named:
        if name in LLM_EVENTS:
            return name if LLM_EVENTS[name] in attributes else None
    return OTHER if _USAGE in attributes else None
