"""From a file or the environment to the configuration that the service runs with.

Decides what only shows when several keys are seen together: endpoints, pipelines, loops, defaults
that depend on the machine. Every problem is found before the first is reported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genops_enricher.config import endpoint as endpoints
from genops_enricher.config.check import check
from genops_enricher.config.environment import (
    ENDPOINT,
    read_environment,
    read_protocol,
    unread_variables,
)
from genops_enricher.config.exporters import read_exporters
from genops_enricher.config.model import (
    AttributionRule,
    Config,
    DedupeConfig,
    EnrichmentConfig,
    ExporterConfig,
    HttpReceiverConfig,
    MetricsConfig,
    ReceiverConfig,
    ServiceConfig,
    Vocabulary,
)
from genops_enricher.config.nodes import KeyPath, Place, Problem
from genops_enricher.config.pipelines import Pipelines, read_pipelines
from genops_enricher.config.reading import Reading
from genops_enricher.config.values import split_address
from genops_enricher.config.yaml_file import read_yaml
from genops_enricher.errors import ConfigError
from genops_enricher.pipeline import Signal
from genops_enricher.spend.ledger import page_label

__all__ = ["Loaded", "load_config"]

_MINIMAL = f"""\
no configuration: give a file with --config, or set {ENDPOINT} to the destination. A minimal file:

exporters:
  otlp_http:
    endpoint: https://api.honeycomb.io
    headers:
      x-honeycomb-team: ${{env:HONEYCOMB_API_KEY}}"""

_UNREAD = f"is not read; the variables for all signals are, such as {ENDPOINT}"

# Names that the enricher or the client writes from what they saw. An operator's rule that could
# write them would put a guess where an observation belongs.
_RESERVED = re.compile(
    r"genops\.(cost|pricing|tokens|openrouter|stream)(\..*)?|genops\.(provider|model|model_.*)"
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
    receivers = _receivers(reading)
    service = _service(reading)
    exporters = read_exporters(reading)
    pipelines = read_pipelines(reading, exporters)
    enrichment = _enrichment(reading, pipelines)
    listeners = _listeners(receivers)
    _check_listeners(reading, listeners, service)
    _check_loops(reading, listeners, exporters)
    return Config(*receivers, exporters, pipelines, enrichment, service)


_PROTOCOLS = ("receivers", "otlp", "protocols")
_GRPC = (*_PROTOCOLS, "grpc")
_HTTP = (*_PROTOCOLS, "http")

_Receivers = tuple[ReceiverConfig | None, HttpReceiverConfig | None]


def _receivers(reading: Reading) -> _Receivers:
    """The protocols that are named, as in a Collector; both where none is."""
    named = [protocol for protocol in (_GRPC, _HTTP) if reading.settings.is_set(*protocol)]
    receivers = (
        _grpc_receiver(reading) if _GRPC in named or not named else None,
        _http_receiver(reading) if _HTTP in named or not named else None,
    )
    for key, address in _listeners(receivers).items():
        if not endpoints.is_local(split_address(address)[0]):
            reading.warn(
                key,
                "is open to the network, without TLS or authentication in this version; anyone who "
                "reaches the port can send. Listen on 127.0.0.1, or keep others out by a firewall",
            )
    return receivers


def _grpc_receiver(reading: Reading) -> ReceiverConfig:
    get = reading.settings.get
    return ReceiverConfig(
        grpc_endpoint=get(str, *_GRPC, "endpoint"),
        max_recv_msg_size_bytes=get(int, *_GRPC, "max_recv_msg_size_mib") << 20,
        max_workers=get(int, *_GRPC, "max_workers"),
        max_in_flight_bytes=get(int, *_GRPC, "max_in_flight_mib") << 20,
    )


def _http_receiver(reading: Reading) -> HttpReceiverConfig:
    get = reading.settings.get
    paths: dict[Signal, str] = {}
    for signal in Signal:
        key = (*_HTTP, f"{signal}_url_path")
        path = get(str, *key)
        if not path.startswith("/"):
            reading.note(key, f"does not start with a slash; write `/v1/{signal}`")
        elif path in paths.values():
            reading.note(key, "is the path of another signal; choose another")
        paths[signal] = path
    return HttpReceiverConfig(
        endpoint=get(str, *_HTTP, "endpoint"),
        max_request_body_bytes=get(int, *_HTTP, "max_request_body_size"),
        max_in_flight_bytes=get(int, *_HTTP, "max_in_flight_mib") << 20,
        max_workers=get(int, *_HTTP, "max_workers"),
        url_paths=paths,
        read_header_timeout_s=get(float, *_HTTP, "read_header_timeout"),
        read_timeout_s=get(float, *_HTTP, "read_timeout"),
        idle_timeout_s=get(float, *_HTTP, "idle_timeout"),
    )


def _listeners(receivers: _Receivers) -> dict[KeyPath, str]:
    """The address of each receiver, by its key."""
    grpc, http = receivers
    listeners: dict[KeyPath, str] = {}
    if grpc is not None:
        listeners[*_GRPC, "endpoint"] = grpc.grpc_endpoint
    if http is not None:
        listeners[*_HTTP, "endpoint"] = http.endpoint
    return listeners


def _service(reading: Reading) -> ServiceConfig:
    get = reading.settings.get
    return ServiceConfig(
        data_dir=_data_dir(reading),
        health_endpoint=get(str, "service", "telemetry", "health", "endpoint"),
        shutdown_timeout_s=get(float, "service", "shutdown_timeout"),
        log_level=get(str, "service", "telemetry", "logs", "level"),
        log_encoding=get(str, "service", "telemetry", "logs", "encoding"),
    )


def _data_dir(reading: Reading) -> Path:
    # https://specifications.freedesktop.org/basedir-spec/latest/ for the folder of a user.
    name = "genops-enricher"
    if given := reading.settings.find(str, "service", "data_dir"):
        return reading.folder / given
    if os.geteuid() == 0:
        return Path("/var/lib") / name
    if state := reading.env.get("XDG_STATE_HOME"):
        return Path(state) / name
    if home := reading.env.get("HOME"):
        return Path(home) / ".local" / "state" / name
    if not reading.settings.is_set("service", "data_dir"):
        reading.note(("service", "data_dir"), "has no default without HOME; set it")
    return Path(name)


def _enrichment(reading: Reading, pipelines: Pipelines) -> EnrichmentConfig:
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
