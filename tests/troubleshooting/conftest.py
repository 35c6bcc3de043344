"""Each symptom of docs/troubleshooting.md has a test of its name, which provokes it.

`symptom` is the section with the name of the test. A test brings the trouble about, runs the
section's commands as a reader would (`Reader`), and looks for the section's messages in what the
reader sees: the output of the commands, the log of the enricher, the answer to a sender.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from enricher_process import EnricherProcess, serve_http, write_config
from free_ports import free_port
from life import EXPORT, wait_until
from otlp import chat, request, span
from pages import ROOT, Reader, Section, sections

PAGE = ROOT / "docs" / "troubleshooting.md"
# What comes after it is shown by a real Collector, in tests/topologies.
SYMPTOMS = {one.slug: one for one in sections(PAGE, before="A Collector in front")}

GRPC, HTTP, HEALTH = "127.0.0.1:4317", "127.0.0.1:4318", "127.0.0.1:13133"


@pytest.fixture
def symptom(request: pytest.FixtureRequest) -> Section:
    return SYMPTOMS[request.node.originalname.removeprefix("test_")]


def configured(folder: Path, exporter: str = "otlp_http", **more: Any) -> Path:
    """A configuration with both receivers, whose destination is where nobody listens."""
    nobody = f"127.0.0.1:{free_port()}"
    endpoint = more.pop("endpoint", nobody if exporter == "otlp_grpc" else f"http://{nobody}")
    config = write_config(folder, endpoint, exporter=exporter, shutdown_timeout="1s", more=more)
    serve_http(config)
    return config


def change(config: Path, **settings: Any) -> Path:
    """Merge these settings into a configuration file."""
    content = yaml.safe_load(config.read_text())
    _merge(content, settings)
    # Through JSON, so that what two settings share is written twice: aliases are refused.
    config.write_text(yaml.safe_dump(json.loads(json.dumps(content))))
    return config


def _merge(into: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def addresses(config: Path) -> dict[str, str]:
    """The addresses of the page, and those of this enricher; its data folder too."""
    content = yaml.safe_load(config.read_text())
    protocols = content["receivers"]["otlp"]["protocols"]
    return {
        GRPC: protocols["grpc"]["endpoint"],
        HTTP: protocols["http"]["endpoint"],
        HEALTH: content["service"]["telemetry"]["health"]["endpoint"],
        "/var/lib/genops-enricher": content["service"]["data_dir"],
    }


def reader_of(config: Path, **environment: str) -> Reader:
    return Reader(config.parent, addresses(config), **environment)


def send(enricher: EnricherProcess, payload: bytes | None = None, number: int = 1) -> None:
    """Send a request over gRPC, by default one call; an error of gRPC if it is refused."""
    with grpc.insecure_channel(enricher.grpc) as channel:
        call = channel.unary_unary(EXPORT, None, None)
        call(payload or request(span(chat(), number=number)), timeout=60, wait_for_ready=True)


def logged(enricher: EnricherProcess, symptom: Section) -> None:
    """Wait until all that the section shows is in the log."""
    wait_until(
        lambda: not symptom.unseen(enricher.log.read_text()),
        f"{symptom.messages} in:\n{enricher.log.read_text()[-3000:]}",
    )


def degraded(enricher: EnricherProcess) -> str:
    """The reasons on the status page, once there are some."""
    wait_until(lambda: bool(enricher.status()["degraded"]), "nothing is degraded")
    return json.dumps(enricher.status()["degraded"], ensure_ascii=False)


def check(symptom: Section, output: str) -> None:
    assert symptom.unseen(output) == [], output
