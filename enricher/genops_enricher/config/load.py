"""From a file or the environment to the configuration that the service runs with.

Decides what only shows when several keys are seen together: endpoints, pipelines, loops, defaults
that depend on the machine. Every problem is found before the first is reported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genops_enricher.config import endpoint as endpoints
from genops_enricher.config.check import check
from genops_enricher.config.enrichment import read_enrichment
from genops_enricher.config.environment import (
    ENDPOINT,
    read_environment,
    read_protocol,
    unread_variables,
)
from genops_enricher.config.exporters import read_exporters
from genops_enricher.config.model import (
    Config,
    ExporterConfig,
    ServiceConfig,
)
from genops_enricher.config.nodes import KeyPath, Place, Problem
from genops_enricher.config.pipelines import read_pipelines
from genops_enricher.config.reading import Reading
from genops_enricher.config.receivers import listeners, read_receivers
from genops_enricher.config.traces import read_traces
from genops_enricher.config.values import split_address
from genops_enricher.config.yaml_file import read_yaml
from genops_enricher.errors import ConfigError

__all__ = ["Loaded", "load_config"]

_MINIMAL = f"""\
no configuration: give a file with --config, or set {ENDPOINT} to the destination. A minimal file:

exporters:
  otlp_http:
    endpoint: https://api.honeycomb.io
    headers:
      x-honeycomb-team: ${{env:HONEYCOMB_API_KEY}}"""

_UNREAD = f"is not read; the variables for all signals are, such as {ENDPOINT}"


_ALONE = (
    "is more than 1: each worker remembers response ids by itself, so spans of one call that come "
    "over different connections may each be priced; send them over one connection, or set "
    "`enrichment.dedupe.enabled: false` where each call has one span"
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and what its author should know although it is valid."""

    config: Config
    warnings: tuple[str, ...]


def load_config(path: Path | None, env: Mapping[str, str]) -> Loaded:
    """Read and check the configuration.

    Args:
        path: the YAML file; None makes a configuration of the OTEL_EXPORTER_OTLP_* variables.
        env: the environment variables.

    Raises:
        ConfigError: with every problem, each as `place: key: what; fix`, in the order of the file.
    """
    problems: list[Problem] = []
    if path is not None:
        root = read_yaml(path, env, problems)
    elif env.get(ENDPOINT):
        root = read_environment(env, problems)
    else:
        unread = [f"{name}: {_UNREAD}" for name in unread_variables(env)]
        raise ConfigError([_MINIMAL, *unread])
    if problems and not root.entries:  # unreadable: nothing else can be said
        raise ConfigError([str(problem) for problem in problems])
    settings = check(root, problems)
    reading = Reading(
        settings,
        path.parent if path else Path(),
        env,
        problems,
        default_protocol=read_protocol(env, problems),
    )
    config = _read(reading)
    if path is None:
        reading.warnings += [Problem(Place(name), (), _UNREAD) for name in unread_variables(env)]
    if problems:
        # What has no line, such as a problem with a variable, stays in front.
        ordered = sorted(problems, key=lambda problem: problem.place.line)
        raise ConfigError([str(problem) for problem in ordered])
    return Loaded(config, tuple(str(warning) for warning in reading.warnings))


def _read(reading: Reading) -> Config:
    receivers = read_receivers(reading)
    exporters = read_exporters(reading)
    service = _service(reading, exporters)
    pipelines = read_pipelines(reading, exporters)
    enrichment = read_enrichment(reading, pipelines)
    if service.workers > 1 and enrichment.dedupe.enabled:
        reading.warn(("service", "workers"), _ALONE)
    addresses = listeners(receivers)
    _check_listeners(reading, addresses, service)
    _check_loops(reading, addresses, exporters)
    return Config(*receivers, exporters, pipelines, enrichment, service)


def _service(reading: Reading, exporters: Mapping[str, ExporterConfig]) -> ServiceConfig:
    get, find = reading.settings.get, reading.settings.find
    limit_mib = find(int, "service", "memory_limit_mib")
    return ServiceConfig(
        data_dir=_data_dir(reading),
        health_endpoint=get(str, "service", "telemetry", "health", "endpoint"),
        shutdown_timeout_s=get(float, "service", "shutdown_timeout"),
        reload_interval_s=find(float, "service", "reload_interval"),
        memory_limit_bytes=None if limit_mib is None else limit_mib << 20,
        workers=_workers(reading),
        log_level=get(str, "service", "telemetry", "logs", "level"),
        log_encoding=get(str, "service", "telemetry", "logs", "encoding"),
        traces=read_traces(reading, exporters),
    )


def _workers(reading: Reading) -> int:
    path = ("service", "workers")
    workers = reading.settings.get(int, *path)
    if workers > 1 and sys.platform != "linux":
        reading.note(
            path,
            f"is {workers}, but only Linux spreads the connections of one port over processes; "
            "remove it, or run several enrichers behind a load balancer",
        )
    return workers


def _data_dir(reading: Reading) -> Path:
    # https://specifications.freedesktop.org/basedir-spec/latest/ for the folder of a user.
    name = "genops-enricher"
    if given := reading.settings.find(str, "service", "data_dir"):
        return reading.named(("service", "data_dir"), given)
    if os.geteuid() == 0:
        return Path("/var/lib") / name
    if state := reading.env.get("XDG_STATE_HOME"):
        return Path(state) / name
    if home := reading.env.get("HOME"):
        return Path(home) / ".local" / "state" / name
    if not reading.settings.is_set("service", "data_dir"):
        reading.note(("service", "data_dir"), "has no default without HOME; set it")
    return Path(name)


def _check_listeners(
    reading: Reading, receivers: Mapping[KeyPath, str], service: ServiceConfig
) -> None:
    health = ("service", "telemetry", "health", "endpoint")
    seen: list[str] = []
    for key, address in [*receivers.items(), (health, service.health_endpoint)]:
        for other in seen:
            if endpoints.same_listener(split_address(other), split_address(address)):
                reading.note(key, f"is the address of a receiver, {other}; choose another port")
        seen.append(address)


def _check_loops(
    reading: Reading, receivers: Mapping[KeyPath, str], exporters: Mapping[str, ExporterConfig]
) -> None:
    for address in receivers.values():
        own = split_address(address)
        for name, exporter in exporters.items():
            to = endpoints.addresses(exporter.endpoint)
            if any(endpoints.same_listener(own, each) for each in to):
                reading.note(
                    ("exporters", name, "endpoint"),
                    f"is the enricher's own receiver, {address}: spans would go in a circle; give "
                    f"the destination, or move the receiver to another port",
                )
