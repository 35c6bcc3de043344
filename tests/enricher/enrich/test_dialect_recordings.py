"""What real packages emitted of calls to the fake OpenRouter, against what that billed for them.

The recordings are made by tests/dialects/recorder. Each call is found again by its response id, or
by its cost where its emitter writes no id. A figure other than the bill's must have its reason in
the table below: what the emitter leaves out.
"""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genops_enricher.decode.otlp_json import from_json
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_pricing import bundled_catalog
from otlp import plain_attributes, spans_of

RECORDINGS = Path(__file__).parents[2] / "dialects" / "recordings"
ENRICHER = Enricher(bundled_catalog())

# What an emitter leaves out -> the calls whose cost that changes.
NO_FEE = {"byok", "byok_stream"}  # that OpenRouter's fee came on top
NO_CACHE_WRITE = {"cache_write", "cache_read_write", "cache_read_write_stream"}
NO_CACHE = NO_CACHE_WRITE | {"cache_read", "cache_read_stream", "over_200k"}
NO_AUDIO = {"audio"}  # that a part of the input was audio

LEFT_OUT: dict[str, set[str]] = {
    "ai-sdk-7": NO_FEE | NO_AUDIO,
    "litellm": {"byok_stream"},
    "litellm-otel-v2": NO_FEE,
    "openai-agents": NO_FEE,
    # It counts the tokens itself where a stream brings no usage, and reads no cache in streams.
    "openlit": NO_FEE | NO_AUDIO | NO_CACHE_WRITE | {"cache_read_stream", "no_usage_stream"},
    "openllmetry": NO_FEE | NO_AUDIO | NO_CACHE_WRITE,
    "otel-genai-openai": NO_FEE,
    "otel-openai-v2": NO_FEE | NO_AUDIO | NO_CACHE,
    "otel-openai-v2-latest": NO_FEE | NO_AUDIO | NO_CACHE,
    "pydantic-ai": NO_FEE,
    "pydantic-ai-aggregate": NO_FEE,
}
# Spans without an id whose counts are the emitter's guess: of a stream that failed or was left.
GUESSES = {"litellm-otel-v2": 1, "openlit": 1}
# Several spans tell of one call; which of them is priced is decided where requests are compared.
LAYERED = {"litellm-and-openllmetry"}
EMITTERS = sorted({path.stem for path in RECORDINGS.glob("*.jsonl")} - LAYERED)


def costs_of(emitter: str) -> list[tuple[str, Decimal]]:
    """Response id ("" if there is none) and cost of every span that got one."""
    found = []
    for line in (RECORDINGS / f"{emitter}.jsonl").read_text(encoding="utf-8").splitlines():
        payload = from_json(line, ExportTraceServiceRequest()).SerializeToString()
        for enriched in spans_of(enrich_request(payload, ENRICHER).payload):
            attributes = plain_attributes(enriched)
            if "genops.cost.total" in attributes:
                response_id = str(attributes.get("gen_ai.response.id", ""))
                found.append((response_id, Decimal(repr(attributes["genops.cost.total"]))))
    return found


@pytest.mark.parametrize("emitter", EMITTERS)
def test_every_cost_is_what_was_billed_or_lacks_what_the_emitter_leaves_out(emitter: str) -> None:
    ledger = json.loads((RECORDINGS / f"{emitter}.ledger.json").read_text(encoding="utf-8"))
    billed = {call["id"]: call for call in ledger["calls"] if call.get("id")}
    costs = costs_of(emitter)
    ids = Counter(response_id for response_id, _ in costs if response_id in billed)
    assert not ids or max(ids.values()) == 1, "a call was priced twice"

    wrong, unnamed = set(), []
    for response_id, cost in costs:
        call = billed.get(response_id)
        if call is None:
            unnamed.append(cost)
        elif not is_bill(cost, call):
            wrong.add(call["label"])
    rest = [call for call in billed.values() if call["id"] not in ids]
    guesses = 0
    for cost in unnamed:
        same = next((call for call in rest if is_bill(cost, call)), None)
        if same:
            rest.remove(same)
        else:
            guesses += 1

    assert wrong == LEFT_OUT.get(emitter, set())
    assert guesses == GUESSES.get(emitter, 0)


def is_bill(cost: Decimal, call: dict[str, str]) -> bool:
    return abs(cost - Decimal(call["total"])) < Decimal("1e-12")
