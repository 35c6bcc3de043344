"""The configuration as frozen values, as the rest of the service sees it.

Every value here is already checked: times are seconds, sizes are bytes, endpoints are parsed.
Which YAML key fills which field, its default and its meaning stand in `keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from genops_enricher.pipeline import Signal

__all__ = [
    "AttributionRule",
    "BatchConfig",
    "CatalogConfig",
    "ClientTls",
    "Config",
    "DedupeConfig",
    "Endpoint",
    "EnrichmentConfig",
    "ExporterConfig",
    "HttpReceiverConfig",
    "MetricsConfig",
    "OnFull",
    "Protocol",
    "QueueConfig",
    "ReceiverConfig",
    "RedactionConfig",
    "RetryConfig",
    "ServerAuth",
    "ServerTls",
    "ServiceConfig",
    "Storage",
    "TracesConfig",
    "Vocabulary",
]


class Protocol(StrEnum):
    """How an exporter speaks OTLP."""

    GRPC = "grpc"
    HTTP = "http/protobuf"


class OnFull(StrEnum):
    """What the queue of an exporter does at its bound."""

    REFUSE = "refuse"
    DROP_OLDEST = "drop_oldest"


class Storage(StrEnum):
    """Where what waits for an exporter is kept."""

    DURABLE = "durable"
    MEMORY = "memory"
    NONE = "none"  # nothing waits: the sender gets the answer of the destination


class Vocabulary(StrEnum):
    """A tool or convention whose names are written beside ours."""

    PROVIDER_NAME = "gen_ai.provider.name"
    USAGE = "gen_ai.usage"
    USAGE_COST = "gen_ai.usage.cost"
    USAGE_COST_AMOUNT = "gen_ai.usage.cost.amount"
    OPERATION_COST = "operation.cost"
    LLM_COST = "llm.cost"
    LANGFUSE = "langfuse"
    DATADOG = "dd_llmobs_enabled"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A destination: `host:port` and TLS or not for gRPC, one URL per signal for HTTP."""

    protocol: Protocol
    target: str  # gRPC: host:port. HTTP: the base URL, for messages.
    secure: bool
    urls: Mapping[Signal, str] = field(default_factory=dict)  # HTTP only


@dataclass(frozen=True, slots=True)
class ServerTls:
    """TLS of a receiver. Paths are files in PEM form; with `client_ca_file` it is mutual."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    min_version: str = "1.2"  # 1.2 | 1.3
    reload_interval_s: float | None = None  # None: only when a file looks changed


@dataclass(frozen=True, slots=True)
class ServerAuth:
    """The bearer tokens that senders may use: those listed and those in the file, if any."""

    bearer_tokens: tuple[str, ...] = field(default=(), repr=False)  # secrets
    bearer_tokens_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ClientTls:
    """TLS toward a destination. Paths are files in PEM form."""

    insecure: bool = False
    insecure_skip_verify: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name_override: str | None = None
    min_version: str = "1.2"  # 1.2 | 1.3
    reload_interval_s: float | None = None  # None: only when a file looks changed


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """Backoff with jitter, under the Collector's names. A `max_elapsed_time_s` of 0 is for ever."""

    enabled: bool = True
    initial_interval_s: float = 5.0
    randomization_factor: float = 0.5
    multiplier: float = 1.5
    max_interval_s: float = 30.0
    max_elapsed_time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """The queue of one exporter."""

    num_consumers: int = 4
    queue_size_bytes: int = 1 << 30
    on_full: OnFull = OnFull.REFUSE
    storage: Storage = Storage.DURABLE
    max_age_s: float | None = None  # None: however long it takes


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """How much goes out in one request. Both sizes are of the request before it is packed."""

    min_size_bytes: int = 512 << 10  # requests that wait are joined up to this size
    max_size_bytes: int = 64 << 20  # larger ones are split; the OTLP specification's recommendation
    flush_timeout_s: float = 0.02  # how long smaller ones wait for others


@dataclass(frozen=True, slots=True)
class ExporterConfig:
    """One destination. `id` is the key in the file: `otlp_grpc/honeycomb`."""

    id: str
    endpoint: Endpoint
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # holds secrets
    compression: str = "gzip"  # gzip | none
    timeout_s: float = 30.0
    tls: ClientTls = field(default_factory=ClientTls)
    retry: RetryConfig = field(default_factory=RetryConfig)
    queue: QueueConfig = field(default_factory=QueueConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    truncate: tuple[str, ...] = ()
    dead_letter_size_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """The OTLP/gRPC receiver. The size limit holds after decompression too."""

    grpc_endpoint: str = "127.0.0.1:4317"
    max_recv_msg_size_bytes: int = 64 << 20
    max_workers: int = 16
    max_in_flight_bytes: int = 256 << 20
    max_connections: int = 512
    read_timeout_s: float = 60.0
    max_connection_age_s: float | None = None
    max_connection_age_grace_s: float | None = None
    ping_min_time_s: float = 5.0
    tls: ServerTls | None = None  # None: plain text
    auth: ServerAuth | None = None  # None: every sender is welcome


@dataclass(frozen=True, slots=True)
class HttpReceiverConfig:
    """The OTLP/HTTP receiver. The limit of a body holds before and after decompression."""

    endpoint: str = "127.0.0.1:4318"
    max_request_body_bytes: int = 64 << 20
    max_in_flight_bytes: int = 256 << 20
    max_workers: int = 16
    url_paths: Mapping[Signal, str] = field(
        default_factory=lambda: {signal: f"/v1/{signal}" for signal in Signal}
    )
    read_header_timeout_s: float = 60.0
    read_timeout_s: float = 60.0
    idle_timeout_s: float = 60.0
    max_connections: int = 512
    max_connection_age_s: float | None = None  # no key: a supervisor spreads senders by it
    tls: ServerTls | None = None  # None: plain text
    auth: ServerAuth | None = None  # None: every sender is welcome


@dataclass(frozen=True, slots=True)
class AttributionRule:
    """Fill `target` from the first of `sources` that is there; `resource:` marks a resource key."""

    target: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DedupeConfig:
    """How many response ids are remembered, and for how long at least."""

    enabled: bool = True
    window_s: float = 3600.0
    max_ids: int = 100_000


@dataclass(frozen=True, slots=True)
class CatalogConfig:
    """How old the catalog may be, and how often overlays are looked at; None: never."""

    max_age_s: float | None = None
    reload_interval_s: float | None = None


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """The metrics of cost and tokens. Without an interval they are not sent, only served."""

    labels: tuple[str, ...] = ()
    max_series: int = 2000
    export_interval_s: float | None = None
    delta: bool = False


@dataclass(frozen=True, slots=True)
class RedactionConfig:
    """What does not leave, by pattern. Nothing is redacted where both lists are empty."""

    drop: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    hash_key: str = field(default="", repr=False)  # a secret


@dataclass(frozen=True, slots=True)
class EnrichmentConfig:
    """Which prices, and which attributes beside them."""

    overlays: tuple[Path, ...] = ()
    catalog: CatalogConfig = field(default_factory=CatalogConfig)
    attribution: tuple[AttributionRule, ...] = ()
    vocabularies: tuple[Vocabulary, ...] = ()
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    dedupe: DedupeConfig = field(default_factory=DedupeConfig)
    price_orphan_aggregates: bool = False
    drift_tolerance: float = 0.02
    redaction: RedactionConfig = field(default_factory=RedactionConfig)


@dataclass(frozen=True, slots=True)
class TracesConfig:
    """Own spans: the exporter that sends them, and the share of traces that is recorded."""

    exporter: str
    ratio: float


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """The process itself. The limit of memory is that of each worker."""

    data_dir: Path
    health_endpoint: str = "127.0.0.1:13133"
    shutdown_timeout_s: float = 10.0
    reload_interval_s: float | None = None  # None: at SIGHUP only
    memory_limit_bytes: int | None = None
    workers: int = 1
    log_level: str = "info"
    log_encoding: str = "console"  # console | json
    traces: TracesConfig | None = None  # None: no own spans


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the service needs to run."""

    receiver: ReceiverConfig | None  # None: not served; one of the two is
    http_receiver: HttpReceiverConfig | None
    exporters: Mapping[str, ExporterConfig]
    pipelines: Mapping[Signal, tuple[str, ...]]  # signal -> exporter ids
    enrichment: EnrichmentConfig
    service: ServiceConfig
