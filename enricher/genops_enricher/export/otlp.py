"""What OTLP/gRPC and OTLP/HTTP have in common: services, responses, and errors in words."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote
from urllib.request import getproxies

from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from genops_enricher.export.outcome import Delivered, Outcome
from genops_enricher.pipeline import Signal

__all__ = [
    "RESPONSE_BYTES_MAX",
    "SERVICES",
    "Sender",
    "Service",
    "parse_status",
    "retry_delay_s",
    "secrets_of",
    "shown",
]

# The limit that the OTLP specification recommends to clients.
RESPONSE_BYTES_MAX = 4 << 20
_SHOWN_CHARACTERS_MAX = 300
_SECRET_CHARACTERS_MIN = 4


class Sender(Protocol):
    """One way to one destination. Thread safe."""

    def send(self, payload: bytes, headers: Mapping[str, str] | None = None) -> Outcome:
        """Try once to deliver a serialized Export…ServiceRequest.

        `headers`, in lower case, go with this one beside those of the configuration.
        """

    def close(self) -> None:
        """Let go of the connections."""


@dataclass(frozen=True, slots=True)
class Service:
    """The OTLP service of a signal."""

    grpc_method: str
    response: type[Message]
    rejected_field: str

    def read_response(self, body: bytes, secrets: Sequence[str] = ()) -> Delivered:
        """What a response to an accepted request says; an unreadable one can't undo acceptance."""
        try:
            partial = self.response.FromString(body).partial_success  # type: ignore[attr-defined]
        except DecodeError:
            return Delivered(message="the response is no OTLP response")
        rejected: int = getattr(partial, self.rejected_field)
        return Delivered(max(rejected, 0), shown(partial.error_message, secrets))


SERVICES = {
    Signal.TRACES: Service(
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        ExportTraceServiceResponse,
        "rejected_spans",
    ),
    Signal.METRICS: Service(
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        ExportMetricsServiceResponse,
        "rejected_data_points",
    ),
    Signal.LOGS: Service(
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        ExportLogsServiceResponse,
        "rejected_log_records",
    ),
}


def parse_status(data: bytes) -> status_pb2.Status:
    """A google.rpc.Status; an empty one if the bytes are none."""
    try:
        return status_pb2.Status.FromString(data)
    except DecodeError:
        return status_pb2.Status()


def retry_delay_s(status: status_pb2.Status) -> float | None:
    """The wait, in seconds, that the RetryInfo among the details asks for."""
    info = error_details_pb2.RetryInfo()
    for detail in status.details:
        try:
            if detail.Unpack(info):
                # Not ToTimedelta: that raises on what a hostile server can write.
                delay_s: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
                return delay_s
        except DecodeError:
            continue
    return None


def secrets_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be shown of headers, and of the proxies of the environment.

    Of headers every value, the KEY in one such as `Bearer KEY`, and the password in `Basic …`,
    which a server reads from it and may repeat. Of proxies user and password, which the libraries
    quote where these are written so that they can't be told from host and port.
    """
    values = set(headers.values()) | {value.rpartition(" ")[2] for value in headers.values()}
    values |= {password for value in headers.values() if (password := _basic_password(value))}
    values |= _of_proxies()
    # Shorter ones are flags and numbers, and would blot out half of every message.
    secrets = [value for value in values if len(value) >= _SECRET_CHARACTERS_MIN]
    return tuple(sorted(secrets, key=len, reverse=True))


def _of_proxies() -> set[str]:
    values: set[str] = set()
    for url in getproxies().values():
        credentials = (url.partition("://")[2] or url).rpartition("@")[0]
        user, _, password = credentials.partition(":")
        # A URL's host ends there, so that what stands before is quoted as host and port.
        cut = re.split("[/?#]", password)[0]
        basic = base64.b64encode(unquote(credentials).encode()).decode()
        values |= {credentials, password, unquote(password), f"{user}:{cut}" if cut else "", basic}
    return values


def _basic_password(value: str) -> str:
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def shown(text: str, secrets: Sequence[str] = ()) -> str:
    """Foreign text fit for a log: one printable line of limited length, without the secrets."""
    line = " ".join(_hide(text, secrets).split())
    line = "".join(character for character in line if character.isprintable())
    line = _hide(line, secrets)  # what stood between its parts is gone
    return line if len(line) <= _SHOWN_CHARACTERS_MAX else f"{line[:_SHOWN_CHARACTERS_MAX]}…"


def _hide(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
