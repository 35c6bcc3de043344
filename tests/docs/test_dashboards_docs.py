"""The page on dashboards names metrics that are there, and its configuration is valid."""

from __future__ import annotations

import re
from pathlib import Path

from genops_enricher.config.load import load_config
from genops_enricher.spend.ledger import METRICS as SPEND_METRICS
from genops_enricher.telemetry import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "dashboards.md").read_text(encoding="utf-8")


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    file = tmp_path / "enricher.yaml"
    file.write_text(block, encoding="utf-8")
    env = dict.fromkeys(re.findall(r"\$\{env:(\w+)\}", block), "x") | {"HOME": "/home/someone"}

    loaded = load_config(file, env)

    assert loaded.warnings == ()
    assert loaded.config.enrichment.metrics.delta


def test_every_metric_named_is_there() -> None:
    known = {m.page_name for m in SPEND_METRICS} | {m.name for m in METRICS}

    named = set(re.findall(r"\bgenops_\w+_total\b", PAGE))
    assert named
    assert named <= known
