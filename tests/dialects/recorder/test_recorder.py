"""What stands in recordings, and that recording again brings the same."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from dialects.recorder.emitters import EMITTERS
from dialects.recorder.record import RECORDINGS, record
from dialects.recorder.scenarios import CALLS
from dialects.recorder.scrub import scrub
from genops_enricher.commands.otlp_files import read_file
from genops_enricher.decode.otlp_json import from_json, to_json
from genops_enricher.spans import Span, spans_of
from heavy import require

NAMES = sorted(EMITTERS)


def spans_in(folder: Path, emitter: str) -> Iterator[Span]:
    for part in read_file(folder / f"{emitter}.jsonl").parts:
        assert part.request is not None
        yield from spans_of(ExportTraceServiceRequest.FromString(part.request))


def ledger_in(folder: Path, emitter: str) -> dict[str, Any]:
    ledger: dict[str, Any] = json.loads((folder / f"{emitter}.ledger.json").read_text())
    return ledger


def facts(folder: Path, emitter: str) -> set[tuple[str, str, str]]:
    """Scenario, name and token counts of every span: what does not differ between recordings."""
    labels = {
        span: label
        for label, spans in ledger_in(folder, emitter)["spans"].items()
        for span in spans
    }
    return {
        (
            labels[span.span_id],
            span.name,
            str(sorted(item for item in span.attributes.items() if "token" in item[0])),
        )
        for span in spans_in(folder, emitter)
    }


def test_there_is_a_recording_of_every_emitter_and_no_other_file() -> None:
    expected = {f"{name}{end}" for name in NAMES for end in (".jsonl", ".ledger.json")}

    assert {path.name for path in RECORDINGS.iterdir()} == expected


@pytest.mark.parametrize("emitter", NAMES)
def test_a_recording_says_nothing_of_the_machine(emitter: str) -> None:
    for path in RECORDINGS.glob(f"{emitter}.*"):
        text = path.read_text()
        here = f"/{Path(__file__).resolve().parts[1]}/"
        found = [word for word in ("/root", "/home", "/tmp", "Users/", here) if word in text]
        assert found == []
        assert f'"{socket.gethostname()}"' not in text
        assert '"process.' not in text
        assert '"host.' not in text
        assert path.stat().st_size < 300_000


@pytest.mark.parametrize("emitter", NAMES)
def test_every_span_of_a_recording_belongs_to_a_call(emitter: str) -> None:
    ledger = ledger_in(RECORDINGS, emitter)
    spans = [span for of_call in ledger["spans"].values() for span in of_call]
    made = [call.label for call in CALLS if EMITTERS[emitter].makes(call)]

    assert sorted(spans) == sorted(span.span_id for span in spans_in(RECORDINGS, emitter))
    assert list(ledger["spans"]) == made
    assert {call["label"] for call in ledger["calls"]} == set(made)
    assert ledger["packages"] == list(EMITTERS[emitter].packages)


def test_the_readme_counts_the_calls_and_spans_of_every_recording() -> None:
    readme = (RECORDINGS.parent / "README.md").read_text()
    counted = {
        name: (int(calls), int(spans))
        for name, calls, spans in re.findall(
            r"^\| `([\w-]+)` \| (\d+) \| (\d+) \|", readme, re.MULTILINE
        )
    }

    recorded = {
        name: (len(ledger["calls"]), sum(map(len, ledger["spans"].values())))
        for name in NAMES
        if (ledger := ledger_in(RECORDINGS, name))
    }
    assert counted == recorded


def test_scrubbing_hides_the_machine_and_leaves_the_rest() -> None:
    def text(key: str, value: str) -> dict[str, Any]:
        return {"key": key, "value": {"stringValue": value}}

    trace = "Traceback:\n  File '/home/me/app.py'\nValueError: in /home/me/app.py of box-7"
    span = {
        "name": "chat",
        "attributes": [
            text("code.filepath", "/root/app/main.py"),
            text("server.address", "openrouter.ai"),
            {"key": "args", "value": {"arrayValue": {"values": [{"stringValue": "/tmp/x,1"}]}}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}},
            text("thread.name", "MainThread"),
        ],
        "events": [{"name": "exception", "attributes": [text("exception.stacktrace", trace)]}],
        "status": {"code": 2, "message": "no file file:///var/lib/a.txt"},
    }
    resource = [text("service.name", "recorded"), text("host.name", "box-7")]
    request = from_json(
        {
            "resourceSpans": [
                {"resource": {"attributes": resource}, "scopeSpans": [{"spans": [span]}]}
            ]
        },
        ExportTraceServiceRequest(),
    )

    scrub(request, host="box-7")

    [left] = to_json(request)["resourceSpans"]
    [scrubbed] = left["scopeSpans"][0]["spans"]
    array = {"arrayValue": {"values": [{"stringValue": "/some/path,1"}]}}
    last_line = "ValueError: in /some/path of some-host"
    assert left["resource"]["attributes"] == [text("service.name", "recorded")]
    assert scrubbed["attributes"] == [
        text("code.filepath", "/some/path"),
        text("server.address", "openrouter.ai"),
        {"key": "args", "value": array},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}},
    ]
    assert scrubbed["events"][0]["attributes"] == [text("exception.stacktrace", last_line)]
    assert scrubbed["status"] == {"code": 2, "message": "no file /some/path"}


def test_recording_ourselves_again_brings_the_same_spans(tmp_path: Path) -> None:
    record(EMITTERS["genops"], tmp_path)

    assert facts(tmp_path, "genops") == facts(RECORDINGS, "genops")


@pytest.mark.heavy
@pytest.mark.parametrize("emitter", ["openllmetry", "ai-sdk-6"])
def test_recording_a_package_again_brings_the_same_spans(emitter: str, tmp_path: Path) -> None:
    if EMITTERS[emitter].language == "node":
        require("npm", reason="the AI SDK is a package of npm")

    record(EMITTERS[emitter], tmp_path)

    assert facts(tmp_path, emitter) == facts(RECORDINGS, emitter)
