"""What is measured: the workloads, how they are offered, and which servers get them.

A comparison has cells that differ in one thing. Its rounds go over all its cells and servers, so
that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bench.peers.run import Shape
from bench.peers.servers import SERVERS
from bench.peers.workload import Workload, template

__all__ = ["COMPARISONS", "MOST", "OURS", "OURS_IN_MEMORY", "Cell", "Comparison", "chosen"]

OURS = "enricher, durable queue"
OURS_IN_MEMORY = "enricher, memory queue"
MOST = "as fast as it goes"
"""The cell by whose rate, of the enricher, that of others is set (`share_of_most`)."""

_ALL = tuple(SERVERS)
# How file_storage does without prices is in the two main comparisons, and no goal.
_SWEPT = tuple(name for name in _ALL if name != "Collector passing on, file_storage")
_PRICING = tuple(name for name in _ALL if SERVERS[name].prices)
_BOTH_OURS = (OURS, OURS_IN_MEMORY)


@dataclass(frozen=True, slots=True)
class Cell:
    """One workload, offered in one way."""

    name: str
    workload: Workload
    shape: Shape = field(default_factory=Shape)
    share_of_most: float = 0.0  # offered is so much of what ours took at most

    def meaning(self) -> dict[str, object]:
        """What it is, for the page."""
        shape, workload = self.shape, self.workload
        offered = f"{shape.spans_per_s:,.0f} spans/s" if shape.spans_per_s else "as much as goes"
        if self.share_of_most:
            offered += f", which is {self.share_of_most:g} of what the enricher took at most"
        return {
            "LLM spans": f"1 in {workload.llm_every}" if workload.llm_every > 1 else "all",
            "spans a request": workload.spans,
            "attributes a span": workload.attributes,
            "prompt, KiB": workload.prompt_bytes >> 10,
            "models in the traffic": workload.models,
            "KiB a request": round(len(template(workload)) / 1024, 1),
            "offered": offered,
            "connections": shape.connections,
            "protocol and compression": {"grpc": "gRPC", "http": "HTTP"}[shape.protocol]
            + (", gzip" if shape.gzip else ""),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Cells that are looked at together."""

    name: str
    cells: tuple[Cell, ...]
    servers: tuple[str, ...] = _SWEPT
    rounds: int = 2
    axis: str = ""  # what differs between the cells
    marks: tuple[tuple[str, str], ...] = ()  # cells on the axis in order: label and name
    log: bool = True  # steps of the axis are ratios
    note: str = ""  # what else a reader has to know


def chosen(names: tuple[str, ...]) -> list[Comparison]:
    """Those whose name begins so; all where nothing is asked for.

    Raises:
        ValueError: nothing begins so.
    """
    for name in names:
        if not any(each.name.startswith(name) for each in COMPARISONS):
            raise ValueError(f"no comparison begins with {name!r}: there are {_NAMES}")
    return [each for each in COMPARISONS if not names or each.name.startswith(names)]


_TENTH = Workload(llm_every=10)
_FULL = Workload(llm_every=1)
_MAIN = Shape(seconds=4.0)


def _rate(spans_per_s: float) -> Shape:
    return Shape(spans_per_s=spans_per_s)


def _swept(
    name: str,
    cells: Mapping[str, tuple[Workload, Shape] | str],
    *,
    servers: tuple[str, ...] = _SWEPT,
    log: bool = True,
    note: str = "",
) -> Comparison:
    """A comparison along an axis; a cell that is a text is the cell of that name."""
    marks = {
        label: cell if isinstance(cell, str) else f"{name}: {label}"
        for label, cell in cells.items()
    }
    own = [Cell(marks[label], *cell) for label, cell in cells.items() if not isinstance(cell, str)]
    return Comparison(
        name, tuple(own), servers, axis=name, marks=tuple(marks.items()), log=log, note=note
    )


COMPARISONS = (
    Comparison("one in ten", (Cell("one in ten", _TENTH, _MAIN),), _ALL, 3),
    Comparison("all LLM", (Cell("all LLM", _FULL, _MAIN),), _ALL, 3),
    _swept(
        "share of LLM spans, %",
        {"10": "one in ten", "50": (Workload(llm_every=2), Shape()), "100": "all LLM"},
        log=False,
    ),
    _swept(
        "spans a request",
        {
            "1": (replace(_TENTH, spans=1), _rate(500)),
            "10": (replace(_TENTH, spans=10), _rate(4_000)),
            "100": "one in ten",
            "512": (replace(_TENTH, spans=512), Shape()),
            "8192": (replace(_TENTH, spans=8192), Shape(seconds=4.0)),
        },
        note="The one span of a request of one is an LLM span. "
        "With 8192 there are few requests, so the longest stands for p99.",
    ),
    _swept(
        "attributes a span",
        {
            "10": (replace(_TENTH, attributes=10), Shape()),
            "20": "one in ten",
            "50": (replace(_TENTH, attributes=50), Shape()),
            "100": (replace(_TENTH, attributes=100), Shape()),
        },
        log=False,
    ),
    _swept(
        "prompt, KiB",
        {
            "0": "one in ten",
            "4": (replace(_TENTH, prompt_bytes=4 << 10), Shape()),
            "100": (replace(_TENTH, prompt_bytes=100 << 10), _rate(1_000)),
        },
        log=False,
    ),
    _swept(
        "protocol and compression",
        {
            "gRPC": "one in ten",
            "gRPC, gzip": (_TENTH, Shape(gzip=True)),
            "HTTP": (_TENTH, Shape(protocol="http")),
            "HTTP, gzip": (_TENTH, Shape(protocol="http", gzip=True)),
        },
        note="What comes in; all servers send on over gRPC without compression.",
    ),
    _swept(
        "connections",
        {
            "1": (_TENTH, Shape(connections=1)),
            "4": "one in ten",
            "16": (_TENTH, Shape(connections=16)),
        },
    ),
    _swept(
        "models in the catalog",
        {
            f"{count}": (replace(_FULL, catalog_models=count), Shape())
            for count in (60, 2_000, 20_000)
        },
        servers=_PRICING,
        note="Spans name the same 60 models throughout. The enricher has a compiled catalog of so "
        "many models, in place of the bundled one; the others have a table of so many. "
        "Servers that pass on know no models, so they are not here.",
    ),
    _swept(
        "models in the traffic",
        {
            "60": "all LLM",
            "1000": (replace(_FULL, models=1_000), Shape()),
        },
        servers=_BOTH_OURS,
        note="Among so many models there are prices by time, by size of the prompt and the like. "
        "The configurations of the others do plain prices of a token only, so they are not here.",
    ),
    Comparison(MOST, (Cell(MOST, _TENTH, _rate(0)),)),
    Comparison(
        "half load",
        (Cell("half load", _TENTH, _MAIN, share_of_most=0.5),),
        _BOTH_OURS,
        3,
    ),
)
_NAMES = "; ".join(each.name for each in COMPARISONS)
