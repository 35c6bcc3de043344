"""An OTLP/HTTP backend on loopback that keeps every trace request as it came, in order."""

from __future__ import annotations

import gzip
import threading
from functools import partial
from types import TracebackType
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from genops_enricher.decode.otlp_json import from_json
from genops_enricher.demo.loopback import LOOPBACK, Handler, LoopbackServer

__all__ = ["Receiver"]


class Receiver:
    """Takes protobuf and JSON at any path that ends in /v1/traces; other signals are ignored.

    It serves from its constructor until the end of its `with` block.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[ExportTraceServiceRequest] = []
        self._server = LoopbackServer(0, partial(_Handler, self))

    @property
    def url(self) -> str:
        """What an exporter takes as OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def keep(self, request: ExportTraceServiceRequest) -> None:
        """Remember a request."""
        with self._lock:
            self._requests.append(request)

    def take(self) -> list[ExportTraceServiceRequest]:
        """The requests that came since the last `take`, oldest first."""
        with self._lock:
            taken, self._requests = self._requests, []
            return taken

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()


class _Handler(Handler):
    def __init__(self, receiver: Receiver, *args: Any) -> None:
        self._receiver = receiver
        super().__init__(*args)

    def do_POST(self) -> None:  # noqa: N802 - http.server calls it by this name
        body = self._read_chunks() if self.headers.get("Transfer-Encoding") else self.read_body()
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        kind = self.headers.get_content_type()
        if self.path.endswith("/v1/traces"):
            request = ExportTraceServiceRequest()
            if kind == "application/json":
                from_json(body, request)
            else:
                request.ParseFromString(body)
            self._receiver.keep(request)
        empty = b"{}" if kind == "application/json" else b""
        self.answer(200, empty or ExportTraceServiceResponse().SerializeToString(), kind)

    def _read_chunks(self) -> bytes:
        """A body in chunks, as exporters for Node send it (RFC 9112, 7.1), without trailers."""
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body
