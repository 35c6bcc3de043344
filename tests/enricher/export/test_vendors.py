"""The real exporters against stand-ins with exactly the limits that vendors document.

docs/destinations.md tells where each limit is documented; its table and its examples are held
against the profiles and the stand-ins here.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from destinations import (
    GrpcAnswer,
    HttpAnswer,
    Received,
    grpc_destination,
    http_destination,
)
from genops_enricher.config.load import load_config
from genops_enricher.config.model import Endpoint, ExporterConfig, Protocol
from genops_enricher.config.vendors import VENDORS, Vendor
from genops_enricher.export import build_exporter
from genops_enricher.pipeline import Signal
from genops_enricher.telemetry import Telemetry
from otlp import plain_attributes, request, span, spans_of
from queues import assert_books_balance, batch, opened

PAGE = Path(__file__).parents[3] / "docs" / "destinations.md"
BLOCKS = re.findall(r"^## (.+?)\n.*?```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
_VARIABLES = re.findall(r"\$\{env:([A-Z_0-9]+)", PAGE.read_text())
ENVIRONMENT = dict.fromkeys(_VARIABLES, "the-key")


PUT_OFF = HttpAnswer(429)


@dataclass(frozen=True)
class StandIn:
    """What a vendor does with a request over HTTP. Every tenth is put off, as at a rate limit."""

    header: str = ""
    limit: int | None = None
    path: str = "/v1/traces"
    success: int = 200
    put_off: HttpAnswer = PUT_OFF
    needs: tuple[str, ...] = ()

    def answer(self, number: int, received: Received) -> HttpAnswer:
        given = {name.lower(): value for name, value in received.headers.items()}
        if self.header and "the-key" not in given.get(self.header, ""):
            return HttpAnswer(401)
        if not given.keys() >= set(self.needs):
            return HttpAnswer(400)
        if received.path != self.path:
            return HttpAnswer(404)
        if given["content-type"] != "application/x-protobuf":
            return HttpAnswer(415)
        if self.limit and len(received.payload) > self.limit:
            return HttpAnswer(413)
        return self.put_off if number % 10 == 9 else HttpAnswer(self.success)


RETRY_AFTER = HttpAnswer(429, headers={"Retry-After": "0"})
HTTP = {
    "Honeycomb": StandIn("x-honeycomb-team", 15_000_000),
    "Datadog": StandIn("dd-api-key", 3_200_000, success=202, needs=("compute_stats",)),
    "New Relic": StandIn("api-key", 1_000_000),
    "Dynatrace": StandIn(
        "authorization", 8_000_000, "/api/v2/otlp/v1/traces", put_off=HttpAnswer(503)
    ),
    "Grafana Cloud": StandIn("authorization", path="/otlp/v1/traces", put_off=RETRY_AFTER),
    "Splunk Observability Cloud": StandIn("x-sf-token", path="/v2/trace/otlp"),
    "Any other": StandIn(limit=64 << 20, put_off=HttpAnswer(503, headers={"Retry-After": "0"})),
}
# Over gRPC: the header and the limit of a message.
GRPC = {
    "Honeycomb": ("x-honeycomb-team", 15_000_000),
    "New Relic": ("api-key", 1_000_000),
    "Splunk Observability Cloud": ("x-sf-token", 64 << 20),
    "Tempo": ("", 4 << 20),
}

BIG = [request(*(span({"n": n, "text": "x" * 100_000}, number=n) for n in range(160)))]
SMALL = [request(span({"n": n}, number=n)) for n in range(300)]


def exporters_of(block: str, folder: Path) -> dict[str, ExporterConfig]:
    file = folder / "enricher.yaml"
    file.write_text(block)
    loaded = load_config(file, {"HOME": str(folder), **ENVIRONMENT})
    assert not loaded.warnings
    return dict(loaded.config.exporters)


def delivered(folder: Path, config: ExporterConfig, payloads: list[bytes]) -> Telemetry:
    """Send everything through a real queue; every span must have arrived by the books."""
    telemetry = Telemetry()
    with opened(folder / "queue", {config.id: config.queue}, telemetry) as queue:
        for payload in payloads:
            queue.consume(batch(payload, items=len(spans_of(payload))))
        exporter = build_exporter(config, Signal.TRACES, queue.reader(config.id), folder, telemetry)
        exporter.start()
        assert exporter.flush(60)
        exporter.stop(10)
    assert_books_balance(telemetry, config.id)
    return telemetry


def quick(config: ExporterConfig, endpoint: Endpoint) -> ExporterConfig:
    retry = replace(config.retry, initial_interval_s=0.01, max_interval_s=0.05)
    return replace(config, endpoint=endpoint, compression="none", retry=retry)


def taken(payloads: list[bytes]) -> Counter[object]:
    return Counter(plain_attributes(s)["n"] for payload in payloads for s in spans_of(payload))


@pytest.mark.parametrize("traffic", [BIG, SMALL], ids=["big", "small"])
@pytest.mark.parametrize("name", HTTP)
def test_over_http_a_vendor_gets_every_span_once(
    tmp_path: Path, name: str, traffic: list[bytes]
) -> None:
    stand_in = HTTP[name]
    block = dict(BLOCKS)[name]
    (config,) = (
        c for c in exporters_of(block, tmp_path).values() if c.endpoint.protocol is Protocol.HTTP
    )
    accepted: list[bytes] = []
    refused: list[int] = []

    def script(number: int, received: Received) -> HttpAnswer:
        answer = stand_in.answer(number, received)
        if answer.status < 300:
            accepted.append(received.payload)
        elif answer.status not in (429, 503):
            refused.append(answer.status)
        return answer

    with http_destination(script) as destination:
        here = f"http://127.0.0.1:{destination.port}"
        path = urlsplit(config.endpoint.urls[Signal.TRACES]).path
        endpoint = Endpoint(Protocol.HTTP, here, False, {Signal.TRACES: here + path})
        telemetry = delivered(tmp_path, quick(config, endpoint), traffic)

    spans = sum(len(spans_of(payload)) for payload in traffic)
    assert taken(accepted) == Counter(range(spans))
    assert telemetry.total("genops_exporter_delivered_items_total") == spans
    assert refused == []  # split before it is sent, with the right header, to the right path


@pytest.mark.parametrize("traffic", [BIG, SMALL], ids=["big", "small"])
@pytest.mark.parametrize("name", GRPC)
def test_over_grpc_a_vendor_gets_every_span_once(
    tmp_path: Path, name: str, traffic: list[bytes]
) -> None:
    """Every fifth request is put off with RetryInfo, as Tempo does at its rate limit."""
    header, limit = GRPC[name]
    (config,) = (
        c
        for c in exporters_of(dict(BLOCKS)[f"{name} over gRPC"], tmp_path).values()
        if c.endpoint.protocol is Protocol.GRPC
    )
    accepted: list[bytes] = []

    def script(number: int, received: Received) -> GrpcAnswer:
        if header and received.headers.get(header) != "the-key":
            return GrpcAnswer(grpc.StatusCode.UNAUTHENTICATED)
        if number % 5 == 4:
            return GrpcAnswer(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after_s=0)
        accepted.append(received.payload)
        return GrpcAnswer()

    with grpc_destination(script, receive_max=limit) as destination:
        endpoint = Endpoint(Protocol.GRPC, f"127.0.0.1:{destination.port}", secure=False)
        delivered(tmp_path, quick(config, endpoint), traffic)

    assert taken(accepted) == Counter(range(sum(len(spans_of(p)) for p in traffic)))
    assert all(len(payload) <= limit for payload in accepted)


# ---- the page ------------------------------------------------------------------------------------


def rows() -> dict[str, list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    return {row[0]: row for row in cells}


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_the_table_says_what_the_profile_says(vendor: Vendor) -> None:
    name, place, protocols, header, limit, _statuses, sources = rows()[vendor.name]

    assert name == vendor.name
    host = place.split("`")[1].removeprefix("https://").partition("/")[0]
    for name_in_words in ("<environment>", "<zone>", "<realm>"):
        assert (name_in_words in host) == (name_in_words in vendor.place)
        host = host.replace(name_in_words, "eu1")
    assert re.fullmatch(vendor.hosts, host)
    assert vendor.base_path in place
    assert ("gRPC" in protocols) == bool(vendor.grpc)
    assert ("traces only" in protocols) == (0 < len(vendor.grpc) < len(Signal))
    assert f"`{vendor.header}`" in header.lower()
    if vendor.max_request_bytes:
        assert limit == f"{vendor.max_request_bytes:,}"
    else:
        assert limit == "not documented"
    assert "https://" in sources


@pytest.mark.parametrize(("name", "block"), BLOCKS)
def test_every_example_is_a_valid_configuration_without_warnings(
    tmp_path: Path, name: str, block: str
) -> None:
    assert exporters_of(block, tmp_path), name


@pytest.mark.parametrize("name", sorted(HTTP.keys() - {"Any other"}))
def test_the_stand_in_has_the_limit_of_the_page(name: str) -> None:
    limit = HTTP[name].limit

    assert rows()[name][4] == (f"{limit:,}" if limit else "not documented")
