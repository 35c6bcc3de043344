"""One measurement: a load through a server to the sink, and what it cost."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.peers.load import Load, send
from bench.peers.meter import metered
from bench.peers.servers import Server, running
from bench.peers.sink import Sink, Taken
from bench.peers.workload import Workload

__all__ = ["Figures", "Shape", "measure"]

_WARM_UP_S = 2.0
_DRAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How the load is offered."""

    seconds: float = 6.0
    spans_per_s: float = 10_000.0
    connections: int = 4
    protocol: str = "grpc"
    gzip: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What one measurement gave."""

    spans: int
    spans_per_s: float
    cpu_us_per_span: float
    core_percent: float  # of one core, while the load lasted
    rss_max_mib: float
    answer_ms: tuple[float, float]  # until the sender has its answer: p50, p99
    delivered_ms: tuple[float, float]  # from the sender to the sink: p50, p99
    priced: int
    lost: int
    retries: int


def measure(server: Server, workload: Workload, shape: Shape, sink: Sink) -> Figures:
    """Send the workload through a fresh server for a while.

    Raises:
        RuntimeError: the server does not start, refuses for good, or has not passed on everything
            half a minute after the end.
    """
    template = workload.template()
    with (
        tempfile.TemporaryDirectory(prefix="genops-bench-") as folder,
        running(server, Path(folder), sink, workload) as process,
    ):
        target = process.grpc if shape.protocol == "grpc" else process.http

        def load(seconds: float) -> Load:
            return Load(
                target,
                template,
                workload.spans,
                seconds,
                shape.spans_per_s,
                shape.connections,
                shape.gzip,
            )

        warm = send(load(_WARM_UP_S))
        _arrived(sink, warm.spans)
        with metered(process.pid) as meter:
            sent = send(load(shape.seconds))
            taken = _arrived(sink, sent.spans)
    return Figures(
        spans=sent.spans,
        spans_per_s=sent.spans / sent.seconds,
        cpu_us_per_span=meter.cpu_s / sent.spans * 1e6,
        core_percent=meter.cpu_s / sent.seconds * 100,
        rss_max_mib=meter.rss_max_bytes / (1 << 20),
        answer_ms=_percentiles_ms(sent.answers_ns),
        delivered_ms=_percentiles_ms(taken.delays_ns),
        priced=taken.priced,
        lost=sent.spans - taken.spans,
        retries=sent.retries,
    )


def _arrived(sink: Sink, spans: int) -> Taken:
    """Wait until so many spans are there."""
    taken = Taken()
    deadline_s = time.monotonic() + _DRAIN_S
    while taken.spans < spans:
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{taken.spans} of {spans} spans arrived")
        time.sleep(0.05)
        more = sink.taken()
        taken.requests += more.requests
        taken.spans += more.spans
        taken.priced += more.priced
        taken.delays_ns += more.delays_ns
    return taken


def _percentiles_ms(values_ns: list[int]) -> tuple[float, float]:
    cuts = statistics.quantiles(values_ns, n=100)
    return cuts[49] / 1e6, cuts[98] / 1e6
