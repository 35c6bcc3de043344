"""Every key of the configuration, in one table: its kind, default, meaning and first version.

Validation and docs/configuration.md are both made from this table, so a key can't exist in one of
them only. Names and syntax are those of the OpenTelemetry Collector wherever it has the field
(config/configgrpc, config/confighttp, config/configtls, config/configretry and
exporter/exporterhelper in opentelemetry-collector).
"""

from __future__ import annotations

from dataclasses import dataclass

from genops_enricher.config.model import Vocabulary
from genops_enricher.config.values import (
    ADDRESS,
    BOOLEAN,
    HEADERS,
    LISTS_BY_NAME,
    NAMES,
    PATH,
    PATHS,
    PATTERNS,
    SECRET,
    SECRETS,
    TEXT,
    Kind,
    choice,
    choices,
    duration,
    integer,
    number,
    size,
)

__all__ = ["ELSEWHERE", "EXPORTER_TYPES", "KEYS", "Key"]

EXPORTER_TYPES = {
    "otlp": "protocol from the `protocol` key or the endpoint",
    "otlp_grpc": "OTLP over gRPC",
    "otlp_http": "OTLP over HTTP, protobuf encoding",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key. In `path`, `<id>` stands for `TYPE` or `TYPE/NAME`.

    `default` is written as it would be in YAML; None means no value unless one is set.
    `types` limits the key to these exporter types.
    """

    path: str
    kind: Kind
    default: str | None
    meaning: str
    since: str = "0.1"
    types: tuple[str, ...] = ()


def _server_security(prefix: str, min_version: str) -> tuple[Key, ...]:
    return (
        Key(
            f"{prefix}.tls.cert_file",
            PATH,
            None,
            "Certificate of the receiver with those in between, PEM; turns TLS on.",
        ),
        Key(f"{prefix}.tls.key_file", PATH, None, "Its private key, PEM, without a passphrase."),
        Key(
            f"{prefix}.tls.client_ca_file",
            PATH,
            None,
            "Authorities that the certificate of a sender must come from; turns mTLS on.",
        ),
        Key(f"{prefix}.tls.min_version", choice("1.2", "1.3"), "1.2", min_version),
        Key(
            f"{prefix}.tls.reload_interval",
            duration(),
            None,
            "When the files are read again even if they look the same. A change that shows is "
            "followed within a second.",
        ),
        Key(
            f"{prefix}.auth.bearer_tokens",
            SECRETS,
            None,
            "Tokens, one of which each request must have (`authorization: Bearer TOKEN`). Take "
            "them from the environment: `${env:OTLP_TOKEN}`.",
        ),
        Key(
            f"{prefix}.auth.bearer_tokens_file",
            PATH,
            None,
            "File of such tokens, one a line; lines that start with `#` are left out. A change is "
            "followed within a second.",
        ),
    )


_GRPC = "receivers.otlp.protocols.grpc"
_HTTP = "receivers.otlp.protocols.http"

_RECEIVER = (
    Key(
        f"{_GRPC}.endpoint",
        ADDRESS,
        "127.0.0.1:4317",
        "Where the OTLP/gRPC receiver listens. Beside a Collector use port 14317.",
    ),
    Key(
        f"{_GRPC}.max_recv_msg_size_mib",
        integer(1, 1024),
        "64",
        "Largest request in MiB, compressed or not. 64 is what the OTLP specification recommends.",
    ),
    Key(f"{_GRPC}.max_workers", integer(1, 256), "16", "Requests that are handled at a time."),
    Key(
        f"{_GRPC}.max_in_flight_mib",
        integer(1, 65536),
        "256",
        "MiB of requests in work above which senders are told to try again.",
    ),
    Key(
        f"{_GRPC}.keepalive.server_parameters.max_connection_age",
        duration(),
        None,
        "When a connection is closed, so that senders spread over replicas again. If not set: "
        "never, or with several `service.workers` after 5m.",
    ),
    Key(
        f"{_GRPC}.keepalive.server_parameters.max_connection_age_grace",
        duration(),
        None,
        "How long requests may go on after that (if not set: to their end).",
    ),
    Key(
        f"{_GRPC}.keepalive.enforcement_policy.min_time",
        duration(),
        "5s",
        "Shortest time between the pings of a sender; one that pings more often is cut off (the "
        "Collector: 5m).",
    ),
    Key(
        f"{_GRPC}.read_timeout",
        duration(),
        "1m",
        "How long a sender may take for a request. While no thread is free: 2s at most.",
    ),
    Key(
        f"{_GRPC}.max_connections",
        integer(1, 10**6),
        "512",
        "Connections at a time; more are closed. Each takes an open file.",
    ),
    *_server_security(_GRPC, "Oldest TLS version. The gRPC library can do `1.2` only."),
    Key(
        f"{_HTTP}.endpoint",
        ADDRESS,
        "127.0.0.1:4318",
        "Where the OTLP/HTTP receiver listens. Beside a Collector use port 14318.",
    ),
    Key(
        f"{_HTTP}.max_request_body_size",
        size("1MiB"),
        "64MiB",
        "Largest request body, compressed or not (the Collector: 20 MiB).",
    ),
    Key(
        f"{_HTTP}.max_in_flight_mib",
        integer(1, 65536),
        "256",
        "MiB of requests in work above which senders are told to try again.",
    ),
    Key(f"{_HTTP}.max_workers", integer(1, 256), "16", "Requests that are handled at a time."),
    Key(f"{_HTTP}.traces_url_path", TEXT, "/v1/traces", "Path for traces."),
    Key(f"{_HTTP}.metrics_url_path", TEXT, "/v1/metrics", "Path for metrics."),
    Key(f"{_HTTP}.logs_url_path", TEXT, "/v1/logs", "Path for logs."),
    Key(
        f"{_HTTP}.read_header_timeout",
        duration(),
        "1m",
        "How long a sender may take for the headers of a request, and for the TLS handshake.",
    ),
    Key(
        f"{_HTTP}.read_timeout",
        duration(),
        "1m",
        "How long it may take for the body (the Collector: for ever).",
    ),
    Key(
        f"{_HTTP}.idle_timeout",
        duration(),
        "1m",
        "How long a connection may wait for its next request.",
    ),
    Key(
        f"{_HTTP}.max_connections",
        integer(1, 10**6),
        "512",
        "Connections at a time; more are closed. Each takes an open file.",
    ),
    *_server_security(_HTTP, "Oldest TLS version."),
)

_EXPORTER = (
    Key(
        "exporters.<id>.endpoint",
        TEXT,
        None,
        "The destination. gRPC: `host:port`, `https://host:port`, or `http://host:port` for plain "
        "text. HTTP: the base URL, to which `/v1/traces`, `/v1/metrics` and `/v1/logs` are "
        "appended. Required.",
    ),
    Key(
        "exporters.<id>.protocol",
        choice("grpc", "http/protobuf"),
        None,
        "How to speak OTLP. If not set: `OTEL_EXPORTER_OTLP_PROTOCOL`, else gRPC for port 4317 or "
        "an endpoint without scheme, else HTTP.",
        types=("otlp",),
    ),
    *(
        Key(
            f"exporters.<id>.{signal}_endpoint",
            TEXT,
            None,
            f"The whole URL for {signal}, used as it is, in place of `endpoint`. HTTP only.",
            types=("otlp", "otlp_http"),
        )
        for signal in ("traces", "metrics", "logs")
    ),
    Key(
        "exporters.<id>.headers",
        HEADERS,
        None,
        "Sent with every request, such as the key of a vendor. Take secrets from the environment: "
        "`${env:HONEYCOMB_API_KEY}`.",
    ),
    Key(
        "exporters.<id>.compression",
        choice("gzip", "none"),
        "gzip",
        "How requests are packed. gzip takes about 4 µs of CPU a span over HTTP (level 1), and 11 "
        "µs over gRPC, whose library knows level 6 only: in a fast network `none` may be cheaper.",
    ),
    Key(
        "exporters.<id>.timeout",
        duration(),
        "30s",
        "How long one attempt may take (the Collector: 5s for gRPC, 30s for HTTP).",
    ),
    Key(
        "exporters.<id>.tls.insecure",
        BOOLEAN,
        "false",
        "Plain text, for a gRPC endpoint that is written without scheme.",
    ),
    Key(
        "exporters.<id>.tls.insecure_skip_verify",
        BOOLEAN,
        "false",
        "Do not check who the destination is. HTTP only: the gRPC library can't.",
        types=("otlp", "otlp_http"),
    ),
    Key("exporters.<id>.tls.ca_file", PATH, None, "Authorities to trust, in place of the usual."),
    Key("exporters.<id>.tls.cert_file", PATH, None, "Client certificate for mTLS, PEM."),
    Key("exporters.<id>.tls.key_file", PATH, None, "Its private key, PEM."),
    Key(
        "exporters.<id>.tls.server_name_override",
        TEXT,
        None,
        "The name that the certificate must have, if not that of the endpoint.",
    ),
    Key(
        "exporters.<id>.tls.min_version",
        choice("1.2", "1.3"),
        "1.2",
        "Oldest TLS version. The gRPC library can do `1.2` only.",
    ),
    Key(
        "exporters.<id>.tls.reload_interval",
        duration(),
        None,
        "When the files are read again even if they look the same. A change that shows is followed "
        "within a second.",
    ),
    Key(
        "exporters.<id>.retry_on_failure.enabled",
        BOOLEAN,
        "true",
        "Whether to try again. If false, a failed request is dropped.",
    ),
    Key(
        "exporters.<id>.retry_on_failure.initial_interval",
        duration(),
        "5s",
        "Wait after the first failure.",
    ),
    Key(
        "exporters.<id>.retry_on_failure.randomization_factor",
        number(0, 1),
        "0.5",
        "Each wait is random within ± this share of it.",
    ),
    Key(
        "exporters.<id>.retry_on_failure.multiplier",
        number(1, 100),
        "1.5",
        "How much longer each wait is than the one before.",
    ),
    Key("exporters.<id>.retry_on_failure.max_interval", duration(), "30s", "The longest wait."),
    Key(
        "exporters.<id>.retry_on_failure.max_elapsed_time",
        duration(zero="never"),
        "0",
        "When a request is given up and its spans are lost (the Collector: 5m).",
    ),
    Key(
        "exporters.<id>.sending_queue.num_consumers",
        integer(1, 256),
        "4",
        "Requests that are sent at a time.",
    ),
    Key(
        "exporters.<id>.sending_queue.queue_size",
        size("1MiB"),
        "1GiB",
        "How much may wait for this destination, on disk or in memory (the Collector counts "
        "requests).",
    ),
    Key(
        "exporters.<id>.sending_queue.on_full",
        choice("refuse", "drop_oldest"),
        "refuse",
        "`refuse`: senders are told to try again, which holds up all exporters of the pipeline. "
        "`drop_oldest`: the oldest spans for this destination are lost.",
    ),
    Key(
        "exporters.<id>.sending_queue.storage",
        choice("durable", "memory", "none"),
        "durable",
        "`durable`: synced to disk before a request is acknowledged. `memory`: what waits is lost "
        "when the process ends. `none`: nothing waits, and the sender gets the answer of the "
        "destination; one exporter a pipeline. See [delivery](delivery.md#other-storage).",
    ),
    Key(
        "exporters.<id>.sending_queue.max_age",
        duration(),
        None,
        "Spans that waited longer are lost. If not set: they wait for as long as it takes.",
    ),
    Key(
        "exporters.<id>.sending_queue.batch.flush_timeout",
        duration(zero="none waits"),
        "20ms",
        "How long requests smaller than `min_size` wait for others to be joined with (the "
        "Collector: 200ms).",
    ),
    Key(
        "exporters.<id>.sending_queue.batch.min_size",
        size("0"),
        "512KiB",
        "Requests that wait are joined up to this size, fifty at most. 0 joins none.",
    ),
    Key(
        "exporters.<id>.sending_queue.batch.max_size",
        size("1KiB"),
        None,
        "The largest request that the destination takes, before it is packed. Larger ones are "
        "split. If not set: what the vendor documents, else 64MiB.",
    ),
    Key(
        "exporters.<id>.dead_letter.max_size",
        size("1MiB"),
        "256MiB",
        "How much that the destination refuses for ever is kept on disk, of each signal. See "
        "`genops-enricher dead-letters`.",
    ),
    Key(
        "exporters.<id>.truncate",
        NAMES,
        None,
        "Attributes, in this order, to shorten when a single span is larger than the destination "
        "takes. Without them such a span becomes a dead letter.",
    ),
)

_ENRICHMENT = (
    Key(
        "enrichment.overlays",
        PATHS,
        None,
        "Price files on top of the bundled catalog, later ones first: contract prices, own models.",
    ),
    Key(
        "enrichment.attribution",
        LISTS_BY_NAME,
        None,
        "Fills a `genops.*` attribute that a span lacks from the first source that it has. "
        "`resource:NAME` is an attribute of the resource.",
    ),
    Key(
        "enrichment.catalog.max_age",
        duration(),
        None,
        "A catalog older than this makes the service degraded.",
    ),
    Key(
        "enrichment.catalog.reload_interval",
        duration(),
        None,
        "How often overlays are looked at for changes. If not set: at SIGHUP only. See "
        "[life cycle](lifecycle.md).",
    ),
    Key(
        "enrichment.vocabularies",
        choices(*Vocabulary),
        None,
        "Names of other tools and conventions to write beside ours, where a span lacks them. "
        "What each adds: [attributes](attributes.md).",
    ),
    Key(
        "enrichment.dedupe.enabled",
        BOOLEAN,
        "true",
        "Price each response id once: of several spans that tell of one call the first has the "
        "cost, and the others are unpriced, `duplicate`. See [duplicates](duplicates.md).",
    ),
    Key(
        "enrichment.dedupe.window",
        duration(),
        "1h",
        "How long an id is remembered at least. Longer than senders try again.",
    ),
    Key(
        "enrichment.dedupe.max_ids",
        integer(2, 10**8),
        "100000",
        "How many are remembered at most, the latest half of them at least. 100,000 take 20 MB.",
    ),
    Key(
        "enrichment.price_orphan_aggregates",
        BOOLEAN,
        "false",
        "Price the span of an agent that states usage, if no span of a call below it has come. "
        "See [duplicates](duplicates.md).",
    ),
    Key(
        "enrichment.drift_tolerance",
        number(0, 1),
        "0.02",
        "By what share a reported cost may differ from the computed one before it is counted in "
        "`genops_pricing_drift_spans_total`.",
    ),
    Key(
        "enrichment.metrics.labels",
        NAMES,
        "genops.team, genops.project, genops.customer_id, genops.provider, genops.model, "
        "genops.model_family, genops.model_tier",
        "The attributes of the enriched span by which cost and tokens are summed.",
    ),
    Key(
        "enrichment.metrics.max_series",
        integer(2, 10**6),
        "2000",
        "How many sets of label values there may be. Whatever is more goes to one with the label "
        "`otel.metric.overflow`.",
    ),
    Key(
        "enrichment.metrics.export_interval",
        duration(),
        None,
        "How often the sums are sent to the exporters of `service.pipelines.metrics`. If not set "
        "they are on the metrics page only.",
    ),
    Key(
        "enrichment.metrics.temporality",
        choice("cumulative", "delta"),
        "cumulative",
        "How they are sent: sums since the start, or since the last report. Datadog takes `delta`.",
    ),
    Key(
        "enrichment.redaction.drop",
        PATTERNS,
        None,
        "Attributes to remove before anything is queued, from spans, metrics and logs: patterns "
        "such as `gen_ai.prompt.*`, or `group:content`. See [redaction](redaction.md).",
    ),
    Key(
        "enrichment.redaction.hash",
        PATTERNS,
        None,
        "Attributes of which only a keyed hash leaves. What `drop` names too is removed.",
    ),
    Key(
        "enrichment.redaction.hash_key",
        SECRET,
        None,
        "The secret of these hashes, at least 16 characters: `${env:GENOPS_HASH_KEY}`. Whoever has "
        "it can find out ids by trying. Required with `hash`.",
    ),
)

_SERVICE = (
    *(
        key
        for signal in ("traces", "metrics", "logs")
        for key in (
            Key(
                f"service.pipelines.{signal}.receivers",
                NAMES,
                "otlp",
                f"Where {signal} come from. `otlp` is the only receiver.",
            ),
            Key(
                f"service.pipelines.{signal}.exporters",
                NAMES,
                None,
                f"Where {signal} go. Without `service.pipelines` every signal goes to every "
                "exporter that takes it; with it, a signal that is not listed is not received.",
            ),
        )
    ),
    Key(
        "service.data_dir",
        PATH,
        None,
        "Where the queue lives; one running enricher each. If not set: "
        "`/var/lib/genops-enricher` for root, else `$XDG_STATE_HOME/genops-enricher`, else "
        "`~/.local/state/genops-enricher`.",
    ),
    Key(
        "service.shutdown_timeout",
        duration(),
        "10s",
        "How long a stop may take to deliver what is queued. The rest stays on disk.",
    ),
    Key(
        "service.reload_interval",
        duration(),
        None,
        "How often the configuration file and the overlays are looked at for changes. If not set: "
        "at SIGHUP only. See [life cycle](lifecycle.md).",
    ),
    Key(
        "service.telemetry.health.endpoint",
        ADDRESS,
        "127.0.0.1:13133",
        "Where `/`, `/ready`, `/live`, `/status` and `/metrics` are served. Beside a Collector use "
        "port 14133.",
    ),
    Key(
        "service.telemetry.logs.level",
        choice("debug", "info", "warn", "error"),
        "info",
        "The least severe messages to log.",
    ),
    Key(
        "service.telemetry.logs.encoding",
        choice("console", "json"),
        "console",
        "Lines for people, or one JSON object a line. Logs go to standard error.",
    ),
    Key(
        "service.telemetry.traces.exporter",
        TEXT,
        None,
        "The exporter whose destination gets spans of the enricher's own work; turns them on. See "
        "[tracing](tracing.md).",
    ),
    Key(
        "service.telemetry.traces.sampler.parent_based.root.trace_id_ratio_based.ratio",
        number(0, 1),
        "0.01",
        "The share of requests that have such spans, where no sender has decided.",
    ),
    Key(
        "service.memory_limit_mib",
        integer(64, 10**6),
        None,
        "MiB of memory (resident set) above which senders are told to try again. Idle, the process "
        "takes about 60. Needs /proc.",
    ),
    Key(
        "service.workers",
        integer(1, 256),
        "1",
        "Processes that share the receivers; Linux only. Limits of receivers and exporters, and "
        "`memory_limit_mib`, hold for each of them. See [scaling](scaling.md).",
    ),
)

KEYS: tuple[Key, ...] = (*_RECEIVER, *_EXPORTER, *_ENRICHMENT, *_SERVICE)

# What people bring along from a Collector's file, and what to do instead.
ELSEWHERE = {
    "processors": "the enricher has none; set up its work under `enrichment`",
    "connectors": "the enricher has none; remove it",
    "extensions": "the enricher has none; health is on by itself, see `service.telemetry.health`",
    "service.extensions": "the enricher has none; remove it",
    "service.telemetry.traces.processors": "set `service.telemetry.traces.exporter` instead",
    "service.telemetry.traces.propagators": "W3C Trace Context is always understood; remove it",
    "service.telemetry.traces.level": "own spans are off without `exporter`; remove it",
    "service.telemetry.metrics": "metrics are at /metrics of `service.telemetry.health.endpoint`",
    **{
        f"service.pipelines.{signal}.processors": "the enricher has none; remove it"
        for signal in ("traces", "metrics", "logs")
    },
    f"{_HTTP}.cors": "the enricher takes nothing from browsers; let them send to a Collector",
    "exporters.<id>.sending_queue.enabled": "the queue is always on; remove it",
    "exporters.<id>.sending_queue.sizer": "`queue_size` is always in bytes; remove it",
    "exporters.<id>.sending_queue.block_on_overflow": "see `sending_queue.on_full`",
    "exporters.<id>.sending_queue.wait_for_result": "an answer always waits for the disk; remove",
    "exporters.<id>.encoding": "the encoding is always protobuf; remove it",
}
