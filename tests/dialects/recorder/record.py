"""Record what instrumentation packages emit: `python tests/dialects/recorder/record.py --help`.

Each emitter's driver runs in an environment of its own against the fake OpenRouter, and exports to
a receiver here. Two files come of it: the OTLP as it came, scrubbed, one request a line, and the
fake's ledger with the spans of each call. A driver makes one call at a time and exports before it
answers, so what has arrived by then belongs to that call.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from dialects.recorder.emitters import EMITTERS, Emitter
from dialects.recorder.environments import command
from dialects.recorder.receiver import Receiver
from dialects.recorder.scenarios import CALLS, Call, as_json
from dialects.recorder.scrub import scrub
from genops_enricher.decode.otlp_json import to_json
from genops_enricher.demo.fake_openrouter import FakeOpenRouter
from genops_enricher.demo.fake_openrouter.scenario import parse_scenario
from genops_enricher.spans import spans_of

RECORDINGS = Path(__file__).parents[1] / "recordings"
RUN_TIMEOUT_S = 240
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG")  # a driver sees no settings of this shell


def main() -> int:
    """Record the emitters named on the command line."""
    parser = argparse.ArgumentParser(
        description="Run instrumentation packages against the fake OpenRouter; record their OTLP."
    )
    parser.add_argument("emitter", nargs="*", metavar="EMITTER")
    parser.add_argument("--all", action="store_true", help="record every one")
    parser.add_argument("--out", type=Path, default=RECORDINGS, help="default: the recordings/")
    arguments = parser.parse_args()
    names = list(EMITTERS) if arguments.all else arguments.emitter
    if not names or not EMITTERS.keys() >= set(names):
        parser.error(f"name emitters ({', '.join(EMITTERS)}), or --all")
    for name in names:
        spans, calls = record(EMITTERS[name], arguments.out)
        print(f"{name}: {calls} calls, {spans} spans", flush=True)
    return 0


def record(emitter: Emitter, folder: Path) -> tuple[int, int]:
    """Record one emitter into `folder`; returns how many spans and calls there were.

    Raises:
        subprocess.SubprocessError: its packages can't be installed, or its driver failed.
    """
    calls = [call for call in CALLS if emitter.makes(call)]
    requests: list[ExportTraceServiceRequest] = []
    spans: dict[str, list[str]] = {call.label: [] for call in calls}
    with FakeOpenRouter() as fake, Receiver() as receiver:

        def take(label: str) -> None:
            for request in receiver.take():
                scrub(request)
                requests.append(request)
                spans[label] += [span.span_id for span in spans_of(request)]

        environment = {
            **{key: os.environ[key] for key in KEPT_ENVIRONMENT if key in os.environ},
            "FAKE_URL": fake.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OPENROUTER_API_KEY": "sk-or-fake",
            **emitter.environment,
        }
        driver = subprocess.Popen(
            command(emitter),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        watchdog = threading.Timer(RUN_TIMEOUT_S, driver.kill)
        watchdog.start()
        assert driver.stdin is not None and driver.stdout is not None
        with suppress(BrokenPipeError), driver:  # one that fails says so by its exit code
            for call in calls:
                driver.stdin.write(json.dumps(as_json(call)) + "\n")
                driver.stdin.flush()
                # The driver answers when it has exported the spans of the call.
                for line in driver.stdout:
                    if line == f"done {call.label}\n":
                        break
                take(call.label)
        watchdog.cancel()
        if driver.returncode != 0:
            raise subprocess.CalledProcessError(driver.returncode, emitter.driver)
        take(calls[-1].label)
        billed = [generation.entry() for generation in fake.ledger.generations()]
        asked = Counter(
            parse_scenario(asked.headers.get("x-fake-scenario", "")).label for asked in fake.asked
        )
    ledger = {
        "emitter": emitter.name,
        "source": "constructed from documentation" if emitter.constructed else "recorded",
        "packages": list(emitter.packages),
        "calls": billed + _refused(calls, billed, asked),
        "spans": spans,
    }
    folder.mkdir(exist_ok=True)
    _write_lines(folder / f"{emitter.name}.jsonl", [to_json(request) for request in requests])
    (folder / f"{emitter.name}.ledger.json").write_text(json.dumps(ledger, indent=1) + "\n")
    return sum(map(len, spans.values())), len(ledger["calls"])


def _refused(
    calls: Sequence[Call], billed: Sequence[dict[str, Any]], asked: Counter[str]
) -> list[dict[str, Any]]:
    """Calls that the fake refused: they have no id, and cost nothing."""
    answered = Counter(entry["label"] for entry in billed)
    return [
        {"id": None, "label": call.label, "api": call.api, "model_requested": call.model}
        | {"cost": "0", "upstream_cost": "0", "total": "0"}
        for call in calls
        for _ in range(asked[call.label] - answered[call.label])
    ]


def _write_lines(path: Path, documents: Sequence[dict[str, Any]]) -> None:
    lines = [json.dumps(document, separators=(",", ":")) + "\n" for document in documents]
    path.write_text("".join(lines))


if __name__ == "__main__":
    raise SystemExit(main())
