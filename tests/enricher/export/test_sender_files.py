"""Certificates of exporters that change while they send, and the oldest version of TLS."""

from __future__ import annotations

import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import grpc
import pytest

from destinations import (
    Destination,
    grpc_destination,
    grpc_exporter,
    http_destination,
    http_exporter,
)
from genops_enricher.config.model import ClientTls, Endpoint, ExporterConfig, Protocol
from genops_enricher.export import build_sender
from genops_enricher.export.otlp import Sender
from genops_enricher.export.outcome import Delivered, Hold
from genops_enricher.pipeline import Signal
from genops_enricher.telemetry import Telemetry

CERTIFICATES = Path(__file__).parents[2] / "certificates"
PROTOCOLS = ("grpc", "http")
RELOADS = "genops_file_reloads_total"
WAIT_S = 60.0


def serving(
    protocol: str, name: str, *, clients: str | None = None
) -> AbstractContextManager[Destination]:
    """A destination with the pair `name`, which wants certificates of the authority `clients`."""
    certificate, key = CERTIFICATES / f"{name}.pem", CERTIFICATES / f"{name}.key"
    authority = CERTIFICATES / f"{clients}.pem" if clients else None
    if protocol == "grpc":
        return grpc_destination(
            credentials=grpc.ssl_server_credentials(
                [(key.read_bytes(), certificate.read_bytes())],
                authority.read_bytes() if authority else None,
                authority is not None,
            )
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if authority:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return http_destination(tls=context)


def exporter(protocol: str, port: int, tls: ClientTls) -> ExporterConfig:
    if protocol == "grpc":
        endpoint = Endpoint(Protocol.GRPC, f"127.0.0.1:{port}", secure=True)
        return grpc_exporter(port, endpoint=endpoint, tls=tls)
    base = f"https://127.0.0.1:{port}"
    urls = {signal: f"{base}/v1/{signal}" for signal in Signal}
    endpoint = Endpoint(Protocol.HTTP, base, secure=True, urls=urls)
    return http_exporter(port, endpoint=endpoint, tls=tls)


@contextmanager
def sender_of(config: ExporterConfig, telemetry: Telemetry | None = None) -> Iterator[Sender]:
    sender = build_sender(config, Signal.TRACES, telemetry)
    try:
        yield sender
    finally:
        sender.close()


def eventually(condition: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_new_authority_is_trusted_without_a_restart(protocol: str, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    shutil.copyfile(CERTIFICATES / "ca.pem", authority)
    with (
        serving(protocol, "other") as destination,
        sender_of(exporter(protocol, destination.port, ClientTls(ca_file=authority))) as sender,
    ):
        assert isinstance(sender.send(b"x"), Hold)
        shutil.copyfile(CERTIFICATES / "other-ca.pem", authority)

        assert eventually(lambda: sender.send(b"x") == Delivered())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_new_client_certificate_is_shown_without_a_restart(protocol: str, tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"
    shutil.copyfile(CERTIFICATES / "client.pem", certificate)
    shutil.copyfile(CERTIFICATES / "client.key", key)
    tls = ClientTls(ca_file=CERTIFICATES / "ca.pem", cert_file=certificate, key_file=key)
    with (
        serving(protocol, "server", clients="other-ca") as destination,
        sender_of(exporter(protocol, destination.port, tls)) as sender,
    ):
        assert sender.send(b"x") != Delivered()
        shutil.copyfile(CERTIFICATES / "other.pem", certificate)
        shutil.copyfile(CERTIFICATES / "other.key", key)

        assert eventually(lambda: sender.send(b"x") == Delivered())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_files_that_can_not_be_used_leave_the_old_in_force(
    protocol: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = tmp_path / "ca.pem"
    shutil.copyfile(CERTIFICATES / "ca.pem", authority)
    telemetry = Telemetry()
    with serving(protocol, "server") as destination:
        config = exporter(protocol, destination.port, ClientTls(ca_file=authority))
        with sender_of(config, telemetry) as sender:
            key = f"exporters.{config.id}.tls"
            assert sender.send(b"x") == Delivered()
            authority.write_text("-----BEGIN CERT")

            def noticed() -> bool:
                assert sender.send(b"x") == Delivered()
                return telemetry.value(RELOADS, key=key, outcome="failed") == 1

            assert eventually(noticed)
    said = [r.getMessage() for r in caplog.records if key in r.getMessage()]

    assert said == [
        f"{key}: ca_file holds no certificate in PEM form; check the file. What was read before "
        "stays in use"
    ]


@pytest.mark.parametrize("oldest", ["1.2", "1.3"])
def test_http_speaks_tls_from_the_oldest_version_on(oldest: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    tls = ClientTls(ca_file=CERTIFICATES / "ca.pem", min_version=oldest)
    with (
        http_destination(tls=context) as destination,
        sender_of(exporter("http", destination.port, tls)) as sender,
    ):
        outcome = sender.send(b"x")

    assert isinstance(outcome, Delivered if oldest == "1.2" else Hold)
