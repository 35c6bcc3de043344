"""The plan in docs/scaling.md: its arithmetic, and the figure that it takes from the benchmarks."""

from __future__ import annotations

import json
import re
from statistics import median

import pytest

from pages import ROOT

PAGE = ROOT / "docs" / "scaling.md"
TEXT = PAGE.read_text(encoding="utf-8")
SPANS_A_SECOND = 1_000_000
BUSY = 0.5


def inputs() -> dict[str, float]:
    rows = re.findall(r"^\| (.+?) \| ([\d.,]+) (?:µs|bytes) \|$", TEXT, re.MULTILINE)
    return {name: float(number.replace(",", "")) for name, number in rows}


@pytest.mark.parametrize(
    ("row", "source"),
    [
        ("enrichers, 100 spans a request", "CPU a span, enricher, requests of 100 spans"),
        ("enrichers, 10 spans a request", "CPU a span, enricher, requests of 10 spans"),
        ("enrichers, all LLM spans", "CPU a span, enricher, all LLM spans"),
        ("Collectors that spread by trace", "CPU a span, Collector spreading by trace"),
    ],
)
def test_the_cores_of_the_plan_follow_from_its_inputs(row: str, source: str) -> None:
    (cells,) = re.findall(rf"^\| {row} \| ([\d.]+) \| \**(\d+)\** \|$", TEXT, re.MULTILINE)

    busy = SPANS_A_SECOND * inputs()[source] / 1e6
    assert float(cells[0]) == pytest.approx(busy)
    assert int(cells[1]) == -(-busy // BUSY)


def test_the_rest_of_the_plan_follows_too() -> None:
    size = inputs()["a span on the wire, uncompressed"]
    (replicas,) = re.findall(r"\*\*N = (\d+) enrichers of one core\*\*", TEXT)
    each = SPANS_A_SECOND / int(replicas)

    assert f"{SPANS_A_SECOND * size * 8 / 1e9:.1f} Gbit/s" in TEXT
    assert f"{SPANS_A_SECOND * size / 1e6:,.0f} MB/s written" in TEXT
    assert f"each takes {each:,.0f} spans/s: {each * size / 1e6:.0f} MB/s" in TEXT
    assert f"takes {each * size * 3600 / 1e9:.0f} GB for each" in TEXT
    assert f"full after {(1 << 30) / (each * size):.0f} seconds" in TEXT
    assert f"some {SPANS_A_SECOND * size / (512 << 10):,.0f} requests a second" in TEXT


def test_the_figures_measured_are_the_inputs() -> None:
    measured = re.findall(r"^(1 worker|balancer) +([\d.]+) us CPU a span", TEXT, re.MULTILINE)

    assert [float(figure) for name, figure in measured if name == "1 worker"] == [
        inputs()[f"CPU a span, enricher, {load}"]
        for load in ("requests of 100 spans", "all LLM spans", "requests of 10 spans")
    ]
    assert float(measured[1][1]) == inputs()["CPU a span, Collector spreading by trace"]


def test_what_a_collector_that_passes_on_takes_is_what_the_benchmarks_say() -> None:
    """About: benchmarks are made anew now and then, and the plan needs no more."""
    (said,) = re.findall(r"passes OTLP on takes about (\d+) µs a span", TEXT)
    rows = json.loads((ROOT / "docs" / "benchmarks.json").read_text(encoding="utf-8"))["rows"]
    (row,) = (
        row
        for row in rows
        if (row["cell"], row["server"]) == ("one in ten", "Collector passing on, memory")
    )

    figure = median(one["cpu_us_per_span"] for one in row["rounds"])
    assert float(said) == pytest.approx(figure, rel=0.25)
    assert f"so {said} cores busy" in TEXT
