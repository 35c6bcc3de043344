"""Files of OTLP: which form a file has, the trace requests in it, and writing them back.

Three forms are found in the field: a protobuf ExportTraceServiceRequest (the body of an OTLP/HTTP
request), OTLP/JSON, and the JSON lines of the Collector's file exporter, where lines of metrics and
logs stand between those of traces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genops_enricher.decode.lens import DecodeError, parse_traces
from genops_enricher.decode.otlp_json import OtlpJsonError, from_json, load_json, to_json
from genops_enricher.errors import EnricherError
from genops_enricher.pipeline import Signal
from genops_enricher.redact import Redactor

__all__ = ["FileError", "Form", "OtlpFile", "Part", "read_file", "redacted", "write_file"]


_OTHER_SIGNALS = {"resourceMetrics", "resourceLogs", "resourceProfiles"}

# How JSON names the one key of a request of another signal that can be redacted.
_REDACTABLE: dict[str, tuple[Signal, type[Message]]] = {
    "resourceMetrics": (Signal.METRICS, ExportMetricsServiceRequest),
    "resourceLogs": (Signal.LOGS, ExportLogsServiceRequest),
}


class FileError(EnricherError):
    """A file can't be read, parsed or written. The message names it and says why."""


class Form(StrEnum):
    """How a file spells OTLP."""

    PROTOBUF = "protobuf"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a file. What holds no traces has no `request` and is kept as its `text`."""

    text: bytes
    request: bytes | None

    def with_request(self, request: bytes) -> Part:
        """The part with another request; the same part if nothing changed."""
        return self if request == self.request else replace(self, text=b"", request=request)


def redacted(path: Path, part: Part, redactor: Redactor) -> Part:
    """The part as the service would send it on.

    JSON is always written anew: what OTLP does not have, and the text holds, can't be judged.

    Raises:
        FileError: the part is of a signal that can't be redacted.
    """
    if part.request is not None:
        request = redactor.redact(Signal.TRACES, part.request).payload
        return replace(part, text=b"", request=request)
    document = load_json(part.text)
    if not document:
        return part
    if len(document) != 1 or (key := next(iter(document))) not in _REDACTABLE:
        raise FileError(
            f"{path}: holds {', '.join(document)} in one request, which can't be redacted; "
            "take it out, or take `redaction` out of the configuration"
        )
    signal, kind = _REDACTABLE[key]
    try:
        message = from_json(document, kind())
    except OtlpJsonError as error:
        raise FileError(f"{path}: {error}") from error
    payload = redactor.redact(signal, message.SerializeToString()).payload
    return replace(part, text=_line(kind.FromString(payload)))


@dataclass(frozen=True, slots=True)
class OtlpFile:
    """What a file holds: one part, or one for each line."""

    form: Form
    parts: tuple[Part, ...]


def read_file(path: Path) -> OtlpFile:
    """Read a file of any of the forms.

    Raises:
        FileError: there is no such file, or it holds something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: can't be read: {error.strerror}") from error
    if data.lstrip()[:1] == b"{":  # no protobuf message of OTLP starts with this byte
        return OtlpFile(Form.JSON, _json_parts(path, data))
    try:
        parse_traces(data)
    except DecodeError as error:
        raise FileError(
            f"{path}: neither OTLP/JSON nor a protobuf ExportTraceServiceRequest ({error}). "
            "Record with the Collector's file exporter, or save the body of an OTLP/HTTP request."
        ) from error
    return OtlpFile(Form.PROTOBUF, (Part(data, data),))


def write_file(path: Path, form: Form, parts: Sequence[Part]) -> None:
    """Write parts in a form. A file is there whole or not at all; a device or pipe is written to.

    Raises:
        FileError: the file can't be written.
    """
    if form is Form.PROTOBUF:
        data = b"".join(part.request or b"" for part in parts)
    else:
        data = b"".join((part.text or _to_line(part)) + b"\n" for part in parts)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(path.resolve(), data)
    except OSError as error:
        raise FileError(f"{path}: can't be written: {error.strerror}") from error


def _replace(path: Path, data: bytes) -> None:
    unfinished = path.with_name(path.name + ".part")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _json_parts(path: Path, data: bytes) -> tuple[Part, ...]:
    first, *more = [(n, line) for n, line in enumerate(data.splitlines(), 1) if line.strip()]
    if more and _is_json(first[1]):
        return tuple(_json_part(f"{path}:{number}", line) for number, line in (first, *more))
    return (_json_part(str(path), data.strip()),)


def _is_json(line: bytes) -> bool:
    try:
        load_json(line)
    except OtlpJsonError:
        return False
    return True


def _json_part(where: str, text: bytes) -> Part:
    try:
        document = load_json(text)
        request = from_json(document, ExportTraceServiceRequest())
    except OtlpJsonError as error:
        raise FileError(f"{where}: {error}") from error
    if "resourceSpans" in document:
        return Part(text, request.SerializeToString())
    if document and not _OTHER_SIGNALS & document.keys():
        raise FileError(
            f"{where}: no OTLP/JSON: it has `{min(document)}` and no `resourceSpans`; "
            "keys are spelled in lowerCamelCase"
        )
    return Part(text, None)


def _to_line(part: Part) -> bytes:
    return _line(ExportTraceServiceRequest.FromString(part.request or b""))


def _line(request: Message) -> bytes:
    return json.dumps(to_json(request), ensure_ascii=False, separators=(",", ":")).encode()
