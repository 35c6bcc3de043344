"""`genops-enricher enrich` with redaction: files and output show what would leave, no more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genops_enricher.cli import main
from genops_enricher.decode.otlp_json import to_json
from otlp import chat, plain_attributes, request, span, spans_of

SECRET = "S3CR3T"
PAYLOAD = request(span(chat(more={"gen_ai.prompt": SECRET, "user.id": SECRET})))
ATTRIBUTES = [
    {"key": "gen_ai.prompt", "value": {"stringValue": SECRET}},
    {"key": "a", "value": {"stringValue": "b"}},
]


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "enricher.yaml"
    file.write_text(
        "exporters: {otlp_http: {endpoint: 'http://b:1'}}\n"
        "enrichment: {redaction: {drop: ['group:content'], hash: ['group:user'], "
        "hash_key: 0123456789abcdef}}\n"
    )
    return str(file)


def json_lines(*documents: object) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


@pytest.mark.parametrize("as_json", [False, True])
def test_spans_are_priced_first_and_redacted_then(
    as_json: bool, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    document = to_json(ExportTraceServiceRequest.FromString(PAYLOAD))
    source.write_bytes(json_lines(document | {"unknown": SECRET}) if as_json else PAYLOAD)

    assert main(["enrich", str(source), "--config", config, "-o", str(out), "--json"]) == 0

    printed = capsys.readouterr().out
    assert SECRET not in printed
    assert SECRET.encode() not in out.read_bytes()
    attributes = json.loads(printed)["attributes"]
    assert attributes["genops.cost.total"] == 0.0035
    assert attributes["user.id"].startswith("hmac-sha256:")
    if not as_json:
        assert plain_attributes(spans_of(out.read_bytes())[0])["user.id"] == attributes["user.id"]


def test_lines_of_metrics_and_logs_are_redacted_too(config: str, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    record = {"attributes": ATTRIBUTES, "body": {"kvlistValue": {"values": ATTRIBUTES}}}
    point = {"asInt": "1", "attributes": ATTRIBUTES}
    metric = {"name": "m", "gauge": {"dataPoints": [point]}}
    source.write_bytes(
        json_lines(
            {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]},
            {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]},
            {},
        )
    )

    assert main(["enrich", str(source), "--config", config, "-o", str(out)]) == 0

    logs, metrics, empty = map(json.loads, out.read_text().splitlines())
    kept = [ATTRIBUTES[1]]
    (redacted,) = logs["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert redacted["attributes"] == redacted["body"]["kvlistValue"]["values"] == kept
    (gauge,) = metrics["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    assert gauge["gauge"]["dataPoints"][0]["attributes"] == kept
    assert empty == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"resourceProfiles": [{"a": SECRET}]}, "resourceProfiles"),
        ({"resourceLogs": [], "resourceMetrics": []}, "resourceLogs, resourceMetrics"),
        ({"resourceLogs": {"a": SECRET}}, "not OTLP/JSON"),
    ],
)
def test_what_can_not_be_redacted_is_not_written(
    line: object,
    message: str,
    config: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(json_lines(line))

    assert main(["enrich", str(source), "--config", config, "-o", str(out)]) == 1

    assert message in capsys.readouterr().err
    assert not out.exists()
