"""The page on own spans: its configuration is valid, and its figures are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from genops_enricher.config.load import load_config
from genops_enricher.config.model import TracesConfig
from genops_enricher.pipeline import Signal
from genops_enricher.telemetry import METRICS
from genops_enricher.tracing import around, own_spans

PAGE = (Path(__file__).parents[2] / "docs" / "tracing.md").read_text(encoding="utf-8")


def test_the_example_is_valid_and_keeps_data_and_own_spans_apart(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    file = tmp_path / "enricher.yaml"
    file.write_text(text, encoding="utf-8")

    loaded = load_config(file, {"HOME": "/h", "HONEYCOMB_API_KEY": "key"})

    assert loaded.warnings == ()
    assert loaded.config.service.traces == TracesConfig("otlp_grpc/own", 0.05)
    assert loaded.config.pipelines == {Signal.TRACES: ("otlp_http/honeycomb",)}


def test_figures_and_metrics_that_are_named_are_right() -> None:
    assert f"up to {own_spans.WAITING_MAX:,} spans" in PAGE
    assert f"the {around.CARRIED_MAX:,} latest requests" in PAGE
    named = set(re.findall(r"genops_own_\w+", PAGE))

    assert named == {metric.name for metric in METRICS if metric.name.startswith("genops_own_")}
