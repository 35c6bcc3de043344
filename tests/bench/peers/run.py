"""One measurement: a load through a server to the sink, and what it cost."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench.peers.load import Load, Sender, sender
from bench.peers.meter import metered
from bench.peers.servers import Server, running
from bench.peers.sink import Sink, Taken, sink
from bench.peers.workload import Workload, template

__all__ = ["WARM_UP_S", "Ends", "Figures", "Shape", "ends", "measure", "percentiles_ms"]

WARM_UP_S = 0.7
# By one connection alone: the Collector fills a table at its first request, and without a lock.
_FIRST_S = 0.02
_DRAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Ends:
    """What is before and behind every server."""

    sender: Sender
    sink: Sink


@contextmanager
def ends() -> Iterator[Ends]:
    """A sender and a sink, for any number of measurements."""
    with sender() as sender_, sink() as sink_:
        yield Ends(sender_, sink_)


@dataclass(frozen=True, slots=True)
class Shape:
    """How the load is offered."""

    seconds: float = 2.0
    spans_per_s: float = 10_000.0
    connections: int = 4
    protocol: str = "grpc"
    gzip: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What one measurement gave. CPU time and memory are of the server and its children."""

    spans: int
    spans_per_s: float
    cpu_us_per_span: float
    system_share: float  # of the CPU time, what the kernel took
    core_percent: float  # of one core, while the load lasted
    rss_max_mib: float  # the most while the load lasted
    answer_ms: tuple[float, float]  # until the sender has its answer: p50, p99
    delivered_ms: tuple[float, float]  # from the sender to the sink: p50, p99
    priced: int
    retries: int


def measure(
    server: Server,
    workload: Workload,
    shape: Shape,
    ends: Ends,
    around: Callable[[int], AbstractContextManager[None]] = lambda _pid: nullcontext(),
) -> Figures:
    """Send the workload through a fresh server for a while.

    `around` gets the server's process id before there is a load.

    Raises:
        RuntimeError: the server does not start, refuses for good, has not passed on everything
            half a minute after the end, or priced fewer or more spans than there were to price.
    """
    payload = template(workload)
    with (
        tempfile.TemporaryDirectory(prefix="genops-bench-") as folder,
        running(server, Path(folder), ends.sink, workload) as process,
        around(process.pid),
    ):
        target = process.grpc if shape.protocol == "grpc" else process.http

        def load(seconds: float, connections: int = shape.connections) -> Load:
            return Load(
                target,
                payload,
                workload.spans,
                seconds,
                shape.spans_per_s,
                connections,
                shape.gzip,
            )

        first = ends.sender.send(load(_FIRST_S, connections=1))
        warm = ends.sender.send(load(WARM_UP_S))
        _arrived(ends.sink, first.spans + warm.spans)
        with metered(process.pid) as meter:
            sent = ends.sender.send(load(shape.seconds))
            taken = _arrived(ends.sink, sent.spans)
    to_price = sent.spans // workload.spans * workload.llm_spans if server.prices else 0
    if taken.priced != to_price:
        raise RuntimeError(f"{taken.priced} spans have a cost, {to_price} should")
    return Figures(
        spans=sent.spans,
        spans_per_s=sent.spans / sent.seconds,
        cpu_us_per_span=meter.cpu_s / sent.spans * 1e6,
        system_share=meter.system_share,
        core_percent=meter.cpu_s / sent.seconds * 100,
        rss_max_mib=meter.rss_max_bytes / (1 << 20),
        answer_ms=percentiles_ms(sent.answers_ns),
        delivered_ms=percentiles_ms(taken.delays_ns),
        priced=taken.priced,
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


def percentiles_ms(values_ns: Sequence[int]) -> tuple[float, float]:
    """The median, and what 99 of 100 do not exceed: of a few values the longest, or near it."""
    if len(values_ns) < 2:
        values_ns = [*values_ns] * 2
    cuts = statistics.quantiles(values_ns, n=100, method="inclusive")
    return cuts[49] / 1e6, cuts[98] / 1e6
