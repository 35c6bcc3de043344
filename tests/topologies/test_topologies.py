"""Every topology of collector-config/ does what its page says, with the real parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from topologies.page import PAGE, parts, row
from topologies.runs import RUNS


@pytest.mark.heavy
@pytest.mark.parametrize("topology", RUNS)
def test_nothing_is_lost_and_costs_are_the_bill(topology: str, tmp_path: Path) -> None:
    outcome = RUNS[topology](tmp_path)

    assert outcome.is_whole, outcome
    assert row(outcome) in PAGE.read_text(encoding="utf-8").splitlines(), (
        f"run `python -m topologies.page` in tests/; it came to\n{row(outcome)}"
    )


def test_the_page_names_the_parts_that_are_built() -> None:
    assert parts() in PAGE.read_text(encoding="utf-8")


def test_the_page_has_a_row_for_every_topology() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert [name for name in RUNS if f"[{name}](" not in text] == []
