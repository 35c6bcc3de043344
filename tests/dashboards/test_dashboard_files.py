"""The files of dashboards are what the tables make, and name nothing that is not there."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from genops.core import attributes as client
from genops.core.governance import DOCUMENTED_KEYS as GOVERNANCE
from genops_enricher.cli import main
from genops_enricher.dashboards import FILES
from genops_enricher.dashboards.alerts import ALERTS
from genops_enricher.dashboards.names import CLIENT_ATTRIBUTES, SPEND_LABELS, attribute, promql
from genops_enricher.enrich.attributes import ATTRIBUTES, COST_PARTS, REASONS
from genops_enricher.spend.ledger import METRICS as SPEND_METRICS
from genops_enricher.spend.ledger import page_label
from genops_enricher.telemetry import METRICS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "collector-config"
RECORDINGS = ROOT / "tests" / "dialects" / "recordings"

# Attributes that no recorded call has: who it was for, and what was bought of none.
UNRECORDED = {
    "genops.team",
    "genops.customer_id",
    "genops.cost.image",
    "genops.cost.request",
    "genops.cost.web_search",
}

# The board's queries that the OpenRouter guide has.
GUIDE = {"Cost by team", "Dear requests by model", "Fallbacks by the provider that served"}


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def queries() -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads(text("dashboards/honeycomb/queries.json"))
    return content


def triggers() -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads(text("dashboards/honeycomb/triggers.json"))
    return content


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_what_the_tables_make(name: str) -> None:
    hint = "run `python -m genops_enricher.dashboards collector-config`"

    assert text(name) == FILES[name](), hint


def test_a_name_that_is_not_in_the_tables_is_an_error() -> None:
    with pytest.raises(KeyError, match="no attribute"):
        attribute("genops.cost.sum")
    with pytest.raises(KeyError, match="no metric"):
        promql("sum(genops_costs_total)")
    with pytest.raises(KeyError, match="no label"):
        promql('genops_spans_total{state="priced"}')
    with pytest.raises(KeyError, match="no label"):
        promql("sum by (exporter, signall) (genops_exporter_queued_items)")


def test_what_the_client_writes_is_named_as_the_client_names_it() -> None:
    written = {value for value in vars(client).values() if isinstance(value, str)}
    written |= {f"genops.{key}" for key in GOVERNANCE}

    assert written >= CLIENT_ATTRIBUTES


@pytest.mark.parametrize("vendor", ["datadog/dashboard.json", "datadog/monitors.json"])
def test_datadog_names_attributes_that_are_there(vendor: str) -> None:
    named = set(re.findall(r"@(genops[\w.]+\w)", text(f"dashboards/{vendor}")))

    assert named
    assert named <= {a.name for a in ATTRIBUTES} | CLIENT_ATTRIBUTES


def test_grafana_shows_every_metric_of_the_enricher() -> None:
    shown = text("dashboards/grafana/dashboard.json")
    missing = [
        name
        for name in [*(m.name for m in METRICS), *(m.page_name for m in SPEND_METRICS)]
        if not re.search(rf"\b{name}\b", shown)
    ]

    assert missing == []


def test_cost_is_shown_by_every_label_that_is_there_by_default() -> None:
    grafana, datadog = (text(f"dashboards/{v}/dashboard.json") for v in ("grafana", "datadog"))

    assert len(SPEND_LABELS) == 7
    for name in SPEND_LABELS:
        assert f"sum by ({page_label(name)}) (increase(genops_cost_total" in grafana
        assert f"sum:genops.cost{{*}} by {{{name}}}.as_count()" in datadog


def test_every_part_of_a_cost_is_shown() -> None:
    (by_part,) = [query for query in queries() if query["name"] == "Cost by part"]

    assert {c["column"] for c in by_part["query"]["calculations"]} == set(COST_PARTS.values())
    for part in COST_PARTS.values():
        assert f'"metric": "@{part}"' in text("dashboards/datadog/dashboard.json")


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(text("dashboards/grafana/dashboard.json"))["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_queries_of_the_guide_are_on_the_board_and_sum_costs() -> None:
    found = {query["name"]: query["query"] for query in queries() if query["name"] in GUIDE}

    assert found.keys() == GUIDE
    for query in found.values():
        assert {"op": "SUM", "column": "genops.cost.total"} in query["calculations"]


def test_a_trigger_keeps_to_what_honeycomb_takes() -> None:
    """https://docs.honeycomb.io/api/tag/Triggers: one calculation, times within bounds."""
    for trigger in triggers():
        query, frequency_s = trigger["query"], trigger["frequency"]
        assert len(query["calculations"]) == 1, trigger["name"]
        assert query["calculations"][0]["op"] not in ("HEATMAP", "CONCURRENCY")
        assert not {"orders", "limit", "start_time", "end_time"} & query.keys()
        assert 60 <= frequency_s <= 86400
        assert frequency_s % 60 == 0
        assert frequency_s <= query["time_range"] <= 4 * frequency_s
        assert query["time_range"] <= 86400
        assert len(trigger["name"]) <= 120


def test_what_is_asked_for_stands_on_real_spans(tmp_path: Path) -> None:
    """Every column of every query, as the type that the query compares with."""
    main(["enrich", *map(str, sorted(RECORDINGS.glob("*.jsonl"))), "-o", str(tmp_path)])
    seen: dict[str, set[str]] = defaultdict(set)
    pair = re.compile(r'"key":\s*"(genops[^"]+)",\s*"value":\s*\{\s*"(\w+)"')
    for file in tmp_path.iterdir():
        for name, kind in pair.findall(file.read_text(encoding="utf-8")):
            seen[name].add(kind)

    kinds = {bool: {"boolValue"}, float: {"doubleValue", "intValue"}, str: {"stringValue"}}
    for each in [*queries(), *triggers()]:
        query = each["query"]
        asked: list[tuple[str, object]] = [(name, "") for name in query.get("breakdowns", [])]
        asked += [(c["column"], 0.0) for c in query["calculations"] if "column" in c]
        asked += [
            (f["column"], f["value"])
            for f in query["filters"]
            if not isinstance(f.get("value", []), list)
        ]
        for name, value in asked:
            if name not in UNRECORDED:
                assert seen[name], name
                assert seen[name] <= kinds[type(value)], name


def test_every_reason_that_is_named_is_one() -> None:
    for each in [*queries(), *triggers()]:
        for filtered in each["query"]["filters"]:
            if filtered["column"] == "genops.cost.unpriced_reason":
                values = filtered["value"]
                assert set(values if isinstance(values, list) else [values]) <= REASONS.keys()


def test_alerts_say_what_to_do_and_are_named_once() -> None:
    rules = yaml.safe_load(text("dashboards/prometheus/alerts.yaml"))["groups"][0]["rules"]

    assert len({rule["alert"] for rule in rules}) == len(rules) == len(ALERTS)
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"].endswith((".", "%."))
        assert rule["annotations"]["description"].endswith(".")


def test_a_metric_that_is_said_to_be_worth_an_alert_has_one() -> None:
    told = {metric.name for metric in METRICS if "alert on" in metric.meaning.lower()}
    watched = " ".join(alert.expr for alert in ALERTS)

    assert len(told) > 1
    assert {name for name in told if not re.search(rf"\b{name}\b", watched)} == set()


def test_losing_anything_is_critical() -> None:
    by_name = {alert.name: alert.severity for alert in ALERTS}

    assert by_name["GenopsItemsLost"] == by_name["GenopsQueueDamaged"] == "critical"
