"""The health pages and the gRPC health service, over real sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import requests
from grpc_health.v1 import health_pb2, health_pb2_grpc

from genops_enricher.errors import StartError
from genops_enricher.life.health import Health, grpc_health
from genops_enricher.life.health_pages import HealthServer
from genops_enricher.telemetry import Telemetry

_TIMEOUT_S = 60


@pytest.fixture
def health() -> Health:
    return Health(degraded=lambda: ["otlp (traces): held: 401"])


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def url(health: Health, telemetry: Telemetry) -> Iterator[str]:
    server = HealthServer("127.0.0.1:0", health, telemetry)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def _get(url: str) -> requests.Response:
    return requests.get(url, timeout=_TIMEOUT_S)


@pytest.mark.parametrize("path", ["/", "/ready", "/ready?verbose"])
def test_ready_follows_the_life_of_the_service(url: str, health: Health, path: str) -> None:
    starting = _get(url + path)
    health.ready()
    ready = _get(url + path)
    health.draining()
    draining = _get(url + path)

    assert [starting.status_code, ready.status_code, draining.status_code] == [503, 200, 503]
    assert starting.json()["reasons"] == ["starting: spans are not accepted yet"]
    assert draining.json()["status"] == "draining"


def test_a_degraded_service_is_ready_and_says_why(url: str, health: Health) -> None:
    health.ready()

    answer = _get(url + "/ready")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "reasons": ["otlp (traces): held: 401"]}


def test_live_answers_while_the_service_starts(url: str) -> None:
    assert _get(url + "/live").status_code == 200


def test_status_shows_the_catalog_and_the_books(url: str, telemetry: Telemetry) -> None:
    labels = {"exporter": "otlp", "signal": "traces"}
    telemetry.set("genops_catalog_info", 1, version="2026.11.22+3f2a9c1d")
    telemetry.watch("genops_exporter_queued_items", lambda: 7, **labels)
    telemetry.add("genops_exporter_dropped_items_total", 2, **labels, reason="queue_full")
    telemetry.add("genops_exporter_dropped_items_total", 1, **labels, reason="rejected")

    content = _get(url + "/status").json()

    assert content["status"] == "starting"
    assert content["degraded"] == ["otlp (traces): held: 401"]
    assert content["catalog"]["version"] == "2026.11.22+3f2a9c1d"
    assert content["exporters"] == {"otlp": {"traces": {"dropped_items": 3, "queued_items": 7}}}


def test_metrics_are_served_as_prometheus_reads_them(url: str, telemetry: Telemetry) -> None:
    telemetry.add("genops_received_items_total", 5, signal="traces")

    answer = _get(url + "/metrics")

    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert 'genops_received_items_total{signal="traces"} 5.0' in answer.text


def test_head_has_the_headers_and_no_body(url: str, health: Health) -> None:
    health.ready()

    answer = requests.head(url + "/ready", timeout=_TIMEOUT_S)

    assert (answer.status_code, answer.content) == (200, b"")


def test_an_unknown_page_names_those_that_there_are(url: str) -> None:
    answer = _get(url + "/healthz")

    assert answer.status_code == 404
    assert "/ready" in answer.json()["pages"]


def test_a_page_that_fails_answers_500_and_the_next_request_works(telemetry: Telemetry) -> None:
    def broken() -> list[str]:
        raise RuntimeError("no answer")

    health = Health(degraded=broken)
    health.ready()
    server = HealthServer("127.0.0.1:0", health, telemetry)
    server.start()
    try:
        url = f"http://127.0.0.1:{server.port}"

        assert _get(url + "/status").status_code == 500
        assert _get(url + "/live").status_code == 200
    finally:
        server.stop()


def test_silent_connections_cost_no_more_than_their_bound(url: str) -> None:
    port = int(url.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port), _TIMEOUT_S) for _ in range(16)]
    try:
        with pytest.raises(requests.ConnectionError):
            _get(url + "/live")
    finally:
        for connection in silent:
            connection.close()


def test_a_taken_port_is_named_with_its_key(health: Health, telemetry: Telemetry) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(StartError) as caught:
            HealthServer(endpoint, health, telemetry).start()

    assert str(caught.value) == (
        f"service.telemetry.health.endpoint: can't listen on {endpoint}: Address already in use. "
        "Stop what uses the port, or choose another: 14133 beside an OpenTelemetry Collector"
    )


def test_stop_without_start_and_twice_is_harmless(health: Health, telemetry: Telemetry) -> None:
    server = HealthServer("127.0.0.1:0", health, telemetry)
    server.stop()
    server.start()
    server.stop()
    server.stop()


def test_grpc_health_follows_the_state() -> None:
    health = Health()
    server = grpc.server(ThreadPoolExecutor(2))
    grpc_health(health)(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    serving = health_pb2.HealthCheckResponse.ServingStatus
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        def check() -> int:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
            return int(answer.status)

        before = check()
        health.ready()
        ready = check()
        health.draining()
        after = check()
    server.stop(None).wait()

    assert [before, ready, after] == [
        serving.NOT_SERVING,
        serving.SERVING,
        serving.NOT_SERVING,
    ]


def test_pages_are_json(url: str) -> None:
    for path in ("/", "/live", "/status"):
        answer = _get(url + path)

        assert answer.headers["Content-Type"] == "application/json"
        json.loads(answer.text)


def test_while_parts_are_replaced_it_is_not_ready_and_draining_is_the_end(
    url: str, health: Health
) -> None:
    health.ready()
    health.reloading()
    reloading = _get(url + "/ready")
    health.draining()
    health.ready()  # of a reload that was under way

    assert reloading.status_code == 503
    assert reloading.json()["reasons"] == ["reloading: spans are accepted again in a moment"]
    assert _get(url + "/ready").json()["status"] == "draining"
