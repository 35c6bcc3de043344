"""What the metadata of installed distributions says, with distributions made for the test."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from genops.validation import installation

RUN = """
from genops.validation import installation
from genops.providers.openrouter import validate_setup
print(*installation.problems(), sep="\\n")
for issue in validate_setup().issues:
    if issue.level == "error" and issue.component in ("installation", "configuration"):
        print(issue.message, "|", issue.fix_suggestion)
"""


def run_beside(site: Path, **versions: str) -> list[str]:
    """What is printed where these distributions are installed first on the path."""
    for name, version in versions.items():
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN],
        env={
            **os.environ,
            "PYTHONPATH": str(site),
            "OTEL_TRACES_EXPORTER": "console",
            "OPENROUTER_API_KEY": "sk-or-x",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_the_other_owner_of_the_name_is_found_with_the_way_out(tmp_path: Path) -> None:
    problem, issue = run_beside(tmp_path, genops="1.2.3")

    assert problem.startswith('the distribution "genops" 1.2.3 is installed too')
    assert "hint: pip uninstall genops genops-ai, then pip install genops-ai" in problem
    assert issue.startswith('the distribution "genops" 1.2.3 is installed too')
    assert issue.endswith("| pip uninstall genops genops-ai, then pip install genops-ai")


def test_a_distribution_of_a_longer_name_is_not_taken_for_it(tmp_path: Path) -> None:
    assert run_beside(tmp_path, genops_extras="1.0") == [""]


def test_an_sdk_below_the_floor_is_an_error_that_names_both_versions(tmp_path: Path) -> None:
    floor = next(
        line.split(">=")[1].split(";")[0].strip()
        for line in requires("genops-ai") or ()
        if line.startswith("openai>=") and "'openai'" in line.replace('"', "'")
    )

    [_, issue] = run_beside(tmp_path, openai="0.28.1")

    needed = f"openai 0.28.1 is installed; {floor} or newer is needed"
    assert issue == f"{needed} | pip install -U 'openai>={floor}'"


def test_a_pre_release_of_a_newer_version_will_do(tmp_path: Path) -> None:
    assert run_beside(tmp_path, openai="99.0.0rc1") == [""]


def test_this_installation_has_no_problems() -> None:
    assert installation.problems() == ()
    assert installation.unmet("openai") == ()


def test_the_base_requirements_are_checked_too(tmp_path: Path) -> None:
    [_, issue] = run_beside(tmp_path, opentelemetry_sdk="1.2.0")

    assert issue.startswith("opentelemetry-sdk 1.2.0 is installed; ")
