"""What a sender is answered: one table from outcomes to gRPC statuses, for gRPC and HTTP.

Senders act on these codes by rule (OTLP specification, "OTLP/gRPC response"): they send again after
UNAVAILABLE, and throw the data away after INVALID_ARGUMENT, UNKNOWN or INTERNAL. So everything that
is not plainly the sender's fault is UNAVAILABLE, a defect of our own included: the data may go
through once it is mended. RetryInfo goes with it because the Collector waits as long as it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from genops_enricher.errors import OversizeError, PermanentError, RetryableError
from genops_enricher.pipeline import PartialSuccess, Signal

__all__ = ["Refusal", "refusal", "to_grpc_status", "to_response", "to_status"]


_RESPONSES: dict[Signal, Callable[[], Message]] = {
    Signal.TRACES: ExportTraceServiceResponse,
    Signal.METRICS: ExportMetricsServiceResponse,
    Signal.LOGS: ExportLogsServiceResponse,
}
_REJECTED = {
    Signal.TRACES: "rejected_spans",
    Signal.METRICS: "rejected_data_points",
    Signal.LOGS: "rejected_log_records",
}


class Refusal(NamedTuple):
    """Why a request is not acknowledged, in the protocol's terms."""

    code: grpc.StatusCode
    message: str
    retry_after_s: float | None = None


def refusal(error: Exception) -> Refusal:
    """The answer to a request at which a stage raised `error`."""
    match error:
        case OversizeError():
            return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        case PermanentError():
            return Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        case RetryableError():
            return Refusal(grpc.StatusCode.UNAVAILABLE, str(error), error.retry_after_s)
        case _:
            message = "the enricher failed on this request; its log says why"
            return Refusal(grpc.StatusCode.UNAVAILABLE, message, retry_after_s=5.0)


def to_response(signal: Signal, told: PartialSuccess | None) -> Message:
    """The response to a request that was accepted: empty if there is nothing to tell."""
    response = _RESPONSES[signal]()
    if told is not None:
        partial = response.partial_success  # type: ignore[attr-defined]
        setattr(partial, _REJECTED[signal], told.rejected)
        partial.error_message = told.message
    return response


def to_grpc_status(answer: Refusal) -> grpc.Status:
    """The status with its details as gRPC carries them (google.rpc.Status in the trailers)."""
    return rpc_status.to_status(to_status(answer))


def to_status(answer: Refusal) -> Status:
    """The google.rpc.Status: with RetryInfo if the sender is to wait, BadRequest if it is wrong."""
    status = Status(code=answer.code.value[0], message=answer.message)
    details: list[Message] = []
    if answer.retry_after_s is not None:
        fraction, seconds = math.modf(answer.retry_after_s)
        delay = Duration(seconds=int(seconds), nanos=int(fraction * 1e9))
        details.append(RetryInfo(retry_delay=delay))
    if answer.code is grpc.StatusCode.INVALID_ARGUMENT:
        violation = BadRequest.FieldViolation(description=answer.message)
        details.append(BadRequest(field_violations=[violation]))
    for detail in details:
        status.details.add().Pack(detail)
    return status
