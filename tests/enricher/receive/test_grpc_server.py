"""The OTLP/gRPC receiver, spoken to by real gRPC clients that send raw bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from genops_enricher.config.model import ReceiverConfig
from genops_enricher.errors import PermanentError, RetryableError, StartError
from genops_enricher.life.health import Health, grpc_health
from genops_enricher.pipeline import Intake, Signal
from genops_enricher.receive.grpc_server import GrpcReceiver
from genops_enricher.telemetry import Telemetry
from otlp import chat, request, span, spans_of

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
THREADS = 2 * ReceiverConfig().max_workers
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


class Recorder:
    """An intake that keeps what it is given, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.payloads: list[bytes] = []
        self.error = error

    def accept(self, payload: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.payloads.append(payload)


@contextmanager
def serving(
    intake: Intake,
    *,
    limit: int = 1 << 20,
    in_flight: int = 256 << 20,
    telemetry: Telemetry | None = None,
    arrival_max_s: float = 60.0,
) -> Iterator[str]:
    config = ReceiverConfig(
        grpc_endpoint="127.0.0.1:0", max_recv_msg_size_bytes=limit, max_in_flight_bytes=in_flight
    )
    receiver = GrpcReceiver(
        config,
        {Signal.TRACES: intake},
        telemetry or Telemetry(),
        lambda server: None,
        arrival_max_s=arrival_max_s,
    )
    receiver.start()
    try:
        yield f"127.0.0.1:{receiver.port}"
    finally:
        receiver.stop(0)


def export(
    target: str,
    payload: bytes,
    *,
    method: str = TRACES,
    compression: grpc.Compression | None = None,
) -> bytes:
    with grpc.insecure_channel(target) as channel:
        answer: bytes = channel.unary_unary(method, None, None)(
            payload, timeout=60, compression=compression
        )
        return answer


def refused(call: Callable[[], object]) -> grpc.Call:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert isinstance(caught.value, grpc.Call)
    return caught.value


def retry_delay_s(error: grpc.Call) -> float | None:
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    return None


def test_full_success_is_answered_with_an_empty_message() -> None:
    recorder = Recorder()
    data = request(span(chat()))
    with serving(recorder) as target:
        assert export(target, data) == b""

    assert recorder.payloads == [data]


@pytest.mark.parametrize(
    "compression", [grpc.Compression.Gzip, grpc.Compression.Deflate, grpc.Compression.NoCompression]
)
def test_compressed_requests_arrive_whole(compression: grpc.Compression) -> None:
    recorder = Recorder()
    data = request(*[span(chat(), number=n) for n in range(200)])
    with serving(recorder) as target:
        export(target, data, compression=compression)

    assert recorder.payloads == [data]


def test_what_can_never_be_accepted_is_invalid_argument_and_counted() -> None:
    telemetry = Telemetry()
    with serving(Recorder(PermanentError("cut short")), telemetry=telemetry) as target:
        error = refused(lambda: export(target, b"\x0a"))

    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "cut short")
    assert retry_delay_s(error) is None
    assert (
        telemetry.value("genops_refused_requests_total", signal="traces", code="INVALID_ARGUMENT")
        == 1
    )


def test_what_may_be_accepted_later_is_unavailable_with_the_time_to_wait() -> None:
    with serving(Recorder(RetryableError("queue is full", retry_after_s=2.5))) as target:
        error = refused(lambda: export(target, b""))

    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "queue is full")
    assert retry_delay_s(error) == 2.5


def test_a_defect_of_ours_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Recorder(ZeroDivisionError("oh"))) as target:
        refused(lambda: export(target, b"x"))
    with serving(Recorder(RetryableError("the queue is full"))) as target:
        refused(lambda: export(target, b"x"))
    defect, pressure = (record for record in caplog.records if "refused" in record.getMessage())

    assert defect.exc_info
    assert not pressure.exc_info


def test_what_the_sender_drops_because_of_the_answer_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(Recorder(PermanentError("this is no OTLP"))) as target:
        refused(lambda: export(target, b"x"))

    (logged,) = [record for record in caplog.records if "refused" in record.getMessage()]
    assert logged.getMessage() == "refused traces for good: this is no OTLP"


def test_a_health_watch_does_not_hold_up_the_stop() -> None:
    health = Health()
    receiver = GrpcReceiver(
        ReceiverConfig(grpc_endpoint="127.0.0.1:0"), {}, Telemetry(), grpc_health(health)
    )
    receiver.start()
    with grpc.insecure_channel(f"127.0.0.1:{receiver.port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        next(watch)
        stopping = threading.Thread(target=receiver.stop, args=(3600.0,), daemon=True)
        stopping.start()
        stopping.join(60)

        assert not stopping.is_alive()


def test_a_defect_of_ours_never_makes_the_sender_drop_its_data() -> None:
    with serving(Recorder(ZeroDivisionError("secret detail"))) as target:
        error = refused(lambda: export(target, b""))

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert retry_delay_s(error) is not None
    assert "secret detail" not in (error.details() or "")


def test_the_size_limit_holds_before_and_after_decompression() -> None:
    recorder = Recorder()
    bomb = bytes(1 << 20)  # compresses to about a thousandth
    with serving(recorder, limit=1 << 16) as target:
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            error = refused(lambda c=compression: export(target, bomb, compression=c))  # type: ignore[misc]

            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert retry_delay_s(error) is None

    assert recorder.payloads == []


class Gate:
    """An intake that holds what comes until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def accept(self, payload: bytes) -> None:
        self.reached.set()
        assert self.opened.wait(60)


def test_requests_above_the_bytes_in_flight_are_unavailable_until_others_are_done() -> None:
    gate = Gate()
    with serving(gate, in_flight=1000) as target:
        first = threading.Thread(target=export, args=(target, bytes(900)))
        first.start()
        assert gate.reached.wait(60)
        error = refused(lambda: export(target, bytes(900)))
        gate.opened.set()
        first.join(60)

        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert retry_delay_s(error) is not None
        assert export(target, bytes(900)) == b""


def busy_threads() -> int:
    """The threads of the receiver; it starts one only where none is idle."""
    return sum(thread.name.startswith("otlp-grpc_") for thread in threading.enumerate())


@contextmanager
def unfinished(target: str, number: int) -> Iterator[list[Any]]:
    """So many calls that have begun and of which no message comes."""
    end = threading.Event()

    def never() -> Iterator[bytes]:
        end.wait(60)
        yield from ()

    with grpc.insecure_channel(target) as channel:
        begin = channel.stream_unary(TRACES, None, None)
        try:
            calls = [begin.future(never()) for _ in range(number)]
            while busy_threads() < min(number, THREADS):
                time.sleep(0.01)
            yield calls
        finally:
            end.set()


def test_senders_that_never_finish_hold_up_no_other() -> None:
    recorder = Recorder()
    with serving(recorder, arrival_max_s=3600) as target, unfinished(target, 90):
        assert export(target, b"x") == b""

    assert recorder.payloads == [b"x"]


def test_a_message_that_does_not_come_in_time_is_cancelled() -> None:
    with serving(Recorder(), arrival_max_s=0.2) as target, unfinished(target, 3) as calls:
        codes = [call.code() for call in calls]  # each waits for the end of the call
        assert export(target, b"x") == b""

    assert codes == [grpc.StatusCode.CANCELLED] * 3


def test_a_call_without_a_message_is_unimplemented() -> None:
    with serving(Recorder()) as target, grpc.insecure_channel(target) as channel:
        error = refused(lambda: channel.stream_unary(TRACES, None, None)(iter(()), timeout=60))

    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_signal_without_a_pipeline_is_unimplemented() -> None:
    with serving(Recorder()) as target:
        error = refused(lambda: export(target, b"", method=LOGS))

    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_taken_port_is_an_error_that_names_it_and_the_key() -> None:
    with serving(Recorder()) as target:
        second = GrpcReceiver(
            ReceiverConfig(grpc_endpoint=target), {}, Telemetry(), lambda server: None
        )
        with pytest.raises(StartError, match=rf"protocols\.grpc\.endpoint.*{target}"):
            second.start()


def test_the_exporter_of_the_opentelemetry_sdk_is_understood() -> None:
    recorder = Recorder()
    with serving(recorder) as target:
        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=target, insecure=True)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        provider.get_tracer("test").start_span("chat openai/gpt-4o").end()
        provider.shutdown()

    assert [s.name for s in spans_of(recorder.payloads[0])] == ["chat openai/gpt-4o"]
