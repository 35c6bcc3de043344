"""What senders are refused for."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import grpc
import pytest

from disks import mounted
from enricher_process import EnricherProcess, running
from otlp import chat, request, span
from pages import ROOT, Section
from troubleshooting.conftest import (
    HTTP,
    addresses,
    change,
    check,
    configured,
    degraded,
    reader_of,
    send,
)

CERTIFICATES = ROOT / "tests" / "certificates"
TOKEN = "0123456789abcdef0123456789abcdef"


def refusal(enricher: EnricherProcess, payload: bytes) -> grpc.RpcError:
    """What a sender is told who sends this until it is refused."""
    for _ in range(500):
        try:
            send(enricher, payload)
        except grpc.RpcError as error:
            return error
    raise AssertionError("nothing is refused")


def refused_and_shown(symptom: Section, config: Path, payload: bytes) -> EnricherProcess:
    """Send until it is refused; the messages are in the answer and what the commands show."""
    with running(config) as enricher:
        error = refusal(enricher, payload)
        degraded(enricher)
        ran = reader_of(config).run_all(symptom)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        check(symptom, f"{error.details()}\n{ran.output}")
        enricher.kill()
    return enricher


def test_the_queue_is_full(symptom: Section, tmp_path: Path) -> None:
    config = configured(tmp_path, sending_queue={"queue_size": "1MiB"})

    refused_and_shown(symptom, config, request(span(chat() | {"padding": "x" * 200_000})))


def test_the_disk_is_full(symptom: Section, tmp_path: Path) -> None:
    config = configured(tmp_path)
    with mounted(tmp_path / "data", "4m"):
        refused_and_shown(symptom, config, request(span(chat() | {"padding": "x" * 200_000})))


def test_the_memory_limit_is_reached(symptom: Section, tmp_path: Path) -> None:
    """An idle process takes more than the least limit that there is with a large overlay."""
    from life import overlay

    (tmp_path / "prices.yaml").write_text(overlay("1", models=20_000))
    config = change(
        configured(tmp_path),
        service={"memory_limit_mib": 64},
        enrichment={"overlays": ["prices.yaml"]},
    )

    refused_and_shown(symptom, config, request(span(chat())))


def test_a_sender_has_no_valid_token(symptom: Section, tmp_path: Path) -> None:
    protocols = {name: {"auth": {"bearer_tokens": [TOKEN]}} for name in ("grpc", "http")}
    config = change(configured(tmp_path), receivers={"otlp": {"protocols": protocols}})
    with running(config) as enricher:
        error = refusal(enricher, request(span(chat())))
        ran = reader_of(config).run_all(symptom)
        counted = enricher.get("/metrics")

    check(symptom, f"{error}\n{ran.output}")
    assert 'genops_refused_requests_total{code="UNAUTHENTICATED",signal="traces"} 2' in counted


JSON, PROTOBUF = "Content-Type: application/json", "Content-Type: application/x-protobuf"
# For each row of the table, in its order: what curl is told to send.
REFUSED: list[tuple[str, list[str]]] = [
    ("/v1/traces", ["-H", JSON, "-d", '{"resourceSpans": 1}']),
    ("/v1/traces", ["-H", PROTOBUF, "-H", "Content-Encoding: gzip", "-d", "not gzip"]),
    ("/v1/traces/", ["-H", JSON, "-d", "{}"]),
    ("/v1/traces", ["-G"]),
    ("/v1/traces", ["-H", PROTOBUF, "--data-binary", "@large"]),
    ("/v1/traces", ["-H", "Content-Type: text/plain", "-d", "spans"]),
    ("/v1/traces", ["-H", PROTOBUF, "-H", "Content-Encoding: zstd", "-d", "spans"]),
]


def test_a_request_over_http_is_refused(symptom: Section, tmp_path: Path) -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.+?) \| .*\|$", symptom.text, re.MULTILINE)
    config = change(
        configured(tmp_path),
        receivers={"otlp": {"protocols": {"http": {"max_request_body_size": "1MiB"}}}},
    )
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    with running(config):
        address = addresses(config)[HTTP]
        for (status, message), (path, options) in zip(rows, REFUSED, strict=True):
            done = subprocess.run(
                ["curl", "-s", "-i", *options, f"http://{address}{path}"],
                cwd=tmp_path,
                capture_output=True,
                timeout=60,
                check=True,
            )
            answer = done.stdout.decode(errors="replace")
            assert re.search(rf"^HTTP/1.1 {status} ", answer, re.MULTILINE), (answer, options)
            row = Section("", f"```text\n{message}\n```\n")
            assert row.unseen(answer) == [], (answer, options)
        ran = reader_of(config).run_all(symptom)

    assert ran.output.startswith("HTTP/1.1 200 ")


def test_a_request_does_not_arrive_in_time(symptom: Section, tmp_path: Path) -> None:
    protocols = {"http": {"read_timeout": "1s"}}
    config = change(configured(tmp_path), receivers={"otlp": {"protocols": protocols}})
    with running(config):
        host, _, port = addresses(config)[HTTP].partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as sender:
            sender.sendall(
                b"POST /v1/traces HTTP/1.1\r\nHost: here\r\n"
                b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
            )
            answer = b""
            while piece := sender.recv(1 << 16):
                answer += piece
        ran = reader_of(config).run_all(symptom)

    assert answer.startswith(b"HTTP/1.1 503 ")
    check(symptom, answer.decode() + ran.output)


@pytest.mark.parametrize("secure", [True, False], ids=["receiver", "sender"])
def test_one_side_speaks_tls_and_the_other_does_not(
    symptom: Section, tmp_path: Path, secure: bool
) -> None:
    config = configured(tmp_path)
    if secure:
        files = {"cert_file": "server.pem", "key_file": "server.key"}
        tls = {key: str(CERTIFICATES / name) for key, name in files.items()}
        change(config, receivers={"otlp": {"protocols": {"grpc": {"tls": tls}}}})
    reader = reader_of(config, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    with running(config):
        block = "\n".join(symptom.blocks("bash"))
        ran = reader.run(block if secure else block.replace("http://", "https://"))

    check(symptom, ran.output)
    assert ran.code == 1
