"""Know the vendors that an OTLP endpoint may belong to.

A vendor stores spans as they come, so spans that are sent straight to one carry tokens but no cost;
and some vendors take OTLP over HTTP only. Which endpoint is used is decided in `destination`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

__all__ = ["Vendor", "cost_warning", "vendor_of"]


@dataclass(frozen=True, slots=True)
class Vendor:
    """A backend that is reached over the internet."""

    name: str
    domains: tuple[str, ...]  # with all hosts below them
    takes_grpc: bool = True


_VENDORS: Final = (
    # https://docs.honeycomb.io/send-data/opentelemetry/
    Vendor("Honeycomb", ("honeycomb.io",)),
    # https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest/traces: gRPC is not supported.
    Vendor("Datadog", ("datadoghq.com", "datadoghq.eu", "ddog-gov.com"), takes_grpc=False),
    # https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/
    Vendor("New Relic", ("nr-data.net",)),
    # https://docs.dynatrace.com/docs/ingest-from/opentelemetry/otlp-api: HTTP only.
    Vendor("Dynatrace", ("live.dynatrace.com",), takes_grpc=False),
    # https://grafana.com/docs/grafana-cloud/send-data/otlp/otlp-format-considerations/: HTTP only.
    Vendor("Grafana Cloud", ("grafana.net",), takes_grpc=False),
    # https://help.splunk.com/splunk-observability-cloud
    Vendor("Splunk", ("signalfx.com", "observability.splunkcloud.com")),
)


def vendor_of(host: str) -> Vendor | None:
    """The vendor that a host name belongs to, if it is a known one."""
    host = host.lower().rstrip(".")
    for vendor in _VENDORS:
        if any(host == domain or host.endswith("." + domain) for domain in vendor.domains):
            return vendor
    return None


def cost_warning(endpoint: str) -> str | None:
    """What to tell whoever sends spans to this endpoint (`host:port` or URL), if it is a vendor's.

    None for every other endpoint, and for one that cannot be read.
    """
    try:
        host = urlsplit(endpoint if "://" in endpoint else "//" + endpoint).hostname
    except ValueError:
        return None
    vendor = vendor_of(host) if host else None
    if vendor is None:
        return None
    return (
        f"spans sent straight to {vendor.name} ({host}) carry no cost: "
        "send them through genops-enricher"
    )
