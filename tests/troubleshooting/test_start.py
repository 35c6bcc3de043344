"""What keeps the enricher from starting."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from enricher_process import running
from pages import ROOT, Reader, Section
from troubleshooting.conftest import addresses, change, check, configured, reader_of, send

CERTIFICATES = ROOT / "tests" / "certificates"
CONFIG, ELSE = 2, 1  # exit codes


def test_start_here(symptom: Section, tmp_path: Path) -> None:
    """All is well: what to compare with."""
    pytest.importorskip("openai")
    from genops_enricher.demo.fake_openrouter import FakeOpenRouter

    config = configured(tmp_path)
    with FakeOpenRouter() as router, running(config) as enricher:
        reader = reader_of(
            config,
            GENOPS_OPENROUTER_BASE_URL=router.base_url,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{enricher.grpc}",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        )
        send(enricher)
        client, service = (reader.run(block) for block in symptom.blocks("bash"))

    assert (client.code, service.code) == (0, 0), client.output + service.output
    assert "The setup is valid." in client.output
    assert "enricher.yaml: valid; catalog " in service.output
    assert '"degraded": []' in service.output
    assert 'genops_received_items_total{signal="traces"} 1' in service.output
    for name in set(symptom.text.split("`")) & {
        "genops_spans_total",
        "genops_exporter_queued_items",
    }:
        assert name in service.output


def validated(symptom: Section, folder: Path, text: str, **environment: str) -> str:
    (folder / "enricher.yaml").write_text(text, encoding="utf-8")
    ran = Reader(folder, **environment).run_all(symptom)
    check(symptom, ran.output)
    return f"{ran.code}"


def test_a_mistake_in_the_configuration(symptom: Section, tmp_path: Path) -> None:
    text = "exporters: {otlp_http: {endpoint: 'http://backend:4318'}}\nexporter: {}\n"

    assert validated(symptom, tmp_path, text) == f"{CONFIG}"


def test_a_variable_is_not_set(symptom: Section, tmp_path: Path) -> None:
    text = """
exporters:
  otlp_http:
    endpoint: https://api.honeycomb.io
    headers: {x-honeycomb-team: "${env:HONEYCOMB_API_KEY}"}
"""

    assert validated(symptom, tmp_path, text) == f"{CONFIG}"
    assert Reader(tmp_path, HONEYCOMB_API_KEY="x").run_all(symptom).code == 0


def test_no_destination_is_named(symptom: Section, tmp_path: Path) -> None:
    ran = Reader(tmp_path).run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == CONFIG


@contextmanager
def taken(address: str) -> Iterator[None]:
    host, _, port = address.rpartition(":")
    with socket.socket() as other:
        other.bind((host, int(port)))
        other.listen()
        yield


def test_a_port_is_taken(symptom: Section, tmp_path: Path) -> None:
    config = configured(tmp_path)
    shown = addresses(config)
    said = ""
    for address in list(shown.values())[:3]:
        with taken(address):
            ran = reader_of(config).run_all(symptom)
        assert ran.code == ELSE
        said += ran.output

    for on_the_page, here in shown.items():
        said = said.replace(here, on_the_page)
    check(symptom, said)


def test_the_data_folder_is_in_use(symptom: Section, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with running(configured(first)) as holder:
        config = change(configured(second), service={"data_dir": str(holder.data)})
        ran = reader_of(config).run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == ELSE
    assert f"by process {holder.pid}" in ran.output


def test_the_data_folder_can_t_be_written(symptom: Section, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = change(configured(tmp_path), service={"data_dir": str(tmp_path / "file" / "data")})

    ran = reader_of(config).run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == ELSE


def test_a_certificate_or_key_can_t_be_used(symptom: Section, tmp_path: Path) -> None:
    tls = {
        "cert_file": str(CERTIFICATES / "server.pem"),
        "key_file": str(CERTIFICATES / "client.key"),
    }
    config = change(configured(tmp_path), receivers={"otlp": {"protocols": {"grpc": {"tls": tls}}}})

    ran = reader_of(config).run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == CONFIG


def test_spans_would_go_in_a_circle(symptom: Section, tmp_path: Path) -> None:
    text = "exporters: {otlp: {endpoint: 'http://localhost:4317'}}\n"

    assert validated(symptom, tmp_path, text) == f"{CONFIG}"


def test_a_vendor_takes_no_grpc(symptom: Section, tmp_path: Path) -> None:
    text = (
        "exporters: {otlp_grpc: {endpoint: 'otlp.datadoghq.com:443', headers: {dd-api-key: x}}}\n"
    )

    assert validated(symptom, tmp_path, text) == f"{CONFIG}"


def test_a_vendor_s_host_or_header_is_wrong(symptom: Section, tmp_path: Path) -> None:
    text = """
exporters:
  otlp_http/datadog: {endpoint: "https://api.datadoghq.com", headers: {dd-api-key: x}}
  otlp_http/honeycomb: {endpoint: "https://api.honeycomb.io"}
"""

    assert validated(symptom, tmp_path, text) == "0"


def test_the_queue_was_written_by_a_later_version(symptom: Section, tmp_path: Path) -> None:
    config = configured(tmp_path)
    with running(config) as enricher:
        send(enricher)
    (segment,) = (enricher.data / "traces").glob("*.segment")
    content = bytearray(segment.read_bytes())
    content[7] = 99  # the last byte of the head is the format
    segment.write_bytes(content)

    ran = reader_of(config).run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == ELSE


def test_a_part_of_the_installation_is_missing(symptom: Section, tmp_path: Path) -> None:
    """As after `pip install genops-ai`, which brings no h11, no uvicorn and no YAML."""
    without = tmp_path / "yaml.py"
    without.write_text("raise ModuleNotFoundError(\"No module named 'yaml'\", name='yaml')\n")

    ran = Reader(tmp_path, PYTHONPATH=str(tmp_path)).run_all(symptom)

    check(symptom, ran.output)
    assert ran.code == ELSE
