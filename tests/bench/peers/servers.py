"""The servers that are compared: how each is started, one row a server.

Each takes OTLP on `grpc` and `http` and passes it on over gRPC to the sink.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import grpc
import yaml

from bench.peers import otelcol
from bench.peers.catalogs import install
from bench.peers.sink import Sink
from bench.peers.workload import Workload, known_prices
from free_ports import free_port
from genops_pricing import bundled_catalog
from real_parts.build import otelcol as otelcol_binary

__all__ = ["SERVERS", "Running", "Server", "running", "versions"]

_START_TIMEOUT_S = 60.0
_ROTEL_PROCESSOR = Path(__file__).with_name("rotel_processor.py")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a server is to listen."""

    grpc: int
    http: int
    health: int


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes requests."""

    pid: int
    grpc: str
    http: str


Command = Callable[[Path, Ports, Sink, Workload], Sequence[str]]
"""Writes what the server needs into the folder; gives the command that starts it."""


@dataclass(frozen=True, slots=True)
class Server:
    """One row of the comparison."""

    name: str
    command: Command
    prices: bool = True  # or passes on what it gets


@contextmanager
def running(server: Server, folder: Path, sink: Sink, workload: Workload) -> Iterator[Running]:
    """The server as a process, from when it takes connections."""
    ports = Ports(free_port(), free_port(), free_port())
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command(folder, ports, sink, workload),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_reachable(process, f"127.0.0.1:{ports.grpc}", log)
        yield Running(process.pid, f"127.0.0.1:{ports.grpc}", f"http://127.0.0.1:{ports.http}")
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_reachable(process: subprocess.Popen[bytes], target: str, log: Path) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        with grpc.insecure_channel(target) as channel:
            try:
                grpc.channel_ready_future(channel).result(1)
            except grpc.FutureTimeoutError:
                continue
            return
    raise RuntimeError(f"the server does not listen:\n{log.read_text(errors='replace')[-4000:]}")


def _enricher(storage: str) -> Command:
    def command(folder: Path, ports: Ports, sink: Sink, workload: Workload) -> Sequence[str]:
        queue = {"storage": storage} if storage != "durable" else {}
        config: dict[str, Any] = {
            "receivers": {
                "otlp": {
                    "protocols": {
                        "grpc": {"endpoint": f"127.0.0.1:{ports.grpc}"},
                        "http": {"endpoint": f"127.0.0.1:{ports.http}"},
                    }
                }
            },
            "exporters": {
                "otlp_grpc": {
                    "endpoint": f"127.0.0.1:{sink.grpc_port}",
                    "tls": {"insecure": True},
                    "compression": "none",
                    "sending_queue": queue,
                }
            },
            "service": {
                "data_dir": str(folder / "data"),
                "telemetry": {"health": {"endpoint": f"127.0.0.1:{ports.health}"}},
            },
        }
        path = folder / "enricher.yaml"
        path.write_text(yaml.safe_dump(config))
        run = [sys.executable, "-m", "genops_enricher", "run", "--config", str(path)]
        if not workload.catalog_models:
            return run
        return ["env", f"PYTHONPATH={install(folder / 'site', workload)}", *run]

    return command


def _otelcol(*, enriching: bool, durable: bool) -> Command:
    def command(folder: Path, ports: Ports, sink: Sink, workload: Workload) -> Sequence[str]:
        config = otelcol.write_config(
            folder,
            grpc_port=ports.grpc,
            http_port=ports.http,
            sink_port=sink.grpc_port,
            prices=known_prices(workload) if enriching else (),
            durable=durable,
        )
        return [str(otelcol_binary()), "--config", str(config)]

    return command


def _rotel(*, enriching: bool) -> Command:
    def command(folder: Path, ports: Ports, sink: Sink, workload: Workload) -> Sequence[str]:
        options = {
            "--otlp-grpc-endpoint": f"127.0.0.1:{ports.grpc}",
            "--otlp-http-endpoint": f"127.0.0.1:{ports.http}",
            "--exporter": "otlp",
            "--otlp-exporter-endpoint": f"http://127.0.0.1:{sink.grpc_port}",
            "--otlp-exporter-protocol": "grpc",
            "--otlp-exporter-compression": "none",
            "--otlp-grpc-max-recv-msg-size-mib": "64",
            "--pid-file": str(folder / "rotel.pid"),
        }
        environment = ["env"]
        if enriching:
            table = folder / "prices.json"
            table.write_text(json.dumps(_price_table(workload)))
            environment.append(f"GENOPS_BENCH_PRICES={table}")
            options["--otlp-with-trace-processor"] = str(_ROTEL_PROCESSOR)
        words = [word for pair in options.items() for word in pair]
        return [*environment, str(_rotel_binary()), "start", *words]

    return command


def _price_table(workload: Workload) -> dict[str, Any]:
    return {
        "version": bundled_catalog().version,
        "prices": {
            price.model: {
                **price.usd,
                "family": price.family,
                "tier": price.offer.tier,
                "entry": price.offer.entry,
                "since": price.offer.effective_from,
            }
            for price in known_prices(workload)
        },
    }


def _rotel_binary() -> Path:
    spec = importlib.util.find_spec("rotel")
    if spec is None or spec.origin is None:
        raise RuntimeError("rotel is not installed: pip install rotel==0.0.1a15")
    return Path(spec.origin).parent / "rotel-agent"


def versions() -> dict[str, str]:
    """The versions of the others."""
    collector = subprocess.run(
        [otelcol_binary(), "--version"], capture_output=True, text=True, check=True
    )
    agent = subprocess.run(
        [_rotel_binary(), "--version"], capture_output=True, text=True, check=True
    )
    return {
        "OpenTelemetry Collector": collector.stdout.split()[-1],
        "rotel": f"{metadata.version('rotel')} ({agent.stdout.split()[-1]})",
    }


SERVERS = {
    server.name: server
    for server in (
        Server("enricher, durable queue", _enricher("durable")),
        Server("enricher, memory queue", _enricher("memory")),
        Server(
            "Collector passing on, file_storage",
            _otelcol(enriching=False, durable=True),
            prices=False,
        ),
        Server(
            "Collector passing on, memory", _otelcol(enriching=False, durable=False), prices=False
        ),
        Server("Collector transform, file_storage", _otelcol(enriching=True, durable=True)),
        Server("Collector transform, memory", _otelcol(enriching=True, durable=False)),
        Server("rotel passing on, memory", _rotel(enriching=False), prices=False),
        Server("rotel Python processor, memory", _rotel(enriching=True)),
    )
}
