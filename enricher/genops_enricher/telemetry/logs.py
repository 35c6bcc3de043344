"""The log: lines on standard error, for people or for machines, that a flood can't drown.

What is logged is decided where it happens; how it looks, and how often, is decided here. No text
that is logged can forge a line or drive a terminal. What libraries would quote of other sides,
which may be a token, is left out.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from genops_enricher.printable import printable, printable_json

__all__ = ["RateLimit", "set_up_logging"]

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_OURS = "genops_enricher"

# What a logger quotes of what another side sent, by the type of the argument: gRPC headers that it
# can't decode, urllib3 headers of an answer that it can't parse, OpenTelemetry a broken tracestate.
_FOREIGN: dict[str, type] = {
    "grpc": bytes,
    "urllib3": Exception,
    "opentelemetry.trace.span": str,
}
_INDENT = "    "


def set_up_logging(
    level: str, encoding: str, stream: TextIO | None = None, *, worker: int | None = None
) -> None:
    """Send the log of the process to `stream`, standard error by default.

    Args:
        level: debug, info, warn or error. Libraries log from warn on, or from `level` if higher.
        encoding: `console` for lines, `json` for one object a line.
        stream: where to write.
        worker: the number of this process among several, to be on each line.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_ENCODINGS[encoding](worker))
    handler.addFilter(_hide_foreign)
    handler.addFilter(RateLimit())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(_LEVELS[level], logging.WARNING))
    logging.getLogger(_OURS).setLevel(_LEVELS[level])
    logging.captureWarnings(capture=True)


class RateLimit(logging.Filter):
    """Lets `burst` warnings or errors of one kind through per interval, and counts the rest.

    The kind is the logger, the level and the text before its values are filled in. The first line
    after the interval says how many were left out. Lines below warning always pass.
    """

    def __init__(
        self,
        burst: int = 10,
        interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._burst = burst
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        # kind -> start of its interval, lines in it. Bounded by the log calls in the program.
        self._kinds: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if record.levelno < logging.WARNING:
            return True
        kind = (record.name, record.levelno, str(record.msg))
        now = self._clock()
        with self._lock:
            start, lines = self._kinds.get(kind, (now, 0))
            left_out = 0
            if now - start >= self._interval_s:
                left_out = max(0, lines - self._burst)
                start, lines = now, 0
            self._kinds[kind] = (start, lines + 1)
        if lines >= self._burst:
            return False
        if left_out:
            with suppress(TypeError, ValueError):  # a wrong call, of which the handler tells
                record.msg = f"{record.getMessage()} ({left_out} more like this were left out)"
                record.args = ()
        return True


def _hide_foreign(record: logging.LogRecord) -> bool:
    """Lets every line through; of what another side sent, which may be a token, only the size."""
    library = next((name for name in _FOREIGN if f"{record.name}.".startswith(f"{name}.")), None)
    if library is not None and isinstance(record.args, tuple):
        kind = _FOREIGN[library]
        if any(isinstance(value, kind) for value in record.args):
            record.args = tuple(
                _size(value) if isinstance(value, kind) else value for value in record.args
            )
            record.exc_info = None
    return True


def _size(value: object) -> str:
    if isinstance(value, Exception):
        return f"{type(value).__name__}, not shown"
    if isinstance(value, bytes):
        return f"{len(value)} bytes, not shown"
    return f"{len(str(value))} characters, not shown"


class _Console(logging.Formatter):
    """`2026-11-23T06:45:33.120Z WARNING export.worker: text`, with `worker 2: ` before the name.

    Further lines of a text are indented, so that every line that begins with a time is one of ours.
    """

    def __init__(self, worker: int | None) -> None:
        whose = "" if worker is None else f"worker {worker}: "
        super().__init__(f"%(asctime)s %(levelname)-7s {whose}%(short_name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.short_name = record.name.removeprefix(f"{_OURS}.")
        return printable(super().format(record)).replace("\n", f"\n{_INDENT}")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002 - the base class's names
        return _timestamp(record)


class _Json(logging.Formatter):
    """`{"time": …, "level": "warning", "logger": …, "message": …}`.

    With `exception` if there is one, and `worker` if there are several.
    """

    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._worker = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            **self._worker,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return printable_json(line)


_ENCODINGS: dict[str, Callable[[int | None], logging.Formatter]] = {
    "console": _Console,
    "json": _Json,
}


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
