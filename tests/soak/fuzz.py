"""The fuzz run: mutated requests over the wire must meet an answer that the protocol foresees.

A whole enricher process with its durable queue is sent requests that are almost OTLP. It must go
on, answer each with success or as the sender's fault, and stay within its memory. Answers that
speak of a failure of ours are findings, also UNAVAILABLE: nothing here fills the queue.

Each transport has a process of its own, and all run at a time: the enricher is what limits the
rate, and not the making of requests.

Run with `make soak`, or `PYTHONPATH=tests python -m soak.fuzz --help`. Exits 1 on a finding.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from multiprocessing import get_context
from pathlib import Path

import grpc

from destinations import GRPC_SERVICES
from enricher_process import EnricherProcess, running, serve_http, write_config
from genops_enricher.pipeline import Signal
from soak.mutate import Encoding, mutated

RSS_GROWTH_MAX_MIB = 200.0
_IN_FLIGHT = 8  # of one transport
_WARM_UP = 500
_SAMPLE_S = 0.2
_FINDINGS_MAX = 100  # of one transport, which ends then
_FINDINGS_SHOWN = 20

# Sends one request and gives the answer's name.
Send = Callable[[Signal, bytes], str]


@dataclass(frozen=True, slots=True)
class Transport:
    """A way into the enricher. An answer that is not `expected` is a finding."""

    open: Callable[[str, str], AbstractContextManager[Send]]  # gets both addresses
    encoding: Encoding
    expected: frozenset[str]


@contextmanager
def over_grpc(target: str, _http: str) -> Iterator[Send]:
    with grpc.insecure_channel(target) as channel:
        calls = {
            signal: channel.unary_unary(f"/{service}/Export", None, None)
            for signal, service in GRPC_SERVICES.items()
        }

        def send(signal: Signal, payload: bytes) -> str:
            try:
                calls[signal](payload, timeout=30)
            except grpc.RpcError as error:
                return str(error.code().name)
            return "OK"

        yield send


@contextmanager
def over_http(
    _target: str, http: str, *, content_type: str, packed: bool = False
) -> Iterator[Send]:
    """With `packed`, bodies are gzip; every fourth of them is broken after it was packed."""
    local = threading.local()
    opened: list[HTTPConnection] = []
    headers = {"Content-Type": content_type} | ({"Content-Encoding": "gzip"} if packed else {})

    def send(signal: Signal, payload: bytes) -> str:
        body = _packed(payload) if packed else payload
        for _ in range(2):
            fresh = getattr(local, "connection", None) is None
            if fresh:
                local.connection = HTTPConnection(http, timeout=30)
                opened.append(local.connection)
            try:
                local.connection.request("POST", f"/v1/{signal}", body, headers)
                answer = local.connection.getresponse()
                answer.read()
                return str(answer.status)
            except (OSError, HTTPException) as error:
                local.connection.close()
                local.connection = None
                if fresh:  # one that was idle may have been closed meanwhile
                    return type(error).__name__
        return "closed twice"

    try:
        yield send
    finally:
        for connection in opened:
            connection.close()


def _packed(payload: bytes) -> bytes:
    data = gzip.compress(payload, 1, mtime=0)
    dice = random.Random(zlib.crc32(payload))
    if dice.randrange(4):
        return data
    at = dice.randrange(len(data))
    return data[:at] + dice.randbytes(dice.randrange(3)) + data[at + dice.randrange(3) :]


_HTTP = frozenset({"200", "400"})
_PROTOBUF = "application/x-protobuf"
TRANSPORTS: Mapping[str, Transport] = {
    "gRPC": Transport(over_grpc, Encoding.PROTOBUF, frozenset({"OK", "INVALID_ARGUMENT"})),
    "HTTP": Transport(partial(over_http, content_type=_PROTOBUF), Encoding.PROTOBUF, _HTTP),
    "HTTP gzip": Transport(
        partial(over_http, content_type=_PROTOBUF, packed=True), Encoding.PROTOBUF, _HTTP
    ),
    "HTTP JSON": Transport(
        partial(over_http, content_type="application/json"), Encoding.JSON, _HTTP
    ),
}


@dataclass
class Report:
    """What a fuzz run found. Sizes are MiB of resident memory of the enricher."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    rss_before: float = 0.0
    rss_max: float = 0.0
    took_s: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.findings

    def table(self) -> str:
        rows = [
            (f"{transport} {answer}", f"{count:,}")
            for (transport, answer), count in sorted(self.answers.items())
        ]
        total = self.answers.total()
        rows += [
            (
                "requests",
                f"{total:,} in {self.took_s:.0f} s, {total / max(self.took_s, 1e-9):,.0f} a second",
            ),
            ("RSS, MiB", f"{self.rss_before:.0f} after warm-up, at most {self.rss_max:.0f}"),
            ("findings", f"{len(self.findings):,}"),
        ]
        lines = [f"{name:<28}{text}" for name, text in rows]
        return "\n".join([*lines, *self.findings[:_FINDINGS_SHOWN]])


def run(requests: int, folder: Path, *, minutes: float = 10.0, seed: int = 0) -> Report:
    """Send `requests` mutated requests over each transport to one enricher, for so many minutes."""
    report = Report()
    with taking_everything() as port:
        config = write_config(folder, f"127.0.0.1:{port}")
        http = serve_http(config)
        with running(config) as enricher:
            _fuzz_all(report, enricher, http, requests, 60 * minutes, seed)
            growth = report.rss_max - report.rss_before
            if growth > RSS_GROWTH_MAX_MIB:
                report.findings.append(f"memory grew by {growth:.0f} MiB")
            try:
                enricher.wait_until_empty(timeout_s=60)
                enricher.get("/ready")
            except (OSError, TimeoutError) as error:
                report.findings.append(f"not well afterwards: {error}")
        log = enricher.log.read_text()
        if "Traceback" in log:
            report.findings.append(
                f"a traceback in the log: {log[log.index('Traceback') :][:3000]}"
            )
    return report


def _fuzz_all(
    report: Report,
    enricher: EnricherProcess,
    http: str,
    requests: int,
    limit_s: float,
    seed: int,
) -> None:
    began_s = time.monotonic()
    with ProcessPoolExecutor(len(TRANSPORTS), get_context("spawn")) as pool:
        jobs = [
            pool.submit(_fuzz, name, enricher.grpc, http, requests, limit_s, seed)
            for name in TRANSPORTS
        ]
        while wait(jobs, _SAMPLE_S).not_done and enricher.is_running():
            if enricher.metric("genops_refused_requests_total{") < _WARM_UP:
                continue
            rss = enricher.metric("process_resident_memory_bytes") / 2**20
            report.rss_before = report.rss_before or rss
            report.rss_max = max(report.rss_max, rss)
        if not enricher.is_running():
            report.findings.append("the enricher ended by itself")
        for job in jobs:
            answers, findings = job.result()
            report.answers += answers
            report.findings += findings
    report.took_s = time.monotonic() - began_s


def _fuzz(
    name: str, target: str, http: str, requests: int, limit_s: float, seed: int
) -> tuple[Counter[tuple[str, str]], list[str]]:
    """The answers and findings of one transport. Runs in a process of its own."""
    signals = (Signal.TRACES, Signal.TRACES, Signal.METRICS, Signal.LOGS)
    answers: Counter[tuple[str, str]] = Counter()
    findings: list[str] = []
    lock = threading.Lock()
    numbers = iter(range(requests))
    deadline_s = time.monotonic() + limit_s
    transport = TRANSPORTS[name]

    def work(send: Send) -> None:
        while True:
            with lock:
                number = next(numbers, None)
                late = time.monotonic() > deadline_s
                if number is None or late or len(findings) >= _FINDINGS_MAX:
                    return
            signal = signals[number % len(signals)]
            answer = send(signal, mutated(seed, number, signal, transport.encoding))
            with lock:
                answers[name, answer] += 1
                if answer not in transport.expected:
                    findings.append(
                        f"{name} {answer}: mutated({seed}, {number}, Signal.{signal.name}, "
                        f"Encoding.{transport.encoding.name})"
                    )

    with transport.open(target, http) as send, ThreadPoolExecutor(_IN_FLIGHT) as pool:
        for worker in [pool.submit(work, send) for _ in range(_IN_FLIGHT)]:
            worker.result()
    return answers, findings


@contextmanager
def taking_everything() -> Iterator[int]:
    """The port of a gRPC destination that takes everything and keeps nothing."""

    def export(_payload: bytes, _context: grpc.ServicerContext) -> bytes:
        return b""

    handlers = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(service, handlers)
                for service in GRPC_SERVICES.values()
            )
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait(10)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Send mutated requests to an enricher.")
    parser.add_argument(
        "--requests", type=int, default=1_000_000, help="in all, shared by the transports"
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after these")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    options = parser.parse_args(arguments)
    print(f"fuzz with --seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="genops-fuzz-") as folder:
        requests = options.requests // len(TRANSPORTS)
        report = run(requests, Path(folder), minutes=options.minutes, seed=options.seed)
    print(report.table())
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
