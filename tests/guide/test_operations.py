"""The commands of the page on operations, run as an operator would, and what it says of folders."""

from __future__ import annotations

import json
import re
import shutil
import ssl
from pathlib import Path

import grpc
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from destinations import HttpAnswer, http_destination
from enricher_process import running
from free_ports import free_port
from genops_enricher.decode.otlp_json import to_json
from life import EXPORT, wait_until
from otlp import chat, request, span, spans_of
from pages import ROOT, Reader, Section, blocks, section, sections
from troubleshooting.conftest import change, configured, reader_of, send

PAGE = ROOT / "docs" / "operations.md"
CERTIFICATES = ROOT / "tests" / "certificates"


def titled(title: str) -> Section:
    return section(PAGE, title)


def test_every_section_with_commands_has_a_test() -> None:
    """That of the sizing takes minutes: a test runs the smallest load of its program."""
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}

    assert {one.slug for one in sections(PAGE) if one.blocks("bash")} <= tests


def test_sizing(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import bench_service

    (command,) = titled("Sizing").blocks("bash")
    assert (ROOT / command.split()[-1]) == Path(bench_service.__file__)

    # So many that they take several ticks of the clock by which CPU time is counted.
    line = bench_service.measure(bench_service.Load("one", spans=2, requests=200))

    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[0] == "one"
    assert all(float(cell.replace(",", "")) > 0 for cell in cells[1:])
    header = [row for row in titled("Sizing").text.splitlines() if row.startswith("| load ")]
    assert len(header[0].split("|")) == len(line.split("|"))
    loads = re.findall(r"^\| (.+?) \| \d", titled("Sizing").text, re.MULTILINE)
    assert loads == [load.name for load in bench_service.LOADS]


def test_start_reload_stop(tmp_path: Path) -> None:
    config = configured(tmp_path)
    checks, hang_up = titled("Start, reload, stop").blocks("bash")
    with running(config) as enricher:
        reader = reader_of(config)
        checked = reader.run(checks)
        change(config, exporters={"otlp_http": {"headers": {"x-key": "new"}}})
        signalled = reader.run(hang_up)
        wait_until(
            lambda: enricher.metric('genops_config_reloads_total{outcome="applied"}') == 1,
            "nothing was reloaded",
        )
        pages = [enricher.get(page) for page in ("/live", "/ready", "/status")]

    assert (checked.code, signalled.code) == (0, 0), checked.output + signalled.output
    assert "enricher.yaml: valid; catalog " in checked.output
    assert "data_dir: " in checked.output
    assert ['"status"' in page for page in pages] == [True] * 3


def test_upgrade_and_downgrade(tmp_path: Path) -> None:
    """The number of what waits, with a destination that is away and then there."""
    check, waiting = titled("Upgrade and downgrade").blocks("bash")
    is_away = True

    def answer(_number: int, _request: object) -> HttpAnswer:
        return HttpAnswer(503 if is_away else 200)

    with http_destination(answer) as backend:
        config = configured(tmp_path, endpoint=f"http://127.0.0.1:{backend.port}")
        reader = reader_of(config)
        with running(config) as enricher:
            for number in range(1, 4):
                send(enricher, number=number)
            before = reader.run(waiting)
            is_away = False
            enricher.wait_until_empty()
            after = reader.run(waiting)
        checked = reader.run(check)

    assert (before.output, after.output) == ("3\n", "0\n")
    assert checked.code == 0
    assert re.match(r"\d+\.\d+", checked.output)


OLD, NEW = "0" * 32, "1" * 32


def is_let_in(address: str, token: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(EXPORT, None, None)
        try:
            call(
                request(span(chat())),
                timeout=60,
                metadata=(("authorization", f"Bearer {token}"),),
                wait_for_ready=True,
            )
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            return False
        return True


def test_rotation_of_keys_certificates_and_tokens(tmp_path: Path) -> None:
    add, remove, replace = titled("Rotation of keys, certificates and tokens").blocks("bash")
    (tmp_path / "tokens").write_text(f"{OLD}\n")
    for name in ("server.pem", "server.key"):
        shutil.copyfile(CERTIFICATES / name, tmp_path / name)
    for new, name in (("new.pem", "other.pem"), ("new.key", "other.key")):
        shutil.copyfile(CERTIFICATES / name, tmp_path / new)
    protocols = {
        "grpc": {"auth": {"bearer_tokens_file": "tokens"}},
        "http": {"tls": {"cert_file": "server.pem", "key_file": "server.key"}},
    }
    config = change(configured(tmp_path), receivers={"otlp": {"protocols": protocols}})
    content = yaml.safe_load(config.read_text())
    host, _, port = content["receivers"]["otlp"]["protocols"]["http"]["endpoint"].partition(":")

    def served() -> str:
        return ssl.get_server_certificate((host, int(port)))

    with running(config) as enricher:
        reader = reader_of(config, OLD_TOKEN=OLD, NEW_TOKEN=NEW)
        assert [is_let_in(enricher.grpc, token) for token in (OLD, NEW)] == [True, False]
        reader.run(add)
        wait_until(lambda: is_let_in(enricher.grpc, NEW), "the new token does not open")
        assert is_let_in(enricher.grpc, OLD)
        reader.run(remove)
        wait_until(lambda: not is_let_in(enricher.grpc, OLD), "the old token opens still")
        assert is_let_in(enricher.grpc, NEW)

        before = served()
        ran = reader.run(replace)
        wait_until(lambda: served() != before, "the old certificate is served still")
        assert "genops_file_reloads_total" in ran.output
        assert enricher.metric('genops_file_reloads_total{key="receivers.otlp.protocols.http.tls",'
                               'outcome="applied"}') == 1  # fmt: skip


def test_catalog_updates_and_overlays(tmp_path: Path) -> None:
    part = titled("Catalog updates and overlays")
    _, overlay = part.blocks("yaml")
    (tmp_path / "prices.yaml").write_text(overlay)
    config = change(configured(tmp_path), enrichment={"overlays": ["prices.yaml"]})
    sent = request(span(chat(), number=1))
    content = to_json(ExportTraceServiceRequest.FromString(sent))
    (tmp_path / "spans.json").write_text(json.dumps(content))

    ran = reader_of(config).run(f"set -e\n{part.blocks('bash')[0]}")

    assert ran.code == 0, ran.output
    assert "all sound" in ran.output
    cost = 1_000_000 * 2.00 / 1e6 + 100_000 * 8.00 / 1e6
    assert f"openai/gpt-4o: {cost:g} USD" in ran.output or f"{cost:.2f} USD" in ran.output
    assert ".overlay." in ran.output


def test_several_of_one_file_run_side_by_side(tmp_path: Path) -> None:
    (text,) = titled("Several enrichers").blocks("yaml")
    ports = [str(free_port()) for _ in range(4)]
    with http_destination() as backend:
        text = text.replace("https://api.honeycomb.io", f"http://127.0.0.1:{backend.port}")
        text = text.replace("/var/lib/genops-enricher", str(tmp_path / "data"))
        (tmp_path / "enricher.yaml").write_text(text)
        settings = [
            {"GRPC_PORT": ports[0], "HEALTH_PORT": ports[1]},
            {"GRPC_PORT": ports[2], "HEALTH_PORT": ports[3]},
        ]
        readers = [Reader(tmp_path, HONEYCOMB_API_KEY="x", **one) for one in settings]
        run = "genops-enricher run --config enricher.yaml"
        with readers[0].terminal(run) as first, readers[1].terminal(run) as second:
            first.wait_for("ready: ")
            second.wait_for("ready: ")
            for number, one in enumerate(settings, 1):
                with grpc.insecure_channel(f"127.0.0.1:{one['GRPC_PORT']}") as channel:
                    channel.unary_unary(EXPORT, None, None)(
                        request(span(chat(), number=number)), timeout=60
                    )
            wait_until(lambda: len(backend.received) == 2, "not both have delivered")

    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(ports[::2])


def test_what_is_in_the_data_folder(tmp_path: Path) -> None:
    part = titled("What is in the data folder")
    paths = re.findall(r"^\| `(.+?)`", part.text, re.MULTILINE)
    config = configured(tmp_path)
    with http_destination(lambda _number, _request: HttpAnswer(400)) as backend:
        change(config, exporters={"otlp_http": {"endpoint": f"http://127.0.0.1:{backend.port}"}})
        with running(config) as enricher:
            send(enricher)
            wait_until(
                lambda: enricher.metric("genops_exporter_dead_lettered_items_total{") == 1,
                "there is no dead letter",
            )
            found = sorted(
                str(path.relative_to(enricher.data))
                for path in enricher.data.rglob("*")
                if path.is_file()
            )
            assert (enricher.data / "lock").read_text() == f"{enricher.pid}\n"
            modes = {path.stat().st_mode & 0o077 for path in enricher.data.rglob("*")}

    # A row for each kind of file, and a file for each row but that of damage.
    for signal in ("metrics", "logs"):
        found = [path.replace(signal, "traces", 1) for path in found]
    patterns = [one.replace("SIGNAL/EXPORTER", "traces/otlp_http") for one in paths]
    rows = {pattern for path in found for pattern in patterns if Path(path).match(pattern)}
    assert all(any(Path(path).match(pattern) for pattern in patterns) for path in found), found
    assert rows == {*patterns} - {"traces/corrupt/"}
    assert modes == {0}


def test_exporters_share_one_copy_on_disk(tmp_path: Path) -> None:
    """Two that are away, of 2 MiB and 4 MiB: the folder takes the larger bound at most."""
    config = configured(tmp_path, sending_queue={"queue_size": "2MiB", "on_full": "drop_oldest"})
    other = {
        "endpoint": f"http://127.0.0.1:{free_port()}",
        "sending_queue": {"queue_size": "4MiB", "on_full": "refuse"},
    }
    both = {"exporters": ["otlp_http", "otlp_http/b"]}
    change(config, exporters={"otlp_http/b": other}, service={"pipelines": {"traces": both}})
    with running(config) as enricher:
        with pytest.raises(grpc.RpcError):
            for number in range(1, 100):
                send(enricher, request(span(chat() | {"padding": "x" * 200_000}, number=number)))
        taken = sum(path.stat().st_size for path in (enricher.data / "traces").glob("*.segment"))
        enricher.kill()

    assert 3 << 20 < taken <= 4 << 20


def test_the_queue_holds_as_many_calls_as_the_page_says() -> None:
    """1 GiB by the bytes of the table."""
    text = titled("How long an outage may last").text
    rows = re.findall(r"\| ([\d,]+) \| \d+ \|$", titled("Sizing").text, re.MULTILINE)
    plain, prompts = (int(rows[at].replace(",", "")) for at in (0, 4))
    calls = [(1 << 30) / size for size in (plain, prompts)]

    assert "about a million LLM calls" in text
    assert calls[0] == pytest.approx(1_000_000, rel=0.1)
    assert "210,000 with prompts of 4 KB" in text
    assert calls[1] == pytest.approx(210_000, rel=0.03)
    assert "three hours, or 36 minutes" in text
    assert [count / 100 / 60 for count in calls] == pytest.approx([180, 36], rel=0.05)


def test_spans_arrive_with_the_memory_settings_of_the_page(tmp_path: Path) -> None:
    (text,) = titled("Memory").blocks("yaml")
    settings = yaml.safe_load(text)
    with http_destination() as backend:
        config = configured(tmp_path, endpoint=f"http://127.0.0.1:{backend.port}")
        change(config, service={"memory_limit_mib": settings["service"]["memory_limit_mib"]})
        with running(config) as enricher:
            send(enricher)
            enricher.wait_until_empty()
            assert enricher.metric("genops_memory_limit_bytes") == 256 << 20

    assert len(spans_of(backend.payloads[0])) == 1
    assert blocks(PAGE.read_text(encoding="utf-8"), "yaml")
