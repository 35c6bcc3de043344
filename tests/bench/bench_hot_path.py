"""CPU time per span of the hot path: request bytes in, enriched request bytes out, in process.

Two ways to do the same work are timed in turn in one run: through lens messages, as the enricher
does it, and with a full decode into OpenTelemetry's protobuf messages; and the first again with the
sums of cost and tokens that the service makes beside it. Times are CPU time of this process;
machines differ and are noisy, so the ratio is the figure to quote.

Run with `make bench`. Options: --spans, --attributes, --rounds, --json.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import google.protobuf
from google.protobuf.internal import api_implementation
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_enricher.enrich.tally import LabelTexts, Tally
from genops_enricher.spend import Ledger
from genops_pricing import Catalog, Charge, Miss, Usage, bundled_catalog
from otlp import Value, chat, request, span

LABELS = (
    "genops.team",
    "genops.project",
    "genops.customer_id",
    "genops.provider",
    "genops.model",
    "genops.model_family",
    "genops.model_tier",
)
MODELS = (
    "openai/gpt-4o",
    "anthropic/claude-3-haiku",
    "openai/gpt-4.1-mini",
    "google/gemini-2.5-pro",
)


def batch(spans: int, attributes: int, llm_every: int) -> bytes:
    """A request of spans with so many attributes each; one span in `llm_every` is a call."""
    made = []
    for number in range(spans):
        values: dict[str, Value] = {}
        if number % llm_every == 0:
            values = chat(
                MODELS[number // llm_every % len(MODELS)],
                {
                    "gen_ai.usage.cache_read.input_tokens": 100,
                    "genops.team": "search",
                    "genops.project": "assistant",
                },
                input_tokens=1000 + number,
            )
        for filler in range(attributes - len(values)):
            values[f"app.attribute.number.{filler}"] = f"some value of usual length {filler}"
        made.append(span(values, number=number))
    return request(*made)


def full_decode(payload: bytes, catalog: Catalog) -> bytes:
    """What one writes first: parse everything, loop over the attributes, add, encode everything."""
    message = ExportTraceServiceRequest.FromString(payload)
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for one in scope_spans.spans:
                _enrich(one, catalog)
    return message.SerializeToString()


def _enrich(one: Span, catalog: Catalog) -> None:
    values: dict[str, Any] = {}
    for pair in one.attributes:
        kind = pair.value.WhichOneof("value")
        values[pair.key] = getattr(pair.value, kind) if kind else None
    if "genops.pricing.version" in values or values.get("gen_ai.operation.name") != "chat":
        return
    model, provider = values["gen_ai.response.model"], values["gen_ai.provider.name"]
    offer = catalog.find(
        model,
        market=catalog.market_of(host=values["server.address"], provider=provider, model=model),
        at_ns=one.end_time_unix_nano,
    )
    assert not isinstance(offer, Miss), offer
    usage = Usage(
        input=values["gen_ai.usage.input_tokens"],
        output=values["gen_ai.usage.output_tokens"],
        cache_read=values["gen_ai.usage.cache_read.input_tokens"],
    )
    charge = offer.charge(usage)
    assert isinstance(charge, Charge), charge
    new: dict[str, str | int | float | None] = {
        "genops.provider": provider,
        "genops.model": values["gen_ai.request.model"],
        "genops.tokens.input": usage.input,
        "genops.tokens.output": usage.output,
        "genops.tokens.total": usage.input + usage.output,
        "genops.cost.currency": "USD",
        "genops.cost.source": "computed",
        "genops.cost.status": offer.status,
        "genops.model_family": offer.family,
        "genops.model_tier": offer.tier,
        "genops.pricing.entry": offer.entry,
        "genops.pricing.effective_from": offer.effective_from,
        "genops.pricing.version": catalog.version,
        "genops.cost.total": charge.total / charge.divisor,
        **{f"genops.cost.{part}": value / charge.divisor for part, value in charge.parts},
    }
    for key, value in new.items():
        if key in values or value is None:
            continue
        added = one.attributes.add(key=key).value
        if isinstance(value, str):
            added.string_value = value
        elif isinstance(value, int):
            added.int_value = value
        else:
            added.double_value = value


def cpu_us_per_span(work: Callable[[], object], spans: int) -> float:
    started = time.process_time_ns()
    work()
    return (time.process_time_ns() - started) / 1000 / spans


def measure(payload: bytes, spans: int, rounds: int, catalog: Catalog) -> dict[str, list[float]]:
    enricher = Enricher(catalog)
    with_labels, ledger = Enricher(catalog, labels=LABELS), Ledger(LABELS, 2000)

    texts = LabelTexts(LABELS)

    def with_metrics() -> None:
        tally = Tally(texts)
        enrich_request(payload, with_labels, tally=tally)
        ledger.add(tally.amounts())

    works: dict[str, Callable[[], object]] = {
        "lens": lambda: enrich_request(payload, enricher),
        "metrics": with_metrics,
        "full decode": lambda: full_decode(payload, catalog),
    }
    assert_same_work(payload, enricher, catalog)
    times: dict[str, list[float]] = {name: [] for name in works}
    gc.disable()
    try:
        for number in range(rounds):
            # To and fro, so that none always follows the one that leaves the caches cold.
            for name in list(works)[:: -1 if number % 2 else 1]:
                times[name].append(cpu_us_per_span(works[name], spans))
            gc.collect()
    finally:
        gc.enable()
    return times


def assert_same_work(payload: bytes, enricher: Enricher, catalog: Catalog) -> None:
    """Both ways must add the same, or the comparison is worth nothing."""
    ours = ExportTraceServiceRequest.FromString(enrich_request(payload, enricher).payload)
    theirs = ExportTraceServiceRequest.FromString(full_decode(payload, catalog))
    for a, b in zip(
        ours.resource_spans[0].scope_spans[0].spans,
        theirs.resource_spans[0].scope_spans[0].spans,
        strict=True,
    ):
        left = {x.key: x.value.SerializeToString() for x in a.attributes}
        right = {x.key: x.value.SerializeToString() for x in b.attributes}
        assert left == right, left.items() ^ right.items()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--spans", type=int, default=512, help="spans in a request")
    parser.add_argument("--attributes", type=int, default=20, help="attributes of a span")
    parser.add_argument("--rounds", type=int, default=40, help="times that each way is timed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    catalog = bundled_catalog()
    result: dict[str, object] = {
        "python": platform.python_version(),
        "protobuf": f"{google.protobuf.__version__} ({api_implementation.Type()})",
        "machine": platform.machine(),
        "catalog": catalog.version,
        "spans": options.spans,
        "attributes": options.attributes,
    }
    rows = []
    for label, llm_every in (("all LLM", 1), ("one in ten LLM", 10)):
        payload = batch(options.spans, options.attributes, llm_every)
        times = measure(payload, options.spans, options.rounds, catalog)
        lens, full = times["lens"], times["full decode"]
        metrics = statistics.median(m - n for m, n in zip(times["metrics"], lens, strict=True))
        rows.append(
            {
                "batch": label,
                "bytes_per_span": len(payload) // options.spans,
                "lens_us": round(statistics.median(lens), 2),
                "lens_us_min_max": [round(min(lens), 2), round(max(lens), 2)],
                "metrics_us_more": round(metrics, 2),
                "full_decode_us": round(statistics.median(full), 2),
                "full_decode_us_min_max": [round(min(full), 2), round(max(full), 2)],
                "ratio": round(
                    statistics.median(f / n for f, n in zip(full, lens, strict=True)), 2
                ),
            }
        )
    result["rows"] = rows
    if options.json:
        print(json.dumps(result))
        return
    print(
        f"CPU µs per span, median of {options.rounds} rounds in turn "
        f"({options.spans} spans a request, {options.attributes} attributes a span)"
    )
    print(
        f"Python {result['python']}, protobuf {result['protobuf']}, {result['machine']}, "
        f"catalog {catalog.version}\n"
    )
    heads = (
        ("bytes/span", 11),
        ("lens", 8),
        ("min–max", 15),
        ("metrics", 9),
        ("full", 8),
        ("min–max", 15),
    )
    print(f"{'batch':<16}" + "".join(f"{head:>{width}}" for head, width in heads) + "  full/lens")
    for row in rows:
        lens_range = "–".join(map(str, row["lens_us_min_max"]))
        full_range = "–".join(map(str, row["full_decode_us_min_max"]))
        print(
            f"{row['batch']:<16}{row['bytes_per_span']:>11}{row['lens_us']:>8}{lens_range:>15}"
            f"{row['metrics_us_more']:>+9}"
            f"{row['full_decode_us']:>8}{full_range:>15}{row['ratio']:>10}x"
        )


if __name__ == "__main__":
    main()
