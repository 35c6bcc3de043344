"""Reads the receivers: which protocols are served, where and within which limits."""

from __future__ import annotations

from genops_enricher.config import endpoint as endpoints
from genops_enricher.config.model import HttpReceiverConfig, ReceiverConfig
from genops_enricher.config.nodes import KeyPath
from genops_enricher.config.reading import Reading
from genops_enricher.config.values import split_address
from genops_enricher.pipeline import Signal

__all__ = ["Receivers", "listeners", "read_receivers"]

_PROTOCOLS = ("receivers", "otlp", "protocols")
_GRPC = (*_PROTOCOLS, "grpc")
_HTTP = (*_PROTOCOLS, "http")

Receivers = tuple[ReceiverConfig | None, HttpReceiverConfig | None]


def read_receivers(reading: Reading) -> Receivers:
    """The protocols that are named, as in a Collector; both where none is."""
    named = [protocol for protocol in (_GRPC, _HTTP) if reading.settings.is_set(*protocol)]
    receivers = (
        _grpc_receiver(reading) if _GRPC in named or not named else None,
        _http_receiver(reading) if _HTTP in named or not named else None,
    )
    for key, address in listeners(receivers).items():
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


def listeners(receivers: Receivers) -> dict[KeyPath, str]:
    """The address of each receiver, by its key."""
    grpc, http = receivers
    addresses: dict[KeyPath, str] = {}
    if grpc is not None:
        addresses[*_GRPC, "endpoint"] = grpc.grpc_endpoint
    if http is not None:
        addresses[*_HTTP, "endpoint"] = http.endpoint
    return addresses
