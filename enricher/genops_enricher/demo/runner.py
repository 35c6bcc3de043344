"""Run the demo: start the parts, let the app work, wait for its spans, stop everything, report.

    app ─ genops client ─▶ fake OpenRouter
     └── OTLP/gRPC ──────▶ enricher ── OTLP/gRPC ──▶ sink

Each part is a process of its own. Whatever happens, a failure or Ctrl-C, they are stopped in the
order of the data and the temporary folder goes. Progress is on stderr, the report on stdout.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from genops_enricher.demo.interrupts import Interrupts
from genops_enricher.demo.loopback import LOOPBACK
from genops_enricher.demo.process import Child, PartError
from genops_enricher.demo.report import reconcile, render_json, render_report
from genops_enricher.spans import Span, span_from_json

__all__ = ["run_demo"]

START_TIMEOUT_S = 60.0
STEP_TIMEOUT_S = 120.0  # a call to the real OpenRouter may take long
ARRIVAL_TIMEOUT_S = 60.0
PLAIN_WIDTH = 200  # characters, where stdout is no terminal
FAKE_KEY = "sk-or-fake"
READY = r"ready: OTLP/gRPC on port (?P<port>\d+),"  # the enricher's log

# What must not leak from the developer's shell into the parts: it would send spans or calls
# elsewhere.
PRIVATE_PREFIXES = ("OTEL_", "GENOPS_", "OPENAI_", "OPENROUTER_")


def run_demo(*, live: bool, json_output: bool) -> int:
    """Run the demo.

    Args:
        live: Call the real OpenRouter with OPENROUTER_API_KEY, cheap models and few tokens.
        json_output: Print the spans that arrived, one JSON object a line, in place of the tables.

    Returns:
        The exit code: 0 if all spans arrived with the costs that were billed, 1 if a part failed,
        2 if something needed is missing, 130 after Ctrl-C.
    """
    api_key = os.environ.get("OPENROUTER_API_KEY", "") if live else FAKE_KEY
    missing = _missing(api_key)
    if missing is not None:
        _progress(missing)
        return 2
    try:
        with Interrupts() as interrupts:
            spans, ledger = _run(api_key, interrupts, live=live)
    except PartError as error:
        _progress("\n".join([f"The demo failed: {error}", *getattr(error, "__notes__", ())]))
        return 1
    except KeyboardInterrupt:
        _progress("Stopped.")
        return 130
    if json_output:
        print(render_json(spans))  # noqa: T201 - the command's output
    else:
        width = shutil.get_terminal_size((PLAIN_WIDTH, 0)).columns
        print(render_report(spans, ledger, width))  # noqa: T201 - as above
    if ledger is not None and not reconcile(spans, ledger).agrees:
        _progress("The demo failed: a cost on a span is not what the fake OpenRouter billed.")
        return 1
    return 0


def _missing(api_key: str) -> str | None:
    """What the demo needs and does not find."""
    if find_spec("openai") is None:
        return "The demo needs the OpenAI SDK: pip install 'genops-ai[all]'"
    if not api_key:
        return "demo --live needs a key of https://openrouter.ai in OPENROUTER_API_KEY."
    return None


class _Parts:
    """The processes of the demo. On exit they are stopped, the last one started first."""

    def __init__(self, folder: Path, interrupts: Interrupts) -> None:
        self._folder = folder
        self._interrupts = interrupts
        self._children: list[Child] = []

    def start(self, name: str, *module: str, environment: Mapping[str, str] | None = None) -> Child:
        """Start `python -m MODULE…` under this name."""
        log = self._folder / f"{name.replace(' ', '-')}.log"
        with self._interrupts.deferred():
            child = Child(f"the {name}", module, _environment(environment or {}), log)
            self._children.append(child)
        return child

    def __enter__(self) -> _Parts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._interrupts.deferred():
            for child in reversed(self._children):
                child.stop()
                if isinstance(error, PartError) and (tail := child.log_tail()):
                    error.add_note(f"The log of {child.name} ends:\n{tail}")


def _run(
    api_key: str, interrupts: Interrupts, *, live: bool
) -> tuple[list[Span], Sequence[Mapping[str, Any]] | None]:
    """Start the parts, run the app, collect its spans and what the fake billed."""
    with (
        tempfile.TemporaryDirectory(prefix="genops-demo-") as name,
        _Parts(Path(name), interrupts) as parts,
    ):
        folder = Path(name)
        sink = parts.start("sink", "genops_enricher.demo.sink")
        sink_endpoint = sink.read_message(timeout_s=START_TIMEOUT_S)["grpc"]
        _progress(f"sink        OTLP/gRPC on {sink_endpoint}")

        to_openrouter = {"OPENROUTER_API_KEY": api_key}
        ledger_url = None
        if live:
            _progress("OpenRouter  the real one")
        else:
            fake = parts.start("fake OpenRouter", "genops_enricher.demo.fake_openrouter")
            where = fake.read_message(timeout_s=START_TIMEOUT_S)
            to_openrouter["GENOPS_OPENROUTER_BASE_URL"] = where["base_url"]
            ledger_url = f"{where['url']}/fake/ledger"
            _progress(f"OpenRouter  a fake one on {where['base_url']}")

        config = folder / "enricher.yaml"
        config.write_text(_enricher_config(sink_endpoint, folder / "data"))
        enricher = parts.start("enricher", "genops_enricher", "run", "--config", str(config))
        ready = enricher.wait_for_log(READY, timeout_s=START_TIMEOUT_S)
        receiver = f"{LOOPBACK}:{ready['port']}"
        _progress(f"enricher    OTLP/gRPC on {receiver}")

        to_enricher = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{receiver}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        }
        app = parts.start(
            "app",
            "genops_enricher.demo.app",
            *(["--live"] if live else []),
            environment=to_openrouter | to_enricher,
        )
        expected = _follow(app)
        spans = _collect(sink, enricher, expected)
        _progress(f"sink        all {expected} spans arrived\n")
        ledger = None if ledger_url is None else json.loads(_get(ledger_url))["generations"]
    return spans, ledger


def _enricher_config(sink: str, data_dir: Path) -> str:
    """The enricher's configuration: what an operator would write by hand.

    But for the ports: with 0 it takes free ones, and says which when it is ready.
    """
    return f"""\
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: {LOOPBACK}:0
exporters:
  otlp_grpc/sink:
    endpoint: {sink}
    tls:
      insecure: true
service:
  data_dir: {json.dumps(str(data_dir))}
  telemetry:
    health:
      endpoint: {LOOPBACK}:0
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [otlp_grpc/sink]
    metrics:
      receivers: [otlp]
      exporters: [otlp_grpc/sink]
    logs:
      receivers: [otlp]
      exporters: [otlp_grpc/sink]
"""


def _follow(app: Child) -> int:
    """Show what the app does until it is done; return how many spans it made."""
    while "spans" not in (message := app.read_message(timeout_s=STEP_TIMEOUT_S)):
        _progress(f"app         {message['team']}: {message['what']}")
    app.wait(timeout_s=STEP_TIMEOUT_S)
    return int(message["spans"])


def _collect(sink: Child, enricher: Child, expected: int) -> list[Span]:
    """Read the spans that the sink wrote, until all are there."""
    spans: dict[tuple[str, str], Span] = {}  # a resent span counts once
    deadline = monotonic() + ARRIVAL_TIMEOUT_S
    while len(spans) < expected:
        try:
            line = sink.read_line(timeout_s=deadline - monotonic())
        except PartError:
            if not enricher.is_running():
                raise enricher.ended() from None
            raise enricher.failure(
                f"delivered {len(spans)} of {expected} spans within {ARRIVAL_TIMEOUT_S:.0f} s"
            ) from None
        if line is None:
            raise sink.ended()
        span = span_from_json(line)
        spans[span.trace_id, span.span_id] = span
    return list(spans.values())


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(PRIVATE_PREFIXES)
    }
    # The parts talk to each other around every proxy; the way to the real OpenRouter may need one.
    exempt = ",".join(filter(None, [os.environ.get("NO_PROXY", ""), LOOPBACK]))
    return kept | {"NO_PROXY": exempt, "no_proxy": exempt} | dict(extra)


def _get(url: str) -> bytes:
    """GET from loopback, around every proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=START_TIMEOUT_S) as answer:
        body: bytes = answer.read()
    return body


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command's progress
