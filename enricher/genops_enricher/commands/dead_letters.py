"""The `dead-letters` commands: what destinations refused for ever, to look at and to send again.

They work on the files, whether the service runs or not. What is sent again goes straight to the
destination, with the exporter as it is configured now, and its file is removed once it is there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genops_enricher.config.model import Config
from genops_enricher.decode.otlp_json import to_json
from genops_enricher.errors import EnricherError
from genops_enricher.export import build_sender
from genops_enricher.export.outcome import Delivered
from genops_enricher.pipeline import Signal
from genops_enricher.queue.dead_letters import Letter, list_letters

__all__ = ["print_letters", "resend_letters", "show_letters"]

_REQUESTS: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}


def print_letters(data_dir: Path, *, as_json: bool) -> int:
    """Print a line for each letter; give the exit code."""
    letters = list(list_letters(data_dir))
    for letter in letters:
        if as_json:
            print(json.dumps(_facts(letter)))
        else:
            print(
                f"{letter.id}  {letter.time}  {letter.exporter} ({letter.signal})  "
                f"{letter.items} items, {len(letter.payload)} bytes: {letter.reason}"
            )
    if not letters and not as_json:
        print(f"no dead letters in {data_dir}")
    return 0


def show_letters(data_dir: Path, ids: Sequence[str]) -> int:
    """Print letters with their content as OTLP/JSON, one JSON object a line; give the exit code.

    Raises:
        EnricherError: there is none of a given id, or its content can't be read.
    """
    for letter in _chosen(data_dir, ids):
        try:
            content = to_json(_REQUESTS[letter.signal].FromString(letter.payload))
        except DecodeError as error:
            raise EnricherError(
                f"{letter.path}: the content is not OTLP {letter.signal}: {error}"
            ) from error
        print(json.dumps({**_facts(letter), "content": content}, ensure_ascii=False))
    return 0


def resend_letters(config: Config, ids: Sequence[str]) -> int:
    """Try once to send letters, all if none is named; 1 if any is left, else 0.

    Raises:
        EnricherError: there is none of a given id, or an exporter can't be used.
    """
    left = 0
    for letter in _chosen(config.service.data_dir, ids):
        exporter = config.exporters.get(letter.exporter)
        if exporter is None:
            left += 1
            print(f"{letter.id}: kept: {letter.exporter} is not configured any more")
            continue
        sender = build_sender(exporter, letter.signal)
        try:
            outcome = sender.send(letter.payload)
        finally:
            sender.close()
        if isinstance(outcome, Delivered):
            letter.path.unlink(missing_ok=True)
            rejected = f"; the destination rejected {outcome.rejected}: {outcome.message}"
            print(
                f"{letter.id}: {letter.items} items sent to {letter.exporter}"
                + (rejected if outcome.rejected else "")
            )
        else:
            left += 1
            print(f"{letter.id}: kept: {letter.exporter} answered {outcome.reason}")
    return 1 if left else 0


def _chosen(data_dir: Path, ids: Sequence[str]) -> list[Letter]:
    """The letters of these ids, all if there are none. One id may name letters of two exporters."""
    letters = list(list_letters(data_dir))
    if unknown := set(ids) - {letter.id for letter in letters}:
        raise EnricherError(
            f"no dead letter {', '.join(sorted(unknown))} in {data_dir}; "
            "`genops-enricher dead-letters list` shows those that there are"
        )
    return [letter for letter in letters if not ids or letter.id in ids]


def _facts(letter: Letter) -> dict[str, object]:
    return {
        "id": letter.id,
        "time": letter.time,
        "exporter": letter.exporter,
        "signal": letter.signal.value,
        "items": letter.items,
        "bytes": len(letter.payload),
        "reason": letter.reason,
        "path": str(letter.path),
    }
