"""What every page names is there: metrics, alerts and keys of the configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.test_pages import PAGES, ROOT
from genops_enricher.config.keys import KEYS
from genops_enricher.dashboards.alerts import ALERTS
from genops_enricher.spend.ledger import METRICS as SPEND_METRICS
from genops_enricher.telemetry import METRICS

ALERT_NAMES = {alert.name for alert in ALERTS}
METRIC_NAMES = {metric.name for metric in METRICS} | {metric.page_name for metric in SPEND_METRICS}
PATHS = [key.path.replace("<id>.", "").split(".") for key in KEYS]
# A page may leave out how a key begins, and how it goes on.
KEY_PARTS = {
    ".".join(path[start:end])
    for path in PATHS
    for start in range(len(path))
    for end in range(start + 1, len(path) + 1)
}
SECTIONS = {"receivers", "exporters", "enrichment", "sending_queue", "retry_on_failure"} | {
    "dead_letter",
    "keepalive",
    "dedupe",
    "redaction",
}

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@by_page
def test_every_metric_that_is_named_is_there(page: Path) -> None:
    named = re.findall(
        r"\bgenops_\w+_(?:total|items|bytes|seconds|apart|info|ready)\b", page.read_text("utf-8")
    )

    assert set(named) - METRIC_NAMES == set()


@by_page
def test_every_alert_that_is_named_is_there(page: Path) -> None:
    named = re.findall(r"\bGenops[A-Z]\w+", page.read_text("utf-8"))

    assert set(named) - ALERT_NAMES == set()


@by_page
def test_every_key_of_the_configuration_that_is_named_is_there(page: Path) -> None:
    named = re.findall(r"`([a-z_]+(?:\.[a-z_<>]+)+)`", page.read_text("utf-8"))
    named = [name for name in named if not name.endswith(".py")]
    keys = {name.replace("<id>.", "") for name in named if name.partition(".")[0] in SECTIONS}

    assert keys - KEY_PARTS == set()


def test_the_summaries_of_alerts_lead_to_pages_that_are_there() -> None:
    for alert in ALERTS:
        for page in re.findall(r"docs/[\w-]+\.md", alert.action):
            assert (ROOT / page).is_file(), alert.name
