"""The servers that are compared do the same work, or the comparison is worth nothing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bench.peers.catalogs import install
from bench.peers.load import EXPORT
from bench.peers.scenarios import OURS
from bench.peers.servers import SERVERS, running
from bench.peers.sink import Sink
from bench.peers.workload import Stamper, Workload, template
from destinations import grpc_destination
from heavy import missing
from otlp import plain_attributes, spans_of

WORKLOAD = Workload(spans=120, llm_every=2)
WAIT_S = 30.0


def through(server: str, folder: Path, workload: Workload) -> list[Span]:
    """The spans of a request of the workload as they leave the server."""
    with grpc_destination() as destination:
        sink = cast(Sink, SimpleNamespace(grpc_port=destination.port))
        with (
            running(SERVERS[server], folder, sink, workload) as process,
            grpc.insecure_channel(process.grpc) as channel,
        ):
            payload = Stamper(template(workload)).request(1)
            channel.unary_unary(EXPORT, None, None)(payload, timeout=WAIT_S)
            deadline_s = time.monotonic() + WAIT_S
            while not destination.payloads and time.monotonic() < deadline_s:
                time.sleep(0.05)
        return [span for payload in destination.payloads for span in spans_of(payload)]


def added(span: Span) -> dict[str, Any]:
    attributes = plain_attributes(span)
    return {
        key: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
        for key, value in attributes.items()
        if key.startswith("genops.")
    }


@pytest.mark.heavy
@pytest.mark.parametrize(
    "workload", [WORKLOAD, replace(WORKLOAD, catalog_models=2_000)], ids=["bundled", "2,000 models"]
)
@pytest.mark.parametrize(
    "server",
    [
        "enricher, memory queue",
        "Collector transform, file_storage",
        "Collector transform, memory",
        "rotel Python processor, memory",
    ],
)
def test_the_others_add_what_the_enricher_adds(
    server: str, workload: Workload, tmp_path: Path
) -> None:
    if server.startswith("rotel") and importlib.util.find_spec("rotel") is None:
        missing("rotel is not installed: make parts")
    ours_folder, theirs_folder = tmp_path / "ours", tmp_path / "theirs"
    ours_folder.mkdir()
    theirs_folder.mkdir()
    ours = {each.span_id: added(each) for each in through(OURS, ours_folder, workload)}
    theirs = {each.span_id: added(each) for each in through(server, theirs_folder, workload)}

    assert len(ours) == workload.spans
    if workload.catalog_models:  # one of another size has a version of its own
        for attributes in (*ours.values(), *theirs.values()):
            attributes.pop("genops.pricing.version", None)
    assert theirs == ours
    assert sum(bool(attributes) for attributes in ours.values()) == workload.llm_spans


@pytest.mark.heavy
@pytest.mark.parametrize("server", [name for name, each in SERVERS.items() if not each.prices])
def test_those_that_pass_on_add_nothing(server: str, tmp_path: Path) -> None:
    if server.startswith("rotel") and importlib.util.find_spec("rotel") is None:
        missing("rotel is not installed: make parts")
    passed = through(server, tmp_path, WORKLOAD)

    assert len(passed) == WORKLOAD.spans
    assert {key for each in passed for key in added(each)} == {"genops.team", "genops.project"}


@pytest.mark.parametrize("count", [60, 2_000])
def test_an_installation_has_a_catalog_of_that_size(count: int, tmp_path: Path) -> None:
    folder = install(tmp_path / "site", Workload(catalog_models=count))
    ask = (
        "from genops_pricing import bundled_catalog; catalog = bundled_catalog();"
        "print(sum(1 for _ in catalog.models()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(done.stdout) == count
