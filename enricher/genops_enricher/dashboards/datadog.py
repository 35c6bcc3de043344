"""Datadog: a dashboard and monitors, in the words of its API (version 1).

From spans (`@genops.cost.total` and so on, as Datadog names attributes of ingested spans) where the
single call matters, and from the metric `genops.cost`, which counts 100 % of the calls, where sums
do. The metric comes over OTLP with `enrichment.metrics.export_interval` and `temporality: delta`.
What is only on the metrics page comes through the Agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genops_enricher.dashboards.names import (
    SPEND_LABELS,
    agent_counter,
    attribute,
    reason,
    spend_metric,
)
from genops_enricher.enrich.attributes import ATTRIBUTES, COST_PARTS

__all__ = ["dashboard", "monitors"]

_TOP = 10
_COST = attribute("genops.cost.total")
_STATUS = attribute("genops.cost.status")
_WHY = attribute("genops.cost.unpriced_reason")
_ESTIMATED = attribute("genops.cost.estimated")
_PRICED = f"@{_STATUS}:(priced OR free)"
_UNPRICED = f"@{_STATUS}:unpriced -@{_WHY}:({reason('duplicate')} OR {reason('aggregate')})"
_SPEND = spend_metric("genops.cost")
# From the metrics page, which the Agent reads as openmetrics.d/conf.yaml beside the dashboard says.
_DRIFT = agent_counter("genops_pricing_drift_usd_total", "direction", "billed_more")


def _spans(
    name: str, search: str, aggregation: str, metric: str = "", by: Sequence[str] = ()
) -> dict[str, Any]:
    compute: dict[str, Any] = {"aggregation": aggregation}
    if metric:
        compute["metric"] = f"@{attribute(metric)}"
    sort = {**compute, "order": "desc"}
    return {
        "data_source": "spans",
        "name": name,
        "indexes": ["*"],
        "search": {"query": search},
        "compute": compute,
        "group_by": [
            {"facet": f"@{attribute(facet)}", "limit": _TOP, "sort": sort} for facet in by
        ],
    }


def _metric(name: str, by: str) -> dict[str, Any]:
    return {
        "data_source": "metrics",
        "name": name,
        "query": f"sum:{_SPEND}{{*}} by {{{attribute(by)}}}.as_count()",
    }


def _widget(
    kind: str, title: str, queries: Sequence[dict[str, Any]], formulas: Sequence[str]
) -> dict[str, Any]:
    shown = [{"formula": formula} for formula in formulas]
    request: dict[str, Any] = {"queries": list(queries), "formulas": shown}
    if kind == "timeseries":
        request |= {"response_format": "timeseries", "display_type": "bars"}
    else:
        request |= {"response_format": "scalar"}
    definition: dict[str, Any] = {"type": kind, "title": title, "requests": [request]}
    if kind == "query_value":
        definition |= {"autoscale": True, "precision": 2}
    return {"definition": definition}


def _group(title: str, widgets: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "definition": {
            "type": "group",
            "layout_type": "ordered",
            "title": title,
            "widgets": widgets,
        }
    }


def _words(name: str) -> str:
    return name.removeprefix("genops.").replace("_", " ").replace(".", " ")


def dashboard() -> dict[str, Any]:
    """The dashboard: the body for POST /api/v1/dashboard, and what the page imports."""
    parts = [a.name for a in ATTRIBUTES if a.name in COST_PARTS.values()]
    return {
        "title": "LLM cost (genops)",
        "description": "Cost of LLM calls by team, customer and model; what has no cost, and why; "
        "where bills and the catalog differ.",
        "layout_type": "ordered",
        "reflow_type": "auto",
        "template_variables": [],
        "widgets": [
            _group(
                "Spend (metric: every call, also those that are sampled out)",
                [
                    _widget(
                        "timeseries",
                        f"Cost by {_words(name)}, USD",
                        [_metric("cost", name)],
                        ["cost"],
                    )
                    for name in SPEND_LABELS
                ],
            ),
            _group(
                "Calls (spans: those that are kept)",
                [
                    _widget(
                        "query_value",
                        "Cost of the calls, USD",
                        [_spans("cost", _PRICED, "sum", _COST)],
                        ["cost"],
                    ),
                    *(
                        _widget(
                            "toplist",
                            f"Dearest by {_words(name)}, USD",
                            [_spans("cost", _PRICED, "sum", _COST, [name])],
                            ["cost"],
                        )
                        for name in ("genops.team", "genops.customer_id", "genops.model")
                    ),
                    _widget(
                        "timeseries",
                        "Cost by part, USD",
                        [_spans(f"part{n}", _PRICED, "sum", name) for n, name in enumerate(parts)],
                        [f"part{n}" for n in range(len(parts))],
                    ),
                    _widget(
                        "query_table",
                        "Dear calls by model: above one cent",
                        [
                            _spans("cost", f"@{_COST}:>0.01", "sum", _COST, ["genops.model"]),
                            _spans("mean", f"@{_COST}:>0.01", "avg", _COST, ["genops.model"]),
                            _spans("calls", f"@{_COST}:>0.01", "count", "", ["genops.model"]),
                        ],
                        ["cost", "mean", "calls"],
                    ),
                    _widget(
                        "toplist",
                        "Fallbacks by the provider that served",
                        [
                            _spans(
                                "calls",
                                f"@{attribute('genops.openrouter.fallback_used')}:true",
                                "count",
                                by=["genops.openrouter.actual_provider"],
                            )
                        ],
                        ["calls"],
                    ),
                ],
            ),
            _group(
                "Pricing",
                [
                    _widget(
                        "timeseries",
                        "Calls without a cost, by reason",
                        [_spans("calls", _UNPRICED, "count", by=[_WHY])],
                        ["calls"],
                    ),
                    _widget(
                        "toplist",
                        "Models that the catalog does not have",
                        [
                            _spans(
                                "calls",
                                f"@{_WHY}:{reason('unknown_model')}",
                                "count",
                                by=["genops.model"],
                            )
                        ],
                        ["calls"],
                    ),
                    _widget(
                        "query_table",
                        "Bill and catalog: reported, computed, difference, USD",
                        [
                            _spans("bill", f"@{_ESTIMATED}:*", "sum", _COST, ["genops.model"]),
                            _spans(
                                "catalog", f"@{_ESTIMATED}:*", "sum", _ESTIMATED, ["genops.model"]
                            ),
                        ],
                        ["bill", "catalog", "bill - catalog"],
                    ),
                    _widget(
                        "toplist",
                        "Catalogs that priced",
                        [
                            _spans(
                                "calls",
                                f"@{_STATUS}:*",
                                "count",
                                by=["genops.pricing.version"],
                            )
                        ],
                        ["calls"],
                    ),
                ],
            ),
        ],
    }


def _monitor(name: str, kind: str, query: str, threshold: float, message: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "query": f"{query} > {threshold:g}",
        "message": message,
        "tags": ["genops", "llm"],
        "priority": None,
        "options": {
            "thresholds": {"critical": threshold},
            "notify_no_data": False,
            "include_tags": True,
        },
    }


def _span_alert(search: str, rollup: str, by: str, last: str) -> str:
    return f'trace-analytics("{search}").rollup({rollup}).by("@{attribute(by)}").last("{last}")'


def monitors() -> list[dict[str, Any]]:
    """The monitors: bodies for POST /api/v1/monitor. Thresholds in USD are to be set to budgets."""
    return [
        _monitor(
            "LLM cost: a team spends more than 100 USD a day",
            "query alert",
            f"sum(last_1d):sum:{_SPEND}{{*}} by {{{attribute('genops.team')}}}.as_count()",
            100,
            "Team {{genops.team.name}} spent {{value}} USD in 24 hours. Set the threshold to your "
            "budget.",
        ),
        _monitor(
            "LLM cost: a customer costs more than 20 USD an hour",
            "query alert",
            f"sum(last_1h):sum:{_SPEND}{{*}} by {{{attribute('genops.customer_id')}}}.as_count()",
            20,
            "Customer {{genops.customer_id.name}} cost {{value}} USD in an hour.",
        ),
        _monitor(
            "LLM cost: a model costs more than 50 USD an hour",
            "query alert",
            f"sum(last_1h):sum:{_SPEND}{{*}} by {{{attribute('genops.model')}}}.as_count()",
            50,
            "Calls of {{genops.model.name}} cost {{value}} USD in an hour.",
        ),
        _monitor(
            "LLM cost: a single call costs more than 5 USD",
            "trace-analytics alert",
            _span_alert(_PRICED, f'"max", "@{_COST}"', "genops.team", "1h"),
            5,
            "A prompt that grew, a loop, or the wrong model.",
        ),
        _monitor(
            "LLM cost: calls without a cost",
            "trace-analytics alert",
            _span_alert(_UNPRICED, '"count"', _WHY, "1h"),
            100,
            "Reason: docs/attributes.md of genops says what to do for each.",
        ),
        _monitor(
            "LLM cost: the catalog does not know a model",
            "trace-analytics alert",
            _span_alert(f"@{_WHY}:{reason('unknown_model')}", '"count"', "genops.model", "1h"),
            0,
            "Update genops-ai, or add an overlay (docs/pricing.md).",
        ),
        _monitor(
            "LLM cost: bills are above the catalog",
            "metric alert",
            f"sum(last_1d):sum:{_DRIFT} by {{model}}.as_count()",
            1,
            "The provider billed {{value}} USD more than the catalog says for {{model.name}} in "
            "24 hours. The bill is the cost; a new price needs a new catalog.",
        ),
    ]
