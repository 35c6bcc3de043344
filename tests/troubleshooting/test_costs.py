"""What a call costs, or why it does not say; and reloads."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from enricher_process import running
from genops_enricher.decode.otlp_json import to_json
from genops_enricher.enrich.attributes import REASONS
from life import overlay, wait_until
from otlp import Value, chat, request, span
from pages import ROOT, Reader, Section
from troubleshooting.conftest import (
    change,
    check,
    configured,
    degraded,
    logged,
    reader_of,
    send,
)

CERTIFICATES = ROOT / "tests" / "certificates"
NO_USAGE: dict[str, Value] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
NO_MODEL: dict[str, Value] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.usage.input_tokens": 5,
    "gen_ai.usage.output_tokens": 5,
}
PERPLEXITY: dict[str, Value] = {
    "gen_ai.provider.name": "perplexity",
    "server.address": "api.perplexity.ai",
}
EARLY_NS = 1_500_000_000_000_000_000  # 2017
# A span for each reason; every one has a response id of its own but the duplicate.
UNPRICED = {
    "unknown_model": span(chat("acme/none")),
    "ambiguous_model": span(chat("acme-twin")),
    "no_model": span(NO_MODEL),
    "no_usage": span(NO_USAGE),
    "bad_usage": span(chat(input_tokens=-5)),
    "dynamic_price": span(chat("openrouter/auto")),
    "not_yet_priced": span(chat(), end_ns=EARLY_NS),
    "suspect_price": span(chat("sonar", PERPLEXITY)),
    "duplicate": span(chat(more={"gen_ai.response.id": "gen-the-same-response"})),
    "aggregate": span(chat(more={"gen_ai.operation.name": "invoke_agent"})),
    "foreign_cost": span(chat(more={"genops.cost.total": 0.5})),
}


def write_spans(folder: Path, payload: bytes) -> None:
    content = to_json(ExportTraceServiceRequest.FromString(payload))
    (folder / "spans.json").write_text(json.dumps(content))


def test_a_call_has_no_cost(symptom: Section, tmp_path: Path) -> None:
    """Each reason of the table, which has all that there are, in a file of spans."""
    rows = re.findall(r"^\| `(\w+)` \|", symptom.text, re.MULTILINE)
    assert rows == list(REASONS)
    assert set(rows) == set(UNPRICED)
    twins = "".join(
        f"  - id: {author}/acme-twin\n    prices:\n      - effective_from: 2024-01-01\n"
        '        usd_per_mtok: {input: "1", output: "2"}\n'
        for author in ("acme", "other")
    )
    (tmp_path / "twins.yaml").write_text(f"overlay: twins\nmarket: openrouter\nmodels:\n{twins}")
    first = span(chat(more={"gen_ai.response.id": "gen-the-same-response"}), number=100)
    for number, one in enumerate(UNPRICED.values(), 1):
        one.span_id = number.to_bytes(8, "big")
    write_spans(tmp_path, request(first, *UNPRICED.values()))
    config = change(configured(tmp_path), enrichment={"overlays": ["twins.yaml"]})

    reader = reader_of(config)
    plain, as_json = (
        reader.run(f"{line} --config enricher.yaml")
        for line in symptom.blocks("bash")[0].splitlines()
    )

    assert (plain.code, as_json.code) == (3, 3)
    spans = [json.loads(line) for line in as_json.output.splitlines()]
    told = [one["attributes"].get("genops.cost.unpriced_reason") for one in spans]
    assert told == [None, *UNPRICED]
    for reason in rows:
        assert f"unpriced: {reason}" in plain.output


def test_costs_differ_from_the_bill(symptom: Section, tmp_path: Path) -> None:
    config = configured(tmp_path)
    billed = chat(more={"genops.cost.reported": 0.5})
    with running(config) as enricher:
        send(enricher, request(span(billed)))
        logged(enricher, symptom)
        ran = reader_of(config).run_all(symptom)
        enricher.kill()

    assert 'genops_pricing_drift_spans_total{direction="billed_more"' in ran.output


def shown_by_the_metrics(symptom: Section, folder: Path, *payloads: bytes) -> None:
    config = configured(folder)
    with running(config) as enricher:
        for payload in payloads:
            send(enricher, payload)
        ran = reader_of(config).run_all(symptom)
        enricher.kill()
    check(symptom, ran.output)


def test_the_model_is_known_and_the_host_is_not(symptom: Section, tmp_path: Path) -> None:
    gateway: dict[str, Value] = {
        "server.address": "llm.example",
        "gen_ai.provider.name": "openai_compatible",
    }
    write_spans(tmp_path, request(span(chat(more=gateway))))
    config = configured(tmp_path)

    ran = reader_of(config).run_all(symptom)

    check(symptom, ran.output)
    (tmp_path / "prices.yaml").write_text(
        overlay("1").replace("market: openrouter", "market: openai_compatible")
    )
    priced = reader_of(config).run("genops-enricher enrich --overlay prices.yaml spans.json")
    assert " 0.001 USD computed" in priced.output


def test_a_reported_cost_of_0_is_not_believed(symptom: Section, tmp_path: Path) -> None:
    free = chat(more={"genops.cost.reported": 0.0})

    shown_by_the_metrics(symptom, tmp_path, request(span(free)))


def test_costs_are_counted_twice(symptom: Section, tmp_path: Path) -> None:
    call = chat(more={"gen_ai.response.id": "gen-the-same-response"})
    twice = (request(span(call, number=number)) for number in (1, 2))

    shown_by_the_metrics(symptom, tmp_path, *twice)


def test_spans_have_a_cost_already_when_they_come(symptom: Section, tmp_path: Path) -> None:
    enriched = chat(more={"genops.cost.total": 0.5, "genops.pricing.version": "2026.11.23+0"})

    shown_by_the_metrics(symptom, tmp_path, request(span(enriched)))


def test_a_clock_is_wrong(symptom: Section, tmp_path: Path) -> None:
    write_spans(tmp_path, request(span(chat(), end_ns=EARLY_NS)))

    ran = Reader(tmp_path).run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == 3


def test_the_catalog_is_old(symptom: Section, tmp_path: Path) -> None:
    config = change(configured(tmp_path), enrichment={"catalog": {"max_age": "1s"}})
    with running(config) as enricher:
        degraded(enricher)
        ran = reader_of(config).run_all(symptom)

    check(symptom, ran.output)


def test_a_change_is_not_taken_over(symptom: Section, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(overlay("1"))
    config = change(configured(tmp_path), enrichment={"overlays": ["prices.yaml"]})
    with running(config) as enricher:
        (tmp_path / "prices.yaml").write_text("overlay: [wrong\n")
        signal, *look = symptom.blocks("bash")[0].splitlines()
        reader = reader_of(config)
        assert reader.run(signal).code == 0
        degraded(enricher)
        ran = reader.run("\n".join(look))
        check(symptom, enricher.log.read_text() + ran.output)
        assert "prices.yaml" in ran.output

        (tmp_path / "prices.yaml").write_text(overlay("2"))
        reader.run(signal)
        wait_until(lambda: enricher.status()["degraded"] == [], "it is still degraded")


def test_a_new_certificate_is_not_used(symptom: Section, tmp_path: Path) -> None:
    for name in ("server.pem", "server.key"):
        shutil.copyfile(CERTIFICATES / name, tmp_path / name)
    tls = {"cert_file": "server.pem", "key_file": "server.key"}
    config = change(configured(tmp_path), receivers={"otlp": {"protocols": {"http": {"tls": tls}}}})
    with running(config):
        (tmp_path / "new").write_bytes((CERTIFICATES / "client.key").read_bytes())
        (tmp_path / "new").replace(tmp_path / "server.key")
        reader = reader_of(config)

        def noticed() -> bool:
            reader.run("curl -sk https://127.0.0.1:4318/v1/traces")  # files are read when needed
            return not symptom.unseen(reader.run_all(symptom).output)

        wait_until(noticed, "no reload failed")
