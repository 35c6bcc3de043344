"""The alert rules for Prometheus: what a person has to act on, and what to do then.

`critical` is for what is lost or will be within hours, `warning` for what is wrong and keeps,
`info` for what somebody should know within days.

A counter that appears has no earlier value to compare with, and `increase` sees nothing: hence the
second half of `_grows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from genops_enricher.dashboards.names import promql

__all__ = ["ALERTS", "Alert", "alert_rules"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `wait` is how long it has to be so before anybody is told."""

    name: str
    severity: str
    expr: str
    summary: str
    action: str
    wait: str = "0m"


def _grows(series: str, within: str, by: str) -> str:
    return (
        f"sum by ({by}) (increase({series}[{within}])) > 0 or "
        f"sum by ({by}) ({series} unless {series} offset {within}) > 0"
    )


_BY = "instance, exporter, signal"
_FULL = "genops_exporter_queue_bytes / genops_exporter_queue_capacity_bytes"

ALERTS = (
    Alert(
        "GenopsItemsLost",
        "critical",
        _grows("genops_exporter_dropped_items_total", "15m", f"{_BY}, reason"),
        "{{ $labels.exporter }} gave up {{ $labels.signal }} ({{ $labels.reason }}).",
        "They are lost. docs/delivery.md says what each reason means and which setting decides.",
    ),
    Alert(
        "GenopsQueueDamaged",
        "critical",
        _grows("genops_queue_damaged_ranges_total", "1h", "instance, signal"),
        "Part of the queue of {{ $labels.signal }} can't be read.",
        "Check the disk. What is there is set aside in the folder `corrupt` of the data folder.",
    ),
    Alert(
        "GenopsQueueNearlyFull",
        "critical",
        f"{_FULL} > 0.9",
        "The queue of {{ $labels.exporter }} ({{ $labels.signal }}) is "
        "{{ $value | humanizePercentage }} full.",
        "When it is full, senders are refused (`on_full: refuse`) or the oldest are lost "
        "(`drop_oldest`). Bring the destination back, or raise `sending_queue.queue_size`.",
        "5m",
    ),
    Alert(
        "GenopsQueueGrows",
        "warning",
        f"{_FULL} > 0.2 and predict_linear(genops_exporter_queue_bytes[1h], 4 * 3600) "
        "> genops_exporter_queue_capacity_bytes",
        "At this rate the queue of {{ $labels.exporter }} ({{ $labels.signal }}) is full within "
        "four hours.",
        "See what the destination answers: /status, and the log.",
        "15m",
    ),
    Alert(
        "GenopsNotDelivering",
        "critical",
        f"sum by ({_BY}) (genops_exporter_queued_items) > 0 unless "
        f"sum by ({_BY}) (increase(genops_exporter_delivered_items_total[15m])) > 0",
        "{{ $labels.exporter }} has taken no {{ $labels.signal }} for a quarter of an hour, and "
        "some wait.",
        "Nothing is lost before the queue is full. /status and the log say what the destination "
        "answers.",
        "15m",
    ),
    Alert(
        "GenopsItemsWaitLong",
        "warning",
        "genops_exporter_oldest_item_age_seconds > 3600",
        "{{ $labels.signal }} for {{ $labels.exporter }} has waited for "
        "{{ $value | humanizeDuration }}.",
        "The destination is slow or away. Where `sending_queue.max_age` is set, what is older is "
        "lost.",
        "5m",
    ),
    Alert(
        "GenopsDestinationRefuses",
        "critical",
        f'sum by ({_BY}) (increase(genops_exporter_attempts_total{{outcome="held"}}[10m])) > 0',
        "{{ $labels.exporter }} refuses us: a wrong key, address or certificate.",
        "Correct the exporter's settings. It tries again slowly, and loses nothing until its "
        "queue is full.",
        "10m",
    ),
    Alert(
        "GenopsDeadLetters",
        "warning",
        _grows("genops_exporter_dead_lettered_items_total", "1h", _BY),
        "{{ $labels.exporter }} can never accept some {{ $labels.signal }}.",
        "Look at them with `genops-enricher dead-letters list`, mend the cause, and `resend`.",
    ),
    Alert(
        "GenopsRedactionRemoves",
        "warning",
        _grows("genops_redaction_removed_items_total", "1h", "instance, signal"),
        "Some {{ $labels.signal }} could not be read, and are not passed on.",
        "They may have held what `enrichment.redaction` takes out: docs/redaction.md. Find who "
        "sends them.",
    ),
    Alert(
        "GenopsRefusesSenders",
        "warning",
        'sum by (instance, signal) (increase(genops_refused_requests_total{code="UNAVAILABLE"}'
        "[5m])) > 0",
        "Senders of {{ $labels.signal }} are told to try again.",
        "A queue is full, the disk is full, or more is in work than the limits allow. A Collector "
        "gives up after five minutes, an SDK after ten seconds.",
        "10m",
    ),
    Alert(
        "GenopsBadRequests",
        "info",
        _grows('genops_refused_requests_total{code!="UNAVAILABLE"}', "1h", "instance, signal"),
        "Somebody sends {{ $labels.signal }} that can't be read or are not allowed.",
        "Find the sender: the log names what was wrong.",
    ),
    Alert(
        "GenopsBooksDoNotBalance",
        "warning",
        f"min_over_time(abs(sum by ({_BY}) (genops_exporter_recovered_items)"
        f" + sum by ({_BY}) (genops_exporter_accepted_items_total)"
        f" - sum by ({_BY}) (genops_exporter_delivered_items_total)"
        f" - sum by ({_BY}) (genops_exporter_dead_lettered_items_total)"
        f" - sum by ({_BY}) (genops_exporter_queued_items)"
        f" - (sum by ({_BY}) (genops_exporter_dropped_items_total)"
        f" or 0 * sum by ({_BY}) (genops_exporter_queued_items)))[30m:1m]) > 0",
        "The books of {{ $labels.exporter }} ({{ $labels.signal }}) have been open by "
        "{{ $value }} items for half an hour.",
        "This is a mistake in the enricher: please report it with /status and the metrics page.",
    ),
    Alert(
        "GenopsUnpricedSpans",
        "warning",
        'sum by (instance) (rate(genops_spans_total{status="unpriced",'
        'reason!~"duplicate|aggregate"}[1h])) / '
        'sum by (instance) (rate(genops_spans_total{status=~"priced|free|unpriced",'
        'reason!~"duplicate|aggregate"}[1h])) > 0.05',
        "{{ $value | humanizePercentage }} of the LLM calls have no cost.",
        "The panel of reasons says why; docs/troubleshooting.md what to do for each.",
        "30m",
    ),
    Alert(
        "GenopsUnknownModels",
        "info",
        _grows("genops_unknown_model_spans_total", "6h", "instance, market"),
        "Calls of models that the catalog does not have (market {{ $labels.market }}).",
        "Update genops-ai, or add an overlay: docs/costs.md. Market openai_compatible: the host is "
        "not known, docs/troubleshooting.md.",
    ),
    Alert(
        "GenopsPricingDrift",
        "warning",
        "sum by (instance) (increase(genops_pricing_drift_usd_total[6h])) > 0.01 * "
        "sum by (instance) (increase(genops_cost_total[6h]))",
        "Bills and the catalog differ by more than 1 % of what was spent in six hours.",
        "The bill is the cost. The panel by model says where; a new price needs a new catalog.",
    ),
    Alert(
        "GenopsImplausibleCosts",
        "info",
        _grows("genops_implausible_cost_spans_total", "6h", "instance"),
        "Costs were reported that can't be right, such as 0 for tokens of a paid model.",
        "They are priced from the catalog. Ask who reports them.",
    ),
    Alert(
        "GenopsCatalogOld",
        "warning",
        "genops_catalog_age_seconds > 60 * 86400",
        "The price catalog is {{ $value | humanizeDuration }} old.",
        "Prices change within weeks: update genops-ai.",
        "1h",
    ),
    Alert(
        "GenopsReloadFailed",
        "warning",
        "genops_config_last_reload_successful == 0",
        "The configuration or an overlay on disk is wrong; what ran before goes on.",
        "The log and /status name each mistake. A restart with these files would fail.",
    ),
    Alert(
        "GenopsCertificateNotReloaded",
        "warning",
        _grows('genops_file_reloads_total{outcome="failed"}', "1h", "instance, key"),
        "A changed certificate, key or file of tokens can't be used ({{ $labels.key }}).",
        "What was read before stays in use, until it expires. The log says what is wrong.",
    ),
    Alert(
        "GenopsMemoryLimit",
        "warning",
        "increase(genops_memory_refused_requests_total[10m]) > 0",
        "Requests are refused because the process is above its memory limit.",
        "Senders keep them and try again. Raise `service.memory_limit_mib` and the container's "
        "limit, lower `max_in_flight_mib`, or add a replica.",
        "10m",
    ),
    Alert(
        "GenopsWorkerEnded",
        "warning",
        _grows("genops_worker_restarts_total", "1h", "instance, worker"),
        "Worker {{ $labels.worker }} ended and was started again.",
        "The log says how it ended. Nothing that was acknowledged is lost.",
    ),
    Alert(
        "GenopsSpendRises",
        "info",
        "sum by (genops_team) (increase(genops_cost_total[1h])) > "
        "3 * sum by (genops_team) (increase(genops_cost_total[1d] offset 1h)) / 24 and "
        "sum by (genops_team) (increase(genops_cost_total[1h])) > 1",
        "Team {{ $labels.genops_team }} spent {{ $value | humanize }} USD in an hour, three times "
        "its usual.",
        "Look for the calls in the backend: SUM(genops.cost.total) of that team by model.",
    ),
    Alert(
        "GenopsEnricherMissing",
        "critical",
        "absent(genops_build_info)",
        "No enricher is there to be scraped.",
        "Applications keep spans for seconds, Collectors for minutes.",
        "5m",
    ),
)


def alert_rules() -> dict[str, Any]:
    """A file of Prometheus rules, which is the `spec` of a PrometheusRule too."""
    return {
        "groups": [{"name": "genops-enricher", "rules": [_rule(alert) for alert in ALERTS]}],
    }


def _rule(alert: Alert) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": alert.name, "expr": promql(alert.expr)}
    if alert.wait != "0m":
        rule["for"] = alert.wait
    return rule | {
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "description": alert.action},
    }
