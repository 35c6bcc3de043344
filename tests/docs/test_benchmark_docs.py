"""docs/benchmarks.md and its plots are what its results say."""

from __future__ import annotations

import json
from pathlib import Path

from bench.peers.page import page, plots

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_benchmarks_is_made_from_the_results() -> None:
    result = json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))

    assert (DOCS / "benchmarks.md").read_text(encoding="utf-8") == page(result)
    found = {path.name: path.read_text("utf-8") for path in (DOCS / "benchmarks").iterdir()}
    assert found == plots(result)
