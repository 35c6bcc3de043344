"""The Grafana dashboard, as the JSON model that Grafana imports (schema version 41, Grafana 12)."""

from __future__ import annotations

from typing import Any

from genops_enricher.dashboards.grafana_panels import Panel, rows
from genops_enricher.dashboards.names import promql

__all__ = ["dashboard"]

_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24  # of Grafana's grid


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "uid": "genops-enricher",
        "title": "LLM cost and its delivery (genops)",
        "tags": ["genops", "llm", "cost"],
        "schemaVersion": 41,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [
                {
                    "type": "datasource",
                    "name": "datasource",
                    "label": "Prometheus",
                    "query": "prometheus",
                },
                {
                    "type": "query",
                    "name": "instance",
                    "label": "Enricher",
                    "datasource": _DATASOURCE,
                    "query": "label_values(genops_build_info, instance)",
                    "refresh": 2,
                    "includeAll": True,
                    "multi": True,
                    "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": _panels(),
    }


def _panels() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    y = 0
    for title, panels in rows():
        place = {"h": 1, "w": _WIDTH, "x": 0, "y": y}
        made.append(
            {
                "id": len(made) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": place,
                "panels": [],
            }
        )
        y += 1
        x = 0
        for panel in panels:
            height = 4 if panel.kind == "stat" else 8
            if x + panel.width > _WIDTH:
                x, y = 0, y + made[-1]["gridPos"]["h"]
            made.append(
                _panel(panel, len(made) + 1, {"h": height, "w": panel.width, "x": x, "y": y})
            )
            x += panel.width
        y += made[-1]["gridPos"]["h"]
    return made


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    instant = panel.kind in ("stat", "table")
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        **({"description": panel.help} if panel.help else {}),
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {
                "refId": "ABCDEFGHIJ"[index],
                "datasource": _DATASOURCE,
                "expr": promql(expression),
                "legendFormat": legend,
                "instant": instant,
                "range": not instant,
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for index, (expression, legend) in enumerate(panel.targets)
        ],
    }
