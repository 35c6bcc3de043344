"""The wheel and the source distribution, installed as users install them, with nothing beside."""

from __future__ import annotations

import os
import subprocess
import venv
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from deploy import tools
from pages import ROOT, clean_environment

pytestmark = pytest.mark.heavy

FORMS = {"wheel": "*.whl", "sdist": "*.tar.gz"}
CONFIG = """\
exporters:
  otlp_http: {endpoint: https://api.example}
service: {data_dir: data}
"""


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, made from this tree."""
    python = tools.python_with("hatchling", "PyYAML")
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [python, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Installed:
    """An environment of its own with the distribution in it."""

    def __init__(self, folder: Path, requirement: str) -> None:
        self.folder = folder
        self._bin = folder / "venv" / "bin"
        venv.create(folder / "venv", with_pip=True)
        self.install(requirement)

    def install(self, requirement: str) -> None:
        python = self._bin / "python"
        quietly = ("--quiet", "--disable-pip-version-check")
        done = run(python, "-m", "pip", "install", *quietly, requirement, folder=self.folder)
        assert done.returncode == 0, done.stderr

    def run(self, line: Sequence[str]) -> subprocess.CompletedProcess[str]:
        program, *arguments = line
        return run(self._bin / program, *arguments, folder=self.folder)


@pytest.mark.parametrize("form", FORMS)
def test_the_base_install_has_three_programs_and_the_enricher_says_what_it_lacks(
    form: str, built: Path, tmp_path: Path
) -> None:
    (file,) = built.glob(FORMS[form])
    installed = Installed(tmp_path, str(file))
    (tmp_path / "enricher.yaml").write_text(CONFIG)

    for program in ("genops", "genops-enricher", "genops-pricing"):
        said = installed.run([program, "--version"])
        assert (said.returncode, said.stderr) == (0, "")
        assert said.stdout.startswith(version("genops-ai"))
    cost = installed.run(["genops-pricing", "cost", "openai/gpt-4o", "--input", "1000"])
    assert cost.stdout.startswith("openai/gpt-4o: ")
    lacking = installed.run(["genops-enricher", "validate", "--config", "enricher.yaml"])
    assert lacking.returncode == 1
    assert "is not installed. hint: pip install 'genops-ai[all]'" in lacking.stderr

    installed.install(f"{file}[enricher]")
    valid = installed.run(["genops-enricher", "validate", "--config", "enricher.yaml"])
    assert (valid.returncode, valid.stderr) == (0, "")
    assert "enricher.yaml: valid; catalog " in valid.stdout
