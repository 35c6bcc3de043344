"""Secrets planted in every place that can hold one show up in nothing that the process says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import yaml
from google.rpc.status_pb2 import Status

from destinations import (
    GrpcAnswer,
    HttpAnswer,
    Received,
    grpc_destination,
    http_destination,
)
from enricher_process import EnricherProcess, running
from free_ports import free_port
from otlp import chat, request, span

CERTIFICATES = Path(__file__).parents[1] / "certificates"
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

HEADER = "planted-header-4f1d"
HEADER_BEHIND_SCHEME = "planted-bearer-88ce"
HEADER_OF_ENVIRONMENT = "planted-environment-1b7a"
TOKEN = "planted-token-of-the-file-9d20"
TOKEN_OF_ENVIRONMENT = "planted-token-of-the-environment-77aa"
TOKEN_IN_FILE = "planted-token-in-a-file-c3c3"
HASH_KEY = "planted-key-of-hashes-6b6b"
GIVEN = "planted-token-of-a-stranger-0e0e"
IN_ENDPOINT = "planted-password-5a5a"
PLANTED = (
    HEADER, HEADER_BEHIND_SCHEME, HEADER_OF_ENVIRONMENT, TOKEN, TOKEN_OF_ENVIRONMENT,
    TOKEN_IN_FILE, HASH_KEY, GIVEN, IN_ENDPOINT,
)  # fmt: skip


def key_lines() -> tuple[str, ...]:
    """What the key files of the set-up hold, line by line."""
    text = "".join((CERTIFICATES / f"{name}.key").read_text() for name in ("server", "client"))
    return tuple(line for line in text.splitlines() if "PRIVATE KEY" not in line)


def shown_in(text: str) -> list[str]:
    return [secret for secret in (*PLANTED, *key_lines()) if secret in text]


def repeats_over_grpc(number: int, received: Received) -> GrpcAnswer:
    """A destination that tells everyone what it was sent."""
    code = grpc.StatusCode.UNAUTHENTICATED if number < 2 else grpc.StatusCode.INVALID_ARGUMENT
    return GrpcAnswer(code, details=f"refused: {dict(received.headers)}")


def repeats_over_http(number: int, received: Received) -> HttpAnswer:
    text = f"refused: {dict(received.headers)}"
    return HttpAnswer(
        401 if number < 2 else 400,
        Status(message=text).SerializeToString(),
        {"Content-Type": "application/x-protobuf"},
    )


@pytest.fixture
def make_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.setenv("HEADER_SECRET", HEADER_OF_ENVIRONMENT)
    monkeypatch.setenv("TOKEN_SECRET", TOKEN_OF_ENVIRONMENT)
    shutil.copytree(CERTIFICATES, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokens").write_text(f"# of a team\n{TOKEN_IN_FILE}\n")

    def make(grpc_port: int, http_port: int, encoding: str) -> Path:
        security = {
            "tls": {"cert_file": "server.pem", "key_file": "server.key"},
            "auth": {
                "bearer_tokens": [TOKEN, "${env:TOKEN_SECRET}"],
                "bearer_tokens_file": "tokens",
            },
        }
        quick = {"initial_interval": "50ms", "max_interval": "200ms"}
        config = {
            "receivers": {
                "otlp": {
                    "protocols": {
                        name: {"endpoint": f"127.0.0.1:{free_port()}", **security}
                        for name in ("grpc", "http")
                    }
                }
            },
            "exporters": {
                "otlp_grpc": {
                    "endpoint": f"127.0.0.1:{grpc_port}",
                    "headers": {
                        "x-key": HEADER,
                        "authorization": f"Bearer {HEADER_BEHIND_SCHEME}",
                    },
                    "tls": {"insecure": True},
                    "retry_on_failure": quick,
                },
                "otlp_http": {
                    "endpoint": f"http://127.0.0.1:{http_port}",
                    "headers": {"x-key": "${env:HEADER_SECRET}"},
                    "retry_on_failure": quick,
                },
                "otlp_http/mtls": {
                    "endpoint": "https://127.0.0.1:9",
                    "tls": {
                        "ca_file": "ca.pem",
                        "cert_file": "client.pem",
                        "key_file": "client.key",
                    },
                },
            },
            "enrichment": {"redaction": {"hash": ["user.id"], "hash_key": HASH_KEY}},
            "service": {
                "data_dir": str(tmp_path / "data"),
                "shutdown_timeout": "1s",
                "telemetry": {
                    "health": {"endpoint": f"127.0.0.1:{free_port()}"},
                    "logs": {"level": "debug", "encoding": encoding},
                },
            },
        }
        path = tmp_path / "enricher.yaml"
        path.write_text(json.dumps(config))
        return path

    return make


def command(config: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "genops_enricher", *arguments, "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def export(enricher: EnricherProcess, token: str) -> grpc.StatusCode:
    credentials = grpc.ssl_channel_credentials((CERTIFICATES / "ca.pem").read_bytes())
    with grpc.secure_channel(enricher.grpc, credentials) as channel:
        try:
            channel.unary_unary(TRACES, None, None)(
                request(span(chat())),
                timeout=60,
                metadata=(("authorization", f"Bearer {token}"),),
                wait_for_ready=True,
            )
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            return error.code()
    return grpc.StatusCode.OK


def eventually(condition: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.05)
    return False


def changes_of_files(enricher: EnricherProcess, folder: Path) -> None:
    """Rotations that fail: what can't be used must not be shown either."""
    (folder / "tokens").write_text(f"{TOKEN_IN_FILE} {TOKEN}\n")
    shutil.copyfile(folder / "client.key", folder / "server.key")
    failed = 'genops_file_reloads_total{key="receivers.otlp.protocols.grpc'

    def both_noticed() -> bool:
        assert export(enricher, TOKEN_IN_FILE) is grpc.StatusCode.OK
        lines = enricher.get("/metrics").splitlines()
        found = [line for line in lines if line.startswith(failed) and 'outcome="failed"' in line]
        return len([line for line in found if not line.endswith(" 0.0")]) == 2

    assert eventually(both_noticed)
    (folder / "tokens").write_text(f"{TOKEN_IN_FILE}\n")
    shutil.copyfile(CERTIFICATES / "server.key", folder / "server.key")


def everything_said(enricher: EnricherProcess, config: Path) -> Iterator[tuple[str, str]]:
    for page in ("/", "/live", "/status", "/metrics"):
        yield page, enricher.get(page)
    yield "print-config", command(config, "print-config")
    yield "validate", command(config, "validate")
    for arguments in (("list",), ("list", "--json"), ("show",), ("resend", "--all")):
        yield " ".join(arguments), command(config, "dead-letters", *arguments)


@pytest.mark.parametrize("encoding", ["console", "json"])
def test_no_output_of_the_process_shows_a_planted_secret(
    encoding: str, tmp_path: Path, make_config: Callable[..., Path]
) -> None:
    with (
        grpc_destination(repeats_over_grpc) as over_grpc,
        http_destination(repeats_over_http) as over_http,
    ):
        config = make_config(over_grpc.port, over_http.port, encoding)
        said: dict[str, str] = {}
        with running(config) as enricher:
            for token in (TOKEN, TOKEN_OF_ENVIRONMENT, TOKEN_IN_FILE):
                assert export(enricher, token) is grpc.StatusCode.OK
            assert export(enricher, GIVEN) is grpc.StatusCode.UNAUTHENTICATED
            changes_of_files(enricher, tmp_path)
            lettered = "genops_exporter_dead_lettered_items_total{"
            assert eventually(lambda: enricher.metric(lettered) >= 2)
            said |= dict(everything_said(enricher, config))
        said["log"] = enricher.log.read_text()
    # The set-up did what it is for: both destinations repeated the secrets, and it was logged.
    assert any(HEADER in str(r.headers) for r in over_grpc.received)
    assert any(HEADER_OF_ENVIRONMENT in str(r.headers) for r in over_http.received)
    assert "refused: {" in said["log"]
    assert "refused: {" in said["list"]
    if encoding == "json":
        assert all(json.loads(line) for line in said["log"].splitlines())

    assert {what: shown for what, text in said.items() if (shown := shown_in(text))} == {}
    written = "".join(
        file.read_bytes().decode("latin-1") for file in (tmp_path / "data").rglob("*.*")
    )
    assert shown_in(written) == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"exporters": {"otlp_http": {"endpoint": f"https://me:{IN_ENDPOINT}@127.0.0.1:9"}}},
        {"exporters": {"otlp_http": {"headers": {"x-key": f"{HEADER}\n"}}}},
        {"exporters": {"otlp_http": {"headers": f"x-key={HEADER}"}}},
        {"receivers": {"otlp": {"protocols": {"grpc": {"auth": {"bearer_tokens": TOKEN}}}}}},
        {
            "receivers": {
                "otlp": {
                    "protocols": {
                        "http": {"tls": {"cert_file": "server.key", "key_file": "client.key"}},
                        "grpc": {"auth": {"bearer_tokens_file": "server.key"}},
                    }
                }
            }
        },
    ],
)
def test_no_message_about_a_mistake_shows_a_planted_secret(
    mistake: dict[str, object], make_config: Callable[..., Path]
) -> None:
    config = make_config(9, 9, "console")
    good = yaml.safe_load(config.read_text())
    config.write_text(json.dumps(_merged(good, mistake)))

    for verb in ("validate", "run", "print-config"):
        text = command(config, verb)

        assert re.search(r"enricher\.yaml:\d+: (exporters|receivers)\.", text), text
        assert shown_in(text) == []


def _merged(one: object, other: object) -> object:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return {key: _merged(one.get(key), other[key]) for key in other} | {
        key: value for key, value in one.items() if key not in other
    }
