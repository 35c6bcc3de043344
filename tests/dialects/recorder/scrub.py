"""What of the recording machine must not stand in a recording: paths, names, processes.

Attributes about the machine are dropped whole. In all other texts paths and the host's name are
replaced, and stack traces cut to their last line; nothing that says what a call cost is touched.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

__all__ = ["scrub"]

MACHINE = ("host.", "process.", "os.", "container.", "thread.", "service.instance.id")
# Where people, systems and package managers keep files, and where this checkout is.
_TOPS = {"home", "opt", "root", "tmp", "usr", "Users", "var", Path(__file__).resolve().parts[1]}
PATH = re.compile(
    rf"(?:file://)?/(?:{'|'.join(sorted(map(re.escape, _TOPS)))})/[^\s\"'\\,;:)\]}}>]*"
)


def scrub(request: ExportTraceServiceRequest, *, host: str | None = None) -> None:
    """Rewrite a request in place. `host` is the name to hide, by default that of this machine."""
    host_name = re.compile(rf"\b{re.escape(host or socket.gethostname())}\b")

    def clean(text: str) -> str:
        return host_name.sub("some-host", PATH.sub("/some/path", text))

    for attributes in _attribute_lists(request):
        kept = [pair for pair in attributes if not pair.key.startswith(MACHINE)]
        for pair in kept:
            if pair.key == "exception.stacktrace":
                pair.value.string_value = pair.value.string_value.rstrip().rpartition("\n")[2]
            for value in _values(pair.value):
                value.string_value = clean(value.string_value)
        del attributes[:]
        attributes.extend(kept)
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                span.status.message = clean(span.status.message)


def _attribute_lists(request: ExportTraceServiceRequest) -> Iterator[Any]:
    for resource_spans in request.resource_spans:
        yield resource_spans.resource.attributes
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield span.attributes
                for event in span.events:
                    yield event.attributes


def _values(value: AnyValue) -> Iterator[AnyValue]:
    """Every text in a value, however deep."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        yield value
    elif kind == "array_value":
        for item in value.array_value.values:
            yield from _values(item)
    elif kind == "kvlist_value":
        for pair in value.kvlist_value.values:
            yield from _values(pair.value)
