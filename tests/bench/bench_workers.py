"""What a span costs with several workers, and in a Collector that spreads spans over replicas.

The set-up is that of `bench.peers`: real servers, a durable queue, senders and the sink in
processes of their own. As many spans as go through, over 16 connections. CPU time is what the
system says of the server and its children, so it holds on a busy machine too, where spans a second
say little. docs/scaling.md has the figures.

    PYTHONPATH=tests python tests/bench/bench_workers.py [--rounds N]
    PYTHONPATH=tests python tests/bench/bench_workers.py --workers 1 2 4 --share 20

With `--share` each worker gets so much of one core and no more, so that spans a second show how
they scale on a machine that has few cores; for sender and sink there has to be enough left.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import psutil
import yaml

from bench.core_share import limited
from bench.peers.run import Figures, Shape, ends, measure
from bench.peers.servers import SERVERS, Command, Ports, Server
from bench.peers.sink import Sink
from bench.peers.workload import Workload, template
from life import edit
from real_parts.build import otelcol as otelcol_binary

WORKLOADS = {
    "one in ten an LLM span": Workload(),
    "all LLM spans": Workload(llm_every=1),
    "one in ten, 10 spans a request": Workload(spans=10),
}


def enricher(workers: int) -> Command:
    alone = SERVERS["enricher, durable queue"].command

    def command(folder: Path, ports: Ports, sink_: Sink, workload: Workload) -> Sequence[str]:
        words = alone(folder, ports, sink_, workload)
        edit(Path(words[-1]), lambda s: s["service"].update(workers=workers))
        return words

    return command


def balancer(folder: Path, ports: Ports, sink_: Sink, _workload: Workload) -> Sequence[str]:
    """A Collector that spreads by trace id over two names of the sink, as over two enrichers."""
    otlp = {"tls": {"insecure": True}, "compression": "none"}
    hosts = [f"{name}:{sink_.grpc_port}" for name in ("127.0.0.1", "localhost")]
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{ports.grpc}"}}}},
        "exporters": {
            "load_balancing": {
                "routing_key": "traceID",
                "protocol": {"otlp": otlp},
                "resolver": {"static": {"hostnames": hosts}},
            }
        },
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["load_balancing"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    path = folder / "collector.yaml"
    path.write_text(yaml.safe_dump(config))
    return [str(otelcol_binary()), "--config", str(path)]


def each_limited(pid: int, percent: float | None) -> AbstractContextManager[None]:
    """Limit every worker of a supervisor, or the process that has none, if at all."""
    if percent is None:
        return nullcontext()
    workers = [child.pid for child in psutil.Process(pid).children()]
    return limited(workers or [pid], percent)


def row(name: str, rounds: Sequence[Figures]) -> str:
    cpu = [figures.cpu_us_per_span for figures in rounds]
    rate = [figures.spans_per_s for figures in rounds]
    return (
        f"{name:<12}{statistics.median(cpu):6.1f} us CPU a span ({min(cpu):.1f} - {max(cpu):.1f})"
        f"{statistics.median(rate):10,.0f} spans/s ({min(rate):,.0f} - {max(rate):,.0f})"
        f"{max(figures.rss_max_mib for figures in rounds):6.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--share", type=float, metavar="PERCENT", help="of a core for each worker")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    servers = [
        Server(f"{count} worker{'s' * (count > 1)}", enricher(count)) for count in options.workers
    ]
    if not options.share:
        servers.append(Server("balancer", balancer, prices=False))
    around = partial(each_limited, percent=options.share)
    shape = Shape(seconds=options.seconds, spans_per_s=0, connections=16)
    with ends() as ends_:
        for title, workload in WORKLOADS.items():
            size = len(template(workload)) / workload.spans
            print(f"\n{title}: {workload.spans} spans a request, {size:,.0f} bytes a span")
            figures: dict[str, list[Figures]] = {server.name: [] for server in servers}
            for _ in range(options.rounds):
                for server in servers:
                    figures[server.name].append(measure(server, workload, shape, ends_, around))
            for name, rounds in figures.items():
                print(row(name, rounds), flush=True)
    print(f"\nload average of the machine, {os.cpu_count()} cores: {os.getloadavg()[1]:.0f}")


if __name__ == "__main__":
    main()
