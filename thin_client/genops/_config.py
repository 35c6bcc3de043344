"""Read `genops.init`'s arguments and the environment into one checked, immutable configuration.

Pure: takes the environment as a mapping, opens nothing. A wrong argument raises, it is a bug that
the developer sees at once; a wrong environment variable is a problem that is reported while the
application runs on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

from genops._runtime import OPENROUTER_BASE_URL_VARIABLE
from genops.core.governance import Scalar, clean
from genops.providers.hosts import address

__all__ = ["ClientConfig", "ExportConfig", "read_config"]

Kind = Literal["otlp", "console", "none"]
Protocol = Literal["grpc", "http/protobuf"]
Choice = TypeVar("Choice", Kind, Protocol)

_KINDS: Final[Mapping[str, Kind]] = {"otlp": "otlp", "console": "console", "none": "none"}
_PROTOCOLS: Final[Mapping[str, Protocol]] = {"grpc": "grpc", "http/protobuf": "http/protobuf"}

# Default addresses of an OTLP receiver (OTLP specification, "OTLP/gRPC Default Port").
_DEFAULT_ENDPOINTS: Final[Mapping[Protocol, str]] = {
    "grpc": "http://localhost:4317",
    "http/protobuf": "http://localhost:4318",
}
_TRACES_PATH: Final = "/v1/traces"
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")  # what gRPC admits
_HEADER_VALUE: Final = re.compile(r"[ -~]*")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

# Vendors whose OTLP intake for traces takes no gRPC, by host suffix.
_HTTP_ONLY: Final = ("datadoghq.com", "datadoghq.eu", "ddog-gov.com")


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """Where spans go."""

    kind: Kind
    protocol: Protocol = "grpc"
    endpoint: str = ""  # gRPC: host:port, HTTP: the full URL
    insecure: bool | None = None  # gRPC without TLS; None: OTEL_EXPORTER_OTLP_INSECURE decides
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold keys
    explicit: bool = False  # asked for by an argument, not by the environment or a default

    def __str__(self) -> str:
        if self.kind != "otlp":
            return self.kind
        return f"otlp {self.protocol} to {_without_secrets(self.endpoint)}"


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """All that `init` needs to know."""

    export: ExportConfig
    resource: Mapping[str, str | bool | int | float]
    governance: Mapping[str, Scalar]  # by span attribute name
    openrouter_metadata: bool
    openrouter_base_url: str | None
    debug: bool
    problems: tuple[str, ...] = ()


def read_config(
    environ: Mapping[str, str],
    *,
    service_name: str | None = None,
    service_version: str | None = None,
    exporter_type: str | None = None,
    otlp_endpoint: str | None = None,
    otlp_protocol: str | None = None,
    otlp_headers: Mapping[str, str | None] | None = None,
    default_team: str | None = None,
    default_project: str | None = None,
    default_environment: str | None = None,
    resource_attributes: Mapping[str, str | bool | int | float] | None = None,
    openrouter_metadata: bool = True,
    openrouter_base_url: str | None = None,
    debug: bool = False,
) -> ClientConfig:
    """The configuration; arguments win over the environment.

    Raises:
        ValueError: an argument is wrong; the text says which and what to write.
    """
    problems: list[str] = []
    environment = default_environment or environ.get("ENVIRONMENT") or None
    version = service_version or environ.get("OTEL_SERVICE_VERSION")
    resource = dict(resource_attributes or {})
    if service_name:
        resource["service.name"] = service_name
    if version:
        resource["service.version"] = version
    if environment:
        resource.setdefault("deployment.environment.name", environment)
    return ClientConfig(
        export=_read_export(
            environ, exporter_type, otlp_endpoint, otlp_protocol, otlp_headers, problems
        ),
        resource=resource,
        governance=clean(
            {"team": default_team, "project": default_project, "environment": environment}
        ),
        openrouter_metadata=openrouter_metadata,
        openrouter_base_url=_read_openrouter_base_url(environ, openrouter_base_url, problems),
        debug=debug,
        problems=tuple(problems),
    )


def _read_openrouter_base_url(
    environ: Mapping[str, str], argument: str | None, problems: list[str]
) -> str | None:
    """The address, if it is one that a client's base URL can be compared with."""
    value = argument or environ.get(OPENROUTER_BASE_URL_VARIABLE)
    if not value or (address(value)[0] and value.startswith(("http://", "https://"))):
        return value
    source = "openrouter_base_url" if argument else OPENROUTER_BASE_URL_VARIABLE
    problem = (
        f"{source}={_without_secrets(value)!r} is no URL; write e.g. https://gateway.example/v1"
    )
    if argument:
        raise ValueError(problem)
    problems.append(f"{problem}. It is ignored")
    return None


def _read_export(
    environ: Mapping[str, str],
    exporter_type: str | None,
    otlp_endpoint: str | None,
    otlp_protocol: str | None,
    otlp_headers: Mapping[str, str | None] | None,
    problems: list[str],
) -> ExportConfig:
    explicit = exporter_type is not None or otlp_endpoint is not None
    kind = _choose(
        "exporter_type", exporter_type, ("OTEL_TRACES_EXPORTER",), environ, _KINDS, problems
    )
    if kind in ("console", "none"):
        return ExportConfig(kind=kind, explicit=explicit)
    protocol = _choose(
        "otlp_protocol",
        otlp_protocol,
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        environ,
        _PROTOCOLS,
        problems,
    )
    headers = _read_headers(otlp_headers, problems)
    for source, endpoint, is_base in (
        ("otlp_endpoint", otlp_endpoint, True),
        *(
            (name, environ.get(name), is_base)
            for name, is_base in (
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", False),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", True),
            )
        ),
    ):
        if not endpoint:
            continue
        try:
            return _otlp(source, endpoint, protocol, headers, is_base, explicit)
        except ValueError as error:
            if source == "otlp_endpoint":
                raise
            problems.append(f"{error} No spans are exported")
            return ExportConfig(kind="none")
    endpoint = _DEFAULT_ENDPOINTS[protocol or "grpc"]
    return _otlp("default", endpoint, protocol, headers, True, explicit)


def _choose(
    argument: str,
    value: str | None,
    variables: tuple[str, ...],
    environ: Mapping[str, str],
    known: Mapping[str, Choice],
    problems: list[str],
) -> Choice | None:
    choices = ", ".join(known)
    if value is not None:
        if value not in known:
            raise ValueError(f"{argument}={value!r} is unknown; write one of: {choices}")
        return known[value]
    for variable in variables:
        setting = environ.get(variable, "").strip().lower()
        if setting in known:
            return known[setting]
        if setting:
            problems.append(f"{variable}={setting!r} is ignored; known are: {choices}")
    return None


def _read_headers(
    headers: Mapping[str, str | None] | None, problems: list[str]
) -> Mapping[str, str]:
    read: dict[str, str] = {}
    for name, value in (headers or {}).items():
        if value is None:
            problems.append(
                f"otlp_headers[{name!r}] is None and is left out. "
                "Is the environment variable that it comes from set?"
            )
            continue
        # A key that was read from a file ends in a line feed. The exporters fail at each export
        # on what cannot be sent, and one of them logs it.
        stripped = value.strip()
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(stripped):
            raise ValueError(
                f"otlp_headers[{name!r}] is no header: a name has no spaces, and name and value "
                "are printable ASCII"
            )
        read[name.lower()] = stripped  # gRPC metadata keys are lower-case
    return read


def _without_secrets(url: str) -> str:
    """The URL without user, password and query, which may carry keys."""
    scheme, separator, rest = url.rpartition("://")
    return scheme + separator + rest.partition("?")[0].rpartition("@")[2]


def _otlp(
    source: str,
    endpoint: str,
    protocol: Protocol | None,
    headers: Mapping[str, str],
    is_base: bool,
    explicit: bool,
) -> ExportConfig:
    """The exporter for an endpoint.

    Protocol: the one asked for, else gRPC for port 4317 or where there is no scheme, else HTTP.
    """
    has_scheme = "://" in endpoint
    try:
        parts = urlsplit(endpoint if has_scheme else "//" + endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if not host or (has_scheme and parts.scheme not in ("http", "https")):
        raise ValueError(
            f"{source}={_without_secrets(endpoint)!r} is no OTLP endpoint; "
            "write e.g. http://localhost:4317 or https://api.honeycomb.io."
        )
    http_only = host.endswith(_HTTP_ONLY)
    chosen = protocol or ("grpc" if port == 4317 or not has_scheme else "http/protobuf")
    if http_only and chosen == "grpc":
        raise ValueError(
            f"{source}={_without_secrets(endpoint)!r}: this vendor takes OTLP over HTTP only. "
            f"Use https://{host} with protocol http/protobuf."
        )
    if chosen == "grpc":
        netloc = parts.netloc.rpartition("@")[2]
        plain = parts.scheme == "http" or (not has_scheme and host in _LOOPBACK)
        return ExportConfig(
            kind="otlp",
            protocol="grpc",
            endpoint=netloc if port else f"{netloc}:{443 if parts.scheme == 'https' else 4317}",
            insecure=True if plain else (False if has_scheme else None),
            headers=headers,
            explicit=explicit,
        )
    url = endpoint if has_scheme else f"{'http' if host in _LOOPBACK else 'https'}://{endpoint}"
    if is_base and not url.rstrip("/").endswith(_TRACES_PATH):
        url = url.rstrip("/") + _TRACES_PATH
    return ExportConfig(
        kind="otlp", protocol="http/protobuf", endpoint=url, headers=headers, explicit=explicit
    )
