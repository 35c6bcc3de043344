"""A durable queue in a temporary folder, and short ways to fill and empty it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from genops_enricher.config.model import OnFull, QueueConfig
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.queue import DurableQueue, Reader
from genops_enricher.queue.dead_letters import Letter, letter_paths, read_letter
from genops_enricher.telemetry import METRICS, Telemetry

FRAME_HEADER_BYTES = 20
FILE_HEADER_BYTES = 8

ONE: Mapping[str, QueueConfig] = {"otlp_grpc/a": QueueConfig()}
TWO: Mapping[str, QueueConfig] = {"otlp_grpc/a": QueueConfig(), "otlp_http/b": QueueConfig()}


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
    sync: Callable[[int], None] = os.fsync,
) -> Iterator[DurableQueue]:
    queue = DurableQueue(
        directory,
        Signal.TRACES,
        exporters,
        telemetry or Telemetry(),
        segment_bytes=segment_bytes,
        sync=sync,
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
        reader.delivered(entry)
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
