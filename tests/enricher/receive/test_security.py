"""Who may send: TLS, client certificates and bearer tokens, with the exporters of the real SDK."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import Parse
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from genops_enricher.config.model import HttpReceiverConfig, ReceiverConfig, ServerAuth, ServerTls
from genops_enricher.errors import StartError
from genops_enricher.life.health import Health, grpc_health
from genops_enricher.pipeline import Signal
from genops_enricher.receive.grpc_server import GrpcReceiver
from genops_enricher.receive.http_server import HttpReceiver
from genops_enricher.telemetry import Telemetry

CERTIFICATES = Path(__file__).parents[2] / "certificates"
CA, OTHER_CA = CERTIFICATES / "ca.pem", CERTIFICATES / "other-ca.pem"
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TOKEN, SECOND = "token-number-one-0123", "token-number-two-4567"
PROTOCOLS = ("grpc", "http")
RELOADS = "genops_file_reloads_total"
REFUSED = "genops_refused_requests_total"
WAIT_S = 60.0
# Senders try a failed handshake again until their time is over.
REFUSED_S = 2.0

Pair = tuple[Path, Path]
CLIENT = (CERTIFICATES / "client.pem", CERTIFICATES / "client.key")
OTHER = (CERTIFICATES / "other.pem", CERTIFICATES / "other.key")


@pytest.fixture(autouse=True)
def own_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """In requests, which the SDK sends by, these two win over the authority that it is given."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


class Recorder:
    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def accept(self, payload: bytes) -> None:
        self.payloads.append(payload)


class Served:
    """A receiver that runs, and what its senders got through."""

    def __init__(
        self, protocol: str, tls: ServerTls | None, auth: ServerAuth | None, limit: int
    ) -> None:
        self.protocol = protocol
        self.secure = tls is not None
        self.recorder = Recorder()
        self.telemetry = Telemetry()
        intakes = {Signal.TRACES: self.recorder}
        self.receiver: GrpcReceiver | HttpReceiver
        if protocol == "grpc":
            config = ReceiverConfig(
                "127.0.0.1:0", tls=tls, auth=auth, max_recv_msg_size_bytes=limit
            )
            health = Health()
            health.ready()
            self.receiver = GrpcReceiver(config, intakes, self.telemetry, grpc_health(health))
        else:
            self.receiver = HttpReceiver(
                HttpReceiverConfig("127.0.0.1:0", tls=tls, auth=auth, max_request_body_bytes=limit),
                intakes,
                self.telemetry,
            )

    def export(
        self,
        *,
        ca: Path | None = None,
        pair: Pair | None = None,
        authorization: str | None = None,
        timeout_s: float = WAIT_S,
    ) -> bool:
        """Whether a span of the SDK gets through."""
        before = len(self.recorder.payloads)
        exporter = self._exporter(ca, pair, authorization, timeout_s)
        try:
            done = exporter.export([_span()])
        finally:
            exporter.shutdown()
        arrived = len(self.recorder.payloads) > before
        assert arrived is (done is SpanExportResult.SUCCESS)
        return arrived

    def refuses(
        self,
        *,
        ca: Path | None = None,
        pair: Pair | None = None,
        authorization: str | None = None,
    ) -> bool:
        """Whether the connection of a sender of the SDK is refused."""
        return not self.export(ca=ca, pair=pair, authorization=authorization, timeout_s=REFUSED_S)

    def _exporter(
        self, ca: Path | None, pair: Pair | None, authorization: str | None, timeout_s: float
    ) -> SpanExporter:
        base = f"{'https' if self.secure else 'http'}://127.0.0.1:{self.receiver.port}"
        headers = {"authorization": authorization} if authorization else {}
        if self.protocol == "http":
            certificate, key = pair or (None, None)
            return HttpExporter(
                f"{base}/v1/traces",
                certificate_file=str(ca) if ca else None,
                client_certificate_file=str(certificate) if certificate else None,
                client_key_file=str(key) if key else None,
                headers=headers,
                timeout=timeout_s,
            )
        credentials = None
        if self.secure:
            certificate, key = pair or (None, None)
            credentials = grpc.ssl_channel_credentials(
                ca.read_bytes() if ca else None,
                key.read_bytes() if key else None,
                certificate.read_bytes() if certificate else None,
            )
        return GrpcExporter(
            base,
            insecure=not self.secure,
            credentials=credentials,
            headers=headers,
            timeout=timeout_s,
        )


@contextmanager
def serving(
    protocol: str,
    *,
    tls: ServerTls | None = None,
    auth: ServerAuth | None = None,
    limit: int = 1 << 20,
) -> Iterator[Served]:
    served = Served(protocol, tls, auth, limit)
    served.receiver.start()
    try:
        yield served
    finally:
        served.receiver.stop(0)


def _span() -> ReadableSpan:
    span = TracerProvider().get_tracer("test").start_span("chat")
    span.end()
    assert isinstance(span, ReadableSpan)
    return span


def eventually(condition: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.05)
    return False


def place(folder: Path, pair: Pair, *, as_name: str = "server") -> Pair:
    """Put a pair where the receiver looks for it, as a rotation does."""
    folder.mkdir(exist_ok=True)
    placed = (folder / f"{as_name}.pem", folder / f"{as_name}.key")
    for source, target in zip(pair, placed, strict=True):
        replace(target, source.read_bytes())
    return placed


def replace(file: Path, content: bytes) -> None:
    """All at once: half a file would be one more text that can't be used."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)


@pytest.fixture
def server(tmp_path: Path) -> Pair:
    return place(tmp_path, (CERTIFICATES / "server.pem", CERTIFICATES / "server.key"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
class TestTls:
    def test_a_sender_that_trusts_the_receiver_gets_through(
        self, protocol: str, server: Pair
    ) -> None:
        with serving(protocol, tls=ServerTls(*server)) as served:
            assert served.export(ca=CA)
            assert served.refuses(ca=OTHER_CA)

    def test_plain_text_does_not_get_through_and_disturbs_nobody(
        self, protocol: str, server: Pair
    ) -> None:
        with serving(protocol, tls=ServerTls(*server)) as served:
            served.secure = False
            assert served.refuses()
            served.secure = True
            assert served.export(ca=CA)

    def test_with_a_client_ca_only_its_certificates_get_through(
        self, protocol: str, server: Pair
    ) -> None:
        with serving(protocol, tls=ServerTls(*server, client_ca_file=CA)) as served:
            assert served.export(ca=CA, pair=CLIENT)
            assert served.refuses(ca=CA)
            assert served.refuses(ca=CA, pair=OTHER)

    def test_a_new_certificate_is_served_without_a_restart(
        self, protocol: str, server: Pair, tmp_path: Path
    ) -> None:
        with serving(protocol, tls=ServerTls(*server)) as served:
            assert served.export(ca=CA)
            place(tmp_path, OTHER)

            assert eventually(lambda: served.export(ca=OTHER_CA))
            assert served.refuses(ca=CA)
            key = f"receivers.otlp.protocols.{protocol}.tls"
            assert served.telemetry.value(RELOADS, key=key, outcome="applied") >= 1

    def test_a_new_client_ca_is_in_force_without_a_restart(
        self, protocol: str, server: Pair, tmp_path: Path
    ) -> None:
        authority = tmp_path / "clients.pem"
        shutil.copyfile(CA, authority)
        with serving(protocol, tls=ServerTls(*server, client_ca_file=authority)) as served:
            assert served.refuses(ca=CA, pair=OTHER)
            shutil.copyfile(OTHER_CA, authority)

            assert eventually(lambda: served.export(ca=CA, pair=OTHER))
            assert served.refuses(ca=CA, pair=CLIENT)

    def test_half_a_pair_keeps_the_old_one_and_is_said_once(
        self, protocol: str, server: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        key = f"receivers.otlp.protocols.{protocol}.tls"
        with serving(protocol, tls=ServerTls(*server)) as served:
            replace(server[0], OTHER[0].read_bytes())  # its key is still the old one

            def noticed() -> bool:
                assert served.export(ca=CA)
                return served.telemetry.value(RELOADS, key=key, outcome="failed") > 0

            assert eventually(noticed)
            replace(server[1], b"cut sho")
            before = served.telemetry.value(RELOADS, key=key, outcome="failed")
            assert eventually(
                lambda: (
                    served.export(ca=CA)
                    and served.telemetry.value(RELOADS, key=key, outcome="failed") > before
                )
            )
            replace(server[1], OTHER[1].read_bytes())
            assert eventually(lambda: served.export(ca=OTHER_CA))
        lines = [r.getMessage() for r in caplog.records if key in r.getMessage()]
        warnings = [r for r in caplog.records if r.levelno == logging.WARNING]

        assert 1 <= len([r for r in warnings if key in r.getMessage()]) <= 2  # one for each text
        assert any("stays in use" in line for line in lines)

    def test_files_that_can_not_be_used_are_an_error_at_the_start(
        self, protocol: str, server: Pair
    ) -> None:
        with (
            pytest.raises(StartError, match=rf"{protocol}\.tls: key_file is not the key"),
            serving(protocol, tls=ServerTls(server[0], CLIENT[1])),
        ):
            pass


@pytest.mark.parametrize("protocol", PROTOCOLS)
class TestTokens:
    auth = ServerAuth((TOKEN, SECOND))

    @pytest.mark.parametrize(
        "given", [f"Bearer {TOKEN}", f"bearer {SECOND}", f"BEARER {TOKEN}", f"Bearer  {TOKEN} "]
    )
    def test_each_valid_token_gets_through_in_any_case_of_the_scheme(
        self, protocol: str, given: str
    ) -> None:
        if given != given.strip() and protocol == "http":
            given = given.strip()  # requests refuses to send it
        with serving(protocol, auth=self.auth) as served:
            assert served.export(authorization=given)

    @pytest.mark.parametrize(
        "given",
        [
            None, TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x",
            f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN},{SECOND}", f"Bearer{TOKEN}",
        ],
    )  # fmt: skip
    def test_nothing_else_does(self, protocol: str, given: str | None) -> None:
        with serving(protocol, auth=self.auth) as served:
            assert not served.export(authorization=given)

            assert served.telemetry.value(REFUSED, signal="traces", code="UNAUTHENTICATED") == 1

    def test_tokens_of_a_file_are_rotated_without_a_restart(
        self, protocol: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "tokens"
        file.write_text(f"# of the first team\n{TOKEN}\n")
        fixed = "a-token-of-the-configuration"
        with serving(protocol, auth=ServerAuth((fixed,), file)) as served:
            assert served.export(authorization=f"Bearer {TOKEN}")
            assert not served.export(authorization=f"Bearer {SECOND}")
            file.write_text(f"{SECOND}\r\n")

            assert eventually(lambda: served.export(authorization=f"Bearer {SECOND}"))
            assert not served.export(authorization=f"Bearer {TOKEN}")
            assert served.export(authorization=f"Bearer {fixed}")

    def test_a_file_without_tokens_leaves_the_old_ones_valid(
        self, protocol: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = tmp_path / "tokens"
        file.write_text(TOKEN)
        key = f"receivers.otlp.protocols.{protocol}.auth.bearer_tokens_file"
        with serving(protocol, auth=ServerAuth((), file)) as served:
            file.write_text("")

            assert eventually(
                lambda: (
                    served.export(authorization=f"Bearer {TOKEN}")
                    and served.telemetry.value(RELOADS, key=key, outcome="failed") > 0
                )
            )
        assert TOKEN not in caplog.text
        assert f"{key}: holds no token" in caplog.text

    def test_tokens_and_client_certificates_are_asked_for_together(
        self, protocol: str, server: Pair
    ) -> None:
        tls = ServerTls(*server, client_ca_file=CA)
        with serving(protocol, tls=tls, auth=self.auth) as served:
            assert served.export(ca=CA, pair=CLIENT, authorization=f"Bearer {TOKEN}")
            assert served.refuses(ca=CA, pair=CLIENT)
            assert served.refuses(ca=CA, authorization=f"Bearer {TOKEN}")


def test_grpc_refuses_before_a_message_is_read_and_says_what_to_send() -> None:
    def messages() -> Iterator[bytes]:
        while True:
            time.sleep(0.1)
            yield b"x"

    with (
        serving("grpc", auth=ServerAuth((TOKEN,))) as served,
        grpc.insecure_channel(f"127.0.0.1:{served.receiver.port}") as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.stream_unary(TRACES, None, None)(messages(), timeout=60)

    error = caught.value
    assert isinstance(error, grpc.Call)
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "authorization: Bearer TOKEN" in (error.details() or "")
    assert served.recorder.payloads == []


def test_the_health_service_needs_no_token() -> None:
    with (
        serving("grpc", auth=ServerAuth((TOKEN,))) as served,
        grpc.insecure_channel(f"127.0.0.1:{served.receiver.port}") as channel,
    ):
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=60
        )

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_two_authorization_headers_are_none() -> None:
    metadata = (("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer other"))
    with (
        serving("grpc", auth=ServerAuth((TOKEN,))) as served,
        grpc.insecure_channel(f"127.0.0.1:{served.receiver.port}") as channel,
        pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"),
    ):
        channel.unary_unary(TRACES, None, None)(b"", timeout=60, metadata=metadata)


@pytest.mark.parametrize(
    ("kind", "read"),
    [("application/x-protobuf", Status.FromString), ("application/json", Status)],
)
def test_http_refuses_with_401_before_the_body_is_sent(
    kind: str, read: Callable[..., Status]
) -> None:
    with serving("http", auth=ServerAuth((TOKEN,))) as served:
        connection = HTTPConnection("127.0.0.1", served.receiver.port, timeout=60)
        connection.putrequest("POST", "/v1/traces")
        for name, value in {
            "Content-Type": kind,
            "Content-Length": "1000000",
            "Expect": "100-continue",
        }.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
    status = Parse(body, Status()) if read is Status else Status.FromString(body)

    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.headers["Content-Type"] == kind
    assert "authorization: Bearer TOKEN" in status.message


def test_http_reads_no_more_of_a_stranger_than_of_a_request() -> None:
    with serving("http", auth=ServerAuth((TOKEN,)), limit=1 << 16) as served:
        connection = HTTPConnection("127.0.0.1", served.receiver.port, timeout=60)
        sent = 0

        def pieces() -> Iterator[bytes]:
            nonlocal sent
            while True:  # for ever, unless it is cut off
                sent += 1 << 14
                yield bytes(1 << 14)

        with pytest.raises(ConnectionError):
            connection.request("POST", "/v1/traces", pieces(), encode_chunked=True)
        connection.close()

    assert served.telemetry.value(REFUSED, signal="traces", code="UNAUTHENTICATED") == 1


@pytest.mark.parametrize("oldest", ["1.2", "1.3"])
def test_http_takes_tls_from_the_oldest_version_on(server: Pair, oldest: str) -> None:
    context = ssl.create_default_context(cafile=CA)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving("http", tls=ServerTls(*server, min_version=oldest)) as served:
        assert served.export(ca=CA)
        with socket.create_connection(("127.0.0.1", served.receiver.port), timeout=60) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                    version = secure.version()
            except ssl.SSLError:
                version = None

    assert version == {"1.2": "TLSv1.2", "1.3": None}[oldest]
