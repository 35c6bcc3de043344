"""Which parts of the service a change of the configuration concerns.

What only the pricing of requests uses is not in any part: it is swapped while all goes on. What is
not known here concerns the pipelines, which is right for whatever lies between a request and its
destination.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto

from genops_enricher.config.model import (
    CatalogConfig,
    Config,
    DedupeConfig,
    EnrichmentConfig,
    ServiceConfig,
)
from genops_enricher.errors import ConfigError

__all__ = ["Part", "changed_parts", "check_changeable"]


class Part(Enum):
    """What is stopped and started as one."""

    HEALTH = auto()
    TRACING = auto()
    PIPELINES = auto()
    RECEIVERS = auto()


def changed_parts(old: Config, new: Config) -> frozenset[Part]:
    """The parts that have to be built anew."""
    parts = set()
    if old.service.health_endpoint != new.service.health_endpoint:
        parts.add(Part.HEALTH)
    # A receiver serves the signals that have a pipeline, and tells senders that others have none.
    if _receivers(old) != _receivers(new):
        parts.add(Part.RECEIVERS)
    if _rest(old) != _rest(new):
        parts.add(Part.PIPELINES)
    if _tracing(old) != _tracing(new):
        parts |= {Part.TRACING, Part.PIPELINES, Part.RECEIVERS}  # it is put around their stages
    return frozenset(parts)


def check_changeable(old: Config, new: Config) -> None:
    """Check that the process can go on with another configuration.

    Raises:
        ConfigError: it needs a restart.
    """
    before, after = old.service, new.service
    problems = []
    if before.data_dir != after.data_dir:
        problems.append(
            f"service.data_dir: can't change from {before.data_dir} to {after.data_dir} in a "
            "running process, which has a queue there; restart it, or take the change back"
        )
    if before.workers != after.workers:
        problems.append(
            f"service.workers: can't change from {before.workers} to {after.workers} in a running "
            "process; restart it, or take the change back"
        )
    if problems:
        raise ConfigError(problems)


def _receivers(config: Config) -> tuple[object, ...]:
    return config.receiver, config.http_receiver, frozenset(config.pipelines)


def _tracing(config: Config) -> tuple[object, ...] | None:
    traces = config.service.traces
    return None if traces is None else (traces, config.exporters[traces.exporter])


def _rest(config: Config) -> Config:
    """The configuration without what the other parts use, and without what needs no part."""
    enrichment = replace(
        config.enrichment,
        overlays=(),
        catalog=CatalogConfig(),
        attribution=(),
        vocabularies=(),
        dedupe=DedupeConfig(),
        price_orphan_aggregates=False,
        drift_tolerance=EnrichmentConfig().drift_tolerance,
    )
    default = ServiceConfig(config.service.data_dir)
    service = replace(
        config.service,
        health_endpoint=default.health_endpoint,
        shutdown_timeout_s=default.shutdown_timeout_s,
        reload_interval_s=default.reload_interval_s,
        memory_limit_bytes=default.memory_limit_bytes,
        log_level=default.log_level,
        log_encoding=default.log_encoding,
    )
    return replace(
        config, receiver=None, http_receiver=None, enrichment=enrichment, service=service
    )
