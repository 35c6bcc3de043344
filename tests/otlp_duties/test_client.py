"""The duties of a client of OTLP, statement by statement, for each signal: the exporters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from destinations import (
    GrpcAnswer,
    HttpAnswer,
    Received,
    grpc_destination,
    grpc_exporter,
    http_destination,
    http_exporter,
)
from genops_enricher.config.model import BatchConfig, ExporterConfig, QueueConfig, RetryConfig
from genops_enricher.export import Exporter, build_exporter, build_sender
from genops_enricher.export.outcome import Delivered
from genops_enricher.export.retry import Backoff
from genops_enricher.pipeline import Batch, Signal
from genops_enricher.queue import SignalQueue
from genops_enricher.telemetry import Telemetry
from queues import list_letters

RESPONSE_MAX = 4 << 20

pytestmark = pytest.mark.parametrize("signal", Signal)


def message(signal: Signal, text: str = "") -> bytes:
    """A request with one item that says `text`."""
    made: Message
    if signal is Signal.TRACES:
        made = ExportTraceServiceRequest()
        made.resource_spans.add().scope_spans.add().spans.add(name=text)
    elif signal is Signal.METRICS:
        made = ExportMetricsServiceRequest()
        metric = made.resource_metrics.add().scope_metrics.add().metrics.add(description=text)
        metric.gauge.data_points.add(as_int=1)
    else:
        made = ExportLogsServiceRequest()
        made.resource_logs.add().scope_logs.add().log_records.add(severity_text=text)
    return made.SerializeToString()


class Delivery:
    """Exporters of one signal behind one queue."""

    def __init__(self, folder: Path, signal: Signal, *configs: ExporterConfig) -> None:
        self.telemetry = Telemetry()
        self.folder = folder
        self._signal = signal
        self.queue = SignalQueue(
            folder / signal, signal, {c.id: c.queue for c in configs}, self.telemetry
        )
        self.queue.open()
        self.exporters: dict[str, Exporter] = {
            config.id: build_exporter(
                config, signal, self.queue.reader(config.id), folder, self.telemetry
            )
            for config in configs
        }

    def put(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.queue.consume(Batch(self._signal, payload, 1))

    def count(self, what: str, exporter: str) -> float:
        return self.telemetry.value(
            f"genops_exporter_{what}", exporter=exporter, signal=self._signal.value
        )


@contextmanager
def delivering(folder: Path, signal: Signal, *configs: ExporterConfig) -> Iterator[Delivery]:
    delivery = Delivery(folder, signal, *configs)
    with ExitStack() as stack:
        stack.callback(delivery.queue.close)
        for exporter in delivery.exporters.values():
            exporter.start()
            stack.callback(exporter.stop, 10)
        yield delivery


def done(delivery: Delivery) -> bool:
    return all(exporter.flush(60) for exporter in delivery.exporters.values())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_c1_a_request_over_the_limit_is_not_sent_and_recorded(
    tmp_path: Path, signal: Signal, compression: str
) -> None:
    """The limit is of the bytes before compression: these would compress to almost nothing."""
    with http_destination() as destination:
        config = http_exporter(
            destination.port, batch=BatchConfig(0, max_size_bytes=2000), compression=compression
        )
        with delivering(tmp_path, signal, config) as delivery:
            delivery.put(message(signal, "x" * 5000), message(signal, "small"))
            assert done(delivery)
            recorded = delivery.count("dead_lettered_items_total", config.id)

    assert destination.payloads == [message(signal, "small")]
    assert recorded == 1
    (letter,) = list_letters(tmp_path)
    assert letter.payload == message(signal, "x" * 5000)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_c2_the_wait_is_never_shorter_than_the_server_asks(
    tmp_path: Path, signal: Signal, protocol: str
) -> None:
    times: list[float] = []

    def over_grpc(number: int, _request: Received) -> GrpcAnswer:
        times.append(time.monotonic())
        if number:
            return GrpcAnswer()
        return GrpcAnswer(grpc.StatusCode.UNAVAILABLE, retry_after_s=1)

    def over_http(number: int, _request: Received) -> HttpAnswer:
        times.append(time.monotonic())
        return HttpAnswer(200) if number else HttpAnswer(503, headers={"Retry-After": "1"})

    with ExitStack() as stack:
        if protocol == "grpc":
            config = grpc_exporter(stack.enter_context(grpc_destination(over_grpc)).port)
        else:
            config = http_exporter(stack.enter_context(http_destination(over_http)).port)
        delivery = stack.enter_context(delivering(tmp_path, signal, config))
        delivery.put(message(signal))
        assert done(delivery)

    first, second = times
    assert second - first >= 1


def test_c2_waits_grow_exponentially_and_are_random(signal: Signal) -> None:
    """The same for every signal: one schedule serves all."""
    config = RetryConfig(initial_interval_s=5, max_interval_s=30)

    def waits(number: float) -> list[float]:
        backoff = Backoff(config, lambda: number)
        found = [backoff.next_delay_s(elapsed_s=0, server_delay_s=None) for _ in range(7)]
        return [wait for wait in found if wait is not None]

    assert waits(0.5) == [5, 7.5, 11.25, 16.875, 25.3125, 30, 30]
    assert waits(0)[0] == 2.5
    assert 7.4 < waits(0.999)[0] < 7.5


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_c3_what_can_not_be_retried_is_not_sent_again_and_counted(
    tmp_path: Path, signal: Signal, protocol: str
) -> None:
    with ExitStack() as stack:
        if protocol == "grpc":
            refusal = GrpcAnswer(grpc.StatusCode.INVALID_ARGUMENT)
            destination = stack.enter_context(grpc_destination(lambda _n, _r: refusal))
            config = grpc_exporter(destination.port)
        else:
            destination = stack.enter_context(http_destination(lambda _n, _r: HttpAnswer(400)))
            config = http_exporter(destination.port)
        delivery = stack.enter_context(delivering(tmp_path, signal, config))
        delivery.put(message(signal))
        assert done(delivery)
        recorded = delivery.count("dead_lettered_items_total", config.id)

    assert len(destination.received) == 1
    assert recorded == 1


def test_c3_what_is_left_at_shutdown_is_counted_and_kept(tmp_path: Path, signal: Signal) -> None:
    with http_destination(lambda _n, _r: HttpAnswer(503)) as destination:
        config = http_exporter(destination.port)
        with delivering(tmp_path, signal, config) as delivery:
            delivery.put(message(signal, "1"), message(signal, "2"))
            assert not delivery.exporters[config.id].flush(0.05)
        assert delivery.count("queued_items", config.id) == 2

    with http_destination() as destination:
        config = http_exporter(destination.port)
        with delivering(tmp_path, signal, config) as delivery:
            assert done(delivery)
    assert sorted(destination.payloads) == [message(signal, "1"), message(signal, "2")]


@pytest.mark.parametrize("consumers", [1, 3])
def test_c4_as_many_requests_as_configured_are_in_flight(
    tmp_path: Path, signal: Signal, consumers: int
) -> None:
    release = threading.Event()
    lock = threading.Lock()
    now = most = 0

    def slow(_number: int, _request: Received) -> HttpAnswer:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        release.wait(60)
        with lock:
            now -= 1
        return HttpAnswer()

    with http_destination(slow) as destination:
        config = http_exporter(destination.port, queue=QueueConfig(num_consumers=consumers))
        with delivering(tmp_path, signal, config) as delivery:
            delivery.put(*(message(signal, str(n)) for n in range(10)))
            wait_until(lambda: now == consumers)
            release.set()
            assert done(delivery)

    assert most == consumers
    assert len(destination.received) == 10


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_c5_a_response_over_the_limit_is_not_retried(
    tmp_path: Path, signal: Signal, protocol: str
) -> None:
    body = b"\0" * (RESPONSE_MAX + 1)
    with ExitStack() as stack:
        if protocol == "grpc":
            destination = stack.enter_context(
                grpc_destination(lambda _n, _r: GrpcAnswer(body=body))
            )
            config = grpc_exporter(destination.port)
        else:
            destination = stack.enter_context(
                http_destination(lambda _n, _r: HttpAnswer(200, body))
            )
            config = http_exporter(destination.port)
        delivery = stack.enter_context(delivering(tmp_path, signal, config))
        delivery.put(message(signal))
        assert done(delivery)

    assert len(destination.received) == 1


def test_c5_after_a_disconnect_the_same_request_is_sent_again(
    tmp_path: Path, signal: Signal
) -> None:
    with http_destination(lambda number, _r: HttpAnswer(200 if number else 0)) as destination:
        config = http_exporter(destination.port)
        with delivering(tmp_path, signal, config) as delivery:
            delivery.put(message(signal, "once"))
            assert done(delivery)

    assert destination.payloads == [message(signal, "once")] * 2


def test_c6_each_destination_is_retried_and_acknowledged_by_itself(
    tmp_path: Path, signal: Signal
) -> None:
    repaired = threading.Event()

    def away(_number: int, _request: Received) -> GrpcAnswer:
        return GrpcAnswer(grpc.StatusCode.OK if repaired.is_set() else grpc.StatusCode.UNAVAILABLE)

    payloads = [message(signal, str(n)) for n in range(5)]
    with grpc_destination(away) as one, http_destination() as other:
        configs = grpc_exporter(one.port), http_exporter(other.port)
        with delivering(tmp_path, signal, *configs) as delivery:
            delivery.put(*payloads)
            assert delivery.exporters["otlp_http/b"].flush(60)
            assert delivery.count("queued_items", "otlp_grpc/a") == 5
            repaired.set()
            assert done(delivery)

    assert sorted(other.payloads) == payloads  # each once: the failures of one are not the other's
    assert set(one.payloads) == set(payloads)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_c7_every_2xx_is_success(signal: Signal, status: int) -> None:
    with http_destination(lambda _n, _r: HttpAnswer(status)) as destination:
        sender = build_sender(http_exporter(destination.port), signal)
        assert sender.send(message(signal)) == Delivered()
        sender.close()


def test_c8_what_we_acknowledge_is_ours_until_the_next_hop_has_it(
    tmp_path: Path, signal: Signal
) -> None:
    """The protocol promises one hop. Ours: what `consume` took is sent until it is acknowledged,
    also by the next process; what the destination acknowledged is not sent again.
    """
    with http_destination(lambda number, _r: HttpAnswer(503 if number else 200)) as destination:
        config = http_exporter(destination.port, queue=QueueConfig(num_consumers=1))
        with delivering(tmp_path, signal, config) as delivery:
            delivery.put(message(signal, "first"))
            assert done(delivery)
            delivery.put(message(signal, "second"))
            wait_until(lambda: len(destination.received) > 1)

    with http_destination() as destination:
        config = http_exporter(destination.port)
        with delivering(tmp_path, signal, config) as delivery:
            assert done(delivery)
    assert destination.payloads == [message(signal, "second")]
