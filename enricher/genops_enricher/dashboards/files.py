"""Which file holds what, and as which text: JSON for vendors' interfaces, YAML for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import yaml

from genops_enricher.dashboards import datadog, grafana, honeycomb
from genops_enricher.dashboards.alerts import alert_rules

__all__ = ["FILES"]

_MADE = (
    "# Made by `python -m genops_enricher.dashboards collector-config`. Change the tables there.\n"
)


def _json(make: Callable[[], Any]) -> str:
    return json.dumps(make(), indent=2, ensure_ascii=False) + "\n"


def _yaml(make: Callable[[], Any]) -> str:
    text = yaml.safe_dump(make(), sort_keys=False, allow_unicode=True, width=100)
    return _MADE + text


FILES: dict[str, Callable[[], str]] = {
    "dashboards/datadog/dashboard.json": partial(_json, datadog.dashboard),
    "dashboards/datadog/monitors.json": partial(_json, datadog.monitors),
    "dashboards/grafana/dashboard.json": partial(_json, grafana.dashboard),
    "dashboards/honeycomb/queries.json": partial(_json, honeycomb.queries),
    "dashboards/honeycomb/triggers.json": partial(_json, honeycomb.triggers),
    "dashboards/prometheus/alerts.yaml": partial(_yaml, alert_rules),
    # A chart can read files of its own folder only.
    "kubernetes/helm/genops-enricher/files/alerts.yaml": partial(_yaml, alert_rules),
}
"""Path below collector-config/ -> what makes its text."""
