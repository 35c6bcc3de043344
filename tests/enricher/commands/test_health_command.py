"""`genops-enricher health` against the real health server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from free_ports import free_port
from genops_enricher.cli import main
from genops_enricher.life.health import Health
from genops_enricher.life.health_pages import HealthServer
from genops_enricher.telemetry import Telemetry


@pytest.fixture
def health() -> Health:
    return Health(lambda: ["otlp_http: the destination refuses our key"])


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    server = HealthServer("127.0.0.1:0", health, Telemetry())
    server.start()
    yield server
    server.stop()


def ask(folder: Path, endpoint: str) -> int:
    config = folder / "enricher.yaml"
    config.write_text(
        "exporters: {otlp_http: {endpoint: 'http://backend:4318'}}\n"
        f"service: {{telemetry: {{health: {{endpoint: '{endpoint}'}}}}}}\n"
    )
    return main(["health", "--config", str(config)])


def test_a_ready_enricher_is_healthy_and_says_what_is_degraded(
    server: HealthServer, health: Health, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    health.ready()

    assert ask(tmp_path, f"127.0.0.1:{server.port}") == 0
    assert capsys.readouterr().out == "ready: otlp_http: the destination refuses our key\n"


def test_one_that_listens_everywhere_is_asked_on_this_machine(
    server: HealthServer, health: Health, tmp_path: Path
) -> None:
    health.ready()

    assert ask(tmp_path, f"0.0.0.0:{server.port}") == 0


def test_one_that_does_not_take_spans_is_not_healthy(
    server: HealthServer, health: Health, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path, f"127.0.0.1:{server.port}") == 1
    assert capsys.readouterr().out.startswith("starting: ")

    health.ready()
    health.draining()

    assert ask(tmp_path, f"127.0.0.1:{server.port}") == 1
    assert capsys.readouterr().out.startswith("draining: ")


def test_where_nobody_answers_the_place_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = f"127.0.0.1:{free_port()}"

    assert ask(tmp_path, endpoint) == 1
    assert f"no enricher answers at {endpoint}: " in capsys.readouterr().err


def test_a_check_that_names_the_endpoint_reads_no_configuration(
    server: HealthServer, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on disk may have become wrong; the enricher goes on with what it has."""
    health.ready()
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)

    assert main(["health", "--endpoint", f"127.0.0.1:{server.port}"]) == 0


def test_an_endpoint_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--endpoint", "13133"]) == 2
    assert "write host:port" in capsys.readouterr().err
