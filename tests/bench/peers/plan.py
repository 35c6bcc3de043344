"""How long a run takes, before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.peers.run import WARM_UP_S
from bench.peers.scenarios import Cell, Comparison

__all__ = ["lines", "planned_s"]

# Seconds on two cores that are idle else.
_START_AND_STOP_S = 1.2
_DRAIN_S = 0.4
_MODEL_S = 0.0006  # to read a model of an overlay, or of a Collector's configuration
_BACKLOG_S = 3.0  # to pass on what gathers while more comes than can leave
_IN_PROCESS_S = 15.0  # what is measured without servers, before all else


def planned_s(comparisons: Sequence[Comparison]) -> float:
    """Seconds that these take together, with what is measured without servers."""
    return _IN_PROCESS_S + sum(
        _cell_s(cell) * len(comparison.servers) * comparison.rounds
        for comparison in comparisons
        for cell in comparison.cells
    )


def lines(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """The plan as a table in text."""
    for each in comparisons:
        count = len(each.cells) * len(each.servers) * each.rounds
        minutes = (planned_s([each]) - planned_s([])) / 60
        yield (
            f"{each.name:<26}{len(each.cells):>2} cells x {len(each.servers)} servers "
            f"x {each.rounds} rounds = {count:>3} measurements, {minutes:4.1f} min"
        )
    yield f"planned: {planned_s(comparisons) / 60:.1f} minutes on a machine that is idle else"


def _cell_s(cell: Cell) -> float:
    return (
        _START_AND_STOP_S
        + WARM_UP_S
        + _DRAIN_S
        + cell.shape.seconds
        + cell.workload.catalog_models * _MODEL_S
        + (0 if cell.shape.spans_per_s else _BACKLOG_S)
    )
