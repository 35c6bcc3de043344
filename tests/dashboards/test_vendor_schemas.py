"""The files against what reads them: vendors' models, Prometheus' own parser and rule engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from deploy import tools
from genops_enricher.dashboards.alerts import ALERTS
from genops_enricher.enrich.attributes import REASONS
from genops_enricher.spend import Ledger, SpendCollector
from genops_enricher.telemetry import LABELS, METRICS, Kind, Telemetry
from pages import blocks

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "collector-config" / "dashboards"
VALIDATE = ROOT / "tests" / "deploy" / "validate.py"
RULES = FOLDER / "prometheus" / "alerts.yaml"

pytestmark = pytest.mark.heavy

MODELS = {
    "datadog-dashboard": ("datadog-api-client", "datadog/dashboard.json"),
    "datadog-monitors": ("datadog-api-client", "datadog/monitors.json"),
    "grafana": ("grafana-foundation-sdk", "grafana/dashboard.json"),
    "honeycomb-queries": ("honeycomb-api", "honeycomb/queries.json"),
    "honeycomb-triggers": ("honeycomb-api", "honeycomb/triggers.json"),
}

# A misspelled key for each, at a place that the models have to look into.
MISTAKES = {
    "datadog-dashboard": ('"data_source"', '"data_sourcce"'),
    "datadog-monitors": ('"thresholds"', '"tresholds"'),
    "grafana": ('"legendFormat"', '"legendformat"'),
    "honeycomb-queries": ('"breakdowns"', '"breakdown"'),
    "honeycomb-triggers": ('"alert_type"', '"alerttype"'),
}


def promtool(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    # Without service discovery, which brings the libraries of every cloud: half the time to build.
    program = tools.go_program(
        "github.com/prometheus/prometheus/cmd/promtool", "v0.316.0", tags="remove_all_sd"
    )
    return subprocess.run(
        [program, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("kind", MODELS)
def test_the_vendors_models_know_all_of_the_file(kind: str, tmp_path: Path) -> None:
    package, name = MODELS[kind]
    python = tools.python_with(package)

    def problems(file: Path) -> str:
        done = subprocess.run(
            [python, str(VALIDATE), kind, str(file)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout

    assert problems(FOLDER / name) == ""
    right, wrong = MISTAKES[kind]
    broken = tmp_path / "broken.json"
    broken.write_text((FOLDER / name).read_text().replace(right, wrong))
    assert problems(broken) != ""


def test_prometheus_takes_the_rules() -> None:
    done = promtool("check", "rules", "--lint-fatal", str(RULES))

    assert done.returncode == 0, done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_prometheus_takes_the_configuration_of_the_page(tmp_path: Path) -> None:
    (text,) = blocks((FOLDER / "README.md").read_text(encoding="utf-8"), "yaml")
    (tmp_path / "prometheus.yaml").write_text(text)
    (tmp_path / "alerts.yaml").write_text(RULES.read_text())

    done = promtool("check", "config", str(tmp_path / "prometheus.yaml"))

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_prometheus_parses_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    panels = json.loads((FOLDER / "grafana" / "dashboard.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    for variable, value in {"$__rate_interval": "5m", "$__range": "1h", "$instance": ".*"}.items():
        expressions = [expression.replace(variable, value) for expression in expressions]
    assert len(expressions) > 30
    assert not any("$" in expression for expression in expressions)
    assert parse(expressions, tmp_path) == ""


def test_prometheus_parses_every_expression_of_the_pages(tmp_path: Path) -> None:
    pages = ((ROOT / "docs" / name).read_text() for name in ("operations.md", "dashboards.md"))
    expressions = [
        line for page in pages for block in blocks(page, "promql") for line in block.splitlines()
    ]
    assert len(expressions) > 20

    assert parse(expressions, tmp_path) == ""
    assert "unclosed" in parse([*expressions, "sum(genops_cost_total"], tmp_path)


def parse(expressions: Sequence[str], folder: Path) -> str:
    """What promtool finds wrong."""
    file = folder / "expressions.yaml"
    rules = [{"record": f"r:{n}", "expr": expression} for n, expression in enumerate(expressions)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))

    done = promtool("check", "rules", str(file))

    return done.stderr if done.returncode else ""


def test_the_page_that_they_read_is_as_prometheus_wants_it() -> None:
    """promtool's own check of names and types, on a page with every metric of the table."""
    telemetry = Telemetry()
    telemetry.registry.register(SpendCollector(Ledger(("genops.team",), 10)))
    for metric in METRICS:
        labels = dict.fromkeys(metric.labels, "x")
        (telemetry.add if metric.kind is Kind.COUNTER else telemetry.set)(metric.name, 1, **labels)

    done = promtool("check", "metrics", stdin=telemetry.page()[0].decode())

    assert done.returncode == 0, done.stdout + done.stderr


MINUTES = 1600
_D = '{instance="a",exporter="otlp_http",signal="traces"'
HEALTHY: Mapping[str, str] = {
    'genops_build_info{instance="a",version="0.1.0"}': f"1x{MINUTES}",
    'genops_config_last_reload_successful{instance="a"}': f"1x{MINUTES}",
    'genops_memory_refused_requests_total{instance="a"}': f"0x{MINUTES}",
    'genops_catalog_age_seconds{instance="a"}': f"86400+60x{MINUTES}",
    f"genops_exporter_recovered_items{_D}}}": f"0x{MINUTES}",
    f"genops_exporter_accepted_items_total{_D}}}": f"0+600x{MINUTES}",
    f"genops_exporter_delivered_items_total{_D}}}": f"0+600x{MINUTES}",
    f"genops_exporter_dead_lettered_items_total{_D}}}": f"0x{MINUTES}",
    f"genops_exporter_queued_items{_D}}}": f"0x{MINUTES}",
    f"genops_exporter_oldest_item_age_seconds{_D}}}": f"0x{MINUTES}",
    f"genops_exporter_queue_bytes{_D}}}": f"1000x{MINUTES}",
    f"genops_exporter_queue_capacity_bytes{_D}}}": f"1000000000x{MINUTES}",
    f'genops_exporter_attempts_total{_D},outcome="delivered"}}': f"0+10x{MINUTES}",
    'genops_spans_total{instance="a",status="priced",reason=""}': f"0+500x{MINUTES}",
    'genops_spans_total{instance="a",status="unpriced",reason="duplicate"}': f"0+100x{MINUTES}",
    'genops_cost_total{instance="a",genops_team="support"}': f"0+0.01x{MINUTES}",
}

# Alert -> (what differs from a healthy enricher, minute at which it has to fire).
TROUBLE: Mapping[str, tuple[Mapping[str, str], int]] = {
    "GenopsItemsLost": (
        {f'genops_exporter_dropped_items_total{_D},reason="queue_full"}}': "_x100 5x60"},
        105,
    ),
    "GenopsQueueDamaged": (
        {'genops_queue_damaged_ranges_total{instance="a",signal="traces"}': "0x100 1x60"},
        105,
    ),
    "GenopsQueueNearlyFull": ({f"genops_exporter_queue_bytes{_D}}}": "950000000x60"}, 30),
    "GenopsQueueGrows": ({f"genops_exporter_queue_bytes{_D}}}": "200000000+5000000x120"}, 60),
    "GenopsNotDelivering": (
        {
            f"genops_exporter_accepted_items_total{_D}}}": "605x60",
            f"genops_exporter_delivered_items_total{_D}}}": "600x60",
            f"genops_exporter_queued_items{_D}}}": "5x60",
        },
        40,
    ),
    "GenopsItemsWaitLong": (
        {f"genops_exporter_oldest_item_age_seconds{_D}}}": "0+60x120"},
        70,
    ),
    "GenopsDestinationRefuses": (
        {f'genops_exporter_attempts_total{_D},outcome="held"}}': "0+1x60"},
        30,
    ),
    "GenopsDeadLetters": (
        {f"genops_exporter_dead_lettered_items_total{_D}}}": "0x100 1x60"},
        105,
    ),
    "GenopsRedactionRemoves": (
        {'genops_redaction_removed_items_total{instance="a",signal="logs"}': "_x100 5x60"},
        105,
    ),
    "GenopsRefusesSenders": (
        {
            'genops_refused_requests_total{instance="a",signal="traces",code="UNAVAILABLE"}': (
                "0+1x60"
            )
        },
        30,
    ),
    "GenopsBadRequests": (
        {
            'genops_refused_requests_total{instance="a",signal="logs",code="INVALID_ARGUMENT"}': (
                "_x100 1x60"
            )
        },
        105,
    ),
    "GenopsBooksDoNotBalance": (
        {f"genops_exporter_delivered_items_total{_D}}}": f"0+590x{MINUTES}"},
        60,
    ),
    "GenopsUnpricedSpans": (
        {'genops_spans_total{instance="a",status="unpriced",reason="no_usage"}': "0+50x200"},
        120,
    ),
    "GenopsUnknownModels": (
        {'genops_unknown_model_spans_total{instance="a",market="openrouter"}': "_x100 1x60"},
        105,
    ),
    "GenopsPricingDrift": (
        {
            'genops_pricing_drift_usd_total{instance="a",market="openrouter",model="m",'
            'direction="billed_more"}': "0+0.001x200"
        },
        120,
    ),
    "GenopsImplausibleCosts": (
        {'genops_implausible_cost_spans_total{instance="a"}': "_x100 1x60"},
        105,
    ),
    "GenopsCatalogOld": ({'genops_catalog_age_seconds{instance="a"}': "6000000x200"}, 90),
    "GenopsReloadFailed": ({'genops_config_last_reload_successful{instance="a"}': "0x60"}, 10),
    "GenopsCertificateNotReloaded": (
        {'genops_file_reloads_total{instance="a",key="k",outcome="failed"}': "_x100 1x60"},
        105,
    ),
    "GenopsMemoryLimit": (
        {'genops_memory_refused_requests_total{instance="a"}': "0+1x60"},
        30,
    ),
    "GenopsWorkerEnded": (
        {'genops_worker_restarts_total{instance="a",worker="2"}': "0x100 1x60"},
        105,
    ),
    "GenopsSpendRises": (
        {'genops_cost_total{instance="a",genops_team="support"}': "0+0.01x1500 16+1x60"},
        1530,
    ),
    "GenopsEnricherMissing": ({'genops_build_info{instance="a",version="0.1.0"}': "_x60"}, 10),
}


def firing(name: str, series: Mapping[str, str], minute: int) -> dict[str, object]:
    """A unit test for promtool: at that minute the alert fires; "" asks that none does."""
    selector = f'alertname="{name}",' if name else ""
    sample = {"labels": "{}", "value": 1 if name else 0}
    return {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "promql_expr_test": [
            {
                "expr": f'max(ALERTS{{{selector}alertstate="firing"}}) or vector(0)',
                "eval_time": f"{minute}m",
                "exp_samples": [sample],
            }
        ],
    }


def test_each_alert_fires_in_its_trouble_and_none_without(tmp_path: Path) -> None:
    assert TROUBLE.keys() == {alert.name for alert in ALERTS}
    cases = [firing("", HEALTHY, minute) for minute in (30, 120, 1530)]
    cases += [
        firing(name, {**HEALTHY, **differs}, minute) for name, (differs, minute) in TROUBLE.items()
    ]
    file = tmp_path / "test.yaml"
    file.write_text(
        yaml.safe_dump(
            {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": cases},
            sort_keys=False,
        )
    )

    done = promtool("test", "rules", str(file))

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_labels_that_alerts_choose_by_are_documented() -> None:
    told = LABELS["status"] + LABELS["outcome"] + LABELS["code"]
    for word in ("unpriced", "priced", "free", "held", "UNAVAILABLE"):
        assert f"`{word}`" in told
    assert {"duplicate", "aggregate"} <= REASONS.keys()
