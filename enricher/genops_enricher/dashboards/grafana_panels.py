"""What the Grafana dashboard shows: rows of panels over the metrics page of the enricher.

In the order in which one asks: what is spent, is it priced, does it arrive, how is the process;
then whatever else the table of metrics has. Spend comes by every label that is configured by
default. How Grafana wants it written is left to grafana.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from genops_enricher.dashboards.names import SPEND_LABELS
from genops_enricher.spend.ledger import METRICS as SPEND_METRICS
from genops_enricher.spend.ledger import page_label
from genops_enricher.telemetry import METRICS, Kind

__all__ = ["Panel", "rows"]

_ALL = 'instance=~"$instance"'
_BY = "exporter, signal"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: `targets` are (expression, legend)."""

    title: str
    targets: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    help: str = ""


def _rate(metric: str, by: str, *more: str, legend: str = "") -> tuple[str, str]:
    selector = ",".join([_ALL, *more])
    shown = legend or " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
    return f"sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))", shown


def _gauge(metric: str, by: str) -> tuple[str, str]:
    shown = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
    return f"sum by ({by}) ({metric}{{{_ALL}}})", shown


def _spend_by(attribute: str) -> Panel:
    label = page_label(attribute)
    expression = f"topk(10, sum by ({label}) (increase(genops_cost_total{{{_ALL}}}[1h])))"
    return Panel(
        f"Cost an hour by {attribute.removeprefix('genops.').replace('_', ' ')}",
        ((expression, f"{{{{{label}}}}}"),),
        unit="currencyUSD",
        help="The ten highest. A series has a cost only if a call of it could be priced.",
    )


def _tokens() -> Panel:
    names = {m.page_name: m.name.removeprefix("genops.tokens.") for m in SPEND_METRICS}
    del names["genops_cost_total"]
    targets = ((f"sum(rate({n}{{{_ALL}}}[$__rate_interval]))", kind) for n, kind in names.items())
    return Panel(
        "Tokens a second",
        tuple(targets),
        help="Input includes what was cached, output includes reasoning.",
    )


_LLM = 'status=~"priced|free|unpriced",reason!~"duplicate|aggregate"'
_UNPRICED = 'status="unpriced",reason!~"duplicate|aggregate"'

_ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Spend",
        (
            Panel(
                "Cost in this time",
                ((f"sum(increase(genops_cost_total{{{_ALL}}}[$__range]))", "USD"),),
                unit="currencyUSD",
                kind="stat",
                width=6,
            ),
            Panel(
                "Calls without a cost",
                (
                    (
                        f"sum(increase(genops_spans_total{{{_ALL},{_UNPRICED}}}[$__range])) / "
                        f"sum(increase(genops_spans_total{{{_ALL},{_LLM}}}[$__range]))",
                        "share",
                    ),
                ),
                unit="percentunit",
                kind="stat",
                width=6,
                help="Duplicates and aggregates left out: their cost stands on another span.",
            ),
            Panel(
                "Input read from a cache",
                (
                    (
                        f"sum(rate(genops_tokens_cache_read_total{{{_ALL}}}[$__range])) / "
                        f"sum(rate(genops_tokens_input_total{{{_ALL}}}[$__range]))",
                        "share",
                    ),
                ),
                unit="percentunit",
                kind="stat",
                width=6,
            ),
            Panel(
                "Items lost",
                ((f"sum(genops_exporter_dropped_items_total{{{_ALL}}}) or vector(0)", "items"),),
                kind="stat",
                width=6,
                help="Since the enrichers started. Should be 0.",
            ),
            *(_spend_by(name) for name in SPEND_LABELS),
            _tokens(),
            Panel(
                "USD a million tokens, by model",
                (
                    (
                        "topk(10, 1e6 * sum by (genops_model) "
                        f"(increase(genops_cost_total{{{_ALL}}}[1h])) / (sum by (genops_model) "
                        f"(increase(genops_tokens_input_total{{{_ALL}}}[1h])) + "
                        "sum by (genops_model) "
                        f"(increase(genops_tokens_output_total{{{_ALL}}}[1h]))))",
                        "{{genops_model}}",
                    ),
                ),
                unit="currencyUSD",
            ),
        ),
    ),
    (
        "Pricing",
        (
            Panel("Spans by status", (_rate("genops_spans_total", "status"),)),
            Panel(
                "Why spans are unpriced",
                (_rate("genops_spans_total", "reason", 'status="unpriced"'),),
                help="docs/attributes.md explains each reason.",
            ),
            Panel(
                "Models that the catalog does not have",
                (_rate("genops_unknown_model_spans_total", "market"),),
            ),
            Panel(
                "Bill and catalog differ, USD an hour",
                (
                    (
                        "topk(10, sum by (model, direction) "
                        f"(increase(genops_pricing_drift_usd_total{{{_ALL}}}[1h])))",
                        "{{model}} {{direction}}",
                    ),
                ),
                unit="currencyUSD",
            ),
            Panel(
                "Spans whose bill differs, or can't be right",
                (
                    _rate("genops_pricing_drift_spans_total", "market"),
                    _rate("genops_implausible_cost_spans_total", "instance", legend="implausible"),
                ),
            ),
            Panel(
                "Calls reported as log records",
                (_rate("genops_llm_log_records_total", "event"),),
                help="They pass through and have no cost.",
            ),
            Panel(
                "Age of the catalog",
                ((f"max(genops_catalog_age_seconds{{{_ALL}}})", "age"),),
                unit="s",
                kind="stat",
                width=6,
            ),
            Panel(
                "Catalogs in use",
                ((f"count by (version) (genops_catalog_info{{{_ALL}}})", "{{version}}"),),
                kind="table",
                width=18,
            ),
        ),
    ),
    (
        "Delivery",
        (
            Panel("Items received", (_rate("genops_received_items_total", "signal"),)),
            Panel(
                "Requests refused",
                (_rate("genops_refused_requests_total", "signal, code"),),
                help="UNAVAILABLE: the sender keeps them and tries again.",
            ),
            Panel(
                "Queue, share of its bound",
                (
                    (
                        f"genops_exporter_queue_bytes{{{_ALL}}} / "
                        f"genops_exporter_queue_capacity_bytes{{{_ALL}}}",
                        "{{instance}} {{exporter}} {{signal}}",
                    ),
                ),
                unit="percentunit",
            ),
            Panel("Items that wait", (_gauge("genops_exporter_queued_items", _BY),)),
            Panel(
                "The oldest that waits",
                (
                    (
                        "max by (exporter, signal) "
                        f"(genops_exporter_oldest_item_age_seconds{{{_ALL}}})",
                        "{{exporter}} {{signal}}",
                    ),
                ),
                unit="s",
            ),
            Panel(
                "Items accepted and delivered",
                (
                    _rate(
                        "genops_exporter_accepted_items_total",
                        _BY,
                        legend="accepted {{exporter}} {{signal}}",
                    ),
                    _rate(
                        "genops_exporter_delivered_items_total",
                        _BY,
                        legend="delivered {{exporter}} {{signal}}",
                    ),
                ),
            ),
            Panel(
                "Attempts by outcome",
                (_rate("genops_exporter_attempts_total", "exporter, outcome"),),
                help="held: the destination refuses us, as for a wrong key.",
            ),
            Panel(
                "Lost, dead letters, shortened",
                (
                    _rate(
                        "genops_exporter_dropped_items_total",
                        "exporter, reason",
                        legend="lost {{exporter}} {{reason}}",
                    ),
                    _rate(
                        "genops_exporter_dead_lettered_items_total",
                        "exporter",
                        legend="dead letters {{exporter}}",
                    ),
                    _rate(
                        "genops_exporter_truncated_items_total",
                        "exporter",
                        legend="shortened {{exporter}}",
                    ),
                ),
            ),
            Panel(
                "Recovered at the start, and damage",
                (
                    (
                        f"sum by (instance) (genops_exporter_recovered_items{{{_ALL}}})",
                        "recovered {{instance}}",
                    ),
                    (
                        f"sum by (instance) (genops_queue_damaged_ranges_total{{{_ALL}}})",
                        "damaged {{instance}}",
                    ),
                ),
            ),
            Panel(
                "Books: what is not accounted for",
                (
                    (
                        f"sum(genops_exporter_recovered_items{{{_ALL}}}) + "
                        f"sum(genops_exporter_accepted_items_total{{{_ALL}}}) - "
                        f"sum(genops_exporter_delivered_items_total{{{_ALL}}}) - "
                        f"sum(genops_exporter_queued_items{{{_ALL}}}) - "
                        f"sum(genops_exporter_dead_lettered_items_total{{{_ALL}}}) - "
                        f"(sum(genops_exporter_dropped_items_total{{{_ALL}}}) or vector(0))",
                        "items",
                    ),
                ),
                help="0 whenever nothing is in flight.",
            ),
        ),
    ),
    (
        "Process",
        (
            Panel(
                "CPU, cores",
                (
                    (
                        f"rate(process_cpu_seconds_total{{{_ALL}}}[$__rate_interval])"
                        f" and on (instance) genops_build_info{{{_ALL}}}",
                        "{{instance}}",
                    ),
                ),
            ),
            Panel(
                "Memory, and its limit",
                (
                    (
                        f"process_resident_memory_bytes{{{_ALL}}}"
                        f" and on (instance) genops_build_info{{{_ALL}}}",
                        "{{instance}}",
                    ),
                    (f"max(genops_memory_limit_bytes{{{_ALL}}})", "limit"),
                ),
                unit="bytes",
                help="service.memory_limit_mib, if it is set.",
            ),
            Panel(
                "Running for",
                (
                    (
                        f"time() - genops_process_start_time_seconds{{{_ALL}}}",
                        "{{instance}}",
                    ),
                ),
                unit="s",
            ),
            Panel(
                "Requests refused for memory",
                (_rate("genops_memory_refused_requests_total", "instance", legend="{{instance}}"),),
            ),
            Panel(
                "Reloads by outcome",
                (_rate("genops_config_reloads_total", "outcome"),),
            ),
            Panel(
                "Configuration",
                (
                    (
                        f"min by (instance) (genops_config_last_reload_successful{{{_ALL}}})",
                        "last reload good {{instance}}",
                    ),
                    (
                        "(time() - genops_config_last_reload_success_timestamp_seconds"
                        f"{{{_ALL}}}) / 86400",
                        "days since {{instance}}",
                    ),
                ),
                help="1: what is on disk runs. 0: it is wrong, and what ran before goes on.",
            ),
        ),
    ),
)


def _others() -> tuple[Panel, ...]:
    """A panel for each metric of the table that none of the rows above shows."""
    shown = " ".join(
        expression for _, panels in _ROWS for panel in panels for expression, _ in panel.targets
    )
    return tuple(
        Panel(
            metric.name,
            ((_rate if metric.kind is Kind.COUNTER else _gauge)(metric.name, by),),
            help=metric.meaning,
        )
        for metric in METRICS
        if not re.search(rf"\b{metric.name}\b", shown)
        for by in [", ".join(metric.labels) or "instance"]
    )


def rows() -> tuple[tuple[str, tuple[Panel, ...]], ...]:
    """The rows: title and panels."""
    others = _others()
    return (*_ROWS, ("More", others)) if others else _ROWS
