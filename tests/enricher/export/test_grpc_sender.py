from __future__ import annotations

import base64
import socket
import threading
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from destinations import GrpcAnswer, GrpcScript, Received, grpc_destination, grpc_exporter
from free_ports import free_port
from genops_enricher.config.endpoint import resolve
from genops_enricher.config.model import ClientTls, Endpoint, ExporterConfig, Protocol
from genops_enricher.errors import StartError
from genops_enricher.export.otlp_grpc import GrpcSender
from genops_enricher.export.outcome import Delivered, Hold, Outcome, Retry, TooLarge
from genops_enricher.pipeline import Signal

CERTIFICATES = Path(__file__).parents[2] / "certificates"


def send(config: ExporterConfig, payload: bytes = b"x", signal: Signal = Signal.TRACES) -> Outcome:
    sender = GrpcSender(config, signal, "genops-enricher/test")
    try:
        return sender.send(payload)
    finally:
        sender.close()


def answering(answer: GrpcAnswer) -> GrpcScript:
    return lambda _number, _request: answer


@pytest.mark.parametrize("compression", ["gzip", "none"])
@pytest.mark.parametrize("signal", Signal)
def test_the_payload_arrives_as_the_bytes_that_it_is(signal: Signal, compression: str) -> None:
    payload = bytes(range(256)) * 40  # no protobuf: nobody looks into it
    with grpc_destination() as destination:
        outcome = send(grpc_exporter(destination.port, compression=compression), payload, signal)

    assert outcome == Delivered()
    (request,) = destination.received
    assert request.payload == payload
    assert signal.value[:-1] in request.path


def test_headers_go_out_in_lower_case_with_our_name() -> None:
    with grpc_destination() as destination:
        send(grpc_exporter(destination.port, headers={"X-Honeycomb-Team": "key"}))

    (request,) = destination.received
    assert request.headers["x-honeycomb-team"] == "key"
    assert request.headers["user-agent"].startswith("genops-enricher/test ")


@pytest.mark.parametrize(
    ("signal", "response"),
    [
        (Signal.TRACES, ExportTraceServiceResponse()),
        (Signal.METRICS, ExportMetricsServiceResponse()),
        (Signal.LOGS, ExportLogsServiceResponse()),
    ],
)
def test_a_partial_success_is_read(
    signal: Signal,
    response: ExportTraceServiceResponse | ExportMetricsServiceResponse | ExportLogsServiceResponse,
) -> None:
    response.partial_success.error_message = "too\nold"
    field = {"traces": "spans", "metrics": "data_points", "logs": "log_records"}[signal]
    setattr(response.partial_success, f"rejected_{field}", 3)
    answer = GrpcAnswer(body=response.SerializeToString())
    with grpc_destination(answering(answer)) as destination:
        outcome = send(grpc_exporter(destination.port), signal=signal)

    assert outcome == Delivered(3, "too old")


def test_an_unreadable_response_does_not_undo_acceptance() -> None:
    with grpc_destination(answering(GrpcAnswer(body=b"\xff\xff"))) as destination:
        outcome = send(grpc_exporter(destination.port))

    assert outcome == Delivered(0, "the response is no OTLP response")


def test_a_response_over_the_limit_is_not_retried() -> None:
    with grpc_destination(answering(GrpcAnswer(body=b"\0" * ((4 << 20) + 1)))) as destination:
        outcome = send(grpc_exporter(destination.port))

    assert outcome == Delivered(0, "the response is too long; it was not read")


def test_a_request_over_the_limit_of_the_server_is_too_large() -> None:
    with grpc_destination() as destination:  # grpc-core takes 4 MiB if nothing else is said
        outcome = send(grpc_exporter(destination.port), b"\0" * ((4 << 20) + 1))

    assert isinstance(outcome, TooLarge)


def test_retry_info_is_read_from_the_status_details() -> None:
    for code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        answer = GrpcAnswer(code, details="slow down", retry_after_s=7)
        with grpc_destination(answering(answer)) as destination:
            outcome = send(grpc_exporter(destination.port))

        assert outcome == Retry(f"{code.name}: slow down", after_s=7)


def test_an_answer_that_repeats_the_key_does_not_show_it() -> None:
    answer = GrpcAnswer(grpc.StatusCode.UNAUTHENTICATED, details="unknown key hunter2")
    with grpc_destination(answering(answer)) as destination:
        outcome = send(grpc_exporter(destination.port, headers={"api-key": "hunter2"}))

    assert outcome == Hold("UNAUTHENTICATED: unknown key ***")


def test_a_key_behind_the_name_of_its_scheme_is_not_shown_either() -> None:
    answer = GrpcAnswer(grpc.StatusCode.UNAUTHENTICATED, details="no such token: hunter2 in 1")
    headers = {"authorization": "Bearer hunter2", "x-flag": "1"}
    with grpc_destination(answering(answer)) as destination:
        outcome = send(grpc_exporter(destination.port, headers=headers))

    assert outcome == Hold("UNAUTHENTICATED: no such token: *** in 1")


def test_a_password_that_is_sent_in_base64_is_not_shown_in_plain_text_either() -> None:
    answer = GrpcAnswer(grpc.StatusCode.UNAUTHENTICATED, details="12345: wrong token hunter2")
    basic = base64.b64encode(b"12345:hunter2").decode()
    with grpc_destination(answering(answer)) as destination:
        outcome = send(grpc_exporter(destination.port, headers={"authorization": f"Basic {basic}"}))

    assert outcome == Hold("UNAUTHENTICATED: 12345: wrong token ***")


@pytest.mark.parametrize("key", ["hun\nter2", "hünter2"])
def test_headers_that_can_not_be_sent_hold_and_are_not_shown(key: str) -> None:
    """gRPC calls that INTERNAL, which a destination answers too when it breaks."""
    outcome = send(grpc_exporter(1, headers={"api-key": key}))

    assert isinstance(outcome, Hold)
    assert key not in outcome.reason


@pytest.mark.parametrize("password", ["hunter2#more", "hunter2/more", "hunter2?more"])
def test_a_proxy_whose_password_is_not_escaped_does_not_show_it(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC takes what stands before the sign for host and port, and quotes them."""
    monkeypatch.setenv("http_proxy", f"http://user:{password}@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    endpoint = resolve("http://192.0.2.1:4317", protocol=Protocol.GRPC)

    outcome = send(grpc_exporter(0, endpoint=endpoint))

    assert isinstance(outcome, Retry)
    assert "hunter2" not in outcome.reason


def test_a_destination_may_have_an_ipv6_address() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    with grpc_destination(host="[::1]") as destination:
        endpoint = resolve(f"http://[::1]:{destination.port}", protocol=Protocol.GRPC)
        assert send(grpc_exporter(0, endpoint=endpoint)) == Delivered()


def test_nobody_listening_and_no_answer_in_time_are_retried() -> None:
    assert isinstance(send(grpc_exporter(free_port())), Retry)

    done = threading.Event()

    def hang(_number: int, _request: Received) -> GrpcAnswer:
        done.wait(60)
        return GrpcAnswer()

    with grpc_destination(hang) as destination:
        outcome = send(grpc_exporter(destination.port, timeout_s=0.05))
        done.set()
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("DEADLINE_EXCEEDED")


class TestTls:
    def secure(self, port: int, **tls: object) -> ExporterConfig:
        endpoint = Endpoint(Protocol.GRPC, f"127.0.0.1:{port}", secure=True)
        return grpc_exporter(port, endpoint=endpoint, tls=ClientTls(**tls))  # type: ignore[arg-type]

    def credentials(self, *, mutual: bool = False) -> grpc.ServerCredentials:
        pair = (
            (CERTIFICATES / "server.key").read_bytes(),
            (CERTIFICATES / "server.pem").read_bytes(),
        )
        authority = (CERTIFICATES / "ca.pem").read_bytes() if mutual else None
        return grpc.ssl_server_credentials([pair], authority, mutual)

    def test_a_trusted_server_gets_the_data_and_another_does_not(self) -> None:
        with grpc_destination(credentials=self.credentials()) as destination:
            trusting = self.secure(destination.port, ca_file=CERTIFICATES / "ca.pem")
            assert send(trusting) == Delivered()
            assert isinstance(send(self.secure(destination.port)), Hold)
        assert len(destination.received) == 1

    def test_a_wrong_name_and_a_server_without_tls_are_held_until_someone_corrects_it(self) -> None:
        authority = CERTIFICATES / "ca.pem"
        with grpc_destination(credentials=self.credentials()) as destination:
            config = self.secure(
                destination.port, ca_file=authority, server_name_override="other.test"
            )
            assert isinstance(send(config), Hold)
        with grpc_destination() as plain:
            assert isinstance(send(self.secure(plain.port, ca_file=authority)), Hold)

    def test_a_client_certificate_is_presented(self) -> None:
        with grpc_destination(credentials=self.credentials(mutual=True)) as destination:
            config = self.secure(
                destination.port,
                ca_file=CERTIFICATES / "ca.pem",
                cert_file=CERTIFICATES / "client.pem",
                key_file=CERTIFICATES / "client.key",
                server_name_override="otlp.test",
            )
            assert send(config) == Delivered()

    def test_a_missing_file_is_a_start_error_that_names_key_and_file(self) -> None:
        with pytest.raises(
            StartError, match=r"exporters\.otlp_grpc/a\.tls: ca_file: can't read /nowhere: No such"
        ):
            send(self.secure(1, ca_file=Path("/nowhere")))

    def test_skipping_verification_is_refused_with_a_way_out(self) -> None:
        with pytest.raises(StartError, match="use otlp_http"):
            send(self.secure(1, insecure_skip_verify=True))
