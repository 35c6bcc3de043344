"""What a span costs with several workers, and before them a Collector that spreads load.

The real enricher with durable queues, in turns with one worker and with more; senders and the sink
are processes of their own. CPU is what the system says of the server and its children, so it holds
on a busy machine too, where spans a second say little. docs/scaling.md has the figures.

Run as `PYTHONPATH=tests python tests/bench/bench_workers.py [--workers N] [--collector OTELCOL]`.
A Collector has to have the load_balancing exporter.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import grpc
import yaml

from enricher_process import EnricherProcess, free_port, write_config
from life import EXPORT, WAIT_S, edit
from otlp import Value, chat, request, span

SPANS, ATTRIBUTES = 100, 20
MARK = "#" * 12
SERVICE, METHOD = EXPORT.removeprefix("/").split("/")
EMPTY_S = 1.0
TICKS = os.sysconf("SC_CLK_TCK")


def template(llm_every: int) -> bytes:
    """A request of usual spans, with marks where each call gets a response id of its own."""
    spans = []
    for number in range(1, SPANS + 1):
        values: dict[str, Value] = {}
        if number % llm_every == 0:
            values = chat(more={"gen_ai.response.id": f"gen-{MARK}", "genops.team": "search"})
        for filler in range(ATTRIBUTES - len(values)):
            values[f"app.attribute.number.{filler}"] = f"some value of usual length {filler}"
        spans.append(span(values, number=number))
    return request(*spans)


def stamped(parts: Sequence[bytes], first: int) -> bytes:
    """A request of the pieces between the marks."""
    joined = [parts[0]]
    for at, part in enumerate(parts[1:]):
        joined += (b"%012x" % (first + at), part)
    return b"".join(joined)


def _send(target: str, payload: bytes, connections: int, seconds: float, to: Connection) -> None:
    parts = payload.split(MARK.encode())

    def run(number: int) -> int:
        sent = 0
        deadline_s = time.monotonic() + seconds
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(target, options) as channel:
            call = channel.unary_unary(EXPORT, None, None)
            while time.monotonic() < deadline_s:
                first = ((os.getpid() * 64 + number) << 24) + sent * len(parts)
                call(stamped(parts, first), timeout=WAIT_S, wait_for_ready=True)
                sent += 1
        return sent * SPANS

    with ThreadPoolExecutor(connections) as pool:
        to.send(sum(pool.map(run, range(connections))))


def _sink(to: Connection) -> None:
    """Take everything, and tell how many bytes have come when asked."""
    taken = 0
    lock = threading.Lock()

    def take(payload: bytes, _context: grpc.ServicerContext) -> bytes:
        nonlocal taken
        with lock:
            taken += len(payload)
        return b""

    options = [("grpc.max_receive_message_length", 1 << 30), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    handlers = {METHOD: grpc.unary_unary_rpc_method_handler(take)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    to.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    while to.recv():
        to.send(taken)


@contextmanager
def child(target: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def cpu_s(pid: int) -> float:
    """CPU time of a process and its living children, in seconds."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    below = [int(child) for each in children for child in each.read_text().split()]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(map(cpu_s, below))


def rss_mib(pid: int) -> float:
    children = Path(f"/proc/{pid}/task").glob("*/children")
    below = [int(child) for each in children for child in each.read_text().split()]
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20) + sum(map(rss_mib, below))


class Running(NamedTuple):
    pid: int
    target: str
    is_empty: Callable[[], bool]
    """Whether all that was sent has been passed on."""


Server = Callable[[Path, int], AbstractContextManager[Running]]


@contextmanager
def enricher(workers: int, folder: Path, sink_port: int) -> Iterator[Running]:
    config = write_config(folder, f"127.0.0.1:{sink_port}", more={"compression": "none"})
    edit(config, lambda s: s["service"].update(workers=workers))
    process = EnricherProcess(config)
    try:
        yield Running(
            process.pid,
            process.grpc,
            lambda: process.metric("genops_exporter_queued_items{") == 0,
        )
    finally:
        process.kill()


@contextmanager
def collector(binary: Path, folder: Path, sink_port: int) -> Iterator[Running]:
    """Spreads requests over two names of the sink, as it would over two enrichers."""
    target = f"127.0.0.1:{free_port()}"
    otlp = {"tls": {"insecure": True}, "compression": "none", "sending_queue": {"enabled": False}}
    hosts = [f"127.0.0.1:{sink_port}", f"localhost:{sink_port}"]
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": target}}}},
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
    file = folder / "collector.yaml"
    file.write_text(yaml.safe_dump(config))
    with (folder / "collector.log").open("wb") as log:
        process = subprocess.Popen([binary, "--config", file], stdout=log, stderr=log)
    try:
        with grpc.insecure_channel(target) as channel:
            grpc.channel_ready_future(channel).result(WAIT_S)
        yield Running(process.pid, target, lambda: True)
    finally:
        process.kill()
        process.wait()


def measure(
    server: Server, payload: bytes, options: argparse.Namespace
) -> tuple[float, float, float]:
    """Microseconds of CPU a span, spans a second, MiB."""
    with (
        tempfile.TemporaryDirectory(prefix="genops-bench-") as folder,
        child(_sink) as sink,
        server(Path(folder), sink.recv()) as (pid, target, is_empty),
    ):

        def load(seconds: float) -> int:
            with child(_send, target, payload, options.connections, seconds) as sender:
                return int(sender.recv())

        load(1.0)  # warms caches
        before_s, began_s = cpu_s(pid), time.monotonic()
        spans = load(options.seconds)
        took_s = time.monotonic() - began_s
        time.sleep(EMPTY_S)
        while not is_empty():  # it costs CPU to ask
            time.sleep(EMPTY_S)
        sink.send(True)
        assert int(sink.recv()) > spans * 500
        return (cpu_s(pid) - before_s) / spans * 1e6, spans / took_s, rss_mib(pid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--collector", type=Path, metavar="OTELCOL")
    options = parser.parse_args()
    servers: dict[str, Server] = {
        f"{workers} worker{'s' * (workers > 1)}": partial(enricher, workers)
        for workers in (1, options.workers)
    }
    if options.collector:
        servers["collector"] = partial(collector, options.collector)
    print(f"{SPANS} spans of {ATTRIBUTES} attributes a request, {options.connections} connections")
    for llm_every in (10, 1):
        payload = template(llm_every)
        print(f"\none span in {llm_every} an LLM call, {len(payload) / SPANS:,.0f} bytes a span")
        figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in servers}
        for _ in range(options.rounds):
            for name, server in servers.items():
                figures[name].append(measure(server, payload, options))
        for name, rows in figures.items():
            cpu, rate, rss = ([row[at] for row in rows] for at in range(3))
            print(
                f"{name:<12}{statistics.median(cpu):7.2f} us CPU a span "
                f"({min(cpu):.2f}-{max(cpu):.2f}), {statistics.median(rate):9,.0f} spans/s "
                f"({min(rate):,.0f}-{max(rate):,.0f}), {max(rss):4.0f} MiB"
            )


if __name__ == "__main__":
    main()
