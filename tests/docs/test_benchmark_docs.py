"""The pages of benchmarks and their plots are what their results say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.peers.page import page, plots

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("folder", [DOCS, DOCS / "benchmarks-shared"])
def test_the_page_of_benchmarks_is_made_from_the_results(folder: Path) -> None:
    result = json.loads((folder / "benchmarks.json").read_text(encoding="utf-8"))

    assert (folder / "benchmarks.md").read_text(encoding="utf-8") == page(result)
    found = {path.name: path.read_text("utf-8") for path in (folder / "benchmarks").iterdir()}
    assert found == plots(result)


def test_a_run_has_every_server_that_takes_part() -> None:
    """A page may lack what was taken back; what one run found, all of it, is there too."""
    text = (DOCS / "benchmarks-shared" / "benchmarks.md").read_text(encoding="utf-8")

    assert "not measured" not in text
