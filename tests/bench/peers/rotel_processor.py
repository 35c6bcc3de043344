"""Adds to LLM spans, in rotel's Python processor, what the enricher adds.

Run inside rotel (`--otlp-with-trace-processor`), which brings `rotel_sdk`. The prices stand in a
JSON file whose path is in GENOPS_BENCH_PRICES.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rotel_sdk.open_telemetry.common.v1 import AnyValue, KeyValue  # type: ignore[import-not-found]

_TABLE: dict[str, Any] = json.loads(Path(os.environ["GENOPS_BENCH_PRICES"]).read_text())
_PRICES = _TABLE["prices"]
_VERSION = _TABLE["version"]


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key, AnyValue(value))


def process_spans(resource_spans: Any) -> None:
    """Called by rotel with each ResourceSpans."""
    for scope_spans in resource_spans.scope_spans:
        for span in scope_spans.spans:
            attributes = span.attributes
            found = {each.key: each.value.value for each in attributes}
            counted = found.get("gen_ai.usage.input_tokens")
            if counted is None:
                continue
            price = _PRICES.get(found["gen_ai.response.model"])
            if price is None:
                continue
            output = found["gen_ai.usage.output_tokens"]
            read = found["gen_ai.usage.cache_read.input_tokens"]
            costs = {
                "genops.cost.input": (counted - read) * price["input"],
                "genops.cost.output": output * price["output"],
                "genops.cost.cache_read": read * price["cache_read"],
            }
            added = [
                _text("genops.provider", found["gen_ai.provider.name"]),
                _text("genops.model", found["gen_ai.request.model"]),
                KeyValue("genops.tokens.input", AnyValue(counted)),
                KeyValue("genops.tokens.output", AnyValue(output)),
                KeyValue("genops.tokens.total", AnyValue(counted + output)),
                *(KeyValue(key, AnyValue(cost)) for key, cost in costs.items()),
                KeyValue("genops.cost.total", AnyValue(sum(costs.values()))),
                _text("genops.cost.currency", "USD"),
                _text("genops.cost.source", "computed"),
                _text("genops.cost.status", "priced"),
                _text("genops.model_family", price["family"]),
                _text("genops.model_tier", price["tier"]),
                _text("genops.pricing.version", _VERSION),
                _text("genops.pricing.entry", price["entry"]),
                _text("genops.pricing.effective_from", price["since"]),
            ]
            for each in added:
                attributes.append(each)
            span.attributes = attributes
