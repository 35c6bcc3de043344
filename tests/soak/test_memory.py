"""The short form of the memory run, and proof that it can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.memory import Plan, Report, run


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_above_the_limit_requests_are_refused_and_afterwards_accepted_again(
    tmp_path: Path,
) -> None:
    report = run(Plan(limit_mib=100, queue_mib=128, senders=8, request_mib=8, seconds=5), tmp_path)

    assert report.problems == []
    assert report.memory_refused > 0
    log = (tmp_path / "enricher.log").read_text()
    assert "above the limit; senders are told to try again" in log
    assert "within the limit again" in log
    assert "Traceback" not in log


def test_a_run_fails_for_each_thing_that_it_is_about() -> None:
    report = Report(Plan(limit_mib=1, over_mib=1), highest=3 << 20, accepted={1, 2}, arrived={1})
    report.answers["INTERNAL"] += 1

    assert report.problems == [
        "the resident set is out of bounds",
        "acknowledged spans are lost",
        "requests are not accepted again",
        "an answer is neither yes nor again",
    ]
