"""docs/otlp.md has a row for each statement, and the tests that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DUTIES = ROOT / "tests" / "otlp_duties"
ROWS = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs" / "otlp.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| [SHJC]\d", line)
]


def functions_of(module: str) -> set[str]:
    return set(re.findall(r"^def (test_\w+)", (DUTIES / module).read_text(), re.MULTILINE))


def test_each_statement_has_a_row() -> None:
    statements = {f"{group}{n}" for group, last in (("S", 10), ("H", 6), ("J", 5))
                  for n in range(1, last + 1)}  # fmt: skip

    assert statements <= {row[0].split()[0] for row in ROWS}


def test_each_test_that_is_named_is_there_and_is_of_that_statement() -> None:
    for statement, _, module, tests in ROWS:
        for name in re.findall(r"`(\w+)`", tests):
            assert name in functions_of(module.strip("`")), statement
            assert f"_{statement.split()[0].lower()}_" in name


def test_each_test_of_a_statement_is_named() -> None:
    named = {name for row in ROWS for name in re.findall(r"`(\w+)`", row[3])}
    there = {
        name
        for module in DUTIES.glob("test_*.py")
        for name in functions_of(module.name)
        if re.match(r"test_[shjc]\d", name)
    }

    assert there == named
