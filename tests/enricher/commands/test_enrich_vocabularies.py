"""`genops-enricher enrich` with the names of other tools."""

from __future__ import annotations

from pathlib import Path

from genops_enricher.cli import main
from genops_pricing import bundled_catalog
from otlp import chat, plain_attributes, request, span, spans_of

CONFIG = """
exporters: {otlp_http: {endpoint: 'http://127.0.0.1:9'}}
enrichment: {vocabularies: [gen_ai.usage.cost, operation.cost, langfuse]}
"""


def test_names_of_other_tools_are_priced_again_with_ours_and_those_of_others_stay(
    tmp_path: Path,
) -> None:
    config, source, out = tmp_path / "enricher.yaml", tmp_path / "in", tmp_path / "out"
    config.write_text(CONFIG)
    old = chat() | {
        "genops.cost.total": 99.0,
        "genops.cost.status": "priced",
        "genops.pricing.version": "2020.1.1+00000000",
        "gen_ai.usage.cost": 99.0,  # an enricher's
        "langfuse.observation.cost_details": '{"total": 99.0}',  # as well
        "operation.cost": 0.5,  # somebody else's
    }
    source.write_bytes(request(span(old)))

    assert main(["enrich", str(source), "--config", str(config), "-o", str(out), "--reprice"]) == 0

    attributes = plain_attributes(spans_of(out.read_bytes())[0])
    assert attributes["genops.pricing.version"] == bundled_catalog().version
    assert attributes["genops.cost.total"] == 0.0035
    assert attributes["gen_ai.usage.cost"] == 0.0035
    assert attributes["langfuse.observation.cost_details"] == '{"total": 0.0035}'
    assert attributes["operation.cost"] == 0.5
