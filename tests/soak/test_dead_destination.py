"""Two destinations, one dead: the other is not held up before the bound of the dead one.

Through the whole process. What happens at the bound is what `on_full` says, and it is visible.
"""

from __future__ import annotations

from pathlib import Path

import grpc
import yaml
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status

from enricher_process import EnricherProcess, running
from free_ports import free_port
from genops_enricher.demo.sink import Sink
from otlp import chat, request, span

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
BOUND_BYTES = 1 << 20
SPANS_PER_REQUEST = 50
PADDING = "x" * 1000  # a request is about 60 kB
REQUESTS_MAX = 60  # more than three times the bound


def config(folder: Path, alive: int, dead: int, on_full: str) -> Path:
    def exporter(port: int, queue: dict[str, str]) -> dict[str, object]:
        return {
            "endpoint": f"http://127.0.0.1:{port}",
            "retry_on_failure": {"initial_interval": "50ms", "max_interval": "200ms"},
            "sending_queue": queue,
        }

    path = folder / "enricher.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "receivers": {
                    "otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{free_port()}"}}}
                },
                "exporters": {
                    "otlp_grpc/alive": exporter(alive, {}),
                    "otlp_grpc/dead": exporter(dead, {"queue_size": "1MiB", "on_full": on_full}),
                },
                "service": {
                    "data_dir": str(folder / "data"),
                    "shutdown_timeout": "1s",
                    "telemetry": {"health": {"endpoint": f"127.0.0.1:{free_port()}"}},
                    "pipelines": {
                        "traces": {
                            "receivers": ["otlp"],
                            "exporters": ["otlp_grpc/alive", "otlp_grpc/dead"],
                        }
                    },
                },
            }
        )
    )
    return path


def send_until_refused(enricher: EnricherProcess) -> tuple[set[str], grpc.RpcError | None]:
    """The ids of the spans that were acknowledged, and what the first refusal was."""
    acknowledged: set[str] = set()
    with grpc.insecure_channel(enricher.grpc) as channel:
        export = channel.unary_unary(TRACES, None, None)
        for number in range(0, REQUESTS_MAX * SPANS_PER_REQUEST, SPANS_PER_REQUEST):
            numbers = range(number, number + SPANS_PER_REQUEST)
            spans = [span(chat(more={"app.padding": PADDING}), number=n) for n in numbers]
            try:
                export(request(*spans), timeout=60)
            except grpc.RpcError as error:
                return acknowledged, error
            acknowledged |= {f"{n:016x}" for n in numbers}
    return acknowledged, None


def arrived(sink: Sink) -> set[str]:
    return {span.span_id for span in sink.spans}


def test_refuse_tells_senders_to_wait_and_loses_nothing(tmp_path: Path) -> None:
    dead = free_port()
    with Sink() as alive:
        path = config(tmp_path, alive.grpc_port, dead, "refuse")
        with running(path) as enricher:
            acknowledged, refusal = send_until_refused(enricher)

            assert refusal is not None
            assert refusal.code() is grpc.StatusCode.UNAVAILABLE
            assert "otlp_grpc/dead is full" in (refusal.details() or "")
            status = rpc_status.from_call(refusal)  # type: ignore[arg-type] # it is a call too
            assert [d for d in status.details if d.Is(RetryInfo.DESCRIPTOR)]
            assert enricher.metric('genops_refused_requests_total{code="UNAVAILABLE"') == 1
            assert (
                BOUND_BYTES / 2
                < enricher.metric('genops_exporter_queue_bytes{exporter="otlp_grpc/dead"')
                <= BOUND_BYTES
            )
            assert "the traces queue of otlp_grpc/dead is full" in enricher.log.read_text()
            alive.wait_for_spans(len(acknowledged), timeout_s=60)
            assert arrived(alive) == acknowledged
            assert enricher.metric("genops_exporter_dropped_items_total{") == 0

            with Sink(grpc_port=dead) as repaired:
                repaired.wait_for_spans(len(acknowledged), timeout_s=60)
                assert arrived(repaired) == acknowledged


def test_drop_oldest_goes_on_and_counts_what_the_dead_one_loses(tmp_path: Path) -> None:
    dead = free_port()
    with Sink() as alive:
        path = config(tmp_path, alive.grpc_port, dead, "drop_oldest")
        with running(path) as enricher:
            acknowledged, refusal = send_until_refused(enricher)

            assert refusal is None
            assert len(acknowledged) == REQUESTS_MAX * SPANS_PER_REQUEST
            alive.wait_for_spans(len(acknowledged), timeout_s=60)
            assert arrived(alive) == acknowledged
            dropped = enricher.metric(
                'genops_exporter_dropped_items_total{exporter="otlp_grpc/dead",reason="queue_full"'
            )
            assert 0 < dropped < len(acknowledged)

            with Sink(grpc_port=dead) as repaired:
                kept = len(acknowledged) - int(dropped)
                repaired.wait_for_spans(kept, timeout_s=60)
                enricher.wait_until_empty()
                assert arrived(repaired) <= acknowledged
                assert len(arrived(repaired)) == kept
                newest = max(acknowledged)
                assert newest in arrived(repaired)
