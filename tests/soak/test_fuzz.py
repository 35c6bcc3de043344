"""The short form of the fuzz run. `make soak` is the long one."""

from __future__ import annotations

from pathlib import Path

from genops_enricher.pipeline import Signal
from soak.fuzz import TRANSPORTS, Report, run
from soak.mutate import mutated, seeds

REQUESTS = 1000  # over each transport


def test_mutated_requests_meet_only_answers_that_the_protocol_foresees(tmp_path: Path) -> None:
    report = run(REQUESTS, tmp_path, seed=1)

    assert report.passed, report.table()
    assert report.answers.total() == REQUESTS * len(TRANSPORTS)
    assert min(report.answers.values()) > REQUESTS / 20, "the mutations reach only one side"


def test_a_finding_fails_the_run() -> None:
    assert not Report(findings=["gRPC UNKNOWN: mutated(1, 2, Signal.TRACES)"]).passed


def test_a_mutated_request_can_be_made_again_from_its_number() -> None:
    first = [mutated(5, number, Signal.TRACES) for number in range(300)]

    assert first == [mutated(5, number, Signal.TRACES) for number in range(300)]
    assert len(set(first)) > 200
    assert first != [mutated(6, number, Signal.TRACES) for number in range(300)]
    assert any(payload in seeds(Signal.TRACES) for payload in first)
