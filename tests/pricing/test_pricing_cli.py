"""The genops-pricing command: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from genops_pricing import bundled_catalog
from genops_pricing.cli import main
from pricing_files import model_file, write_directory

VERSION = bundled_catalog().version
COST_KEYS = [
    *("model", "market", "total", "input", "output", "cache_read", "cache_write", "audio", "image"),
    *("web_search", "request", "currency", "status", "reason", "entry", "effective_from"),
    *("removed", "tier", "family", "version"),
]

Output = pytest.CaptureFixture[str]


def run(capsys: Output, line: str) -> tuple[int, str, str]:
    try:
        code = main(line.split())
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def records(capsys: Output, line: str) -> list[dict[str, Any]]:
    _, out, _ = run(capsys, line)
    return [json.loads(text) for text in out.splitlines()]


def test_cost_for_people(capsys: Output) -> None:
    code, out, err = run(
        capsys, "cost openai/gpt-4o --input 1000000 --output 1000000 --at 2024-07-15"
    )

    assert (code, err) == (0, "")
    assert out == (
        "openai/gpt-4o: 20 USD\n"
        "  input       5\n"
        "  output      15\n"
        "  price       openrouter/openai/gpt-4o@2024-05-13T00:00:00Z\n"
        "  family      gpt-4o\n"
        "  tier        premium\n"
        f"  catalog     {VERSION}\n"
    )


def test_cost_of_a_removed_model_says_when_it_was_removed(capsys: Output) -> None:
    code, out, _ = run(capsys, "cost claude-3-sonnet --input 150 --output 75")

    assert code == 0
    assert out.startswith("anthropic/claude-3-sonnet: 0.001575 USD\n")
    assert "  removed     2025-08-12: openrouter no longer offers this model\n" in out


def test_cost_for_machines_has_every_key_in_order(capsys: Output) -> None:
    (record,) = records(
        capsys,
        "cost anthropic/claude-sonnet-4.5 --input 1000 --cache-read 400 --cache-write 100 "
        "--output 10 --web-searches 1 --at 2026-11-22 --json",
    )

    assert list(record) == COST_KEYS
    assert record == {
        "model": "anthropic/claude-sonnet-4.5",
        "market": "openrouter",
        "total": "0.012145",
        "input": "0.0015",
        "output": "0.00015",
        "cache_read": "0.00012",
        "cache_write": "0.000375",
        "audio": None,
        "image": None,
        "web_search": "0.01",
        "request": None,
        "currency": "USD",
        "status": "priced",
        "reason": None,
        "entry": "openrouter/anthropic/claude-sonnet-4.5@2025-09-29T00:00:00Z",
        "effective_from": "2025-09-29T00:00:00Z",
        "removed": None,
        "tier": "premium",
        "family": "claude-4.5",
        "version": VERSION,
    }


def test_an_unknown_model_exits_3_and_names_the_closest(capsys: Output) -> None:
    code, out, err = run(capsys, "cost openai/gpt-4oo --input 5")

    assert (code, out) == (3, "")
    what, closest = err.splitlines()
    assert what == "unpriced: unknown_model: market openrouter has no model openai/gpt-4oo"
    assert closest.startswith("closest: openai/gpt-4o, openai/")


def test_an_unknown_model_has_status_reason_and_version_and_nothing_else(capsys: Output) -> None:
    (record,) = records(capsys, "cost acme/nothing --input 5 --json")

    assert list(record) == COST_KEYS
    assert {key: value for key, value in record.items() if value is not None} == {
        "model": "acme/nothing",
        "status": "unpriced",
        "reason": "unknown_model",
        "version": VERSION,
    }


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("openrouter/auto --input 5", ("openrouter", None, "dynamic_price")),
        ("sonar --market perplexity --input 5", ("perplexity", None, "suspect_price")),
        ("claude-3-sonnet --at 2020-01-01", ("openrouter", "2025-08-12", "not_yet_priced")),
        ("claude-3-sonnet --output 1 --reasoning 2", ("openrouter", "2025-08-12", "bad_usage")),
        ("nothing --market openai", ("openai", None, "unknown_model")),
    ],
)
def test_what_is_known_of_an_unpriced_call_is_told(
    capsys: Output, line: str, known: tuple[str, str | None, str]
) -> None:
    (record,) = records(capsys, f"cost {line} --json")

    assert list(record) == COST_KEYS
    assert (record["market"], record["removed"], record["reason"]) == known
    assert (record["status"], record["total"], record["currency"]) == ("unpriced", None, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("cost openrouter/auto --input 5", "dynamic_price"),
        ("cost sonar --market perplexity --input 5", "suspect_price"),
        ("cost openai/gpt-4o --input 5 --at 2020-01-01", "not_yet_priced"),
        ("cost openai/gpt-4o --input 5 --cache-read 6", "bad_usage"),
        ("show openai/gpt-4oo", "unknown_model"),
    ],
)
def test_whatever_has_no_price_exits_3_with_its_reason(
    capsys: Output, line: str, reason: str
) -> None:
    code, out, err = run(capsys, line)

    assert (code, out) == (3, "")
    assert err.startswith(f"unpriced: {reason}: ")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "price openai/gpt-4o",
        "cost",
        "cost openai/gpt-4o --input 1000000000000000000",
        "cost openai/gpt-4o --at 0001-01-01T00:00:00+14:00",
        "cost openai/gpt-4o --input -1",
        "cost openai/gpt-4o --input 1.5",
        "cost openai/gpt-4o --at yesterday",
        "cost openai/gpt-4o --at 2024-07-15T12:00:00",
    ],
)
def test_wrong_usage_exits_2(capsys: Output, line: str) -> None:
    code, out, err = run(capsys, line)

    assert (code, out) == (2, "")
    assert err.startswith("usage: ")


@pytest.mark.parametrize("line", ["list", "show gpt-4o", "cost gpt-4o --input 5 --json"])
def test_a_market_that_is_none_is_wrong_usage_with_the_known_ones(
    capsys: Output, line: str
) -> None:
    code, out, err = run(capsys, f"{line} --market nope")

    assert (code, out) == (2, "")
    assert err.startswith('no market "nope". Known: openrouter, openai, ')


def test_markets_are_named_in_any_case(capsys: Output) -> None:
    (record,) = records(capsys, "cost gpt-4o --market OpenAI --input 10 --json")

    assert record["market"] == "openai"


def test_a_model_with_a_moving_name_has_its_price_in_lists(capsys: Output, tmp_path: Path) -> None:
    """OpenRouter writes `~author/family-latest`; a discount adds "~overlay" to the row's id."""
    overlay = tmp_path / "acme.yaml"
    overlay.write_text(
        "overlay: acme\n"
        + model_file(
            """
id: "~acme/one-latest"
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "2", output: "3"}
"""
        )
        + "discounts:\n"
        + '  - {market: openrouter, author: acme, percent: "50", effective_from: 2025-01-01}\n'
    )

    for day in ("2024-06-01", "2025-06-01"):
        line = f"show ~acme/one-latest --overlay {overlay} --at {day} --json"
        (record,) = records(capsys, line)
        assert record["in_force"] is True, day


def test_a_provider_has_its_own_price(capsys: Output) -> None:
    line = "cost openai/gpt-4o --input 1000000 --cache-read 1000000 --json --at 2026-06-01"
    (listed,) = records(capsys, line)
    (azure,) = records(capsys, f"{line} --provider Azure")

    assert (listed["total"], azure["total"]) == ("1.25", "2.5")
    assert azure["entry"] == "openrouter/openai/gpt-4o/azure@2026-05-18T00:00:00Z"


def test_list_shows_every_model_with_its_price(capsys: Output) -> None:
    code, out, _ = run(capsys, "list --market openrouter --at 2026-11-22")
    lines = out.splitlines()

    assert code == 0
    assert lines[0].split() == ["model", "market", "input", "output", "tier", "family", "removed"]
    assert len(lines) == 1 + sum(1 for _ in bundled_catalog().models("openrouter"))
    assert any(
        line.split() == ["openai/gpt-4o", "openrouter", "2.5", "10", "premium", "gpt-4o", "-"]
        for line in lines
    )
    assert any(
        line.split()[:3] == ["openrouter/auto", "openrouter", "dynamic_price"] for line in lines
    )


def test_list_for_machines_is_one_object_a_line_with_the_same_keys(capsys: Output) -> None:
    listed = records(capsys, "list --json")

    assert len({tuple(record) for record in listed}) == 1
    assert len(listed) == sum(1 for _ in bundled_catalog().models())


def test_show_for_people_lists_rows_and_marks_the_one_in_force(capsys: Output) -> None:
    code, out, _ = run(capsys, "show gpt-4o --at 2024-07-15")

    assert code == 0
    assert out.startswith("openai/gpt-4o\n  market      openrouter\n")
    lines = [line.split() for line in out.splitlines()]
    head = next(line for line in lines if line[:1] == ["from"])
    cells = [line[line[:1] == [">"] :] for line in lines]
    rows = [dict(zip(head, line, strict=False)) for line in cells if line[:1] > ["20"]]
    rows = [row for row in rows if row["from"].startswith("20")]
    assert [(row["from"], row["provider"], row["input"], row["output"]) for row in rows[:2]] == [
        ("2024-05-13", "-", "5", "15"),
        ("2024-11-04", "-", "2.5", "10"),
    ]
    assert [line[1] for line in lines if line[:1] == [">"]] == ["2024-05-13", "in"]
    assert ["2026-05-18", "azure"] in [line[:2] for line in lines]


def test_show_plots_a_price_that_changed_in_the_width_of_the_terminal(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = run(capsys, "show gpt-4o --at 2026-11-22")
    _, steady, _ = run(capsys, "show openai/gpt-4-turbo --at 2026-11-22")

    plotted = out[out.index("  input, USD per million tokens") :].splitlines()
    assert plotted[1].startswith("    5 ┤──")
    assert plotted[6].startswith("  2.5 ┤")
    assert plotted[7].split("└")[1].split() == ["2024-05-13", "2026-11-22"]
    assert max(map(len, plotted)) <= 60
    assert "USD per million tokens\n" not in steady.partition("source")[2]


PAST = """
id: a/b
prices:
  - {effective_from: 2025-01-01, usd_per_mtok: {input: "1", output: "2"}}
  - {effective_from: 2025-03-01, status: suspect, reason: its sources disagree}
  - {effective_from: 2025-09-01, usd_per_mtok: {input: "2", output: "2"}}
endpoints:
  cerebras: {quantization: fp16}
  groq: {quantization: fp8, prices: [{effective_from: 2025-05-01, usd_per_mtok: {input: "9"}}]}
"""


@pytest.fixture
def past(tmp_path: Path) -> Path:
    overlay = tmp_path / "past.yaml"
    overlay.write_text("overlay: past\n" + model_file(PAST))
    return overlay


def test_the_plot_of_a_price_has_a_gap_where_it_was_suspect(
    capsys: Output, monkeypatch: pytest.MonkeyPatch, past: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = run(capsys, f"show a/b --overlay {past} --at 2026-01-01")

    lines = out[out.index("  input, USD") :].splitlines()
    assert lines[0] == "  input, USD per million tokens, gaps where unpriced"
    levels = [line.partition("┤")[2] for line in lines[1:7]]
    first, last = levels[5].rstrip(), levels[0].lstrip()
    assert (set(first), set(last)) == ({"─"}, {"─"})
    assert not any(level.strip() for level in levels[1:5])  # no line joins the two
    assert len(first) + len(last) < len(levels[0]) * 2 / 3
    assert "output, USD per million tokens," not in out  # it never changed


def test_show_names_providers_that_ask_the_same_as_the_model(capsys: Output, past: Path) -> None:
    _, out, _ = run(capsys, f"show a/b --overlay {past}")
    rows = records(capsys, f"show a/b --overlay {past} --json")
    (cost,) = records(capsys, f"cost a/b --provider Cerebras --input 1 --overlay {past} --json")

    assert "  same price  cerebras (fp16)\n" in out
    assert all(row["served_alike"] == {"cerebras": "fp16"} for row in rows)
    assert cost["entry"] == "openrouter/a/b@2025-09-01T00:00:00Z+past"


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
@pytest.mark.parametrize(
    "model", ["anthropic/claude-sonnet-4.5", "z-ai/glm-5.2", "openai/gpt-4o-audio-preview"]
)
def test_show_fits_in_the_terminal(
    capsys: Output, monkeypatch: pytest.MonkeyPatch, model: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = run(capsys, f"show {model}")

    head = next(line.split() for line in out.splitlines() if line.split()[:1] == ["from"])
    priced = sum(2 + len(name) for name in head if name not in ("seen", "basis", "source"))
    assert max(map(len, out.splitlines())) <= max(columns, 24 + priced)
    assert ("left out" in out) == ("seen" not in head)


def test_show_describes_conditional_prices(capsys: Output) -> None:
    _, out, _ = run(capsys, "show anthropic/claude-sonnet-4.5")

    assert "    prompt of 200001 tokens or more: input 6, output 22.5" in out


def test_show_for_machines_is_one_row_a_line_with_its_source(capsys: Output) -> None:
    rows = records(capsys, "show gpt-4o --json --at 2024-07-15")

    assert [row["in_force"] for row in rows] == [True, False, False]
    assert len({tuple(row) for row in rows}) == 1
    assert rows[0]["prices"] == {"input": "5", "output": "15"}
    assert rows[0]["basis"] == "derived"


def test_show_says_at_which_quantization_an_endpoint_serves(capsys: Output) -> None:
    rows = records(capsys, "show meta-llama/llama-3.1-8b-instruct --json")
    _, out, _ = run(capsys, "show meta-llama/llama-3.1-8b-instruct")

    served = {row["endpoint"]: row["quantization"] for row in rows}
    assert (served["cerebras"], served["groq"], served[None]) == ("fp16", None, None)
    assert "  2026-05-18  cerebras (fp16)  " in out
    assert "  2026-05-18  groq  " in out


def test_check_counts_what_is_sound(capsys: Output) -> None:
    code, out, err = run(capsys, "check")

    assert (code, err) == (0, "")
    assert out.startswith(f"{VERSION}: ")
    assert out.endswith(" price rows, all sound\n")


def test_check_reports_every_problem_of_every_file(capsys: Output, tmp_path: Path) -> None:
    good = write_directory(
        tmp_path / "good",
        acme=model_file(
            'id: a/b\nprices: [{effective_from: 2024-01-01, usd_per_mtok: {input: "1"}}]'
        ),
    )
    assert run(capsys, f"publish --data {good}")[0] == 0
    bad = write_directory(tmp_path / "bad", acme="market: 1.5\n")
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("overlay: x\ndiscount: []\n")

    code, out, err = run(capsys, f"check {good} {bad} {overlay}")
    assert code == 1
    assert out.splitlines()[0].endswith(": 1 models, 1 price rows, all sound")
    assert f"{bad}/acme.yaml:1: 1.5 is a float" in err
    assert f'{overlay}:2: unknown key "discount" in overlay. Did you mean "discounts"?' in err

    (record,) = records(capsys, f"check {bad} --json")
    assert record["versions"] == []
    assert any("is a float" in problem for problem in record["problems"])


def test_check_says_that_nothing_keeps_rows_from_being_edited(
    capsys: Output, tmp_path: Path
) -> None:
    directory = write_directory(
        tmp_path / "data",
        acme=model_file(
            'id: a/b\nprices: [{effective_from: 2024-01-01, usd_per_mtok: {input: "1"}}]'
        ),
    )

    code, _, err = run(capsys, f"check {directory}")
    assert code == 1
    assert err.startswith(f"{directory}/published.txt: the file is missing")
    assert err.endswith(f"genops-pricing publish --data {directory}\n")
    assert run(capsys, f"publish --data {directory}")[0] == 0
    assert run(capsys, f"check {directory}")[0] == 0


def test_overlays_count_in_every_reading_command(capsys: Output, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "overlay: acme\nmarket: openrouter\nmodels:\n  - id: acme/own\n"
        '    prices: [{effective_from: 2024-01-01, usd_per_mtok: {input: "7"}}]\n'
    )

    (cost,) = records(capsys, f"cost acme/own --input 1000000 --overlay {overlay} --json")
    assert cost["total"] == "7"
    assert cost["version"].startswith(f"{VERSION}.overlay.")
    code, _, err = run(capsys, f"list --overlay {tmp_path / 'none.yaml'}")
    assert code == 1
    assert "can't be read" in err


def test_it_runs_as_a_module_and_ends_quietly_when_its_reader_does() -> None:
    command = [sys.executable, "-m", "genops_pricing", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()

    assert err == b""


def test_a_catalog_that_is_not_there_can_not_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", str(tmp_path / "none"), str(tmp_path)]) == 1
    assert "none: no such file. Give a data directory" in capsys.readouterr().err


CONTRACT = """\
overlay: acme
market: openrouter
author: openai
models:
  - id: openai/gpt-4o
    prices:
      - effective_from: 2026-01-01
        reason: Contract 4711
        usd_per_mtok: {input: "2", output: "8", cache_read: "1"}
discounts:
  - market: openrouter
    author: openai
    percent: "10"
    effective_from: 2025-01-01
"""


@pytest.mark.parametrize(
    ("entry", "price"),
    [
        ("openrouter/openai/gpt-4o@2024-11-04T00:00:00Z", "2.5"),
        ("openrouter/openai/gpt-4o@2024-05-13T00:00:00Z", "5"),
        ("openrouter/openai/gpt-4o/azure@2026-05-18T00:00:00Z", "2.5"),
        ("openai/gpt-4o-mini@2024-07-18T00:00:00Z", "0.15"),
        ("openrouter/openai/gpt-4o@2026-01-01T00:00:00Z+acme", "2"),
        ("openrouter/openai/gpt-4o@2024-11-04T00:00:00Z~acme", "2.5"),  # before the discount
    ],
)
def test_show_takes_the_id_of_a_row_as_a_span_states_it(
    entry: str, price: str, capsys: Output, tmp_path: Path
) -> None:
    overlay = tmp_path / "acme.yaml"
    overlay.write_text(CONTRACT, encoding="utf-8")

    code, out, err = run(capsys, f"show {entry} --overlay {overlay}")
    (row,) = records(capsys, f"show {entry} --overlay {overlay} --json")

    assert (code, err) == (0, "")
    (marked,) = [line for line in out.splitlines() if line.startswith("> ")]
    assert price in marked.split()
    assert f"  > {entry}\n" in out
    assert row["entry"] == entry.partition("~")[0]
    assert row["prices"]["input"] == price


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            "openrouter/openai/gpt-4o@2026-01-01T00:00:00Z+acme",
            "it is of the overlay acme: give it by --overlay",
        ),
        ("openrouter/openai/gpt-4o@2024-11-05T00:00:00Z", "has no such row"),
        ("openrouter/openai/none@2024-11-05T00:00:00Z", "has no such row"),
        ("nowhere/none@2024-11-05T00:00:00Z", "has no such row"),
    ],
)
def test_show_says_why_there_is_no_such_row(entry: str, said: str, capsys: Output) -> None:
    code, out, err = run(capsys, f"show {entry}")

    assert (code, out) == (3, "")
    assert f"no price row {entry}: " in err
    assert said in err


def test_a_name_of_a_model_with_an_at_sign_is_no_row(capsys: Output) -> None:
    code, out, _ = run(capsys, "show claude-sonnet-4-5@20250929 --market google-vertex")

    assert code == 0, out


def test_the_version_is_that_of_the_distribution_and_that_of_the_catalog(capsys: Output) -> None:
    code, out, _ = run(capsys, "--version")

    assert code == 0
    assert out == f"{version('genops-ai')}, catalog {VERSION}\n"


def test_check_notes_what_a_contract_leaves_out(capsys: Output, tmp_path: Path) -> None:
    """A row inherits nothing: without a price of their own cached tokens cost what input costs."""
    overlay = tmp_path / "acme.yaml"
    overlay.write_text(CONTRACT.replace(', cache_read: "1"', ""), encoding="utf-8")

    code, out, err = run(capsys, f"check {overlay}")
    (record,) = records(capsys, f"check {overlay} --json")

    assert (code, err) == (0, "")
    assert out.splitlines()[1].startswith(
        "note: openrouter/openai/gpt-4o@2026-01-01T00:00:00Z+acme leaves out what the row below "
        "it states: cache_read 1.25. "
    )
    assert [f"note: {note}" for note in record["notes"]] == out.splitlines()[1:]
    _, cost, _ = run(
        capsys, f"cost gpt-4o --input 1000000 --cache-read 1000000 --overlay {overlay}"
    )
    assert cost.startswith("openai/gpt-4o: 1.8 USD\n")  # 2 less 10 %, as any input


def test_check_has_no_note_where_a_contract_states_all(capsys: Output, tmp_path: Path) -> None:
    overlay = tmp_path / "acme.yaml"
    overlay.write_text(CONTRACT, encoding="utf-8")

    _, out, _ = run(capsys, f"check {overlay}")

    assert len(out.splitlines()) == 1
