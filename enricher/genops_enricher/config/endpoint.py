"""From the endpoint that the operator wrote to the destination that an exporter sends to.

The protocol is the one that was asked for; else port 4317 or an endpoint without scheme is gRPC,
and the rest is HTTP. For HTTP the endpoint is a base URL to which `/v1/traces` and so on are
appended, as for OTEL_EXPORTER_OTLP_ENDPOINT
(https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp).

A gRPC target has no scheme: the library takes `https://host` for a name to look up, fails as
"unavailable" and so would be retried for ever. Messages name the host, never the whole endpoint,
which may hold a password.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from genops_enricher.config.model import Endpoint, Protocol
from genops_enricher.config.values import split_address
from genops_enricher.config.vendors import Vendor, vendor_of
from genops_enricher.pipeline import Signal

__all__ = ["addresses", "is_local", "resolve", "resolve_url", "same_listener", "vendor_at"]

_GRPC_PORT = 4317
_DEFAULT_PORTS = {"http": 80, "https": 443}


def resolve(text: str, *, protocol: Protocol | None, insecure: bool = False) -> Endpoint:
    """The destination that `text` means.

    Args:
        text: `host:port` or a URL.
        protocol: the protocol if it was asked for; None lets the endpoint decide.
        insecure: plain text for a gRPC endpoint that has no scheme.

    Raises:
        ValueError: what is wrong with the endpoint and how to write it.
    """
    url = _split(text)
    if url.scheme == "https" and insecure:
        raise ValueError("https:// contradicts tls.insecure; keep one of the two")
    if protocol is None:
        is_grpc = not url.scheme or url.port == _GRPC_PORT
        protocol = Protocol.GRPC if is_grpc else Protocol.HTTP
    vendor = vendor_of(url.hostname or "")
    if protocol is Protocol.HTTP:
        return _http(url, vendor)
    return _grpc(url, vendor, insecure)


def resolve_url(text: str) -> str:
    """The whole URL of one signal, checked.

    Raises:
        ValueError: what is wrong with it.
    """
    url = _split(text)
    if not url.scheme:
        raise ValueError("has no scheme; write https://host/path or http://host/path")
    return url.geturl()


def vendor_at(endpoint: Endpoint) -> Vendor | None:
    """The known vendor that an endpoint belongs to."""
    for host, _ in addresses(endpoint):
        if vendor := vendor_of(host):
            return vendor
    return None


def addresses(endpoint: Endpoint) -> tuple[tuple[str, int], ...]:
    """Every (host, port) that the endpoint connects to."""
    if endpoint.protocol is Protocol.GRPC:
        return (split_address(endpoint.target),)
    urls = [urlsplit(url) for url in dict.fromkeys(endpoint.urls.values())]
    found = [(url.hostname or "", url.port or _DEFAULT_PORTS[url.scheme]) for url in urls]
    return tuple(dict.fromkeys(found))


def is_local(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def same_listener(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two addresses reach one listener on this machine. Port 0 is always another port."""
    if one[1] != other[1] or not one[1]:
        return False
    return one[0] == other[0] or all(is_local(host) or _is_any(host) for host in (one[0], other[0]))


def _is_any(host: str) -> bool:
    return host in ("0.0.0.0", "::")  # noqa: S104  # compared, not bound


def _split(text: str) -> SplitResult:
    scheme, slashes, rest = text.partition("://")
    if not slashes:
        scheme, rest = "", text
    if scheme.lower() not in ("", "http", "https"):
        raise ValueError("has an unknown scheme; use https://, http:// or, for gRPC, host:port")
    try:
        url = urlsplit(f"{scheme}://{rest}" if slashes else f"//{rest}")
        port = url.port
    except ValueError:
        raise ValueError("has no valid host or port; write host:port or https://host") from None
    if "@" in url.netloc:
        raise ValueError("has a user or password in it; send credentials in `headers`")
    if url.query or url.fragment:
        raise ValueError("has a ? or # part; send keys in `headers`")
    if not url.hostname or any(char.isspace() for char in text) or port == 0:
        raise ValueError("has no valid host or port; write host:port or https://host")
    return url


def _grpc(url: SplitResult, vendor: Vendor | None, insecure: bool) -> Endpoint:
    host = url.hostname or ""
    if vendor and not vendor.grpc:
        raise ValueError(
            f"{vendor.name} takes no OTLP over gRPC; use `otlp_http` with "
            f"https://{host}{vendor.base_path}"
        )
    if url.path not in ("", "/"):
        raise ValueError("gRPC takes no path; write host:port, or use `otlp_http`")
    secure = url.scheme == "https" or (not url.scheme and not insecure)
    port = url.port or (_DEFAULT_PORTS["https"] if secure and url.scheme else None)
    if port is None:
        raise ValueError("has no port; write host:4317, or host:443 for most vendors")
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Endpoint(Protocol.GRPC, target, secure)


def _http(url: SplitResult, vendor: Vendor | None) -> Endpoint:
    if not url.scheme:
        raise ValueError("has no scheme; OTLP over HTTP needs https://host or http://host:4318")
    path = url.path.rstrip("/")
    for signal in Signal:
        for tail in {f"/v1/{signal}", vendor.paths.get(signal, "") if vendor else ""} - {""}:
            if path.endswith(tail):
                raise ValueError(
                    f"is a base URL to which {tail} is appended; remove {tail}, or write it as "
                    f"`{signal}_endpoint`"
                )
    if vendor and vendor.base_path != path:
        raise ValueError(
            f"{vendor.name} takes OTLP at https://{url.hostname}{vendor.base_path}; write that"
        )
    base = url._replace(path=path).geturl()
    paths: Mapping[Signal, str] = vendor.paths if vendor else {s: f"/v1/{s}" for s in Signal}
    urls = {signal: base + tail for signal, tail in paths.items()}
    return Endpoint(Protocol.HTTP, base, url.scheme == "https", urls)
