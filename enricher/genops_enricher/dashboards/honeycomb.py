"""Honeycomb: queries for a board, and triggers, in the words of its API (version 1).

The three queries of the OpenRouter guide are among them, corrected: "cost by team" has to sum costs
and not count calls, and an average over dear calls says little without their number and their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genops_enricher.dashboards.names import attribute, reason
from genops_enricher.enrich.attributes import ATTRIBUTES, COST_PARTS

__all__ = ["queries", "triggers"]

_HOUR_S, _DAY_S = 3600, 86400
_GROUPS_MAX = 50

_COST = attribute("genops.cost.total")
_STATUS = attribute("genops.cost.status")
_WHY = attribute("genops.cost.unpriced_reason")
_TEAM = attribute("genops.team")
_MODEL = attribute("genops.model")

_Filter = tuple[str, str, Any] | tuple[str, str]


def _calculation(op: str, column: str = "") -> dict[str, Any]:
    return {"op": op, "column": attribute(column)} if column else {"op": op}


def _query(
    calculations: Sequence[tuple[str, ...]],
    *,
    by: Sequence[str] = (),
    where: Sequence[_Filter] = (),
    time_range_s: int = _DAY_S,
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "time_range": time_range_s,
        "calculations": [_calculation(*each) for each in calculations],
        "filters": [
            {"column": attribute(column), "op": op, **({"value": rest[0]} if rest else {})}
            for column, op, *rest in where
        ],
    }
    if by:
        made["breakdowns"] = [attribute(column) for column in by]
        made["orders"] = [{**made["calculations"][0], "order": "descending"}]
        made["limit"] = _GROUPS_MAX
    return made


# Unpriced by rule and not by lack: their cost stands on another span.
_REALLY_UNPRICED: tuple[_Filter, ...] = (
    (_STATUS, "=", "unpriced"),
    (_WHY, "not-in", [reason("duplicate"), reason("aggregate")]),
)
_COSTS = (("SUM", _COST), ("COUNT",))
_PARTS = [a.name for a in ATTRIBUTES if a.name in COST_PARTS.values()]

_QUERIES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    (
        "Cost by team",
        "USD and calls. The guide counts calls here (COUNT), which is not cost.",
        "combo",
        _query(_COSTS, by=[_TEAM], where=[(attribute("genops.provider"), "=", "openrouter")]),
    ),
    (
        "Dear requests by model",
        "Calls above one cent: what they cost together, on average, at most, and how many.",
        "table",
        _query(
            [("SUM", _COST), ("AVG", _COST), ("MAX", _COST), ("COUNT",)],
            by=[_MODEL],
            where=[(_COST, ">", 0.01)],
        ),
    ),
    (
        "Fallbacks by the provider that served",
        "OpenRouter went to another provider or model than the first.",
        "combo",
        _query(
            [("COUNT",), ("SUM", _COST)],
            by=["genops.openrouter.actual_provider"],
            where=[("genops.openrouter.fallback_used", "=", True)],
        ),
    ),
    ("Cost by model", "USD and calls.", "combo", _query(_COSTS, by=[_MODEL])),
    (
        "Cost by customer",
        "USD and calls.",
        "combo",
        _query(_COSTS, by=["genops.customer_id"], where=[("genops.customer_id", "exists")]),
    ),
    (
        "Cost by family and tier",
        "Which kinds of model the money goes to.",
        "table",
        _query(_COSTS, by=["genops.model_family", "genops.model_tier"]),
    ),
    (
        "Cost by part",
        "Computed: input, output, caches and the rest.",
        "graph",
        _query([("SUM", name) for name in _PARTS]),
    ),
    (
        "Tokens by model",
        "Input includes what was cached, output includes reasoning.",
        "table",
        _query(
            [("SUM", "genops.tokens.input"), ("SUM", "genops.tokens.output"), ("COUNT",)],
            by=[_MODEL],
        ),
    ),
    (
        "Calls without a cost, and why",
        "docs/attributes.md says what to do for each reason. Duplicates and aggregates, whose cost "
        "stands on another span, are left out.",
        "combo",
        _query([("COUNT",)], by=[_WHY, _MODEL], where=_REALLY_UNPRICED),
    ),
    (
        "Bill and catalog",
        "What providers reported beside what the catalog says, where both are known.",
        "table",
        _query(
            [("SUM", _COST), ("SUM", "genops.cost.estimated"), ("COUNT",)],
            by=[_MODEL],
            where=[("genops.cost.estimated", "exists")],
        ),
    ),
    (
        "Which catalog priced",
        "Every version that is on spans; more than one after an update.",
        "table",
        _query([("COUNT",)], by=["genops.pricing.version"]),
    ),
)


def queries() -> list[dict[str, Any]]:
    """The panels of the board: name, description, style, and the body of a query."""
    return [
        {"name": name, "description": description, "style": style, "query": query}
        for name, description, style, query in _QUERIES
    ]


def _trigger(
    name: str,
    description: str,
    query: dict[str, Any],
    threshold: float,
    frequency_s: int,
) -> dict[str, Any]:
    # Of a query, a trigger takes only what decides: no order, no limit.
    kept = {key: value for key, value in query.items() if key not in ("orders", "limit")}
    return {
        "name": name,
        "description": description,
        "query": kept,
        "threshold": {"op": ">", "value": threshold},
        "frequency": frequency_s,
        "alert_type": "on_change",
        "disabled": False,
        "recipients": [],
    }


def triggers() -> list[dict[str, Any]]:
    """The triggers: bodies for POST /1/triggers. Thresholds in USD are to be set to your budget."""
    return [
        _trigger(
            "A team spends more than 100 USD a day",
            "Set the threshold to your budget. The last 24 hours, looked at every six.",
            _query([("SUM", _COST)], by=[_TEAM]),
            100,
            _DAY_S // 4,
        ),
        _trigger(
            "A customer costs more than 20 USD an hour",
            "Set the threshold to what a customer may cost.",
            _query(
                [("SUM", _COST)],
                by=["genops.customer_id"],
                where=[("genops.customer_id", "exists")],
                time_range_s=_HOUR_S,
            ),
            20,
            _HOUR_S // 4,
        ),
        _trigger(
            "A single call costs more than 5 USD",
            "A prompt that grew, a loop, or the wrong model.",
            _query([("MAX", _COST)], by=[_TEAM], time_range_s=_HOUR_S),
            5,
            _HOUR_S // 4,
        ),
        _trigger(
            "Calls have no cost",
            "More than a hundred in an hour. The panel of reasons says why.",
            _query([("COUNT",)], by=[_WHY], where=_REALLY_UNPRICED, time_range_s=_HOUR_S),
            100,
            _HOUR_S // 4,
        ),
        _trigger(
            "The catalog does not know a model",
            "Update genops-ai, or add an overlay.",
            _query(
                [("COUNT",)],
                by=[_MODEL],
                where=[(_WHY, "=", reason("unknown_model"))],
                time_range_s=_HOUR_S,
            ),
            0,
            _HOUR_S // 4,
        ),
        _trigger(
            "OpenRouter falls back often",
            "More than fifty calls in an hour were served by another provider or model.",
            _query(
                [("COUNT",)],
                by=["genops.openrouter.actual_provider"],
                where=[("genops.openrouter.fallback_used", "=", True)],
                time_range_s=_HOUR_S,
            ),
            50,
            _HOUR_S // 4,
        ),
    ]
