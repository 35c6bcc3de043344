"""The tables of codes, against the lists of the OTLP specification and our own exceptions."""

from __future__ import annotations

import grpc
import pytest

from genops_enricher.export.outcome import (
    Delivered,
    Hold,
    Rejected,
    Retry,
    TooLarge,
    of_grpc_code,
    of_http_status,
)

DOUBTFUL = Retry("why", doubtful=True)

GRPC = {
    "CANCELLED": Retry("why"),
    "DEADLINE_EXCEEDED": Retry("why"),
    "ABORTED": Retry("why"),
    "OUT_OF_RANGE": Retry("why"),
    "UNAVAILABLE": Retry("why"),
    "DATA_LOSS": Retry("why"),
    "RESOURCE_EXHAUSTED": DOUBTFUL,  # without RetryInfo, and not said to be too large
    "UNAUTHENTICATED": Hold("why"),
    "PERMISSION_DENIED": Hold("why"),
    "UNIMPLEMENTED": Hold("why"),
    "NOT_FOUND": Hold("why"),
    "UNKNOWN": DOUBTFUL,
    "INTERNAL": DOUBTFUL,
    "INVALID_ARGUMENT": Rejected("why"),
    "ALREADY_EXISTS": Rejected("why"),
    "FAILED_PRECONDITION": Rejected("why"),
}
HTTP = {
    **dict.fromkeys((200, 202, 204, 299), Delivered()),
    **dict.fromkeys((429, 502, 503, 504), Retry("why")),
    **dict.fromkeys((401, 402, 403, 404, 405, 407, 415), Hold("why")),
    **dict.fromkeys((301, 302, 307, 308), Hold("why")),
    413: TooLarge("why"),
    **dict.fromkeys((408, 500, 501, 505, 599), DOUBTFUL),
    **dict.fromkeys((400, 409, 418, 422, 431), Rejected("why")),
}


@pytest.mark.parametrize("code", [c for c in grpc.StatusCode if c is not grpc.StatusCode.OK])
def test_every_grpc_code_has_its_outcome(code: grpc.StatusCode) -> None:
    assert of_grpc_code(code, "why", None) == GRPC[code.name]


@pytest.mark.parametrize("status", HTTP)
def test_every_kind_of_http_status_has_its_outcome(status: int) -> None:
    assert of_http_status(status, "why", None) == HTTP[status]


def test_retry_info_makes_resource_exhausted_retryable() -> None:
    outcome = of_grpc_code(grpc.StatusCode.RESOURCE_EXHAUSTED, "why", 7)

    assert outcome == Retry("why", after_s=7)


@pytest.mark.parametrize(
    "text",
    [
        "SERVER: Received message larger than max (5000001 vs. 4194304)",  # grpc-core
        "grpc: received message larger than max (5000001 vs. 4194304)",  # grpc-go
        "gRPC message exceeds maximum size 4194304: 5000001",  # grpc-java
    ],
)
def test_resource_exhausted_that_speaks_of_size_is_too_large(text: str) -> None:
    assert of_grpc_code(grpc.StatusCode.RESOURCE_EXHAUSTED, text, None) == TooLarge(text)


def test_the_wish_of_the_destination_is_kept() -> None:
    assert of_grpc_code(grpc.StatusCode.UNAVAILABLE, "why", 7) == Retry("why", after_s=7)
    assert of_http_status(503, "why", 7) == Retry("why", after_s=7)
    assert of_http_status(500, "why", 7) == Retry("why", after_s=7, doubtful=True)
