"""The keys of cost metrics and vocabularies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from genops_enricher.config.load import load_config
from genops_enricher.config.model import Config, MetricsConfig, Vocabulary
from genops_enricher.errors import ConfigError

_MINIMAL = "exporters: {otlp_http: {endpoint: 'http://backend:4318'}}\n"

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str) -> Config:
        file = tmp_path / "enricher.yaml"
        file.write_text(_MINIMAL + text, encoding="utf-8")
        return load_config(file, {"HOME": "/home/someone"}).config

    return load


def test_the_page_shows_spend_by_seven_labels_and_nothing_is_sent_by_default(load: Load) -> None:
    enrichment = load("").enrichment

    assert enrichment.vocabularies == ()
    assert enrichment.metrics == MetricsConfig(
        labels=(
            "genops.team",
            "genops.project",
            "genops.customer_id",
            "genops.provider",
            "genops.model",
            "genops.model_family",
            "genops.model_tier",
        ),
        max_series=2000,
        export_interval_s=None,
        delta=False,
    )


def test_every_value_arrives(load: Load) -> None:
    enrichment = load(
        """
enrichment:
  vocabularies: [operation.cost, dd_llmobs_enabled]
  metrics: {labels: [genops.team], max_series: 50, export_interval: 10s, temporality: delta}
"""
    ).enrichment

    assert enrichment.vocabularies == (Vocabulary.OPERATION_COST, Vocabulary.DATADOG)
    assert enrichment.metrics == MetricsConfig(("genops.team",), 50, 10.0, delta=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "enrichment: {vocabularies: [llm.costs]}",
            '"llm.costs" is not one of gen_ai.provider.name, gen_ai.usage,',
        ),
        (
            "enrichment: {metrics: {labels: [a.b, a_b]}}",
            "`a_b` is the same label as `a.b` on the metrics page; keep one",
        ),
        ("enrichment: {metrics: {labels: [a, a]}}", "`a` is the same label as `a`"),
        (
            "enrichment: {metrics: {export_interval: 10s}}\n"
            "service: {pipelines: {traces: {exporters: [otlp_http]}}}",
            "enrichment.metrics.export_interval: no exporter takes metrics; name one in "
            "`service.pipelines.metrics`, or remove it and scrape the metrics page",
        ),
        ("enrichment: {metrics: {temporality: deltas}}", "is not one of cumulative, delta"),
    ],
)
def test_mistakes_are_reported_with_their_fix(load: Load, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)

    assert message in "\n".join(caught.value.problems)
