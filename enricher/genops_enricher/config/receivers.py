"""Reads the receivers: which protocols are served, where, to whom and within which limits."""

from __future__ import annotations

from genops_enricher.config import endpoint as endpoints
from genops_enricher.config.credentials import read_tokens, server_context
from genops_enricher.config.model import (
    HttpReceiverConfig,
    ReceiverConfig,
    ServerAuth,
    ServerTls,
)
from genops_enricher.config.nodes import KeyPath
from genops_enricher.config.reading import Reading
from genops_enricher.config.values import split_address
from genops_enricher.pipeline import Signal

__all__ = ["Receivers", "listeners", "read_receivers"]

_PROTOCOLS = ("receivers", "otlp", "protocols")
_GRPC = (*_PROTOCOLS, "grpc")
_HTTP = (*_PROTOCOLS, "http")
_KEEPALIVE = (*_GRPC, "keepalive")

Receivers = tuple[ReceiverConfig | None, HttpReceiverConfig | None]


def read_receivers(reading: Reading) -> Receivers:
    """The protocols that are named, as in a Collector; both where none is."""
    named = [protocol for protocol in (_GRPC, _HTTP) if reading.settings.is_set(*protocol)]
    receivers = (
        _grpc_receiver(reading) if _GRPC in named or not named else None,
        _http_receiver(reading) if _HTTP in named or not named else None,
    )
    for protocol, receiver in zip((_GRPC, _HTTP), receivers, strict=True):
        if receiver is not None:
            _check_exposure(reading, (*protocol, "endpoint"), receiver)
    return receivers


def _check_exposure(
    reading: Reading, key: KeyPath, receiver: ReceiverConfig | HttpReceiverConfig
) -> None:
    """Warn of what the network may do with a receiver that it reaches."""
    address = receiver.grpc_endpoint if isinstance(receiver, ReceiverConfig) else receiver.endpoint
    if endpoints.is_local(split_address(address)[0]):
        return
    encrypted = receiver.tls is not None
    authenticated = receiver.auth is not None or (
        receiver.tls is not None and receiver.tls.client_ca_file is not None
    )
    if text := _EXPOSED.get((encrypted, authenticated)):
        reading.warn(key, text)


# (encrypted, authenticated) -> what to know
_EXPOSED = {
    (False, False): "is open to the network without TLS or authentication: anyone who reaches the "
    "port can send, and anyone on the way can read. Listen on 127.0.0.1, or set `tls` and `auth`",
    (False, True): "takes tokens over plain text: anyone on the way can read and use them. Set "
    "`tls`, or listen on 127.0.0.1",
    (True, False): "is open to the network without authentication: anyone who reaches the port can "
    "send. Set `auth`, or `tls.client_ca_file`, or listen on 127.0.0.1",
}

_TOKEN_CHARACTERS_MIN = 16  # what RFC 6750 leaves open; 16 of base64 are 96 bits


def _grpc_receiver(reading: Reading) -> ReceiverConfig:
    get, find = reading.settings.get, reading.settings.find
    return ReceiverConfig(
        grpc_endpoint=get(str, *_GRPC, "endpoint"),
        max_recv_msg_size_bytes=get(int, *_GRPC, "max_recv_msg_size_mib") << 20,
        max_workers=get(int, *_GRPC, "max_workers"),
        max_in_flight_bytes=get(int, *_GRPC, "max_in_flight_mib") << 20,
        max_connections=get(int, *_GRPC, "max_connections"),
        read_timeout_s=get(float, *_GRPC, "read_timeout"),
        max_connection_age_s=find(float, *_KEEPALIVE, "server_parameters", "max_connection_age"),
        max_connection_age_grace_s=find(
            float, *_KEEPALIVE, "server_parameters", "max_connection_age_grace"
        ),
        ping_min_time_s=get(float, *_KEEPALIVE, "enforcement_policy", "min_time"),
        tls=_tls(reading, _GRPC),
        auth=_auth(reading, _GRPC),
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
        max_connections=get(int, *_HTTP, "max_connections"),
        tls=_tls(reading, _HTTP),
        auth=_auth(reading, _HTTP),
    )


def _tls(reading: Reading, protocol: KeyPath) -> ServerTls | None:
    """The TLS settings, if the section is there. One without a certificate is a mistake."""
    path = (*protocol, "tls")
    if not reading.settings.is_set(*path):
        return None
    files = {
        name: reading.file((*path, name)) for name in ("cert_file", "key_file", "client_ca_file")
    }
    for name in ("cert_file", "key_file"):
        if not reading.settings.is_set(*path, name):
            reading.note(path, f"has no `{name}`; give both `cert_file` and `key_file`, PEM files")
    min_version = reading.settings.get(str, *path, "min_version")
    if min_version == "1.3" and protocol == _GRPC:
        reading.note(
            (*path, "min_version"),
            "is not possible: gRPC in Python always takes 1.2 too; remove it, or receive by `http`",
        )
    cert_file, key_file = files["cert_file"], files["key_file"]
    if cert_file is None or key_file is None:
        return None
    tls = ServerTls(
        cert_file,
        key_file,
        files["client_ca_file"],
        min_version,
        reading.settings.find(float, *path, "reload_interval"),
    )
    if all(file is None or file.is_file() for file in files.values()):
        try:
            server_context(tls)
        except (OSError, ValueError) as error:
            reading.note(path, str(error))
    return tls


def _auth(reading: Reading, protocol: KeyPath) -> ServerAuth | None:
    """The tokens, if the section is there. One without any is a mistake: nobody could send."""
    path = (*protocol, "auth")
    if not reading.settings.is_set(*path):
        return None
    tokens: tuple[str, ...] = reading.settings.find(tuple, *path, "bearer_tokens") or ()
    file = reading.file((*path, "bearer_tokens_file"))
    sources = ("bearer_tokens", "bearer_tokens_file")
    if not any(reading.settings.is_set(*path, source) for source in sources):
        reading.note(path, "has no token; give `bearer_tokens` or `bearer_tokens_file`")
    listed = {"bearer_tokens": tokens}
    if file is not None and file.is_file():
        try:
            listed["bearer_tokens_file"] = read_tokens(file.read_bytes())
        except (OSError, ValueError) as error:
            reading.note((*path, "bearer_tokens_file"), str(error))
    for key, values in listed.items():
        if any(" " in token for token in values):
            reading.note((*path, key), "has a token with a space; write it without `Bearer`")
        elif any(len(token) < _TOKEN_CHARACTERS_MIN for token in values):
            reading.warn(
                (*path, key),
                f"has a token of less than {_TOKEN_CHARACTERS_MIN} characters, which can be "
                "guessed; make one by `openssl rand -hex 32`",
            )
    return ServerAuth(tokens, file)


def listeners(receivers: Receivers) -> dict[KeyPath, str]:
    """The address of each receiver, by its key."""
    grpc, http = receivers
    addresses: dict[KeyPath, str] = {}
    if grpc is not None:
        addresses[*_GRPC, "endpoint"] = grpc.grpc_endpoint
    if http is not None:
        addresses[*_HTTP, "endpoint"] = http.endpoint
    return addresses
