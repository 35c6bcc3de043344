from __future__ import annotations

import pytest

from genops.export.vendors import cost_warning, vendor_of


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("https://api.honeycomb.io/v1/traces", "Honeycomb"),
        ("api.eu1.honeycomb.io:443", "Honeycomb"),
        ("https://otlp.datadoghq.com", "Datadog"),
        ("https://otlp.us5.datadoghq.com/v1/traces", "Datadog"),
        ("https://OTLP.nr-data.net:4318", "New Relic"),
        ("https://abc.live.dynatrace.com/api/v2/otlp/v1/traces", "Dynatrace"),
        ("https://otlp-gateway-prod-eu-west-0.grafana.net/otlp", "Grafana Cloud"),
        ("https://ingest.us1.signalfx.com/v2/trace/otlp", "Splunk"),
    ],
)
def test_spans_sent_straight_to_a_vendor_are_said_to_carry_no_cost(
    endpoint: str, name: str
) -> None:
    warning = cost_warning(endpoint)

    assert warning is not None
    assert warning.startswith(f"spans sent straight to {name} (")
    assert warning.endswith("carry no cost: send them through genops-enricher")


@pytest.mark.parametrize(
    "endpoint",
    [
        *("localhost:4317", "http://collector.example:4318", "", "http://[broken"),
        *("https://nothoneycomb.io", "https://honeycomb.io.example"),
    ],
)
def test_other_endpoints_are_nobodys(endpoint: str) -> None:
    assert cost_warning(endpoint) is None


def test_a_warning_shows_no_keys() -> None:
    warning = cost_warning("https://user:pass-word@api.honeycomb.io/?key=pass-word")

    assert warning is not None
    assert "pass-word" not in warning


@pytest.mark.parametrize(
    ("host", "takes_grpc"),
    [("api.honeycomb.io", True), ("otlp.datadoghq.eu", False), ("x.live.dynatrace.com", False)],
)
def test_vendors_that_take_no_grpc_are_known(host: str, takes_grpc: bool) -> None:
    vendor = vendor_of(host)

    assert vendor is not None
    assert vendor.takes_grpc is takes_grpc
