"""What a Collector writes with its file and debug exporters, before and behind the enricher."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from collector_process import CollectorProcess, collecting, free_ports
from enricher_process import running, write_config
from genops_enricher.cli import main
from topologies.senders import generate


def collector(folder: Path, exporters: dict[str, object]) -> Path:
    """A Collector's file: OTLP/gRPC in, these exporters out."""
    receiver = {"protocols": {"grpc": {"endpoint": "${env:COLLECTOR_GRPC_ENDPOINT}"}}}
    config = {
        "receivers": {"otlp": receiver},
        "exporters": exporters,
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": list(exporters)}},
        },
    }
    file = folder / "collector.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def costs(file: Path, capsys: pytest.CaptureFixture[str]) -> list[float | None]:
    """The costs that `genops-enricher enrich` gives the spans of a file."""
    main(["enrich", str(file), "--json"])
    spans = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [span["attributes"].get("genops.cost.total") for span in spans]


@pytest.mark.heavy
def test_a_file_of_the_collector_is_priced_offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traces = tmp_path / "traces.json"
    environ = free_ports(tmp_path)
    config = collector(tmp_path, {"file": {"path": str(traces)}})
    with collecting(config, tmp_path / "collector.log", environ) as process:
        sent = generate(environ["COLLECTOR_GRPC_ENDPOINT"], 10)
        _until_written(traces, sent, process)

    priced = costs(traces, capsys)

    assert len(priced) == sent
    assert priced.count(0.0035) == 10


@pytest.mark.heavy
def test_the_debug_exporter_shows_the_cost_of_what_comes_from_the_enricher(tmp_path: Path) -> None:
    environ = free_ports(tmp_path)
    config = collector(tmp_path, {"debug": {"verbosity": "detailed"}})
    to_collector = write_config(tmp_path, environ["COLLECTOR_GRPC_ENDPOINT"])
    with (
        collecting(config, tmp_path / "collector.log", environ) as process,
        running(to_collector) as enricher,
    ):
        generate(enricher.grpc, 1)

        assert process.wait_for(r"-> genops\.cost\.total: Double\(0\.0035\)")
        assert process.wait_for(r"-> genops\.cost\.source: Str\(computed\)")


def _until_written(file: Path, spans: int, process: CollectorProcess) -> None:
    """The exporter writes a request when it has it; nothing tells when that is."""
    deadline_s = time.monotonic() + 60
    while not file.exists() or file.read_text().count('"spanId"') < spans:
        if time.monotonic() > deadline_s:
            raise TimeoutError(process.log.read_text())
        time.sleep(0.05)
