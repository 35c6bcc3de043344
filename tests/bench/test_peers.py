"""The servers that are compared do the same work, or the comparison is worth nothing."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bench.peers.load import EXPORT
from bench.peers.servers import SERVERS, running
from bench.peers.sink import Sink
from bench.peers.workload import Stamper, Workload
from destinations import grpc_destination
from otlp import plain_attributes, spans_of

WORKLOAD = Workload(spans=120, llm_every=2)
WAIT_S = 30.0


def through(server: str, folder: Path) -> list[Span]:
    """The spans of a request of the workload as they leave the server."""
    with grpc_destination() as destination:
        sink = cast(Sink, SimpleNamespace(grpc_port=destination.port))
        with (
            running(SERVERS[server], folder, sink, WORKLOAD) as process,
            grpc.insecure_channel(process.grpc) as channel,
        ):
            payload = Stamper(WORKLOAD.template()).request(1)
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
    "server", ["Collector transform, memory", "rotel Python processor, memory"]
)
def test_the_others_add_what_the_enricher_adds(server: str, tmp_path: Path) -> None:
    if server.startswith("rotel") and importlib.util.find_spec("rotel") is None:
        pytest.skip("rotel is there only where `make bench-peers` has run")
    ours_folder, theirs_folder = tmp_path / "ours", tmp_path / "theirs"
    ours_folder.mkdir()
    theirs_folder.mkdir()
    ours = {span.span_id: added(span) for span in through("enricher, durable queue", ours_folder)}
    theirs = {span.span_id: added(span) for span in through(server, theirs_folder)}

    assert len(ours) == WORKLOAD.spans
    assert theirs == ours
    assert sum(bool(attributes) for attributes in ours.values()) == WORKLOAD.spans // 2
