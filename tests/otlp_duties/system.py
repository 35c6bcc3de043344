"""A whole enricher between senders and a destination that keeps what it gets, as bytes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import yaml
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from destinations import GRPC_SERVICES, Destination, grpc_destination
from enricher_process import EnricherProcess, running, serve_http, write_config
from free_ports import free_port
from genops_enricher.pipeline import Signal
from otlp import OCT_2026_NS

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MESSAGES: Mapping[Signal, type[Any]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}
TRACE_ID, SPAN_ID = bytes(range(16)), bytes(range(8))


def message(signal: Signal, name: str) -> Any:
    """A request with one item, which nothing is to be added to."""
    request = MESSAGES[signal]()
    match signal:
        case Signal.TRACES:
            span = request.resource_spans.add().scope_spans.add().spans.add()
            span.trace_id, span.span_id, span.name = TRACE_ID, SPAN_ID, name
            span.end_time_unix_nano = OCT_2026_NS + 1
        case Signal.METRICS:
            metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
            metric.sum.aggregation_temporality = 2
            point = metric.sum.data_points.add(as_int=2**62 + 1, time_unix_nano=OCT_2026_NS + 1)
            point.exemplars.add(trace_id=TRACE_ID, span_id=SPAN_ID, as_double=0.5)
        case Signal.LOGS:
            record = request.resource_logs.add().scope_logs.add().log_records.add()
            record.trace_id, record.span_id, record.body.string_value = TRACE_ID, SPAN_ID, name
            record.severity_number = 9
            record.time_unix_nano = OCT_2026_NS + 1
    return request


def method(signal: Signal) -> str:
    return f"/{GRPC_SERVICES[signal]}/Export"


def export(
    target: str, path: str, payload: bytes, compression: grpc.Compression | None = None
) -> bytes:
    """What a gRPC server answers. Raises RpcError."""
    with grpc.insecure_channel(target) as channel:
        answer: bytes = channel.unary_unary(path, None, None)(
            payload, timeout=60, compression=compression
        )
        return answer


@dataclass(frozen=True)
class Answer:
    """What a sender is answered, over gRPC (`code` is a name) or HTTP (`code` is a number)."""

    code: str
    status: Status
    """Of a refusal; empty otherwise."""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def retry_after_s(self) -> float | None:
        """From RetryInfo, if there is one."""
        for detail in self.status.details:
            info = RetryInfo()
            if detail.Unpack(info):
                return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
        return None

    @property
    def is_bad_request(self) -> bool:
        """Whether BadRequest says what is wrong."""
        return any(detail.Is(BadRequest.DESCRIPTOR) for detail in self.status.details)


class System:
    """Sends to the enricher and looks at what its destination got."""

    def __init__(self, enricher: EnricherProcess, http: str, destination: Destination) -> None:
        self.enricher = enricher
        self.grpc = enricher.grpc
        self.http = http
        self._destination = destination

    def over_grpc(
        self, signal: Signal, payload: bytes, compression: grpc.Compression | None = None
    ) -> Answer:
        try:
            body = export(self.grpc, method(signal), payload, compression)
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            status = rpc_status.from_call(error) or Status(message=error.details() or "")
            return Answer(str(error.code().name), status)
        return Answer("OK", Status(), body)

    def over_http(
        self,
        signal: Signal,
        body: bytes,
        kind: str = PROTOBUF,
        *,
        verb: str = "POST",
        path: str = "",
        headers: Mapping[str, str] = {},
    ) -> Answer:
        connection = HTTPConnection(self.http, timeout=60)
        try:
            sent = {"Content-Type": kind, **headers}
            connection.request(verb, path or f"/v1/{signal}", body, sent)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        status = Status()
        if answer.status != 200 and answer.headers["Content-Type"] == JSON:
            ParseDict(json.loads(content), status)
        elif answer.status != 200:
            status.ParseFromString(content)
        return Answer(str(answer.status), status, content, dict(answer.headers.items()))

    def arrived(self, name: str, *, timeout_s: float = 60.0) -> bytes:
        """The payload with this name, once the destination has it."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            for payload in self._destination.payloads:
                if name.encode() in payload:
                    return payload
            time.sleep(0.01)
        raise TimeoutError(f"{name} did not arrive: {self.enricher.log.read_text()}")

    @property
    def deliveries(self) -> int:
        """How many requests the destination got."""
        return len(self._destination.payloads)


@contextmanager
def system(folder: Path, *, queue_size: str = "", limit_mib: int = 2) -> Iterator[System]:
    """An enricher; with a `queue_size` its destination is away and the queue fills."""
    queue: dict[str, Any] = {"batch": {"min_size": 0}}
    if queue_size:
        queue["queue_size"] = queue_size
    with grpc_destination() as destination:
        port = free_port() if queue_size else destination.port
        config = write_config(
            folder, f"127.0.0.1:{port}", shutdown_timeout="1s", more={"sending_queue": queue}
        )
        http = serve_http(config)
        settings = yaml.safe_load(config.read_text())
        protocols = settings["receivers"]["otlp"]["protocols"]
        protocols["grpc"]["max_recv_msg_size_mib"] = limit_mib
        protocols["http"]["max_request_body_size"] = f"{limit_mib}MiB"
        config.write_text(yaml.safe_dump(settings))
        with running(config) as enricher:
            yield System(enricher, http, destination)


def with_unknown_field(inner: Message) -> None:
    """Add a field 999 that no release knows."""
    inner.MergeFromString(b"\xba\x3e\x05later")
