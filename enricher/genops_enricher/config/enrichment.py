"""Reads what is added to spans: prices, attribution, vocabularies, and the metrics of cost."""

from __future__ import annotations

import re

from genops_enricher.config.model import (
    AttributionRule,
    CatalogConfig,
    DedupeConfig,
    EnrichmentConfig,
    MetricsConfig,
    Vocabulary,
)
from genops_enricher.config.pipelines import Pipelines
from genops_enricher.config.reading import Reading
from genops_enricher.config.redaction import read_redaction
from genops_enricher.pipeline import Signal
from genops_enricher.spend.ledger import page_label

__all__ = ["read_enrichment"]

# Names that the enricher or the client writes from what they saw. An operator's rule that could
# write them would put a guess where an observation belongs.
_RESERVED = re.compile(
    r"genops\.(cost|pricing|tokens|openrouter|stream)(\..*)?|genops\.(provider|model|model_.*)"
)


def read_enrichment(reading: Reading, pipelines: Pipelines) -> EnrichmentConfig:
    """The section `enrichment`."""
    get = reading.settings.get
    path = ("enrichment", "overlays")
    names: tuple[str, ...] = reading.settings.find(tuple, *path) or ()
    overlays = tuple([reading.readable(path, name) for name in names])
    rules: dict[str, tuple[str, ...]]
    rules = reading.settings.find(dict, "enrichment", "attribution") or {}
    for target, sources in rules.items():
        _check_attribution(reading, target, sources)
    vocabularies: tuple[str, ...] = reading.settings.find(tuple, "enrichment", "vocabularies") or ()
    if {Vocabulary.USAGE_COST, Vocabulary.USAGE_COST_AMOUNT} <= set(vocabularies):
        reading.warn(
            ("enrichment", "vocabularies"),
            "backends that nest dotted names lose `gen_ai.usage.cost` or "
            "`gen_ai.usage.cost.amount` where a span has both; choose one",
        )
    return EnrichmentConfig(
        overlays=overlays,
        catalog=CatalogConfig(
            max_age_s=reading.settings.find(float, "enrichment", "catalog", "max_age"),
            reload_interval_s=reading.settings.find(
                float, "enrichment", "catalog", "reload_interval"
            ),
        ),
        attribution=tuple(AttributionRule(target, rules[target]) for target in rules),
        vocabularies=tuple(Vocabulary(name) for name in vocabularies),
        metrics=_metrics(reading, pipelines),
        dedupe=DedupeConfig(
            enabled=get(bool, "enrichment", "dedupe", "enabled"),
            window_s=get(float, "enrichment", "dedupe", "window"),
            max_ids=get(int, "enrichment", "dedupe", "max_ids"),
        ),
        price_orphan_aggregates=get(bool, "enrichment", "price_orphan_aggregates"),
        drift_tolerance=get(float, "enrichment", "drift_tolerance"),
        redaction=read_redaction(reading, rules),
    )


def _metrics(reading: Reading, pipelines: Pipelines) -> MetricsConfig:
    path = ("enrichment", "metrics")
    get = reading.settings.get
    config = MetricsConfig(
        labels=get(tuple, *path, "labels"),
        max_series=get(int, *path, "max_series"),
        export_interval_s=reading.settings.find(float, *path, "export_interval"),
        delta=get(str, *path, "temporality") == "delta",
    )
    names: dict[str, str] = {}
    for name in config.labels:
        label = page_label(name)
        if other := names.get(label):
            reading.note(
                (*path, "labels"),
                f"`{name}` is the same label as `{other}` on the metrics page; keep one",
            )
        names[label] = name
    if config.export_interval_s is not None and Signal.METRICS not in pipelines:
        reading.note(
            (*path, "export_interval"),
            "no exporter takes metrics; name one in `service.pipelines.metrics`, or remove it and "
            "scrape the metrics page",
        )
    return config


def _check_attribution(reading: Reading, target: str, sources: tuple[str, ...]) -> None:
    path = ("enrichment", "attribution", target)
    if not target.removeprefix("genops.") or not target.startswith("genops."):
        reading.note(path, "does not start with `genops.`; write a name such as `genops.team`")
    elif _RESERVED.fullmatch(target):
        reading.note(path, "is written by the enricher itself; choose another name")
    if "resource:" in sources:
        reading.note(path, "names no attribute after `resource:`; write `resource:service.name`")
