"""Decide where spans and metrics go: exporter, endpoint, protocol and headers.

Pure: takes the environment as a mapping, opens nothing. A wrong argument raises, a wrong variable
is a problem that is reported. The variables are OpenTelemetry's own:
https://opentelemetry.io/docs/specs/otel/protocol/exporter/. What is not read here (timeout,
certificates, compression, headers of the environment), the SDK's exporters read themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

from genops.export.vendors import vendor_of

__all__ = ["ExportConfig", "ExportReading", "Signal", "read_headers", "without_secrets"]

Kind = Literal["otlp", "console", "none"]
Protocol = Literal["grpc", "http/protobuf"]
Signal = Literal["traces", "metrics"]
Choice = TypeVar("Choice", Kind, Protocol)

_KINDS: Final[Mapping[str, Kind]] = {"otlp": "otlp", "console": "console", "none": "none"}
_PROTOCOLS: Final[Mapping[str, Protocol]] = {"grpc": "grpc", "http/protobuf": "http/protobuf"}

# Default addresses of an OTLP receiver (OTLP specification, "OTLP/gRPC Default Port").
_DEFAULT_ENDPOINTS: Final[Mapping[Protocol, str]] = {
    "grpc": "http://localhost:4317",
    "http/protobuf": "http://localhost:4318",
}
_SIGNAL_PATHS: Final = ("/v1/traces", "/v1/metrics")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")  # what gRPC admits
_HEADER_VALUE: Final = re.compile(r"[ -~]*")
# An entry of OTEL_EXPORTER_OTLP_HEADERS that the SDK's exporters take.
_HEADER_ENTRY: Final = re.compile(r"[!#-'*+\-.0-9A-Z^-z|~]+[ \t]*=[ \t]*[ !#-+\--:<-\[\]-~]*")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_QUERY: Final = re.compile(r"[?#]")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """Where the telemetry of one signal goes."""

    kind: Kind
    protocol: Protocol = "grpc"
    endpoint: str = ""  # gRPC: host:port, HTTP: the full URL
    insecure: bool | None = None  # gRPC without TLS; None: OTEL_EXPORTER_OTLP_INSECURE decides
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold keys
    explicit: bool = False  # asked for by an argument, not by the environment or a default

    def __str__(self) -> str:
        if self.kind != "otlp":
            return self.kind
        return f"otlp {self.protocol} to {without_secrets(self.endpoint)}"


@dataclass(frozen=True, slots=True)
class ExportReading:
    """Where a signal goes: from the arguments, its own variables, those for all signals."""

    environ: Mapping[str, str]
    exporter_type: str | None
    endpoint: str | None
    protocol: str | None
    headers: Mapping[str, str]
    problems: list[str]

    def export(self, signal: Signal) -> ExportConfig:
        """Where this signal goes; what is wrong with the environment is added to the problems.

        Raises:
            ValueError: an argument is wrong.
        """
        explicit = self.exporter_type is not None or self.endpoint is not None
        kind = self._kind(signal)
        if kind != "otlp":
            return ExportConfig(kind=kind, explicit=explicit)
        self._check_headers(signal)
        protocol_source, protocol = self._choose(
            "otlp_protocol",
            self.protocol,
            (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
            _PROTOCOLS,
        )
        own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
        shared = "OTEL_EXPORTER_OTLP_ENDPOINT"
        for source, text in (
            ("otlp_endpoint", self.endpoint),
            (own, self.environ.get(own)),
            (shared, self.environ.get(shared)),
            ("default", _DEFAULT_ENDPOINTS[protocol or "grpc"]),
        ):
            if not text:
                continue
            try:
                endpoint = _read_endpoint(source, text)
                if (
                    protocol == "grpc"
                    and protocol_source != "otlp_protocol"
                    and not endpoint.takes_grpc
                ):
                    self.problems.append(
                        f"{protocol_source}=grpc is ignored: {endpoint.host} takes OTLP over HTTP "
                        "only"
                    )
                    protocol = None
                return endpoint.export(
                    protocol,
                    says_insecure=self._says_insecure(signal),
                    path="" if source == own else f"/v1/{signal}",
                    headers=self.headers,
                    explicit=explicit,
                )
            except ValueError as error:
                if source == "otlp_endpoint":
                    raise
                self.problems.append(f"{error} Nothing is sent there")
                break
        return ExportConfig(kind="none")

    def _says_insecure(self, signal: Signal) -> bool:
        """Whether the environment says if an endpoint without a scheme has TLS."""
        infixes = ("", f"{signal.upper()}_")
        return any(self.environ.get(f"OTEL_EXPORTER_OTLP_{infix}INSECURE") for infix in infixes)

    def _check_headers(self, signal: Signal) -> None:
        """Report what the exporters leave out."""
        for infix in ("", f"{signal.upper()}_"):
            variable = f"OTEL_EXPORTER_OTLP_{infix}HEADERS"
            entries = map(str.strip, self.environ.get(variable, "").split(","))
            if not all(_HEADER_ENTRY.fullmatch(entry) for entry in entries if entry):
                self.problems.append(
                    f"{variable}: an entry is not name=value and is left out; "
                    "write name=value,name=value, and what is no letter or digit as %XX"
                )

    def _kind(self, signal: Signal) -> Kind:
        if self.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            self.problems.append("OTEL_SDK_DISABLED is true: nothing is recorded")
            return "none"
        _, spans = self._choose(
            "exporter_type", self.exporter_type, ("OTEL_TRACES_EXPORTER",), _KINDS
        )
        if signal == "traces":
            return spans or "otlp"
        _, metrics = self._choose("", None, ("OTEL_METRICS_EXPORTER",), _KINDS)
        if metrics == "none":  # no argument says this, so none overrules it
            return "none"
        return (spans if self.exporter_type else metrics or spans) or "otlp"

    def _choose(
        self,
        argument: str,
        value: str | None,
        variables: tuple[str, ...],
        known: Mapping[str, Choice],
    ) -> tuple[str, Choice | None]:
        """The choice and where it was made."""
        choices = ", ".join(known)
        if value is not None:
            if value not in known:
                raise ValueError(f"{argument}={value!r} is unknown; write one of: {choices}")
            return argument, known[value]
        for variable in variables:
            setting = self.environ.get(variable, "").strip().lower()
            if setting in known:
                return variable, known[setting]
            if setting:
                self.problems.append(f"{variable}={setting!r} is ignored; known are: {choices}")
        return "", None


def read_headers(
    headers: Mapping[str, str | None] | None, problems: list[str]
) -> Mapping[str, str]:
    """The headers as they can be sent; those without a value are added to the problems.

    Raises:
        ValueError: one can't be sent.
    """
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
            shown = repr(name) if _HEADER_NAME.fullmatch(name) else "…"  # `name: key` in one text
            raise ValueError(
                f"otlp_headers[{shown}] is no header: a name has no spaces, and name and value "
                "are printable ASCII"
            )
        read[name.lower()] = stripped  # gRPC metadata keys are lower-case
    return read


def without_secrets(url: str) -> str:
    """The URL without user, password, query and fragment, which may carry keys.

    A ? or # may also be a part of a password that is written as it is: then all goes.
    """
    scheme = _SCHEME.match(url)
    start = scheme.end() if scheme else 0
    stated, *query = _QUERY.split(url[start:], maxsplit=1)
    return url[:start] + ("…" if "@" in "".join(query) else stated.rpartition("@")[2])


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """An OTLP endpoint, taken apart."""

    source: str  # the argument or variable that states it
    text: str = field(repr=False)  # may hold keys
    parts: SplitResult = field(repr=False)
    host: str
    port: int | None
    takes_grpc: bool

    def export(
        self,
        protocol: Protocol | None,
        *,
        says_insecure: bool,
        path: str,
        headers: Mapping[str, str],
        explicit: bool,
    ) -> ExportConfig:
        """The exporter for this endpoint.

        Protocol: the one asked for, else gRPC for port 4317 or where there is no scheme, else HTTP.

        Raises:
            ValueError: that is gRPC, which the vendor does not take.
        """
        scheme = self.parts.scheme
        if (protocol or ("grpc" if self.port == 4317 or not scheme else "http")) == "grpc":
            if not self.takes_grpc:
                raise ValueError(
                    f"{self.source}={without_secrets(self.text)!r}: this vendor takes OTLP over "
                    f"HTTP only. Use https://{self.host} with protocol http/protobuf."
                )
            netloc = self.parts.netloc.rpartition("@")[2]
            is_local = not scheme and self.host in _LOOPBACK and not says_insecure
            plain = scheme == "http" or is_local
            return ExportConfig(
                kind="otlp",
                protocol="grpc",
                endpoint=netloc if self.port else f"{netloc}:{443 if scheme == 'https' else 4317}",
                insecure=True if plain else (False if scheme else None),
                headers=headers,
                explicit=explicit,
            )
        base = self.parts.path.rstrip("/") if path else self.parts.path
        for stated in _SIGNAL_PATHS if path else ():  # the whole URL of a signal, given as the base
            base = base.removesuffix(stated)
        url = self.parts._replace(
            scheme=scheme or ("http" if self.host in _LOOPBACK else "https"), path=base + path
        )
        return ExportConfig(
            kind="otlp",
            protocol="http/protobuf",
            endpoint=url.geturl(),
            headers=headers,
            explicit=explicit,
        )


def _read_endpoint(source: str, text: str) -> _Endpoint:
    parts, host, port = urlsplit(""), None, None
    with suppress(ValueError):  # a broken port or IPv6 address
        parts = urlsplit(text if "://" in text else "//" + text)
        host, port = parts.hostname, parts.port
    if not host or parts.scheme not in ("", "http", "https"):
        raise ValueError(
            f"{source}={without_secrets(text)!r} is no OTLP endpoint; "
            "write e.g. http://localhost:4317 or https://api.honeycomb.io."
        )
    vendor = vendor_of(host)
    return _Endpoint(source, text, parts, host, port, vendor is None or vendor.takes_grpc)
