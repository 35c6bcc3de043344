"""A failure says enough to be understood without another run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
FAILING = """
import pytest

@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared") / "of-a-session.log"

def test_before(tmp_path):
    (tmp_path / "before.log").write_text("of the test before")
    import os
    os.utime(tmp_path / "before.log", (0, 0))

def test_failing(tmp_path, shared):
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "enricher.log").write_text("the beginning" + "." * 20_000 + "the end")
    shared.write_text("the process of all")
    assert False
"""


def test_a_failure_shows_the_ends_of_the_logs_that_were_written_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_failing.py").write_text(FAILING)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:randomly"]
    ran = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'base'}", "test_failing.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "deeper/enricher.log" in ran.stdout
    assert "the end" in ran.stdout
    assert "the beginning" not in ran.stdout.replace('"the beginning"', "")
    assert "the process of all" in ran.stdout
    assert "of the test before" not in ran.stdout
