"""The configuration in force, as YAML that can be read again: every key with its value, no secrets.

What was left to a default or to the machine stands here as what it became: the data directory, the
pipelines, the protocol and the URLs of each exporter.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from genops_enricher.config.model import (
    ClientTls,
    Config,
    Endpoint,
    ExporterConfig,
    HttpReceiverConfig,
    MetricsConfig,
    Protocol,
    ReceiverConfig,
    RedactionConfig,
    ServerAuth,
    ServerTls,
    Storage,
    TracesConfig,
)

__all__ = ["REDACTED", "dump_config"]

REDACTED = "[REDACTED]"
_REDACTED_KEY = "[REDACTED secret]"  # so long that it can be read again

_Tree = dict[str, object]


def dump_config(config: Config) -> str:
    """The configuration as YAML. Secrets are replaced."""
    tree: _Tree = {
        "receivers": {
            "otlp": {
                "protocols": _without_empty(
                    {"grpc": _grpc(config.receiver), "http": _http(config.http_receiver)}
                )
            }
        },
        "exporters": {name: _exporter(exporter) for name, exporter in config.exporters.items()},
        "enrichment": _without_empty(
            {
                "overlays": [str(path) for path in config.enrichment.overlays],
                "catalog": _with_intervals(
                    max_age=config.enrichment.catalog.max_age_s,
                    reload_interval=config.enrichment.catalog.reload_interval_s,
                ),
                "attribution": {
                    rule.target: list(rule.sources) for rule in config.enrichment.attribution
                },
                "vocabularies": [name.value for name in config.enrichment.vocabularies],
                "dedupe": {
                    "enabled": config.enrichment.dedupe.enabled,
                    "window": _duration(config.enrichment.dedupe.window_s),
                    "max_ids": config.enrichment.dedupe.max_ids,
                },
                "price_orphan_aggregates": config.enrichment.price_orphan_aggregates,
                "drift_tolerance": config.enrichment.drift_tolerance,
                "metrics": _metrics(config.enrichment.metrics),
                "redaction": _redaction(config.enrichment.redaction),
            }
        ),
        "service": {
            "data_dir": str(config.service.data_dir),
            "shutdown_timeout": _duration(config.service.shutdown_timeout_s),
            **_with_intervals(reload_interval=config.service.reload_interval_s),
            **_memory_limit(config.service.memory_limit_bytes),
            "workers": config.service.workers,
            "telemetry": {
                "health": {"endpoint": config.service.health_endpoint},
                "logs": {
                    "level": config.service.log_level,
                    "encoding": config.service.log_encoding,
                },
                **_traces(config.service.traces),
            },
            "pipelines": {
                signal.value: {"receivers": ["otlp"], "exporters": list(exporters)}
                for signal, exporters in config.pipelines.items()
            },
        },
    }
    return yaml.safe_dump(_escaped(tree), sort_keys=False, allow_unicode=True, width=100)


def _grpc(receiver: ReceiverConfig | None) -> _Tree:
    if receiver is None:
        return {}
    return {
        "endpoint": receiver.grpc_endpoint,
        "max_recv_msg_size_mib": receiver.max_recv_msg_size_bytes >> 20,
        "max_workers": receiver.max_workers,
        "max_in_flight_mib": receiver.max_in_flight_bytes >> 20,
        "max_connections": receiver.max_connections,
        "read_timeout": _duration(receiver.read_timeout_s),
        "keepalive": _without_empty(
            {
                "server_parameters": _durations(
                    max_connection_age=receiver.max_connection_age_s,
                    max_connection_age_grace=receiver.max_connection_age_grace_s,
                ),
                "enforcement_policy": {"min_time": _duration(receiver.ping_min_time_s)},
            }
        ),
        **_security(receiver.tls, receiver.auth),
    }


def _http(receiver: HttpReceiverConfig | None) -> _Tree:
    if receiver is None:
        return {}
    return {
        "endpoint": receiver.endpoint,
        "max_request_body_size": receiver.max_request_body_bytes,
        "max_in_flight_mib": receiver.max_in_flight_bytes >> 20,
        "max_workers": receiver.max_workers,
        **{f"{signal}_url_path": path for signal, path in receiver.url_paths.items()},
        "read_header_timeout": _duration(receiver.read_header_timeout_s),
        "read_timeout": _duration(receiver.read_timeout_s),
        "idle_timeout": _duration(receiver.idle_timeout_s),
        "max_connections": receiver.max_connections,
        **_security(receiver.tls, receiver.auth),
    }


def _security(tls: ServerTls | None, auth: ServerAuth | None) -> _Tree:
    tree: _Tree = {}
    if tls is not None:
        tree["tls"] = {
            **_files(cert_file=tls.cert_file, key_file=tls.key_file),
            **_files(client_ca_file=tls.client_ca_file),
            "min_version": tls.min_version,
            **_durations(reload_interval=tls.reload_interval_s),
        }
    if auth is not None:
        tokens: _Tree = {"bearer_tokens": [REDACTED] * len(auth.bearer_tokens)}
        tree["auth"] = _without_empty(tokens | _files(bearer_tokens_file=auth.bearer_tokens_file))
    return tree


def _metrics(metrics: MetricsConfig) -> _Tree:
    tree: _Tree = {"labels": list(metrics.labels), "max_series": metrics.max_series}
    if metrics.export_interval_s is not None:
        tree["export_interval"] = _duration(metrics.export_interval_s)
    return tree | {"temporality": "delta" if metrics.delta else "cumulative"}


def _redaction(redaction: RedactionConfig) -> _Tree:
    tree = _without_empty({"drop": list(redaction.drop), "hash": list(redaction.hash)})
    return tree | ({"hash_key": _REDACTED_KEY} if redaction.hash_key else {})


def _exporter(exporter: ExporterConfig) -> _Tree:
    return _without_empty(
        {
            **_destination(exporter.id, exporter.endpoint),
            "headers": dict.fromkeys(exporter.headers, REDACTED),
            "compression": exporter.compression,
            "timeout": _duration(exporter.timeout_s),
            "tls": _tls(exporter.tls, exporter.endpoint),
            **_waiting(exporter),
        }
    )


def _waiting(exporter: ExporterConfig) -> _Tree:
    """What becomes of requests that wait; without a queue none does, and there is no such key."""
    retry, queue = exporter.retry, exporter.queue
    if queue.storage is Storage.NONE:
        return {"sending_queue": {"storage": queue.storage.value}}
    max_age = {} if queue.max_age_s is None else {"max_age": _duration(queue.max_age_s)}
    return {
        "retry_on_failure": {
            "enabled": retry.enabled,
            "initial_interval": _duration(retry.initial_interval_s),
            "randomization_factor": retry.randomization_factor,
            "multiplier": retry.multiplier,
            "max_interval": _duration(retry.max_interval_s),
            "max_elapsed_time": _duration(retry.max_elapsed_time_s),
        },
        "sending_queue": {
            "num_consumers": queue.num_consumers,
            "queue_size": queue.queue_size_bytes,
            "on_full": queue.on_full.value,
            "storage": queue.storage.value,
            **max_age,
            "batch": {
                "flush_timeout": _duration(exporter.batch.flush_timeout_s),
                "min_size": exporter.batch.min_size_bytes,
                "max_size": exporter.batch.max_size_bytes,
            },
        },
        "dead_letter": {"max_size": exporter.dead_letter_size_bytes},
        "truncate": list(exporter.truncate),
    }


def _destination(exporter_id: str, endpoint: Endpoint) -> _Tree:
    tree: _Tree = {}
    if exporter_id.partition("/")[0] == "otlp":
        tree["protocol"] = endpoint.protocol.value
    if endpoint.protocol is Protocol.GRPC:
        tree["endpoint"] = endpoint.target
    return tree | {f"{signal}_endpoint": url for signal, url in endpoint.urls.items()}


def _tls(tls: ClientTls, endpoint: Endpoint) -> _Tree:
    tree: _Tree = {}
    if endpoint.protocol is Protocol.GRPC:
        tree["insecure"] = not endpoint.secure
    if tls.insecure_skip_verify:
        tree["insecure_skip_verify"] = True
    tree |= _files(ca_file=tls.ca_file, cert_file=tls.cert_file, key_file=tls.key_file)
    if tls.server_name_override:
        tree["server_name_override"] = tls.server_name_override
    if endpoint.secure:
        tree["min_version"] = tls.min_version
    return tree | _durations(reload_interval=tls.reload_interval_s)


def _files(**files: Path | None) -> _Tree:
    return {name: str(path) for name, path in files.items() if path}


def _durations(**seconds: float | None) -> _Tree:
    return {name: _duration(value) for name, value in seconds.items() if value is not None}


def _with_intervals(**seconds: float | None) -> _Tree:
    return {name: _duration(value) for name, value in seconds.items() if value is not None}


def _traces(traces: TracesConfig | None) -> _Tree:
    if traces is None:
        return {}
    root = {"trace_id_ratio_based": {"ratio": traces.ratio}}
    return {"traces": {"exporter": traces.exporter, "sampler": {"parent_based": {"root": root}}}}


def _memory_limit(limit_bytes: int | None) -> _Tree:
    return {} if limit_bytes is None else {"memory_limit_mib": limit_bytes >> 20}


def _duration(seconds: float) -> str:
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _without_empty(tree: Mapping[str, object]) -> _Tree:
    return {key: value for key, value in tree.items() if value not in ({}, [])}


def _escaped(value: object) -> object:
    """Dollar signs doubled, so that reading the text again expands nothing."""
    if isinstance(value, dict):
        return {key: _escaped(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_escaped(below) for below in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
