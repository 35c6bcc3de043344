"""What is written as an endpoint becomes the right destination, or an error that says how."""

from __future__ import annotations

import re

import pytest

from genops_enricher.config.endpoint import addresses, resolve, resolve_url, same_listener
from genops_enricher.config.model import Protocol
from genops_enricher.config.vendors import misplaced, vendor_of
from genops_enricher.pipeline import Signal

GRPC, HTTP = Protocol.GRPC, Protocol.HTTP


@pytest.mark.parametrize(
    ("text", "asked", "protocol", "target", "secure"),
    [
        ("localhost:4317", None, GRPC, "localhost:4317", True),
        ("localhost:9999", None, GRPC, "localhost:9999", True),
        ("http://localhost:4317", None, GRPC, "localhost:4317", False),
        ("https://collector:4317/", None, GRPC, "collector:4317", True),
        ("http://localhost:4318", None, HTTP, "http://localhost:4318", False),
        ("https://api.honeycomb.io", None, HTTP, "https://api.honeycomb.io", True),
        ("https://api.honeycomb.io", GRPC, GRPC, "api.honeycomb.io:443", True),
        ("api.honeycomb.io:443", GRPC, GRPC, "api.honeycomb.io:443", True),
        ("http://collector:4317", HTTP, HTTP, "http://collector:4317", False),
        ("http://[::1]:4317", None, GRPC, "[::1]:4317", False),
        ("https://host/base/", None, HTTP, "https://host/base", True),
    ],
)
def test_the_protocol_is_asked_for_or_follows_from_the_endpoint(
    text: str, asked: Protocol | None, protocol: Protocol, target: str, secure: bool
) -> None:
    endpoint = resolve(text, protocol=asked)

    assert (endpoint.protocol, endpoint.target, endpoint.secure) == (protocol, target, secure)


def test_insecure_is_plain_text_for_an_endpoint_without_scheme() -> None:
    assert not resolve("localhost:4317", protocol=None, insecure=True).secure


@pytest.mark.parametrize(
    ("text", "traces"),
    [
        ("https://api.eu1.honeycomb.io", "https://api.eu1.honeycomb.io/v1/traces"),
        ("https://otlp.us3.datadoghq.com/", "https://otlp.us3.datadoghq.com/v1/traces"),
        (
            "https://abc123.live.dynatrace.com/api/v2/otlp",
            "https://abc123.live.dynatrace.com/api/v2/otlp/v1/traces",
        ),
        (
            "https://otlp-gateway-prod-eu-west-0.grafana.net/otlp",
            "https://otlp-gateway-prod-eu-west-0.grafana.net/otlp/v1/traces",
        ),
        ("https://ingest.us0.signalfx.com", "https://ingest.us0.signalfx.com/v2/trace/otlp"),
        ("https://otlp.eu01.nr-data.net:4318", "https://otlp.eu01.nr-data.net:4318/v1/traces"),
    ],
)
def test_the_path_of_the_signal_is_appended_as_the_vendor_wants_it(text: str, traces: str) -> None:
    assert resolve(text, protocol=HTTP).urls[Signal.TRACES] == traces


_BAD_HOST = "has no valid host or port; write host:port or https://host"


@pytest.mark.parametrize(
    ("text", "asked", "message"),
    [
        (
            "https://otlp.datadoghq.com:4317",
            None,
            "Datadog takes no OTLP over gRPC; use `otlp_http` with https://otlp.datadoghq.com",
        ),
        (
            "otlp.datadoghq.eu",
            GRPC,
            "Datadog takes no OTLP over gRPC; use `otlp_http` with https://otlp.datadoghq.eu",
        ),
        (
            "abc.live.dynatrace.com:443",
            None,
            "Dynatrace takes no OTLP over gRPC; use `otlp_http` with "
            "https://abc.live.dynatrace.com/api/v2/otlp",
        ),
        (
            "https://abc.live.dynatrace.com",
            None,
            "Dynatrace takes OTLP at https://abc.live.dynatrace.com/api/v2/otlp; write that",
        ),
        (
            "http://host/v1/traces",
            None,
            "is a base URL to which /v1/traces is appended; remove /v1/traces, or write it as "
            "`traces_endpoint`",
        ),
        (
            "https://ingest.us0.signalfx.com/v2/trace/otlp",
            None,
            "is a base URL to which /v2/trace/otlp is appended; remove /v2/trace/otlp, or write "
            "it as `traces_endpoint`",
        ),
        ("host:4318", HTTP, "has no scheme; OTLP over HTTP needs https://host or http://host:4318"),
        ("https://host/path", GRPC, "gRPC takes no path; write host:port, or use `otlp_http`"),
        ("host", None, "has no port; write host:4317, or host:443 for most vendors"),
        (
            "dns:///host:4317",
            None,
            "has an unknown scheme; use https://, http:// or, for gRPC, host:port",
        ),
        (
            "https://me:secret@host",
            None,
            "has a user or password in it; send credentials in `headers`",
        ),
        ("https://host?key=secret", None, "has a ? or # part; send keys in `headers`"),
        ("https://host:port", None, _BAD_HOST),
        ("https://", None, _BAD_HOST),
        ("host:0", None, _BAD_HOST),
        ("ho st:4317", None, _BAD_HOST),
    ],
)
def test_what_is_refused_and_how_to_write_it(
    text: str, asked: Protocol | None, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        resolve(text, protocol=asked)


def test_https_contradicts_insecure() -> None:
    with pytest.raises(ValueError, match=r"https:// contradicts tls\.insecure"):
        resolve("https://host:4317", protocol=None, insecure=True)


def test_a_url_for_one_signal_is_used_as_it_is() -> None:
    assert resolve_url("https://host/v1/traces") == "https://host/v1/traces"
    with pytest.raises(ValueError, match="has no scheme"):
        resolve_url("host/v1/traces")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("127.0.0.1", 4317), ("localhost", 4317), True),
        (("0.0.0.0", 4317), ("::1", 4317), True),
        (("127.0.0.1", 4317), ("127.0.0.1", 4318), False),
        (("127.0.0.1", 4317), ("collector", 4317), False),
        (("10.0.0.1", 4317), ("10.0.0.1", 4317), True),
        (("127.0.0.1", 0), ("127.0.0.1", 0), False),
    ],
)
def test_loops_are_seen_through_names(
    one: tuple[str, int], other: tuple[str, int], same: bool
) -> None:
    assert same_listener(one, other) is same


def test_addresses_of_http_have_the_ports_of_their_schemes() -> None:
    assert addresses(resolve("https://host", protocol=HTTP)) == (("host", 443),)
    assert addresses(resolve("http://host", protocol=HTTP)) == (("host", 80),)


@pytest.mark.parametrize("host", ["otlp.datadoghq.com.evil.io", "honeycomb.io", "localhost"])
def test_other_hosts_are_no_vendor(host: str) -> None:
    assert vendor_of(host) is None


@pytest.mark.parametrize(
    ("host", "vendor"),
    [
        ("ui.honeycomb.io", "Honeycomb"),
        ("api.eu.honeycomb.io", "Honeycomb"),
        ("api.datadoghq.com", "Datadog"),
        ("trace.agent.us3.datadoghq.com", "Datadog"),
        ("datadoghq.eu", "Datadog"),
        ("collector.newrelic.com", "New Relic"),
        ("abc123.apps.dynatrace.com", "Dynatrace"),
        ("myname.grafana.net", "Grafana Cloud"),
        ("api.us1.signalfx.com", "Splunk Observability Cloud"),
        ("otlp.us5.datadoghq.com", None),
        ("tempo-prod-04-prod-us-east-0.grafana.net", None),
        ("notdatadoghq.com", None),
        ("collector.example.com", None),
    ],
)
def test_other_hosts_of_a_vendor_are_found(host: str, vendor: str | None) -> None:
    found = misplaced(host)

    assert (found.name if found else None) == vendor
