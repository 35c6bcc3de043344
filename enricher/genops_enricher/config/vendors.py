"""What is known about the OTLP endpoints of vendors: enough to find a wrong endpoint at the start.

A wrong endpoint otherwise shows as a destination that "is not there yet", and is retried for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from genops_enricher.pipeline import Signal

__all__ = ["VENDORS", "Vendor", "misplaced", "vendor_of"]

_V1 = {signal: f"/v1/{signal}" for signal in Signal}


@dataclass(frozen=True, slots=True)
class Vendor:
    """The OTLP endpoint of a vendor."""

    name: str
    hosts: str  # regular expression of the whole host name
    header: str  # the header that carries the key; requests without it are refused
    domains: str  # regular expression of the domains whose other hosts take no OTLP
    place: str  # where it takes OTLP, in words
    base_path: str = ""  # HTTP: the path that the base URL must have
    paths: Mapping[Signal, str] = field(default_factory=lambda: _V1)  # HTTP: appended to the base
    grpc: frozenset[Signal] = frozenset(Signal)  # signals that are taken over gRPC
    max_request_bytes: int | None = None  # of one request before it is packed, as documented


VENDORS = (
    # https://docs.honeycomb.io/send-data/opentelemetry/
    Vendor(
        "Honeycomb",
        r"api(\.eu1)?\.honeycomb\.io",
        "x-honeycomb-team",
        max_request_bytes=15_000_000,
        domains=r"honeycomb\.io",
        place="api.honeycomb.io or api.eu1.honeycomb.io",
    ),
    # https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest/traces: "`http/json` and `grpc`
    # are not supported"; "3.2 MB" a request. The host is otlp.<site>.
    Vendor(
        "Datadog",
        r"otlp\.([a-z0-9-]+\.)*(datadoghq\.(com|eu)|ddog-gov\.com)",
        "dd-api-key",
        grpc=frozenset(),
        max_request_bytes=3_200_000,
        domains=r"datadoghq\.(com|eu)|ddog-gov\.com",
        place="otlp.<site>, such as otlp.us3.datadoghq.com",
    ),
    # https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/: "1MB (10^6
    # bytes)". Whether before or after compression is not said in one way; before is safe.
    Vendor(
        "New Relic",
        r"(gov-)?otlp\.([a-z0-9]+\.)?nr-data\.net",
        "api-key",
        max_request_bytes=1_000_000,
        domains=r"newrelic\.com|nr-data\.net",
        place="otlp.nr-data.net or otlp.eu01.nr-data.net",
    ),
    # https://docs.dynatrace.com/docs/ingest-from/opentelemetry/otlp-api: protobuf over HTTP only.
    Vendor(
        "Dynatrace",
        r"[a-z0-9-]+\.live\.dynatrace\.com",
        "authorization",
        base_path="/api/v2/otlp",
        grpc=frozenset(),
        max_request_bytes=8_000_000,
        domains=r"dynatrace\.com",
        place="<environment>.live.dynatrace.com",
    ),
    # https://grafana.com/docs/grafana-cloud/send-data/otlp/otlp-format-considerations/: HTTP only.
    Vendor(
        "Grafana Cloud",
        r"otlp-gateway-[a-z0-9-]+\.grafana\.net",
        "authorization",
        base_path="/otlp",
        grpc=frozenset(),
        domains=r"grafana\.(net|com)",
        place="otlp-gateway-<zone>.grafana.net",
    ),
    # https://help.splunk.com/splunk-observability-cloud: "OTLP/HTTP exporter" for the paths, "Send
    # traces … using the gRPC endpoint" for gRPC. Logs go to another product by another protocol.
    Vendor(
        "Splunk Observability Cloud",
        r"ingest\.[a-z0-9]+\.(signalfx\.com|observability\.splunkcloud\.com)",
        "x-sf-token",
        paths={Signal.TRACES: "/v2/trace/otlp", Signal.METRICS: "/v2/datapoint/otlp"},
        grpc=frozenset({Signal.TRACES}),
        domains=r"signalfx\.com|splunkcloud\.com",
        place="ingest.<realm>.signalfx.com",
    ),
)


def vendor_of(host: str) -> Vendor | None:
    """The vendor that a host name belongs to, if it is a known one."""
    for vendor in VENDORS:
        if re.fullmatch(vendor.hosts, host.lower()):
            return vendor
    return None


def misplaced(host: str) -> Vendor | None:
    """The vendor of a host that is not known to take OTLP: its website, or another of its APIs."""
    for vendor in VENDORS:
        if re.fullmatch(rf"(.+\.)?({vendor.domains})", host.lower()):
            # Tempo of Grafana Cloud takes traces over gRPC at hosts of its own.
            known = vendor_of(host) or host.lower().startswith("tempo-")
            return None if known else vendor
    return None
