"""The goals of the project for speed and size, and whether a run meets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.peers.fit import Fit, Point, fit
from bench.peers.results import Results, Spread
from bench.peers.scenarios import COMPARISONS, MOST, OURS, OURS_IN_MEMORY
from bench.peers.stages import SPANS, kinds, stages

__all__ = ["SIZES", "TARGETS", "Target", "costs"]

_TRANSFORM = "Collector transform, file_storage"
_ROTEL = "rotel Python processor, memory"
_MAIN = "100 spans a request, 20 attributes, gRPC without gzip"
SIZES = (100, 512)
"""Spans a request of the in-process benchmark."""
_SWEEPS = ("spans a request", "attributes a span", "prompt, KiB")
_BATCH = {"one in ten": "one in ten LLM", "all LLM": "all LLM"}


@dataclass(frozen=True, slots=True)
class Target:
    """A goal; `limit` is the most, or the least, that the measured may be."""

    goal: str
    conditions: str
    limit: float
    measure: Callable[[Results], Spread | None]
    unit: str = "x"
    digits: int = 2
    at_least: bool = False
    more: Callable[[Results], str] = lambda _results: ""  # what else belongs to the figure
    why: Callable[[Results], str] = lambda _results: ""  # what a miss comes from

    def met(self, results: Results) -> bool | None:
        """Whether the median is within the limit; None where it was not measured."""
        found = self.measure(results)
        if found is None:
            return None
        return found.median >= self.limit if self.at_least else found.median <= self.limit

    def measured(self, results: Results) -> str:
        """The figure in words, with its spread."""
        found = self.measure(results)
        if found is None:
            return "not measured"
        median, least, most = (
            f"{value:.{self.digits}f}" for value in (found.median, found.least, found.most)
        )
        between = f" ({least} – {most})" if least != most else ""
        return f"{median}{self.unit}{between}{self.more(results)}"


def costs(results: Results) -> Fit | None:
    """What a request, a span and a KiB cost the enricher; None where too little was measured."""
    names = [name for each in COMPARISONS if each.name in _SWEEPS for _, name in each.marks]
    points = []
    for name in dict.fromkeys(names):
        cell, cpu = results.cell(name), results.median(name, OURS, "cpu_us_per_span")
        if cell is None or cpu is None:
            return None
        points.append(Point(name, cell["spans"], cell["kib"], cpu * cell["spans"]))
    return fit(points)


def _ratio(cell: str, ours: str, other: str) -> Callable[[Results], Spread | None]:
    return lambda results: results.ratio(cell, ours, other)


def _faster_than_full_decode(batch: str) -> Callable[[Results], Spread | None]:
    """The least favourable size of request decides."""

    def measure(results: Results) -> Spread | None:
        rows = [results.hot_path(spans, batch) for spans in SIZES]
        ratios = [row["ratio"] for row in rows if row is not None]
        spread = Spread.of(ratios) if len(ratios) == len(SIZES) else None
        return replace(spread, median=spread.least) if spread else None

    return measure


def _furthest(results: Results) -> Spread | None:
    found = costs(results)
    return Spread.of([abs(found.largest[1]) * 100]) if found else None


def _larger_catalog(results: Results) -> Spread | None:
    names = [f"models in the catalog: {count}" for count in (60, 20_000)]
    few, many = (results.median(name, OURS, "cpu_us_per_span") for name in names)
    return Spread.of([abs(many / few - 1) * 100]) if few and many else None


def _where_it_goes(cell: str) -> Callable[[Results], str]:
    def why(results: Results) -> str:
        found = stages(results, cell, _BATCH[cell])
        if found is None:
            return ""
        parts = sorted(found.parts(), key=lambda part: -part[1])
        words = "; ".join(f"{what} {us:.1f}" for what, us in parts)
        of_all = f"of {found.total:.1f} µs that the enricher with a queue on disk takes for a span"
        return f"{_BATCH[cell][0].upper()}{_BATCH[cell][1:]}, {of_all}: {words}."

    return why


def _what_full_decode_takes(results: Results) -> str:
    ours, full = kinds(results, SPANS, "lens"), kinds(results, SPANS, "full_decode")
    if ours is None or full is None:
        return ""
    return (
        f"In process, with {SPANS} spans a request: of a span that is not priced full decode takes "
        f"{full.other:.1f} µs, to read it and to write it again, where the enricher takes "
        f"{ours.other:.1f}. An LLM span takes full decode {full.llm - full.other:.1f} µs more, to "
        f"price it and to add to it, and the enricher {ours.llm - ours.other:.1f}: what both have "
        "to do bounds the ratio."
    )


def _half_of(results: Results) -> str:
    rate = results.median("half load", OURS, "spans_per_s")
    return f" at {rate:,.0f} spans/s" if rate else ""


def _which_cell(results: Results) -> str:
    found = costs(results)
    if found is None:
        return ""
    name, deviation = found.largest
    return f"The furthest off is {name!r}, by {deviation:+.0%}."


TARGETS = (
    Target(
        "at most 0.6x the CPU of the Collector that adds the same with a transform",
        f"1 in 10 LLM, {_MAIN}, durable on both sides",
        0.6,
        _ratio("one in ten", OURS, _TRANSFORM),
        why=_where_it_goes("one in ten"),
    ),
    Target(
        "at most 1.0x the CPU of the Collector that adds the same with a transform",
        f"all LLM, {_MAIN}, durable on both sides",
        1.0,
        _ratio("all LLM", OURS, _TRANSFORM),
        why=_where_it_goes("all LLM"),
    ),
    *(
        Target(
            "at most 0.5x the CPU of rotel with a Python processor that adds the same",
            f"{share} LLM, {_MAIN}, memory on both sides",
            0.5,
            _ratio(cell, OURS_IN_MEMORY, _ROTEL),
            why=_where_it_goes(cell),
        )
        for share, cell in (("1 in 10", "one in ten"), ("all", "all LLM"))
    ),
    *(
        Target(
            f"at least {limit:g}x less CPU than Python that decodes and encodes everything",
            f"{share} LLM, in process without gRPC and queue, 20 attributes, "
            f"the worse of {' and '.join(map(str, SIZES))} spans a request",
            limit,
            _faster_than_full_decode(batch),
            at_least=True,
            why=_what_full_decode_takes,
        )
        for limit, share, batch in ((3.0, "all", "all LLM"), (8.0, "1 in 10", "one in ten LLM"))
    ),
    Target(
        "at most 20 % of a core",
        f"10,000 spans/s, 1 in 10 LLM, {_MAIN}, durable",
        20.0,
        lambda results: results.spread("one in ten", OURS, "core_percent"),
        " % of a core",
        1,
        why=_where_it_goes("one in ten"),
    ),
    Target(
        "at most 120 MiB of memory",
        f"10,000 spans/s, 1 in 10 LLM, {_MAIN}, durable",
        120.0,
        lambda results: results.spread("one in ten", OURS, "rss_max_mib"),
        " MiB",
        0,
    ),
    Target(
        "p99 from sender to backend under 50 ms",
        f"half of the rate of “{MOST}”, 1 in 10 LLM, {_MAIN}, durable, healthy backend",
        50.0,
        lambda results: results.spread("half load", OURS, "delivered_ms", 1),
        " ms",
        1,
        more=_half_of,
    ),
    Target(
        "CPU linear in bytes: no cell further than 20 % from the fitted costs",
        "1 in 10 LLM, 1 to 8192 spans a request, 10 to 100 attributes, prompts up to 100 KiB, "
        "gRPC without gzip, durable",
        20.0,
        _furthest,
        " % off",
        0,
        why=_which_cell,
    ),
    Target(
        "a catalog of 20,000 models within 10 % of the CPU of one of 60",
        f"all LLM, {_MAIN}, durable, 60 models in the traffic",
        10.0,
        _larger_catalog,
        " % apart",
        0,
    ),
)
