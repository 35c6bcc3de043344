"""The names that a dashboard may use. Any other is an error when the dashboards are made.

So a renamed attribute or metric can't leave an empty panel behind, or an alert that never fires.
"""

from __future__ import annotations

import re

from genops_enricher.config.keys import KEYS
from genops_enricher.enrich.attributes import ATTRIBUTES, REASONS
from genops_enricher.spend.ledger import METRICS as SPEND_METRICS
from genops_enricher.spend.ledger import page_label
from genops_enricher.telemetry import METRICS

__all__ = ["SPEND_LABELS", "agent_counter", "attribute", "promql", "reason", "spend_metric"]

# What the client writes, or `enrichment.attribution` fills in. A test holds them against the
# client's own list, which the enricher may not import.
CLIENT_ATTRIBUTES = frozenset(
    {
        "genops.team",
        "genops.project",
        "genops.customer_id",
        "genops.environment",
        "genops.feature",
        "genops.openrouter.actual_provider",
        "genops.openrouter.fallback_used",
    }
)

SPEND_LABELS = tuple(
    next(k.default or "" for k in KEYS if k.path == "enrichment.metrics.labels").split(", ")
)
"""The attributes by which cost and tokens are summed unless the configuration says otherwise."""

_ATTRIBUTES = {a.name for a in ATTRIBUTES} | CLIENT_ATTRIBUTES
_SPEND = {metric.name for metric in SPEND_METRICS}
# `process_*` are those that prometheus_client adds on Linux.
_SERIES = (
    {metric.name: set(metric.labels) for metric in METRICS}
    | {metric.page_name: {page_label(name) for name in SPEND_LABELS} for metric in SPEND_METRICS}
    | {"process_resident_memory_bytes": set(), "process_cpu_seconds_total": set()}
)
_SCRAPED = {"instance", "job"}  # what Prometheus adds to every series
_LABELS = set[str]().union(*_SERIES.values()) | _SCRAPED
_AGENT = "genops_enricher"  # the namespace in openmetrics.d/conf.yaml


def attribute(name: str) -> str:
    """The name, if it is that of an attribute of an enriched span.

    Raises:
        KeyError: it is not.
    """
    if name not in _ATTRIBUTES:
        raise KeyError(f"{name} is no attribute of the tables")
    return name


def reason(name: str) -> str:
    """The name, if it is a reason for which a span has no cost.

    Raises:
        KeyError: it is not.
    """
    if name not in REASONS:
        raise KeyError(f"{name} is no reason of the table")
    return name


def spend_metric(name: str) -> str:
    """The name, if it is that of a cost or token metric as it leaves over OTLP.

    Raises:
        KeyError: it is not.
    """
    if name not in _SPEND:
        raise KeyError(f"{name} is no metric of the ledger")
    return name


def agent_counter(name: str, label: str, value: str) -> str:
    """A counter of the metrics page as Datadog's Agent names it, with a label that must hold.

    Raises:
        KeyError: there is no such counter, or it has no such label.
    """
    if label not in _SERIES[name]:
        raise KeyError(f"{name} has no label {label}")
    return f"{_AGENT}.{name.removesuffix('_total')}.count{{{label}:{value}}}"


def promql(text: str) -> str:
    """The expression, if every metric and label in it is there.

    Raises:
        KeyError: one is not.
    """
    for name in re.findall(r"\b(?:genops|process)_\w+", text):
        if name not in _SERIES and name not in _LABELS:
            raise KeyError(f"{name} is no metric of the tables: {text}")
    for name in re.findall(r'(\w+)(?:=~|!~|!=|=)"', text):
        if name not in _LABELS:
            raise KeyError(f"{name} is no label of the tables: {text}")
    for names in re.findall(r"\b(?:by|on|ignoring|group_left) \(([^)]*)\)", text):
        for name in names.split(","):
            if name.strip() and name.strip() not in _LABELS:
                raise KeyError(f"{name} is no label of the tables: {text}")
    return text
