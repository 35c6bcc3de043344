"""What holds for all tests: how examples are drawn, and what a failure shows."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Failed checks inside the runs of topologies show their values too, whoever imports them first.
pytest.register_assert_rewrite("topologies.runs")

# How long an example takes says how busy the machine is. CI draws the same examples each time: new
# ones are found where people work.
settings.register_profile(
    "genops",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
)
settings.load_profile("genops")

_LOG_TAIL_CHARS = 10_000
_base = pytest.StashKey[Path]()
_begun_s = pytest.StashKey[float]()


@pytest.fixture(scope="session", autouse=True)
def _base_of_temporary_folders(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> None:
    pytestconfig.stash[_base] = tmp_path_factory.getbasetemp()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[_begun_s] = time.time()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows how the logs end that processes of the test wrote meanwhile."""
    report = yield
    if report.failed:
        for log in _logs_of(item):
            report.sections.append((str(log), log.read_text(errors="replace")[-_LOG_TAIL_CHARS:]))
    return report


def _logs_of(item: pytest.Item) -> list[Path]:
    given = getattr(item, "funcargs", {}).values()
    folders = {item.config.stash.get(_base, None), *(x for x in given if isinstance(x, Path))}
    since_s = item.stash.get(_begun_s, 0.0) - 1  # file systems round
    logs = {log for folder in folders if folder for log in folder.rglob("*.log")}
    return sorted(log for log in logs if log.is_file() and log.stat().st_mtime >= since_s)
