"""The whole path as a user runs it, `genops-enricher demo`: every part a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genops_enricher.demo.app import STEPS
from genops_enricher.demo.fake_openrouter.billing import MODELS, Tokens, bill

TIMEOUT_S = 120
DEMO = [sys.executable, "-m", "genops_enricher", "demo"]

Spans = list[dict[str, Any]]


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """A shell whose settings must not reach the parts, with a temporary folder of its own."""
    misleading = {
        "OTEL_SDK_DISABLED": "true",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "console",
        "OPENAI_BASE_URL": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    return dict(os.environ) | misleading | {"TMPDIR": str(folder), "COLUMNS": "300"} | extra


def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def processes_of(folder: Path) -> list[str]:
    """The command lines of the processes that work in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            surroundings = (process / "environ").read_bytes()
            if f"TMPDIR={folder}".encode() in surroundings.split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it ended, or is another user's
            continue
    return found


def nothing_is_left(folder: Path) -> bool:
    return processes_of(folder) == [] and list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def spans() -> Spans:
    """The spans of one run with --json, made once for all tests that look at them."""
    with tempfile.TemporaryDirectory() as name:
        result = run([*DEMO, "--json"], environment(Path(name)))
        assert result.returncode == 0, result.stderr
        assert nothing_is_left(Path(name))
    return [json.loads(line) for line in result.stdout.splitlines()]


def attributes_of(spans: Spans, **wanted: Any) -> list[dict[str, Any]]:
    """The attributes of the spans that have these, with `__` for a dot."""
    names = {name.replace("__", "."): value for name, value in wanted.items()}
    return [
        span["attributes"]
        for span in spans
        if all(span["attributes"].get(name) == value for name, value in names.items())
    ]


def usd(value: float) -> Decimal:
    return Decimal(repr(value))


def fake_price(attributes: dict[str, Any]) -> Decimal:
    """What the fake's own price list says that the span's tokens cost."""
    by_name = {name: model for model in MODELS.values() for name in (model.id, model.slug)}
    tokens = Tokens(
        prompt=attributes["gen_ai.usage.input_tokens"],
        completion=attributes.get("gen_ai.usage.output_tokens", 0),  # embeddings have none
        cached=attributes.get("gen_ai.usage.cache_read.input_tokens", 0),
        cache_write=attributes.get("gen_ai.usage.cache_write.input_tokens", 0),
    )
    return bill(by_name[attributes["gen_ai.response.model"]], tokens).total


def test_every_span_of_the_app_arrives_once(spans: Spans) -> None:
    assert len(spans) == sum(step.spans for step in STEPS)
    assert len({(span["trace_id"], span["span_id"]) for span in spans}) == len(spans)
    assert all(list(span) == ["trace_id", "span_id", "name", "attributes"] for span in spans)


def test_every_llm_call_has_a_status_and_the_catalog_version(spans: Spans) -> None:
    calls = [span["attributes"] for span in spans if span["name"] != "handle ticket"]

    assert {call["genops.cost.status"] for call in calls} == {"priced", "free", "unpriced"}
    assert len({call["genops.pricing.version"] for call in calls}) == 1


def test_a_reported_cost_is_the_total_with_the_charge_of_the_own_key_added(spans: Spans) -> None:
    reported = attributes_of(spans, genops__cost__source="reported")

    assert len(reported) >= 10
    for call in reported:
        upstream = call.get("genops.cost.upstream_reported", 0.0)
        if not call["genops.openrouter.is_byok"]:
            upstream = 0.0
        assert usd(call["genops.cost.total"]) == usd(call["genops.cost.reported"]) + usd(upstream)


def test_the_estimate_of_every_known_model_is_what_the_fake_charges(spans: Spans) -> None:
    estimated = [
        span["attributes"] for span in spans if "genops.cost.estimated" in span["attributes"]
    ]

    assert len(estimated) >= 10
    for call in estimated:
        assert usd(call["genops.cost.estimated"]) == fake_price(call), call["genops.model"]


def test_cached_and_written_tokens_are_split_off_the_input(spans: Spans) -> None:
    written, read = attributes_of(spans, genops__model="anthropic/claude-sonnet-4.5")

    # 400 plain at 3, 18000 written at 3.75, 620 out at 15 USD per million
    assert (written["genops.cost.input"], written["genops.cost.cache_write"]) == (0.0012, 0.0675)
    assert written["genops.cost.output"] == 0.0093
    # 450 plain at 3, 18000 read at 0.30
    assert (read["genops.cost.input"], read["genops.cost.cache_read"]) == (0.00135, 0.0054)


def test_a_fallback_is_priced_as_the_model_that_answered(spans: Spans) -> None:
    [call] = attributes_of(spans, genops__feature="product-page")

    assert call["gen_ai.request.model"] == "openai/gpt-4o"
    assert call["gen_ai.response.model"] == "anthropic/claude-3-haiku"
    assert call["genops.openrouter.fallback_used"] is True
    assert call["genops.openrouter.attempts"] == 3
    assert call["genops.model_family"] == "claude-3"


def test_a_span_of_another_emitter_is_priced_as_of_its_own_time(spans: Spans) -> None:
    [call] = attributes_of(spans, genops__project="archive")

    assert call["genops.cost.source"] == "computed"
    assert call["genops.cost.total"] == 0.001575  # 150 at 3 and 75 at 15 USD per million
    assert call["genops.provider"] == "openrouter"
    assert call["genops.pricing.effective_from"] < "2024-07-15"


def test_an_unknown_model_is_priced_if_the_provider_says_so_and_else_not(spans: Spans) -> None:
    said, hidden = attributes_of(spans, genops__model="example/preview-1")

    assert (said["genops.cost.status"], said["genops.cost.total"]) == ("priced", 0.00052)
    assert hidden["genops.cost.status"] == "unpriced"
    assert hidden["genops.cost.unpriced_reason"] == "unknown_model"
    for call in (said, hidden):
        assert "genops.cost.estimated" not in call
        assert "genops.model_tier" not in call
    assert "genops.cost.total" not in hidden


def test_calls_without_usage_are_unpriced_and_spans_that_are_no_calls_get_nothing(
    spans: Spans,
) -> None:
    unpriced = attributes_of(spans, genops__cost__unpriced_reason="no_usage")
    [ticket] = [span for span in spans if span["name"] == "handle ticket"]

    assert sorted(call["error.type"] for call in unpriced) == ["APIError", "RateLimitError"]
    assert not [name for name in ticket["attributes"] if name.startswith("genops.cost")]


def test_nothing_that_was_said_is_on_a_span(spans: Spans) -> None:
    text = json.dumps(spans)

    assert "parcel" not in text
    assert "all is well" not in text
    assert "sk-or-" not in text


def test_the_report_holds_the_spans_against_the_bill_and_nothing_is_left(tmp_path: Path) -> None:
    result = run(DEMO, environment(tmp_path))

    assert result.returncode == 0, result.stderr
    assert "Every cost on a span is what was billed." in result.stdout
    assert "unpriced: unknown_model" in result.stdout
    assert "app         support: a short question" in result.stderr
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("```text\n")[2].partition("```")[0].splitlines()
    assert len(shown) > 6
    assert set(shown) - {"…"} <= set(result.stdout.splitlines())
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_everything(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        DEMO,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("app "):
                process.send_signal(number)
                break
        rest = process.stderr.read()
        code = process.wait(TIMEOUT_S)

    assert (code, rest.splitlines()[-1]) == (130, "Stopped.")
    assert nothing_is_left(tmp_path)


def test_a_part_that_fails_is_named_with_its_log_and_nothing_is_left(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import sys\nif 'run' in sys.orig_argv: sys.exit('no enricher today')\n"
    )
    folder = tmp_path / "tmp"
    folder.mkdir()

    result = run(DEMO, environment(folder, PYTHONPATH=str(broken)))

    assert result.returncode == 1
    assert "The demo failed: the enricher ended with exit code" in result.stderr
    assert "no enricher today" in result.stderr
    assert nothing_is_left(folder)


def test_no_port_is_chosen_before_it_is_used(tmp_path: Path) -> None:
    """Another program may take it meanwhile: here, every port of the enricher's file."""
    taking = tmp_path / "taking"
    taking.mkdir()
    (taking / "sitecustomize.py").write_text(
        "import contextlib, pathlib, re, socket, sys\n"
        "taken = []\n"
        "if 'run' in sys.orig_argv:\n"
        "    text = pathlib.Path(sys.orig_argv[-1]).read_text()\n"
        "    for host, port in re.findall(r'endpoint: ([\\d.]+):(\\d+)', text):\n"
        "        with contextlib.suppress(OSError):  # the sink has its own\n"
        "            taken.append(socket.create_server((host, int(port))))\n"
    )
    folder = tmp_path / "tmp"
    folder.mkdir()

    result = run(DEMO, environment(folder, PYTHONPATH=str(taking)))

    assert result.returncode == 0, result.stderr
    assert nothing_is_left(folder)


def test_live_without_a_key_says_what_is_missing(tmp_path: Path) -> None:
    result = run([*DEMO, "--live"], environment(tmp_path, OPENROUTER_API_KEY=""))

    assert result.returncode == 2
    assert "OPENROUTER_API_KEY" in result.stderr


def test_without_the_openai_sdk_the_demo_says_how_to_install_it(tmp_path: Path) -> None:
    program = (
        "import importlib.util as util, sys\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'openai' else find(name, *rest)\n"
        "from genops_enricher.cli import main\n"
        "sys.exit(main(['demo']))"
    )
    result = run([sys.executable, "-c", program], environment(tmp_path))

    assert result.returncode == 2
    assert "pip install 'genops-ai[all]'" in result.stderr
