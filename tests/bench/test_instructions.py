"""What a span costs, in instructions, against the reviewed baseline: no clock has a part in it."""

from __future__ import annotations

import json

import pytest

import heavy
from bench.instructions import BASELINE, CASES, TOLERANCE, count, versions


@pytest.mark.heavy
@pytest.mark.parametrize("case", CASES)
def test_a_span_takes_as_many_instructions_as_before(case: str) -> None:
    heavy.require("valgrind", reason="callgrind counts the instructions")
    baseline = json.loads(BASELINE.read_text())
    if baseline["versions"] != versions():
        heavy.missing(f"the baseline is of {baseline['versions']}, this is {versions()}")

    now = count(case)

    assert now == pytest.approx(baseline["instructions"][case], rel=TOLERANCE), (
        f"{case}: {now:,} instructions a span. If that is meant, accept it: "
        "PYTHONPATH=tests python -m bench.instructions --write"
    )
