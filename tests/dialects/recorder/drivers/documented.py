"""Driver of what can't be run here: `documented.py broadcast|claude-code`.

It makes each call itself and constructs what the emitter is documented to send of it. OpenRouter
Broadcast: https://openrouter.ai/docs/guides/features/broadcast/otel-collector, one delivery a call
with integers as JSON numbers; a root span with the facts, and children that repeat its id with a
suffix. Claude Code: https://code.claude.com/docs/en/monitoring-usage, "Traces (beta)", whose
`input_tokens` are those of Anthropic's API: without what was read from and written to the cache.
"""

# `driving` is found beside the script that runs.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import requests
from driving import API_KEY, drive

FAKE, RECEIVER = os.environ["FAKE_URL"], os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
CLIENT, SERVER, INTERNAL = 3, 2, 1  # kinds of spans in OTLP
# What Anthropic's API calls them.
ANTHROPIC_MODELS = {
    "anthropic/claude-sonnet-4.5": "claude-sonnet-4-5-20250929",
    "anthropic/claude-haiku-4.5": "claude-haiku-4-5-20251001",
}

Json = dict[str, Any]


def broadcast(entry: Json) -> Json:
    author = entry["model"].partition("/")[0]
    trace_id = uuid.uuid4().hex
    prompt, completion = entry["prompt_tokens"], entry["completion_tokens"]
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": author,
        "gen_ai.provider.name": author,
        "gen_ai.request.model": entry["model"],
        "gen_ai.response.model": entry["model"],
    }
    root = common | {
        "trace.name": "OpenRouter Request",
        "span.type": "generation",
        "span.level": "DEFAULT",
        "gen_ai.response.id": entry["id"],
        "gen_ai.response.finish_reason": "stop",
        "gen_ai.response.finish_reasons": '["stop"]',
        "gen_ai.usage.input_tokens": prompt,
        "gen_ai.usage.output_tokens": completion,
        "gen_ai.usage.total_tokens": prompt + completion,
        "gen_ai.usage.input_tokens.cached": entry["cached_tokens"],
        "gen_ai.usage.input_tokens.cache_write": entry["cache_write_tokens"],
        "gen_ai.usage.output_tokens.reasoning": entry["reasoning_tokens"],
        "gen_ai.usage.total_cost": float(entry["cost"]),
        "trace.metadata.openrouter.source": "openrouter",
        "trace.metadata.openrouter.provider_name": entry["provider"],
        "trace.metadata.openrouter.provider_slug": entry["provider"].lower().replace(" ", "-"),
        "span.metadata.model_permaslug": entry["model"],
    }
    parent = trace_id[:16]
    attempt = common | {"gen_ai.response.id": f"{entry['id']}:attempt-0"}
    child = common | {"gen_ai.response.id": f"{entry['id']}:generation"}
    spans = [
        _span(trace_id, "LLM Generation", CLIENT, root, span_id=parent),
        _span(trace_id, f"provider attempt 0: {entry['provider']}", SERVER, attempt, parent=parent),
        _span(trace_id, "generation", SERVER, child, parent=parent),
    ]
    resource = {"service.name": "openrouter", "openrouter.trace.id": entry["id"]}
    return _request(resource, "openrouter", spans)


def claude_code(entry: Json) -> Json:
    trace_id, parent = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    model = ANTHROPIC_MODELS[entry["model_requested"]]
    cached, written = entry["cached_tokens"], entry["cache_write_tokens"]
    call = {
        "span.type": "llm_request",
        "model": model,
        "gen_ai.system": "anthropic",
        "gen_ai.request.model": model,
        "input_tokens": entry["prompt_tokens"] - cached - written,
        "output_tokens": entry["completion_tokens"],
        "cache_read_tokens": cached,
        "cache_creation_tokens": written,
        "request_id": f"req_{entry['id']}",
        "attempt": 1,
        "success": True,
        "stop_reason": "end_turn",
    }
    spans = [
        _span(trace_id, "claude_code.llm_request", INTERNAL, call, parent=parent),
        _span(
            trace_id,
            "claude_code.interaction",
            INTERNAL,
            {"span.type": "interaction"},
            span_id=parent,
        ),
    ]
    return _request({"service.name": "claude-code"}, "com.anthropic.claude_code.tracing", spans)


EMITTERS = {"broadcast": broadcast, "claude-code": claude_code}


def _span(
    trace_id: str, name: str, kind: int, attributes: Json, *, span_id: str = "", parent: str = ""
) -> Json:
    now = time.time_ns()
    return {
        "traceId": trace_id,
        "spanId": span_id or uuid.uuid4().hex[:16],
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(now - 1_000_000),
        "endTimeUnixNano": str(now),
        "attributes": list(_attributes(attributes)),
        "status": {"code": 1},
    }


def _request(resource: Json, scope: str, spans: list[Json]) -> Json:
    scope_spans = [{"scope": {"name": scope}, "spans": spans}]
    attributes = list(_attributes(resource))
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": scope_spans}]}


def _attributes(values: Json) -> Iterator[Json]:
    kinds = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}
    for key, value in values.items():
        yield {"key": key, "value": {kinds[type(value)]: value}}


def make_call(construct: Any, call: Json) -> None:
    body = {"model": call["model"], "messages": [{"role": "user", "content": "Say hello."}]}
    requests.post(
        f"{FAKE}/api/v1/chat/completions",
        json=body | call["body"],
        headers={"Authorization": f"Bearer {API_KEY}", "X-Fake-Scenario": call["script"]},
        timeout=10,
    ).raise_for_status()
    ledger = requests.get(f"{FAKE}/fake/ledger", timeout=10).json()["generations"]
    requests.post(f"{RECEIVER}/v1/traces", json=construct(ledger[-1]), timeout=10)


def main() -> None:
    construct = EMITTERS[sys.argv[1]]
    drive(lambda call: make_call(construct, call), lambda: None)


if __name__ == "__main__":
    main()
