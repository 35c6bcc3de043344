"""Without a queue: what the sender is answered, from a real receiver before a real destination."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
import requests
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from destinations import (
    GRPC_SERVICES,
    GrpcAnswer,
    HttpAnswer,
    grpc_destination,
    grpc_exporter,
    http_destination,
    http_exporter,
)
from free_ports import free_port
from genops_enricher.config.model import (
    Config,
    EnrichmentConfig,
    ExporterConfig,
    HttpReceiverConfig,
    QueueConfig,
    ReceiverConfig,
    RedactionConfig,
    RetryConfig,
    ServiceConfig,
    Storage,
)
from genops_enricher.life.service import Service
from genops_enricher.pipeline import Signal
from genops_pricing import load_catalog
from otlp import chat, plain_attributes, request, span, spans_of
from queues import assert_books_balance

NONE = QueueConfig(storage=Storage.NONE)
PROTOBUF = "application/x-protobuf"
TIMEOUT_S = 60


@dataclass(frozen=True)
class Enricher:
    service: Service
    name: str  # of the exporter

    def grpc(self, payload: bytes, signal: Signal = Signal.TRACES) -> bytes:
        """Send over gRPC; the bytes of the response."""
        port = self.service._parts.receivers["OTLP/gRPC"].port
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(
                f"/{GRPC_SERVICES[signal]}/Export",
                request_serializer=None,
                response_deserializer=None,
            )
            body: bytes = call(payload, timeout=TIMEOUT_S)
            return body

    def http(
        self, payload: bytes, signal: Signal = Signal.TRACES, kind: str = PROTOBUF
    ) -> requests.Response:
        port = self.service._parts.receivers["OTLP/HTTP"].port
        return requests.post(
            f"http://127.0.0.1:{port}/v1/{signal}",
            payload,
            headers={"Content-Type": kind},
            timeout=TIMEOUT_S,
        )

    def books(self, what: str) -> float:
        labels = {"exporter": self.name, "signal": "traces"}
        return self.service.telemetry.value(f"genops_exporter_{what}_items_total", **labels)

    def dropped(self) -> float:
        return self.service.telemetry.value(
            "genops_exporter_dropped_items_total",
            exporter=self.name,
            signal="traces",
            reason="rejected",
        )


@contextmanager
def enricher(
    folder: Path, exporter: ExporterConfig, redaction: RedactionConfig | None = None
) -> Iterator[Enricher]:
    exporter = replace(exporter, queue=NONE, retry=RetryConfig())
    config = Config(
        receiver=ReceiverConfig("127.0.0.1:0"),
        http_receiver=HttpReceiverConfig("127.0.0.1:0"),
        exporters={exporter.id: exporter},
        pipelines=dict.fromkeys(Signal, (exporter.id,)),
        enrichment=EnrichmentConfig(redaction=redaction or RedactionConfig()),
        service=ServiceConfig(folder, health_endpoint="127.0.0.1:0"),
    )
    service = Service(config, load_catalog())
    service.start()
    try:
        yield Enricher(service, exporter.id)
    finally:
        service.stop("the end of the test")
    assert_books_balance(service.telemetry, exporter.id)
    assert [path.name for path in folder.iterdir()] == ["lock"]  # nothing else was written


def refused(enricher: Enricher, payload: bytes) -> tuple[grpc.StatusCode, str, float | None]:
    """Code, text and wait of a refusal over gRPC."""
    with pytest.raises(grpc.RpcError) as caught:
        enricher.grpc(payload)
    error = caught.value
    wait_s = None
    for item in error.trailing_metadata():
        if item.key == "grpc-status-details-bin":
            info = RetryInfo()
            for detail in Status.FromString(item.value).details:
                if detail.Unpack(info):
                    wait_s = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
    return error.code(), error.details() or "", wait_s


SPANS = request(*(span(chat(), number=n) for n in range(1, 4)))


def test_success_reaches_the_sender_and_the_spans_are_priced(tmp_path: Path) -> None:
    with (
        grpc_destination() as destination,
        enricher(tmp_path, grpc_exporter(destination.port)) as e,
    ):
        assert e.grpc(SPANS) == b""
        answer = e.http(SPANS)
        as_json = e.http(b'{"resourceSpans": []}', kind="application/json")

        assert (answer.status_code, answer.content) == (200, b"")
        assert as_json.json() == {}
        assert e.books("accepted") == e.books("delivered") == 6
        assert e.service.health.degraded() == []
    assert len(destination.received) == 2
    for sent in spans_of(destination.payloads[0]):
        assert "genops.cost.total" in plain_attributes(sent)


@pytest.mark.parametrize("redaction", [None, RedactionConfig(drop=("gen_ai.response.id",))])
def test_partial_success_reaches_the_sender_with_count_and_message(
    tmp_path: Path, redaction: RedactionConfig | None
) -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 2
    response.partial_success.error_message = "too old"
    body = response.SerializeToString()
    with (
        grpc_destination(lambda _n, _r: GrpcAnswer(body=body)) as destination,
        enricher(tmp_path, grpc_exporter(destination.port), redaction) as e,
    ):
        over_grpc = ExportTraceServiceResponse.FromString(e.grpc(SPANS))
        over_http = ExportTraceServiceResponse.FromString(e.http(SPANS).content)
        as_json = e.http(_json_span(), kind="application/json")

        assert over_grpc == over_http == response
        assert as_json.headers["Content-Type"] == "application/json"
        # Of one span no more than one can be rejected.
        assert as_json.json() == {
            "partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}
        }
        assert (e.books("accepted"), e.books("delivered"), e.dropped()) == (7, 2, 5)


def test_a_warning_reaches_the_sender_for_every_signal(tmp_path: Path) -> None:
    response = ExportLogsServiceResponse()
    response.partial_success.error_message = "use the new endpoint"
    answer = HttpAnswer(
        body=response.SerializeToString(), headers={"Content-Type": "application/x-protobuf"}
    )
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add()
    with (
        http_destination(lambda _n, _r: answer) as destination,
        enricher(tmp_path, http_exporter(destination.port)) as e,
    ):
        body = e.grpc(logs.SerializeToString(), Signal.LOGS)

        assert ExportLogsServiceResponse.FromString(body) == response


@pytest.mark.parametrize("wait_s", [None, 17])
def test_what_is_not_accepted_now_is_retryable_with_the_wait_of_the_destination(
    tmp_path: Path, wait_s: int | None
) -> None:
    answer = GrpcAnswer(grpc.StatusCode.UNAVAILABLE, details="overloaded", retry_after_s=wait_s)
    with (
        grpc_destination(lambda _n, _r: answer) as destination,
        enricher(tmp_path, grpc_exporter(destination.port)) as e,
    ):
        code, text, wait = refused(e, SPANS)
        over_http = e.http(SPANS)

        assert (code, wait) == (grpc.StatusCode.UNAVAILABLE, wait_s or 1)
        assert text == "otlp_grpc/a: UNAVAILABLE: overloaded"
        assert over_http.status_code == 503
        assert over_http.headers["Retry-After"] == str(wait_s or 1)
        assert e.books("accepted") == 0


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_http_statuses_that_may_pass_are_retryable(tmp_path: Path, status: int) -> None:
    answer = HttpAnswer(status, headers={"Retry-After": "23"})
    with (
        http_destination(lambda _n, _r: answer) as destination,
        enricher(tmp_path, http_exporter(destination.port)) as e,
    ):
        code, _, wait = refused(e, SPANS)

        assert (code, wait) == (grpc.StatusCode.UNAVAILABLE, 23)
    assert len(destination.received) == 1  # to try again is the sender's business


@pytest.mark.parametrize(("asked", "wait_s"), [("9" * 400, 3600), ("0", 0)])
def test_a_wait_that_no_protocol_can_say_is_bounded(
    tmp_path: Path, asked: str, wait_s: float
) -> None:
    answer = HttpAnswer(503, headers={"Retry-After": asked})
    with (
        http_destination(lambda _n, _r: answer) as destination,
        enricher(tmp_path, http_exporter(destination.port)) as e,
    ):
        assert refused(e, SPANS)[::2] == (grpc.StatusCode.UNAVAILABLE, wait_s)
        assert e.http(SPANS).status_code == 503


def test_what_the_destination_refuses_for_good_is_refused_for_good(tmp_path: Path) -> None:
    answer = HttpAnswer(
        400,
        Status(code=3, message="span 2 has no name").SerializeToString(),
        {"Content-Type": PROTOBUF},
    )
    with (
        http_destination(lambda _n, _r: answer) as destination,
        enricher(tmp_path, http_exporter(destination.port)) as e,
    ):
        code, text, wait = refused(e, SPANS)
        over_http = e.http(SPANS)

        assert (code, wait) == (grpc.StatusCode.INVALID_ARGUMENT, None)
        assert "span 2 has no name" in text
        assert over_http.status_code == 400
        assert "span 2 has no name" in Status.FromString(over_http.content).message
        assert e.books("accepted") == 0


def test_what_is_too_large_for_the_destination_is_so_for_the_sender(tmp_path: Path) -> None:
    with (
        http_destination(lambda _n, _r: HttpAnswer(413)) as destination,
        enricher(tmp_path, http_exporter(destination.port)) as e,
    ):
        code, _, wait = refused(e, SPANS)
        over_http = e.http(SPANS)

        assert (code, wait) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)
        assert over_http.status_code == 413
        assert "Retry-After" not in over_http.headers


@pytest.mark.parametrize("status", [401, 403, 404])
def test_when_the_destination_refuses_us_the_sender_keeps_its_data(
    tmp_path: Path, status: int
) -> None:
    statuses = iter([status, status, 200])
    with (
        http_destination(lambda _n, _r: HttpAnswer(next(statuses))) as destination,
        enricher(tmp_path, http_exporter(destination.port)) as e,
    ):
        code, text, wait = refused(e, SPANS)
        over_http = e.http(SPANS)

        assert (code, wait) == (grpc.StatusCode.UNAVAILABLE, RetryConfig().max_interval_s)
        assert text.startswith(f"otlp_http/b refuses the enricher: HTTP {status}")
        assert over_http.status_code == 503
        (reason,) = e.service.health.degraded()
        assert reason.startswith(f"otlp_http/b (traces): held: HTTP {status}")

        assert e.http(SPANS).status_code == 200
        assert e.service.health.degraded() == []


def test_a_destination_that_is_not_there_is_retryable(tmp_path: Path) -> None:
    with enricher(tmp_path, http_exporter(free_port())) as e:
        code, _, _ = refused(e, SPANS)

        assert code is grpc.StatusCode.UNAVAILABLE


def test_an_attempt_takes_no_longer_than_the_timeout_of_the_exporter(tmp_path: Path) -> None:
    release = threading.Event()

    def hang(_number: int, _request: object) -> GrpcAnswer:
        release.wait(TIMEOUT_S)
        return GrpcAnswer()

    with (
        grpc_destination(hang) as destination,
        enricher(tmp_path, grpc_exporter(destination.port, timeout_s=0.3)) as e,
    ):
        code, text, _ = refused(e, SPANS)
        release.set()

        assert code is grpc.StatusCode.UNAVAILABLE
        assert "DEADLINE_EXCEEDED" in text


def test_a_call_is_seen_once_the_destination_has_it_and_not_before(tmp_path: Path) -> None:
    """A refused request comes again, and must not be a duplicate of itself or of its like."""
    codes = iter([503, 200, 200])
    response = {"gen_ai.response.id": "chatcmpl-9fYqTz1LkWv0aBcD"}
    first = request(span(chat() | response, number=1))
    other = request(span(chat() | response, number=2))
    with (
        http_destination(lambda _n, _r: HttpAnswer(next(codes))) as destination,
        enricher(tmp_path, http_exporter(destination.port)) as e,
    ):
        assert [e.http(payload).status_code for payload in (first, other, first)] == [503, 200, 200]
        spans = e.service.telemetry.labelled("genops_spans_total")

    statuses = [
        plain_attributes(sent)["genops.cost.status"]
        for payload in destination.payloads
        for sent in spans_of(payload)
    ]
    assert statuses == ["priced", "priced", "unpriced"]
    assert sum(count for _, count in spans) == 2  # those of accepted requests


def _json_span() -> bytes:
    one = {"traceId": "01" * 16, "spanId": "02" * 8, "name": "s"}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}).encode()
