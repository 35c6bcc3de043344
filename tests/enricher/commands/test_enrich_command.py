"""`genops-enricher enrich` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genops_enricher.cli import main
from genops_enricher.decode.otlp_json import to_json
from genops_pricing import bundled_catalog
from otlp import chat, plain_attributes, request, span, spans_of

PRICED = request(span(chat()), span({"http.request.method": "GET"}, number=2))
UNPRICED = request(span(chat("acme/unknown")))


def as_json(data: bytes) -> bytes:
    return json.dumps(to_json(ExportTraceServiceRequest.FromString(data))).encode()


def printed_spans(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("form", ["protobuf", "json", "pretty json", "json lines"])
def test_each_form_is_read_by_detection_and_written_as_it_was_read(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {
        "protobuf": PRICED,
        "json": as_json(PRICED),
        "pretty json": json.dumps(json.loads(as_json(PRICED)), indent=2).encode(),
        "json lines": as_json(PRICED) + b"\n" + as_json(PRICED) + b"\n",
    }[form]
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_bytes(data)

    assert main(["enrich", str(source), "-o", str(out), "--json"]) == 0

    spans = printed_spans(capsys)
    assert [set(s) for s in spans] == [{"trace_id", "span_id", "name", "attributes"}] * len(spans)
    assert len(spans) == (4 if form == "json lines" else 2)
    assert spans[0]["attributes"]["genops.cost.total"] == 0.0035
    assert "genops.cost.status" not in spans[1]["attributes"]
    assert main(["enrich", str(out), "--json"]) == 0
    assert printed_spans(capsys) == spans
    assert (out.read_bytes()[:1] == b"{") == (form != "protobuf")


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_names_in_spans_drive_no_terminal(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    source.write_bytes(request(span(chat("acme/\x9b2J\x1b[2Jé\u202e\nforged"))))

    main(["enrich", str(source), *arguments])

    printed = capsys.readouterr().out
    assert "acme/" in printed
    assert all(line.isprintable() for line in printed.split("\n"))
    assert not any(line.startswith("forged") for line in printed.split("\n"))


def test_lines_of_metrics_and_logs_are_kept_as_they_are(tmp_path: Path) -> None:
    metrics = b'{"resourceMetrics":[ {"scopeMetrics":[]} ]}'
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(metrics + b"\n" + as_json(PRICED) + b"\n")

    assert main(["enrich", str(source), "-o", str(out)]) == 0
    assert out.read_bytes().splitlines()[0] == metrics


def test_unpriced_calls_make_the_exit_code_three(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    source.write_bytes(UNPRICED)

    assert main(["enrich", str(source)]) == 3
    assert "unpriced: unknown_model" in capsys.readouterr().out


def test_repricing_takes_away_what_an_enricher_wrote_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = chat() | {
        "genops.cost.total": 99.0,
        "genops.cost.status": "priced",
        "genops.cost.reported": 0.004,
        "genops.pricing.version": "2020.1.1+00000000",
        "genops.team": "search",
    }
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_bytes(request(span(old)))

    assert main(["enrich", str(source), "-o", str(out)]) == 0
    assert out.read_bytes() == source.read_bytes()
    assert main(["enrich", str(source), "-o", str(out), "--reprice"]) == 0

    attributes = plain_attributes(spans_of(out.read_bytes())[0])
    assert attributes["genops.cost.total"] == 0.004
    assert attributes["genops.cost.estimated"] == 0.0035
    assert attributes["genops.pricing.version"] == bundled_catalog().version
    assert attributes["genops.team"] == "search"


def test_repricing_leaves_a_cost_that_somebody_else_wrote(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    fresh = span(chat("openai/gpt-4o", {"genops.cost.total": 7.0}))
    source.write_bytes(request(fresh))

    assert main(["enrich", str(source), "-o", str(out), "--reprice"]) == 3
    assert main(["enrich", str(out), "-o", str(out), "--reprice"]) == 3

    attributes = plain_attributes(spans_of(out.read_bytes())[0])
    assert attributes["genops.cost.total"] == 7.0
    assert attributes["genops.cost.unpriced_reason"] == "foreign_cost"


def test_a_reader_that_goes_away_ends_the_output_quietly(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(request(*(span(chat(), number=n) for n in range(2000))))
    command = [sys.executable, "-m", "genops_enricher", "enrich", str(source), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()

        assert process.wait(60) == 1
        assert process.stderr.read() == b""


def test_a_device_or_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    source, pipe = tmp_path / "in", tmp_path / "pipe"
    source.write_bytes(PRICED)
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()

    assert main(["enrich", str(source), "-o", str(pipe)]) == 0
    assert pipe.is_fifo()
    reader.join(60)
    assert len(spans_of(received[0])) == 2


def test_a_link_stays_and_its_file_is_written(tmp_path: Path) -> None:
    source, file, link = tmp_path / "in", tmp_path / "file", tmp_path / "link"
    source.write_bytes(PRICED)
    file.write_bytes(b"old")
    link.symlink_to(file)

    assert main(["enrich", str(source), "-o", str(link)]) == 0
    assert link.is_symlink()
    assert len(spans_of(file.read_bytes())) == 2


def test_files_of_one_name_are_not_written_over_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "out"):
        (tmp_path / name).mkdir()
    sources = [tmp_path / "a" / "spans", tmp_path / "b" / "spans"]
    for source in sources:
        source.write_bytes(PRICED)

    assert main(["enrich", *map(str, sources), "-o", str(tmp_path / "out")]) == 1
    assert f"{tmp_path / 'out' / 'spans'}: would be written twice" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_several_files_are_written_to_a_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(PRICED)
    out = tmp_path / "out"
    out.mkdir()

    assert main(["enrich", str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read"),
        (b"hello", "neither OTLP/JSON nor a protobuf"),
        (b'{"resourceSpans": [}', "not JSON"),
        (b'{"resourceSpans": []}\n{"oops"\n', ":2:"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "x"}]}]}]}', "traceId"),
        (b'{"resource_spans": []}', "resourceSpans"),
        (b'{"name": "x"}', "resourceSpans"),
        (b'{\n  "resourceSpans": [\n    oops\n  ]\n}\n', "line 3"),
        (b'{"resourceSpans":' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_otlp_is_named_and_nothing_is_written(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, out = tmp_path / "good", tmp_path / "bad", tmp_path / "out"
    good.write_bytes(PRICED)
    out.mkdir()
    if content is not None:
        bad.write_bytes(content)

    assert main(["enrich", str(good), str(bad), "-o", str(out)]) == 1
    error = capsys.readouterr().err
    assert str(bad) in error
    assert message in error
    assert list(out.iterdir()) == []


def test_the_overlays_and_attribution_of_a_configuration_are_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "enricher.yaml"
    config.write_text(
        "exporters: {otlp_grpc: {endpoint: localhost:4319, tls: {insecure: true}}}\n"
        "enrichment: {attribution: {genops.team: ['resource:service.name']}}\n"
    )
    source = tmp_path / "in"
    source.write_bytes(PRICED)

    assert main(["enrich", str(source), "--config", str(config), "--json"]) == 0
    assert printed_spans(capsys)[0]["attributes"]["genops.team"] == "app"


@pytest.mark.parametrize(
    ("total", "shown"),
    [(0.00021 + 0.0000105, "0.0002205 USD"), (0.0, "0 USD"), ("a lot", "a lot USD")],
)
def test_costs_are_shown_without_the_rounding_of_doubles(
    total: float | str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enriched = {
        "genops.pricing.version": "2026.1.1+00000000",
        "genops.cost.status": "priced",
        "genops.cost.source": "reported",
        "genops.cost.total": total,
    }
    source = tmp_path / "in"
    source.write_bytes(request(span(chat() | enriched)))

    assert main(["enrich", str(source)]) == 0
    assert f" {shown} reported" in capsys.readouterr().out


OVERLAY = """\
overlay: contract
market: openrouter
author: openai
models:
  - id: openai/gpt-4o
    prices:
      - effective_from: 2024-01-01
        reason: contract
        usd_per_mtok: {input: "1", output: "2", cache_read: "0.5"}
"""


def test_prices_of_one_s_own_need_no_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prices.yaml").write_text(OVERLAY)
    source = tmp_path / "in"
    source.write_bytes(PRICED)

    assert main(["enrich", str(source), "--overlay", str(tmp_path / "prices.yaml")]) == 0
    out = capsys.readouterr().out

    assert " 0.0012 USD computed" in out  # 1,000 × 1 + 100 × 2, each a millionth
    assert "@2024-01-01T00:00:00Z+contract" in out


def test_overlays_of_the_command_line_lie_on_those_of_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    below = OVERLAY.replace("overlay: contract", "overlay: below").replace('"1"', '"9"')
    (tmp_path / "below.yaml").write_text(below)
    (tmp_path / "prices.yaml").write_text(OVERLAY)
    config = tmp_path / "enricher.yaml"
    config.write_text(
        "exporters: {otlp_grpc: {endpoint: localhost:4319, tls: {insecure: true}}}\n"
        "enrichment: {overlays: [below.yaml], attribution: {genops.team: ['service.x']}}\n"
    )
    source = tmp_path / "in"
    source.write_bytes(PRICED)
    line = ["enrich", str(source), "--config", str(config), "--json"]

    assert main(line) == 0
    assert printed_spans(capsys)[0]["attributes"]["genops.cost.total"] == 0.0092
    assert main([*line, "--overlay", str(tmp_path / "prices.yaml")]) == 0
    assert printed_spans(capsys)[0]["attributes"]["genops.cost.total"] == 0.0012


def test_the_report_ends_with_what_all_calls_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = [span(chat(more={"gen_ai.response.id": f"gen-{n:016}"}), number=n) for n in (1, 2, 3)]
    source = tmp_path / "in"
    source.write_bytes(request(*calls))

    assert main(["enrich", str(source)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "  0.0105 USD in all"
