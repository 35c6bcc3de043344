"""The `dead-letters` commands: what destinations refused for ever, to look at and to send again.

They work on the files, whether the service runs or not. What is sent again goes straight to the
destination, with the exporter as it is configured now, and its file is removed once it is there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
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
from genops_enricher.export.otlp import Sender
from genops_enricher.export.outcome import Delivered, Hold, Outcome
from genops_enricher.pipeline import Signal
from genops_enricher.printable import printable_json
from genops_enricher.queue.dead_letters import Letter, letter_id, letter_paths, read_letter

__all__ = ["print_letters", "resend_letters", "show_letters"]

_REQUESTS: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}


def print_letters(data_dir: Path, *, as_json: bool) -> int:
    """Print a line for each letter; give the exit code: 1 if one can't be read, else 0."""
    letters = _Chosen(data_dir, ())
    found = False
    for letter in letters:
        found = True
        if as_json:
            print(json.dumps(_facts(letter)))
        else:
            print(
                f"{letter.id}  {letter.time}  {letter.exporter} ({letter.signal})  "
                f"{letter.items} items, {len(letter.payload)} bytes: {letter.reason}"
            )
    if not found and not letters.unreadable and not as_json:
        print(f"no dead letters in {data_dir}")
    return 1 if letters.unreadable else 0


def show_letters(data_dir: Path, ids: Sequence[str]) -> int:
    """Print letters with their content as OTLP/JSON, one JSON object a line; give the exit code.

    Raises:
        EnricherError: there is none of a given id, or its content can't be read.
    """
    letters = _Chosen(data_dir, ids)
    for letter in letters:
        try:
            content = to_json(_REQUESTS[letter.signal].FromString(letter.payload))
        except DecodeError as error:
            raise EnricherError(
                f"{letter.path}: the content is not OTLP {letter.signal}: {error}"
            ) from error
        print(printable_json({**_facts(letter), "content": content}))
    return 1 if letters.unreadable else 0


def resend_letters(config: Config, ids: Sequence[str]) -> int:
    """Try once to send letters, all if none is named; 1 if any is left, else 0.

    A destination that refuses us, and not a letter, is not asked again.

    Raises:
        EnricherError: there is none of a given id, or an exporter can't be used.
    """
    left = 0
    letters = _Chosen(config.service.data_dir, ids)
    with ExitStack() as stack:
        senders: dict[tuple[str, Signal], Sender] = {}
        held: dict[tuple[str, Signal], str] = {}
        for letter in letters:
            way = letter.exporter, letter.signal
            exporter = config.exporters.get(letter.exporter)
            if exporter is None:
                left += 1
                print(f"{letter.id}: kept: {letter.exporter} is not configured any more")
                continue
            if way in held:
                left += 1
                print(f"{letter.id}: kept, not tried: {letter.exporter} answered {held[way]}")
                continue
            if way not in senders:
                senders[way] = build_sender(exporter, letter.signal)
                stack.callback(senders[way].close)
            outcome = senders[way].send(letter.payload)
            if isinstance(outcome, Hold):
                held[way] = outcome.reason
            left += not _is_gone(letter, outcome)
    return 1 if left or letters.unreadable else 0


def _is_gone(letter: Letter, outcome: Outcome) -> bool:
    """Say what became of a letter, and remove it if the destination has it."""
    if not isinstance(outcome, Delivered):
        print(f"{letter.id}: kept: {letter.exporter} answered {outcome.reason}")
        return False
    if outcome.rejected >= letter.items:
        print(f"{letter.id}: kept: {letter.exporter} rejected all of it: {outcome.message}")
        return False
    letter.path.unlink(missing_ok=True)
    rejected = f"; the destination rejected {outcome.rejected}: {outcome.message}"
    print(
        f"{letter.id}: {letter.items} items sent to {letter.exporter}"
        + (rejected if outcome.rejected else "")
    )
    return True


class _Chosen:
    """The letters of these ids, all if there are none, one by one: together they may be large.

    One id may name letters of two exporters. A letter that can't be read is reported on stderr, and
    the others go on.
    """

    def __init__(self, data_dir: Path, ids: Sequence[str]) -> None:
        """Raises EnricherError if there is none of a given id."""
        self.unreadable = 0
        paths = letter_paths(data_dir)
        if unknown := set(ids) - {letter_id(path) for path in paths}:
            raise EnricherError(
                f"no dead letter {', '.join(sorted(unknown))} in {data_dir}; "
                "`genops-enricher dead-letters list` shows those that there are"
            )
        self._paths = [path for path in paths if not ids or letter_id(path) in ids]

    def __iter__(self) -> Iterator[Letter]:
        for path in self._paths:
            try:
                yield read_letter(path)
            except EnricherError as error:
                if path.exists():  # else somebody else has sent it meanwhile
                    self.unreadable += 1
                    print(f"genops-enricher: {error}", file=sys.stderr)


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
