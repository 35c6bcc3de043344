"""Parts that are replaced: what can't be made or started leaves what ran before running."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from destinations import Destination, grpc_destination
from free_ports import free_port
from genops_enricher.config.model import (
    ClientTls,
    Config,
    Endpoint,
    EnrichmentConfig,
    ExporterConfig,
    HttpReceiverConfig,
    Protocol,
    ReceiverConfig,
    ServerTls,
    ServiceConfig,
)
from genops_enricher.errors import StartError
from genops_enricher.life.changes import Part
from genops_enricher.life.service import Service
from genops_enricher.pipeline import Signal
from genops_enricher.receive.http_server import HttpReceiver
from genops_pricing import Catalog, load_catalog
from life import EXPORT, WAIT_S, numbers, wait_until
from otlp import chat, request, span

CERTIFICATES = Path(__file__).parents[2] / "certificates"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def destination() -> Iterator[Destination]:
    with grpc_destination() as destination:
        yield destination


@pytest.fixture
def config(tmp_path: Path, destination: Destination) -> Config:
    return Config(
        receiver=ReceiverConfig("127.0.0.1:0"),
        http_receiver=HttpReceiverConfig("127.0.0.1:0"),
        exporters={"otlp_grpc": exporter_to(destination.port)},
        pipelines={Signal.TRACES: ("otlp_grpc",)},
        enrichment=EnrichmentConfig(),
        service=ServiceConfig(tmp_path / "data", health_endpoint=f"127.0.0.1:{free_port()}"),
    )


def exporter_to(port: int, tls: ClientTls | None = None) -> ExporterConfig:
    endpoint = Endpoint(Protocol.GRPC, f"127.0.0.1:{port}", secure=tls is not None)
    return ExporterConfig("otlp_grpc", endpoint, tls=tls or ClientTls())


@contextmanager
def started(config: Config, catalog: Catalog) -> Iterator[Service]:
    service = Service(config, catalog)
    service.start()
    try:
        yield service
    finally:
        service.stop("the end of the test")


def apply(service: Service, config: Config, catalog: Catalog) -> Exception | frozenset[Part]:
    """What comes of it, which may be nothing for ever: then the test fails and goes on."""
    results: list[Exception | frozenset[Part]] = []

    def run() -> None:
        try:
            results.append(service.apply(config, catalog))
        except Exception as error:  # noqa: BLE001 - it is looked at below
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(WAIT_S / 2)
    assert results, "the service never came to an end with it"
    return results[0]


def send(service: Service, number: int, ca: Path | None = None) -> None:
    receiver = service._parts.receivers["OTLP/gRPC"]
    target = f"localhost:{receiver.port}"
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = (
        grpc.secure_channel(target, grpc.ssl_channel_credentials(ca.read_bytes()), options)
        if ca
        else grpc.insecure_channel(target, options)
    )
    with channel:
        export = channel.unary_unary(EXPORT, None, None)
        export(request(span(chat(), number=number)), timeout=WAIT_S)


def test_a_certificate_that_breaks_after_the_check_leaves_the_receivers_alone(
    tmp_path: Path, config: Config, catalog: Catalog, destination: Destination
) -> None:
    """Neither the new receivers nor those of before could be started with it."""
    cert, key = tmp_path / "server.pem", tmp_path / "server.key"
    shutil.copy(CERTIFICATES / "server.pem", cert)
    shutil.copy(CERTIFICATES / "server.key", key)
    secure = ReceiverConfig("127.0.0.1:0", tls=ServerTls(cert, key))
    with started(replace(config, receiver=secure), catalog) as service:
        port = service._parts.receivers["OTLP/gRPC"].port
        key.write_text("half a k")

        changed = replace(config, receiver=replace(secure, max_workers=3))
        failure = apply(service, changed, catalog)

        assert isinstance(failure, StartError)
        assert "receivers.otlp.protocols.grpc.tls" in str(failure)
        assert service._parts.receivers["OTLP/gRPC"].port == port
        send(service, 1, CERTIFICATES / "ca.pem")
        shutil.copy(CERTIFICATES / "server.key", key)
        assert apply(service, changed, catalog) == frozenset({Part.RECEIVERS})
        send(service, 2, CERTIFICATES / "ca.pem")
        wait_until(lambda: set(numbers(destination)) == {1, 2}, "not all arrived")


def test_a_certificate_of_an_exporter_that_breaks_after_the_check_leaves_the_pipelines_alone(
    tmp_path: Path, config: Config, catalog: Catalog
) -> None:
    ca = tmp_path / "ca.pem"
    shutil.copy(CERTIFICATES / "ca.pem", ca)
    tls = ClientTls(ca_file=ca)
    before = {"otlp_grpc": exporter_to(9, tls)}
    with started(replace(config, exporters=before), catalog) as service:
        stages = service._parts.stages
        ca.write_text("no certificate")

        after = {"otlp_grpc": replace(before["otlp_grpc"], timeout_s=3)}
        failure = apply(service, replace(config, exporters=after), catalog)

        assert isinstance(failure, StartError)
        assert "exporters.otlp_grpc.tls" in str(failure)
        assert service._parts.stages is stages
        send(service, 1)


def cannot_start_twice(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """As where the system gives no more threads, and after a while does again."""
    start, calls = HttpReceiver.start, 0

    def refuse(receiver: HttpReceiver) -> None:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise RuntimeError("can't start new thread")
        start(receiver)

    monkeypatch.setattr(HttpReceiver, "start", refuse)
    return lambda: calls


def test_after_a_failure_that_nobody_foresaw_what_ran_before_runs_again(
    config: Config, catalog: Catalog, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(config, catalog) as service:
        calls = cannot_start_twice(monkeypatch)
        assert config.http_receiver is not None
        more = replace(config.http_receiver, max_workers=3)
        failure = apply(service, replace(config, http_receiver=more), catalog)

        assert isinstance(failure, RuntimeError)
        assert calls() == 3  # the new one, and that of before two times
        send(service, 1)
        wait_until(lambda: numbers(destination) == [1], "it did not arrive")
        http = service._parts.receivers["OTLP/HTTP"]
        socket.create_connection(("127.0.0.1", http.port), WAIT_S).close()


def test_a_part_that_does_not_stop_in_order_keeps_no_other_from_it(
    config: Config, catalog: Catalog, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(config, catalog) as service:
        receivers = [*service._parts.receivers.values()]
        stop = HttpReceiver.stop

        def fail(receiver: HttpReceiver, grace_s: float) -> None:
            monkeypatch.setattr(HttpReceiver, "stop", stop)
            stop(receiver, grace_s)
            raise OSError("no more of that")

        monkeypatch.setattr(HttpReceiver, "stop", fail)
        health = replace(config.service, health_endpoint="127.0.0.1:0")
        receiver = replace(config.receiver or ReceiverConfig(""), max_workers=3)
        changed = replace(config, receiver=receiver, service=health)
        failure = apply(service, changed, catalog)

        assert isinstance(failure, OSError)
        for each in receivers:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", each.port), WAIT_S)
        send(service, 1)
        wait_until(lambda: numbers(destination) == [1], "it did not arrive")
