"""Of what real packages record of prompts and answers nothing is left once content is dropped."""

from __future__ import annotations

import re

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from dialects.accounts import EMITTERS, Recording
from genops_enricher.config.patterns import Rules
from genops_enricher.decode.otlp_json import from_json
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_enricher.pipeline import Signal
from genops_enricher.redact import Redactor
from genops_pricing import bundled_catalog
from otlp import spans_of

# What the scenarios ask, what the stand-in for OpenRouter answers, and the tool that is offered.
_CONTENT = re.compile(rb"Say hello|says that all is well|what the weather is|0\.784313|kfLI")
_WITH_CONTENT = {
    *("ai-sdk-6", "ai-sdk-7", "langfuse", "litellm", "litellm-and-openllmetry", "logfire"),
    *("openinference", "openinference-content", "pydantic-ai", "pydantic-ai-aggregate"),
}
_ENRICHER = Enricher(bundled_catalog())


def _requests(emitter: str) -> list[bytes]:
    return [
        from_json(line, ExportTraceServiceRequest()).SerializeToString()
        for line in Recording.of(emitter).lines
    ]


@pytest.mark.parametrize("emitter", EMITTERS)
def test_no_prompt_and_no_answer_is_left(emitter: str) -> None:
    redactor = Redactor(Rules(["group:content"]))
    found = 0
    for payload in _requests(emitter):
        found += bool(_CONTENT.search(payload))
        enriched = enrich_request(payload, _ENRICHER).payload

        redacted = redactor.redact(Signal.TRACES, enriched)

        left = _CONTENT.search(redacted.payload)
        assert left is None, redacted.payload[max(left.start() - 200, 0) : left.end()]
        assert redacted.unreadable == 0
        costs = [_costs(payload) for payload in (enriched, redacted.payload)]
        assert costs[0] == costs[1]
    assert bool(found) is (emitter in _WITH_CONTENT)


def _costs(payload: bytes) -> list[list[tuple[str, bytes]]]:
    return [
        [
            (a.key, a.value.SerializeToString())
            for a in span.attributes
            if a.key.startswith(("genops.", "gen_ai.usage.")) or "cost" in a.key
        ]
        for span in spans_of(payload)
    ]
