"""CPU time per span of redaction, which comes on top of the hot path where it is on.

Run with `make bench`. Times are CPU time of this process; machines differ and are noisy.
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
import sys
from collections.abc import Callable, Mapping

from bench.bench_hot_path import batch, cpu_us_per_span
from genops_enricher.config.patterns import Rules
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import enrich_request
from genops_enricher.pipeline import Signal
from genops_enricher.redact import Redactor
from genops_pricing import bundled_catalog
from otlp import chat, request, span

SPANS, ATTRIBUTES, ROUNDS = 512, 20, 30
KEY = "a key for benchmarks"
REDACTORS = {
    "off": None,
    "one pattern": Redactor(Rules(["traceloop.entity.*"])),
    "group:content": Redactor(Rules(["group:content"])),
    "content, user hashed": Redactor(Rules(["group:content"], ["group:user"]), KEY),
}


def with_content() -> bytes:
    """Calls with a prompt and an answer of 1 KB each, and a user."""
    text = "Say something nice, and say it at length. " * 25
    filler = {f"app.attribute.number.{n}": f"some value of usual length {n}" for n in range(8)}
    content = {"gen_ai.input.messages": text, "gen_ai.output.messages": text}
    return request(
        *(
            span(chat(more={**filler, **content, "user.id": f"u{n % 50}"}), number=n)
            for n in range(SPANS)
        )
    )


def measure(payload: bytes) -> Mapping[str, float]:
    """Median CPU µs a span of enriching and redacting, by redactor."""
    enricher = Enricher(bundled_catalog())

    def work(redactor: Redactor | None) -> Callable[[], object]:
        def run() -> None:
            enriched = enrich_request(payload, enricher).payload
            if redactor is not None:
                redactor.redact(Signal.TRACES, enriched)

        return run

    works = {name: work(redactor) for name, redactor in REDACTORS.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    gc.disable()
    try:
        for number in range(ROUNDS):
            for name in list(works)[:: -1 if number % 2 else 1]:
                times[name].append(cpu_us_per_span(works[name], SPANS))
            gc.collect()
    finally:
        gc.enable()
    return {name: round(statistics.median(each), 2) for name, each in times.items()}


def main() -> None:
    batches = {
        "all LLM, no content": batch(SPANS, ATTRIBUTES, 1),
        "one in ten LLM": batch(SPANS, ATTRIBUTES, 10),
        "all LLM, 2 KB content": with_content(),
    }
    rows = {name: measure(payload) for name, payload in batches.items()}
    if "--json" in sys.argv:
        print(json.dumps({"python": platform.python_version(), "rows": rows}))
        return
    print(f"CPU µs per span, enriched and redacted, median of {ROUNDS} rounds in turn\n")
    print(f"{'batch':<24}" + "".join(f"{name:>22}" for name in REDACTORS))
    for name, row in rows.items():
        print(f"{name:<24}" + "".join(f"{row[redactor]:>22}" for redactor in REDACTORS))


if __name__ == "__main__":
    main()
