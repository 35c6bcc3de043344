"""Run the tests of calls with each supported version of the OpenAI SDK, and make the table of it.

Each version has an environment of its own, kept in the user's cache directory and made anew when
pyproject.toml changes. Write the page with: PYTHONPATH=tests python -m client.matrix.sdk_matrix
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from client.matrix.features import FEATURES

__all__ = ["PAGE", "VERSIONS", "Measured", "measure", "page"]

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "docs" / "sdk-matrix.md"

# The oldest that runs (older ones cannot make a client with httpx 0.28, which removed an argument
# that they use), the last of each major version, and the first of those that users stay on.
VERSIONS: Final = ("1.55.3", "1.109.1", "2.0.1", "2.54.0", "3.54.0")

_TESTS: Final = (
    "tests/client/matrix/test_sdk_features.py",
    "tests/client/test_budget_calls.py",
    "tests/client/test_openai_calls.py",
    "tests/client/test_openrouter_client.py",
    "tests/client/test_streaming_calls.py",
)
_FEATURE: Final = re.compile(
    r"test_a_call_made_in_this_way_leaves_one_complete_span\[(.+)-(sync|async)\]"
)
_PAGE: Final = """\
# Versions of the OpenAI SDK

Which ways to make a call each version of the `openai` package offers, and whether the client records them.
Measured by running the client's tests with each version and the newest versions of what it depends on; not written by hand.
To measure again: `PYTHONPATH=tests python -m client.matrix.sdk_matrix`.

`yes`: recorded, synchronous and asynchronous. `–`: this version does not offer it.

| | {versions} |
|---|{rule}
{rows}

{oldest} is the oldest version that runs: older ones pass an argument to httpx that its version 0.28 removed.
"""  # noqa: E501 - one sentence a line
# What the tests of calls, and the conftest.py of all tests, import.
_PACKAGES = ("hypothesis", "pytest", "pytest-randomly", "wrapt")
_INSTALL_SECONDS_MAX: Final = 600
_RUN_SECONDS_MAX: Final = 600


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of the tests with one version of the SDK."""

    ok: bool
    report: str  # what pytest said
    features: Mapping[tuple[str, str], str]  # (feature, sync or async) -> passed, skipped or failed


@cache
def measure(version: str) -> Measured:
    """Run the tests with this version of the SDK.

    Raises:
        subprocess.SubprocessError: the environment cannot be made, or pytest does not end.
    """
    python = _environment(version)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        options = ("-q", "-m", "not heavy", "-p", "no:cacheprovider", f"--junitxml={results}")
        done = subprocess.run(
            [python, "-m", "pytest", *options, *_TESTS],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS_MAX,
        )
        report = done.stdout + done.stderr
        features = _features(results) if results.exists() else {}
    return Measured(done.returncode == 0, report, features)


def _features(results: Path) -> dict[tuple[str, str], str]:
    features: dict[tuple[str, str], str] = {}
    for case in ET.parse(results).iter("testcase"):
        match = _FEATURE.fullmatch(case.get("name", ""))
        if match is not None:
            outcome = "passed" if len(case) == 0 else case[0].tag
            features[match[1], match[2]] = outcome
    return features


def _environment(version: str) -> Path:
    """The Python of an environment with the project and this version of the SDK."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    content = (ROOT / "pyproject.toml").read_text() + str((ROOT, sys.version, _PACKAGES))
    name = f"openai-{version}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    folder = caches / "genops-tests" / name
    python, made = folder / "bin" / "python", folder / ".made"
    if not made.exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        subprocess.run(
            [
                *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                *("--editable", f"{ROOT}[openai]", f"openai=={version}"),
                *_PACKAGES,
            ],
            check=True,
            timeout=_INSTALL_SECONDS_MAX,
        )
        made.touch()
    return python


def page(measured: Mapping[str, Measured]) -> str:
    """The page that says which version of the SDK offers what, and whether it is recorded."""
    rows = (
        f"| {name} | {' | '.join(_cell(one, name) for one in measured.values())} |"
        for name in FEATURES
    )
    return _PAGE.format(
        versions=" | ".join(measured),
        rule="---|" * len(measured),
        rows="\n".join(rows),
        oldest=next(iter(measured)),
    )


def _cell(measured: Measured, name: str) -> str:
    outcomes = {kind: measured.features.get((name, kind), "missing") for kind in ("sync", "async")}
    if set(outcomes.values()) == {"passed"}:
        return "yes"
    if set(outcomes.values()) == {"skipped"}:
        return "–"
    return ", ".join(f"{kind} {outcome}" for kind, outcome in outcomes.items())


if __name__ == "__main__":
    PAGE.write_text(page({version: measure(version) for version in VERSIONS}), encoding="utf-8")
