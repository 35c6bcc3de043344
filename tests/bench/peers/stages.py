"""Where the CPU time of the enricher goes, from differences between figures of one run.

No profiler is asked: those that see into C are not on every machine, and those that see Python
alone slow it down by what they count. What is here can be repeated everywhere, and adds up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.peers.results import Results
from bench.peers.scenarios import OURS, OURS_IN_MEMORY

__all__ = ["Kinds", "Stages", "kinds", "stages"]

SPANS = 100  # a request of the main comparisons
_CPU = "cpu_us_per_span"


@dataclass(frozen=True, slots=True)
class Stages:
    """CPU of the whole process for a span, in microseconds, by what it is for."""

    enrich: float  # find LLM spans, price them, write the attributes
    sums: float  # add up cost and tokens for the metrics
    queue: float  # sync to disk in place of memory
    rest: float  # receive and send gRPC, threads, response ids, the books
    system_share: float  # of all, in the kernel

    @property
    def total(self) -> float:
        return self.enrich + self.sums + self.queue + self.rest

    def parts(self) -> Iterator[tuple[str, float]]:
        """What it is for, in words, and how long it takes."""
        yield "receiving and sending over gRPC, threads, response ids, counting", self.rest
        yield "finding LLM spans, pricing them, writing the attributes", self.enrich
        yield "adding up cost and tokens for the metrics", self.sums
        yield "a queue on disk in place of memory", self.queue


def stages(results: Results, cell: str, batch: str) -> Stages | None:
    """Those of a main comparison; None where a figure is missing.

    Args:
        results: of a run.
        cell: of the comparison.
        batch: the same load in the in-process benchmark.
    """
    durable = results.median(cell, OURS, _CPU)
    memory = results.median(cell, OURS_IN_MEMORY, _CPU)
    system = results.median(cell, OURS, "system_share")
    inside = results.hot_path(SPANS, batch)
    if durable is None or memory is None or system is None or inside is None:
        return None
    enrich, sums = inside["lens_us"], inside["metrics_us_more"]
    return Stages(enrich, sums, durable - memory, memory - enrich - sums, system)


@dataclass(frozen=True, slots=True)
class Kinds:
    """In process, in microseconds: what a span takes if it is an LLM span, and if it is another."""

    llm: float
    other: float


def kinds(results: Results, spans: int, way: str) -> Kinds | None:
    """From requests with LLM spans alone and those with one in ten.

    Args:
        results: of a run.
        spans: in a request.
        way: `lens`, which is ours, or `full_decode`.
    """
    whole, tenth = results.hot_path(spans, "all LLM"), results.hot_path(spans, "one in ten LLM")
    if whole is None or tenth is None:
        return None
    llm = whole[f"{way}_us"]
    return Kinds(llm, max((tenth[f"{way}_us"] - 0.1 * llm) / 0.9, 0.0))
