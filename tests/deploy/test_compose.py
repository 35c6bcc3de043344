"""docker-compose.yaml without an engine: the app, the Collector and the enricher are real.

For the Collector's image stands a Collector built from the same release's sources, and for Jaeger's
another one that writes what it gets into a file.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose import Image, up
from deploy.dockerfile import Stage, build, parse
from real_parts.build import otelcol

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "collector-config" / "docker"
TIMEOUT_S = 120.0
OTELCOL_USER = "10001:10001"  # of the Collector's image

pytestmark = pytest.mark.heavy

JAEGER = """
receivers: {otlp: {protocols: {grpc: {endpoint: "0.0.0.0:4317"}}}}
exporters: {file: {path: /data/spans.jsonl, flush_interval: 100ms}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [file]}}}
"""


def collector(layer: Path, program: Path, *command: str) -> Image:
    (layer / "opt").mkdir(parents=True)
    shutil.copy(program, layer / "opt")
    return [layer], Stage(
        layer.name, "", user=OTELCOL_USER, entrypoint=["/opt/otelcol"], command=[*command]
    )


def spans(file: Path) -> dict[str, dict[str, Any]]:
    """The attributes of every span in the Collector's file, by span id."""
    found: dict[str, dict[str, Any]] = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    found[span["spanId"]] = {
                        a["key"]: next(iter(a["value"].values()))
                        for a in span.get("attributes", [])
                    }
    return found


def test_the_spans_of_the_app_reach_the_backend_with_their_costs(
    containers: Path, tmp_path: Path
) -> None:
    program = otelcol()
    stages = parse((FOLDER / "Dockerfile").read_text(encoding="utf-8"))
    compose = yaml.safe_load((FOLDER / "docker-compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    images: dict[str, Image] = {
        "genops-enricher": (build(stages, "enricher", ROOT, containers), stages["enricher"]),
        "genops-demo": (build(stages, "demo", ROOT, containers), stages["demo"]),
        "otel/opentelemetry-collector-contrib": collector(tmp_path / "collector", program),
        "jaegertracing/jaeger": collector(
            tmp_path / "jaeger-layer", program, "--config=/etc/jaeger.yaml"
        ),
    }
    (tmp_path / "jaeger-layer" / "etc").mkdir()
    (tmp_path / "jaeger-layer" / "etc" / "jaeger.yaml").write_text(JAEGER)
    services["jaeger"]["volumes"] = ["spans:/data"]
    images["jaegertracing/jaeger"][1].user = "65532:65532"  # as whom volumes are made here

    with up(services, images, FOLDER, tmp_path) as running:
        app = running["app"]
        assert app.wait() == 0, app.log.read_text()
        expected = json.loads(app.log.read_text().splitlines()[-1])["spans"]
        deadline_s = time.monotonic() + TIMEOUT_S
        while len(found := spans(tmp_path / "spans" / "spans.jsonl")) < expected:
            assert time.monotonic() < deadline_s, running["collector"].log.read_text()
            time.sleep(0.2)
        assert running["enricher"].stop() == 0

    assert len(found) == expected
    statuses = [attributes.get("genops.cost.status") for attributes in found.values()]
    assert statuses.count("priced") >= 10
    assert {"free", "unpriced"} <= {*statuses}
