"""The genops command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from genops.cli import main
from genops_enricher.demo.fake_openrouter import FakeOpenRouter

KEY = "sk-or-v1-" + "0" * 64


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("OTEL_", "GENOPS_", "OPENROUTER_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")


def command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "genops", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_validate_reports_and_exits_0_if_valid_and_1_if_not() -> None:
    valid, invalid = command("validate", OPENROUTER_API_KEY=KEY), command("validate")

    assert (valid.returncode, valid.stderr) == (0, "")
    assert valid.stdout.endswith("The setup is valid.\n")
    assert (invalid.returncode, invalid.stderr) == (1, "")
    assert "OPENROUTER_API_KEY is not set" in invalid.stdout


def test_validate_live_asks_openrouter() -> None:
    with FakeOpenRouter() as fake:
        good, bad = (
            command(
                *("validate", "--live", "--timeout", "10"),
                OPENROUTER_API_KEY=key,
                GENOPS_OPENROUTER_BASE_URL=fake.base_url,
            )
            for key in (KEY, "sk-other")
        )

    assert good.returncode == 0
    assert "OpenRouter accepts the key" in good.stdout
    assert bad.returncode == 1
    assert "does not accept the key (401)" in bad.stdout
    assert "sk-other" not in bad.stdout + bad.stderr


def test_validate_json_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["validate", "--json"])

    [line] = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert code == 1
    assert list(result) == ["is_valid", "issues", "summary"]
    assert result["is_valid"] is False
    assert {tuple(issue) for issue in result["issues"]} == {
        ("level", "component", "message", "fix_suggestion")
    }
    assert result["summary"]["error_count"] == 1


def test_the_reports_reader_may_go_away() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "genops", "validate"],
            env={**os.environ, "OPENROUTER_API_KEY": KEY},
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{version('genops-ai')}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["validate", "--timeout", "0"],
        ["validate", "--timeout", "nan"],
        ["validate", "--timeout", "soon"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert "usage: genops" in capsys.readouterr().err


def test_validate_loads_neither_the_sdk_of_openai_nor_grpc_without_live() -> None:
    code = (
        "import sys; from genops.cli import main; main(['validate'])\n"
        "print([n for n in ('openai', 'grpc', 'requests', 'yaml') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ}
    )

    assert done.stdout.splitlines()[-1] == "[]", done.stderr
