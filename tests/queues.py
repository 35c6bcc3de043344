"""A durable queue in a temporary folder, and short ways to fill and empty it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from genops_enricher.config.model import OnFull, QueueConfig
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.queue import Ended, Reader, SignalQueue
from genops_enricher.queue.clock import Clock
from genops_enricher.queue.dead_letters import Letter, letter_paths, read_letter
from genops_enricher.telemetry import METRICS, Telemetry

FRAME_HEADER_BYTES = 28
FILE_HEADER_BYTES = 8

ONE: Mapping[str, QueueConfig] = {"otlp_grpc/a": QueueConfig()}
TWO: Mapping[str, QueueConfig] = {"otlp_grpc/a": QueueConfig(), "otlp_http/b": QueueConfig()}


class SteppingClock(Clock):
    """A clock whose time passes, and whose wall is set, when it is told."""

    def __init__(self, wall_s: float) -> None:
        self._wall_s = wall_s
        self._steady_s = 12_345.0
        super().__init__(lambda: round(self._wall_s * 1e9), lambda: round(self._steady_s * 1e9))

    def pass_s(self, seconds: float) -> None:
        self._wall_s += seconds
        self._steady_s += seconds

    def set_s(self, jump: float) -> None:
        self._wall_s += jump

    def restarted(self) -> SteppingClock:
        """The clock of the next process, which sees the same wall."""
        return SteppingClock(self._wall_s)


def stepping(wall_s: float = 1_790_000_000) -> SteppingClock:
    return SteppingClock(wall_s)


def bounded(size: int, on_full: OnFull = OnFull.REFUSE) -> QueueConfig:
    return QueueConfig(queue_size_bytes=size, on_full=on_full)


def batch(payload: bytes | str, items: int = 1) -> Batch:
    data = payload.encode() if isinstance(payload, str) else payload
    return Batch(Signal.TRACES, data, items)


@contextmanager
def opened(
    directory: Path,
    exporters: Mapping[str, QueueConfig] = ONE,
    telemetry: Telemetry | None = None,
    *,
    segment_bytes: int = 1 << 20,
    fresh_bytes: int = 40,
    sync: Callable[[int], None] = os.fsync,
    clock: Clock | None = None,
) -> Iterator[SignalQueue]:
    # By default few records are in memory, so that most tests read both those and files.
    queue = SignalQueue(
        directory,
        Signal.TRACES,
        exporters,
        telemetry or Telemetry(),
        segment_bytes=segment_bytes,
        fresh_bytes=fresh_bytes,
        sync=sync,
        clock=clock,
    )
    queue.open()
    try:
        yield queue
    finally:
        queue.close()


def drain(reader: Reader) -> list[bytes]:
    """Deliver everything that is there now; give the payloads in the order they came."""
    payloads = []
    while (entry := reader.take(0)) is not None:
        payloads.append(entry.payload)
        reader.finish(Ended(entry))
    return payloads


def list_letters(data_dir: Path) -> list[Letter]:
    return [read_letter(path) for path in letter_paths(data_dir)]


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.segment"))


def assert_books_balance(telemetry: Telemetry, exporter: str) -> None:
    """recovered + accepted = delivered + queued + dropped + dead-lettered."""

    def number(name: str) -> float:
        (metric,) = [m for m in METRICS if m.name == name]
        at = metric.labels.index("exporter")
        return sum(value for labels, value in telemetry.series(metric) if labels[at] == exporter)

    came = number("genops_exporter_recovered_items") + number(
        "genops_exporter_accepted_items_total"
    )
    went = (
        number("genops_exporter_delivered_items_total")
        + number("genops_exporter_queued_items")
        + number("genops_exporter_dropped_items_total")
        + number("genops_exporter_dead_lettered_items_total")
    )
    assert came == went
