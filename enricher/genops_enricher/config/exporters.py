"""Reads the exporters: where each sends to, and what its keys mean together."""

from __future__ import annotations

from dataclasses import replace

from genops_enricher.config import endpoint as endpoints
from genops_enricher.config.credentials import client_context
from genops_enricher.config.model import (
    BatchConfig,
    ClientTls,
    Endpoint,
    ExporterConfig,
    OnFull,
    Protocol,
    QueueConfig,
    RetryConfig,
    Storage,
)
from genops_enricher.config.nodes import KeyPath
from genops_enricher.config.reading import Reading
from genops_enricher.config.values import HEADER_NAME
from genops_enricher.config.vendors import misplaced
from genops_enricher.pipeline import Signal

__all__ = ["read_exporters"]

_PROTOCOLS = {"otlp_grpc": Protocol.GRPC, "otlp_http": Protocol.HTTP}

# Protocol -> its name, and the port and name of the other one, which is often mixed up with it.
_MIX_UPS = {Protocol.GRPC: ("gRPC", 4318, "HTTP"), Protocol.HTTP: ("HTTP", 4317, "gRPC")}

# What they say of a request is decided by the exporter. Another value would make each one invalid.
_OWN_HEADERS = frozenset({"content-type", "content-encoding", "content-length", "te"})

_NEVER_SHORTENED = ("genops.cost", "genops.pricing", "genops.tokens")

# They say what becomes of requests that wait, and without a queue none waits.
_QUEUE_ONLY = (
    ("sending_queue", "num_consumers"),
    ("sending_queue", "queue_size"),
    ("sending_queue", "on_full"),
    ("sending_queue", "max_age"),
    ("sending_queue", "batch"),
    ("retry_on_failure",),
    ("dead_letter",),
    ("truncate",),
)

_TLS_FILES = ("ca_file", "cert_file", "key_file")
_TLS_ONLY = (
    "ca_file",
    "cert_file",
    "key_file",
    "insecure_skip_verify",
    "server_name_override",
    "min_version",
    "reload_interval",
)


def read_exporters(reading: Reading) -> dict[str, ExporterConfig]:
    """Every exporter that is defined and right, by id."""
    if not reading.settings.exporters and ("exporters",) not in reading.settings.broken:
        reading.note(
            ("exporters",),
            "none is defined; add one, such as `otlp_http` with an `endpoint`",
        )
    built = {
        exporter_id: _exporter(reading, exporter_id)
        for exporter_id in reading.settings.exporters
        if ("exporters", exporter_id) not in reading.settings.broken
    }
    return {name: exporter for name, exporter in built.items() if exporter is not None}


def _exporter(reading: Reading, exporter_id: str) -> ExporterConfig | None:
    path = ("exporters", exporter_id)
    get = reading.settings.get
    queue = (*path, "sending_queue")
    endpoint = _endpoint(reading, path)
    if endpoint is None:
        return None
    config = ExporterConfig(
        id=exporter_id,
        endpoint=endpoint,
        headers=_headers(reading, path, endpoint.protocol),
        compression=get(str, *path, "compression"),
        timeout_s=get(float, *path, "timeout"),
        tls=_tls(reading, path, endpoint),
        retry=_retry(reading, (*path, "retry_on_failure")),
        queue=QueueConfig(
            num_consumers=get(int, *queue, "num_consumers"),
            queue_size_bytes=get(int, *queue, "queue_size"),
            on_full=OnFull(get(str, *queue, "on_full")),
            storage=Storage(get(str, *queue, "storage")),
            max_age_s=reading.settings.find(float, *queue, "max_age"),
        ),
        batch=_batch(reading, (*queue, "batch"), endpoint),
        truncate=_truncate(reading, path),
        dead_letter_size_bytes=get(int, *path, "dead_letter", "max_size"),
    )
    _check_queue(reading, config)
    _check_destination(reading, config)
    return config


def _endpoint(reading: Reading, path: KeyPath) -> Endpoint | None:
    asked = _asked_protocol(reading, path)
    urls = _signal_urls(reading, path)
    if None in urls.values() or (*path, "endpoint") in reading.settings.broken:
        return None
    own = {signal: url for signal, url in urls.items() if url is not None}
    text = reading.settings.find(str, *path, "endpoint")
    if text is None and not own:
        reading.note((*path, "endpoint"), "is required; give the address to send to")
        return None
    if text is None:
        found = Endpoint(Protocol.HTTP, next(iter(own.values())), secure=False)
    else:
        insecure = reading.settings.get(bool, *path, "tls", "insecure")
        try:
            found = endpoints.resolve(text, protocol=asked, insecure=insecure)
        except ValueError as error:
            reading.note((*path, "endpoint"), str(error))
            return None
    if own:
        every = {**found.urls, **own}
        secure = any(url.startswith("https://") for url in every.values())
        found = replace(found, urls=every, secure=secure)
    if own and (found.protocol is Protocol.GRPC or asked is Protocol.GRPC):
        reading.note((*path, f"{next(iter(own))}_endpoint"), "is for HTTP only; remove it")
    return found


def _asked_protocol(reading: Reading, path: KeyPath) -> Protocol | None:
    by_type = _PROTOCOLS.get(path[1].partition("/")[0])
    given = reading.settings.find(str, *path, "protocol") if by_type is None else None
    return by_type or (Protocol(given) if given else reading.default_protocol)


def _signal_urls(reading: Reading, path: KeyPath) -> dict[Signal, str | None]:
    """The URLs given for one signal each; None for one that is wrong."""
    urls: dict[Signal, str | None] = {}
    for signal in Signal:
        key = (*path, f"{signal}_endpoint")
        if text := reading.settings.find(str, *key):
            try:
                urls[signal] = endpoints.resolve_url(text)
            except ValueError as error:
                reading.note(key, str(error))
                urls[signal] = None
    return urls


def _headers(reading: Reading, path: KeyPath, protocol: Protocol) -> dict[str, str]:
    headers: dict[str, str] = reading.settings.find(dict, *path, "headers") or {}
    if not all(HEADER_NAME.fullmatch(name) for name in headers):
        reading.note(
            (*path, "headers"), "has a name that no header can have; use letters, digits, - _ and ."
        )
    lower = [name.lower() for name in headers]
    if len(set(lower)) < len(lower):
        reading.note((*path, "headers"), "has a name twice, in different case; keep one of the two")
    if taken := sorted(_OWN_HEADERS.intersection(lower)):
        reading.note(
            (*path, "headers"), f"has `{taken[0]}`, which the exporter sets itself; remove it"
        )
    if protocol is Protocol.GRPC and any(name.endswith("-bin") for name in lower):
        reading.note(
            (*path, "headers"),
            "has a name that ends in -bin, which gRPC keeps for bytes; rename it",
        )
    return headers


def _tls(reading: Reading, path: KeyPath, endpoint: Endpoint) -> ClientTls:
    path = (*path, "tls")
    find = reading.settings.find
    tls = ClientTls(
        insecure=reading.settings.get(bool, *path, "insecure"),
        insecure_skip_verify=reading.settings.get(bool, *path, "insecure_skip_verify"),
        ca_file=reading.file((*path, "ca_file")),
        cert_file=reading.file((*path, "cert_file")),
        key_file=reading.file((*path, "key_file")),
        server_name_override=find(str, *path, "server_name_override"),
        min_version=reading.settings.get(str, *path, "min_version"),
        reload_interval_s=find(float, *path, "reload_interval"),
    )
    if not endpoint.secure:
        for name in _TLS_ONLY:
            if reading.settings.is_set(*path, name):
                reading.note((*path, name), "has no effect on plain text; use https:// or remove")
    for name, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if reading.settings.is_set(*path, name) and not reading.settings.is_set(*path, other):
            reading.note((*path, name), f"needs `{other}` beside it")
    if tls.min_version == "1.3" and endpoint.protocol is Protocol.GRPC:
        reading.note(
            (*path, "min_version"),
            "is not possible: gRPC in Python always takes 1.2 too; remove it, or use `otlp_http`",
        )
    if not any(reading.settings.is_set(*path, name) for name in _TLS_FILES):
        if reading.settings.is_set(*path, "reload_interval"):
            reading.note((*path, "reload_interval"), "has no file to read; remove it")
    elif endpoint.secure:
        _check_files(reading, path, tls)
    if tls.insecure_skip_verify and endpoint.protocol is Protocol.GRPC:
        reading.note(
            (*path, "insecure_skip_verify"),
            "is not possible with gRPC; trust the certificate by `ca_file`",
        )
    elif tls.insecure_skip_verify:
        reading.warn((*path, "insecure_skip_verify"), "anyone in between can read what is sent")
    return tls


def _check_files(reading: Reading, path: KeyPath, tls: ClientTls) -> None:
    files = [tls.ca_file, tls.cert_file, tls.key_file]
    missing = any(file is not None and not file.is_file() for file in files)
    if missing or (tls.cert_file is None) is not (tls.key_file is None):
        return  # which is noted already
    try:
        client_context(tls)
    except (OSError, ValueError) as error:
        reading.note(path, str(error))


def _batch(reading: Reading, path: KeyPath, endpoint: Endpoint) -> BatchConfig:
    vendor = endpoints.vendor_at(endpoint)
    documented = vendor.max_request_bytes if vendor else None
    asked = reading.settings.find(int, *path, "max_size")
    if vendor and asked and documented and asked > documented:
        reading.warn(
            (*path, "max_size"), f"is more than the {documented} bytes that {vendor.name} documents"
        )
    return BatchConfig(
        min_size_bytes=reading.settings.get(int, *path, "min_size"),
        max_size_bytes=asked or documented or BatchConfig().max_size_bytes,
        flush_timeout_s=reading.settings.get(float, *path, "flush_timeout"),
    )


def _truncate(reading: Reading, path: KeyPath) -> tuple[str, ...]:
    names: tuple[str, ...] = reading.settings.find(tuple, *path, "truncate") or ()
    if kept := [name for name in names if name.startswith(_NEVER_SHORTENED)]:
        reading.note(
            (*path, "truncate"),
            f"has `{kept[0]}`: shortening is there so that costs arrive; remove it",
        )
    return names


def _retry(reading: Reading, path: KeyPath) -> RetryConfig:
    get = reading.settings.get
    retry = RetryConfig(
        enabled=get(bool, *path, "enabled"),
        initial_interval_s=get(float, *path, "initial_interval"),
        randomization_factor=get(float, *path, "randomization_factor"),
        multiplier=get(float, *path, "multiplier"),
        max_interval_s=get(float, *path, "max_interval"),
        max_elapsed_time_s=get(float, *path, "max_elapsed_time"),
    )
    if retry.initial_interval_s > retry.max_interval_s:
        reading.note((*path, "initial_interval"), "is longer than max_interval; swap the two")
    if not retry.enabled:
        reading.warn((*path, "enabled"), "spans are lost whenever the destination fails once")
    elif retry.max_elapsed_time_s:
        reading.warn(
            (*path, "max_elapsed_time"),
            f"spans are lost once the destination failed for {retry.max_elapsed_time_s:g} s; "
            "0 keeps them",
        )
    return retry


def _check_queue(reading: Reading, exporter: ExporterConfig) -> None:
    """State what a choice about the queue costs."""
    path = ("exporters", exporter.id)
    queue = (*path, "sending_queue")
    match exporter.queue.storage:
        case Storage.MEMORY:
            reading.warn(
                (*queue, "storage"),
                "is `memory`: up to queue_size bytes that were acknowledged are lost when the "
                "process is killed, or stops while the destination is away. `durable` keeps them",
            )
        case Storage.NONE:
            reading.warn(
                (*queue, "storage"),
                "is `none`: while the destination is away, spans are with their senders, and an "
                "SDK gives them up after seconds. `durable` keeps them",
            )
            for name in _QUEUE_ONLY:
                if reading.settings.is_set(*path, *name):
                    reading.note((*path, *name), "has no effect with storage `none`; remove it")
    if exporter.queue.max_age_s is not None:
        reading.warn(
            (*queue, "max_age"),
            f"spans are lost once they waited for {exporter.queue.max_age_s:g} s; "
            "without it they are kept",
        )


def _check_destination(reading: Reading, exporter: ExporterConfig) -> None:
    """Warn of what is likely, but not certainly, a mistake."""
    path = ("exporters", exporter.id)
    endpoint = exporter.endpoint
    name, wrong_port, other = _MIX_UPS[endpoint.protocol]
    for host, port in endpoints.addresses(endpoint):
        if other_vendor := misplaced(host):
            reading.warn(
                (*path, "endpoint"),
                f"is no host of {other_vendor.name} that is known to take OTLP; "
                f"that is {other_vendor.place}",
            )
        if port == wrong_port:
            reading.warn(
                (*path, "endpoint"),
                f"sends OTLP/{name} to port {port}, the usual port of OTLP/{other}",
            )
        elif endpoint.secure and endpoint.protocol is Protocol.GRPC and endpoints.is_local(host):
            reading.warn(
                (*path, "endpoint"),
                "uses TLS to this machine; if the destination has none, write http:// before "
                "the host or set tls.insecure: true",
            )
    vendor = endpoints.vendor_at(endpoint)
    names = {name.lower() for name in exporter.headers}
    if vendor and vendor.header not in names:
        reading.warn(path, f"{vendor.name} refuses requests without the header {vendor.header}")
