"""The page on costs, as whoever answers for the bill reads it: its commands, run on real spans."""

from __future__ import annotations

import json
import re
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from genops_enricher.config.load import load_config
from genops_enricher.decode.otlp_json import to_json
from genops_enricher.enrich.attributes import REASONS
from genops_enricher.spend.ledger import METRICS as SPEND_METRICS
from genops_enricher.telemetry import METRICS
from otlp import Value, chat, request, span
from pages import ROOT, Ran, Reader, Section, section, sections

PAGE = ROOT / "docs" / "costs.md"
TEXT = PAGE.read_text(encoding="utf-8")
OPENAI: dict[str, Value] = {"gen_ai.provider.name": "openai", "server.address": "api.openai.com"}
# The last second of November 2026, when the contract of the page holds.
NOVEMBER_2026_NS = 1_796_083_199_000_000_000


def titled(title: str) -> Section:
    return section(PAGE, title)


def call(number: int, model: str, more: dict[str, Value], *, output_tokens: int = 100) -> Span:
    attributes = chat(
        model,
        {**more, "gen_ai.response.id": f"gen-of-the-page-{number:04}"},
        output_tokens=output_tokens,
    )
    return span(attributes, number=number, end_ns=NOVEMBER_2026_NS)


CALLS = [
    *(call(number, "openai/gpt-4o", {"genops.team": "search"}) for number in range(1, 8)),
    call(8, "anthropic/claude-sonnet-4.5", {}, output_tokens=400),
]


def with_spans(folder: Path, *spans: Span) -> Reader:
    content = to_json(ExportTraceServiceRequest.FromString(request(*spans)))
    (folder / "spans.json").write_text(json.dumps(content) + "\n", encoding="utf-8")
    return Reader(folder)


def test_every_section_with_commands_has_a_test() -> None:
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}

    assert {one.slug for one in sections(PAGE) if one.blocks("bash")} <= tests


def test_what_did_a_team_spend_on_a_model(tmp_path: Path) -> None:
    """Seven calls of 1,000 and 100 tokens at 2.5 and 10, one of 1,000 and 400 at 3 and 15."""
    part = titled("What did a team spend on a model?")
    (program,) = part.blocks("python")
    (tmp_path / "spent.py").write_text(program, encoding="utf-8")

    (commands,) = part.blocks("bash")
    ran = with_spans(tmp_path, *CALLS).run(commands)

    check(part, ran)


def test_which_price_was_used(tmp_path: Path) -> None:
    part = titled("Which price was used?")

    check(part, Reader(tmp_path).run_all(part))


def test_how_do_i_use_our_contract_price(tmp_path: Path) -> None:
    part = titled("How do I use our contract price?")
    (overlay,) = part.blocks("yaml")
    (tmp_path / "prices.yaml").write_text(overlay, encoding="utf-8")
    direct = call(1, "gpt-4o", {**OPENAI, "gen_ai.usage.cache_read.input_tokens": 200})

    ran = with_spans(tmp_path, direct).run_all(part)

    check(part, ran)
    assert "note:" not in ran.output
    # 800 tokens at 2, 200 at 1, 100 at 8
    assert re.search(
        r"  gpt-4o +0\.0026 USD computed +openai/gpt-4o@.*\+contract$", ran.output, re.MULTILINE
    )


def test_a_contract_that_leaves_out_cached_tokens_is_noted(tmp_path: Path) -> None:
    part = titled("How do I use our contract price?")
    (overlay,) = part.blocks("yaml")
    (tmp_path / "prices.yaml").write_text(overlay.replace('cache_read: "1.00", ', ""))

    ran = Reader(tmp_path).run("genops-pricing check prices.yaml")

    assert "\nnote: openai/gpt-4o@2026-11-01T00:00:00Z+contract leaves out" in ran.output


def test_a_reported_cost_stays_though_the_contract_says_something_else(tmp_path: Path) -> None:
    (overlay,) = titled("How do I use our contract price?").blocks("yaml")
    (tmp_path / "prices.yaml").write_text(
        overlay.replace("market: openai", "market: openrouter").replace("gpt-4o", "openai/gpt-4o")
    )
    reported = call(1, "openai/gpt-4o", {"genops.cost.reported": 0.0035})

    ran = with_spans(tmp_path, reported).run(
        "genops-enricher enrich --json --overlay prices.yaml spans.json"
    )

    attributes = json.loads(ran.output)["attributes"]
    assert attributes["genops.cost.total"] == 0.0035
    assert attributes["genops.cost.estimated"] == 0.0028  # 1,000 at 2, 100 at 8


def test_a_price_was_wrong_price_the_spans_again(tmp_path: Path) -> None:
    part = titled("A price was wrong: price the spans again")
    (overlay,) = titled("How do I use our contract price?").blocks("yaml")
    (tmp_path / "prices.yaml").write_text(overlay, encoding="utf-8")
    reader = with_spans(tmp_path, call(1, "gpt-4o", OPENAI))

    first = reader.run("genops-enricher enrich -o spans.json spans.json")
    again = reader.run_all(part)

    assert " 0.0035 USD computed" in first.output
    assert " 0.0028 USD computed" in again.output
    assert "+contract" in (tmp_path / "repriced.json").read_text()


def test_what_will_a_call_cost(tmp_path: Path) -> None:
    part = titled("What will a call cost?")

    check(part, Reader(tmp_path).run_all(part))


def test_the_rules_of_attribution_are_valid(tmp_path: Path) -> None:
    (text,) = titled("The spans do not say which team").blocks("yaml")
    (tmp_path / "enricher.yaml").write_text(text, encoding="utf-8")

    loaded = load_config(tmp_path / "enricher.yaml", {"HOME": "/home/x", "HONEYCOMB_API_KEY": "x"})

    assert loaded.warnings == ()


def test_the_page_names_metrics_and_numbers_that_are_there() -> None:
    known = {metric.page_name for metric in SPEND_METRICS} | {metric.name for metric in METRICS}

    assert set(re.findall(r"\bgenops_\w+_total\b", TEXT)) <= known
    assert len(REASONS) == 11
    assert "one of [eleven reasons]" in TEXT


def check(part: Section, ran: Ran) -> None:
    assert ran.code == 0, ran.output
    assert part.unseen(ran.output) == []
