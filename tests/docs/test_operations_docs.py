"""The page on operations: its configurations are valid, and its PromQL asks for what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from genops_enricher.config.load import load_config
from genops_enricher.queue.log import SEGMENT_BYTES
from genops_enricher.spend.ledger import METRICS as SPEND_METRICS
from genops_enricher.telemetry import METRICS
from pages import ROOT, blocks

TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ALERTS = ROOT / "collector-config" / "dashboards" / "prometheus" / "alerts.yaml"
EXPRESSIONS = [line for block in blocks(TEXT, "promql") for line in block.splitlines()]
LABELS = {metric.name: {*metric.labels, "instance"} for metric in METRICS} | {
    metric.page_name: {"instance"} for metric in SPEND_METRICS
}
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}  # of prometheus-client


def configurations() -> list[str]:
    return [text for text in blocks(TEXT, "yaml") if not text.startswith("overlay:")]


@pytest.mark.parametrize("text", configurations())
def test_every_configuration_is_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / "enricher.yaml").write_text(text, encoding="utf-8")
    (overlay,) = (text for text in blocks(TEXT, "yaml") if text.startswith("overlay:"))
    (tmp_path / "prices.yaml").write_text(overlay, encoding="utf-8")
    ports = {"GRPC_PORT": "24317", "HEALTH_PORT": "23133"}
    env = {"HOME": "/home/someone", "HONEYCOMB_API_KEY": "x"} | ports

    assert load_config(tmp_path / "enricher.yaml", env).warnings == ()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_asks_for_metrics_and_labels_that_are_there(expression: str) -> None:
    names = set(re.findall(r"\b(?:genops|process)_\w+", expression))
    assert names
    assert names <= LABELS.keys() | PROCESS
    labels = set().union(*(LABELS.get(name, {"instance"}) for name in names))
    for group in re.findall(r"by \(([^)]*)\)", expression):
        assert set(group.split(", ")) <= labels
    for matchers in re.findall(r"\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)[=!]", matchers)) <= labels
    assert expression.count("(") == expression.count(")")


def test_every_other_metric_and_constant_that_is_named_is_there() -> None:
    assert set(re.findall(r"\bgenops_\w+_(?:total|items|bytes|seconds)\b", TEXT)) <= LABELS.keys()
    assert f"{SEGMENT_BYTES >> 20} MiB in a file" in TEXT


def test_every_alert_that_is_named_is_a_rule() -> None:
    """The expressions of the page are those of the rules, or the part before the first value."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rules = {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}
    named = set(re.findall(r"`(Genops\w+)`", TEXT))

    assert named == rules.keys()
    alerting = TEXT[TEXT.index("## What to alert on") :]
    own = [line for block in blocks(alerting, "promql") for line in block.splitlines()]
    without_rule = [
        expression
        for expression in own
        if not any(" ".join(rule.split()).startswith(expression) for rule in rules.values())
    ]
    assert without_rule == []
