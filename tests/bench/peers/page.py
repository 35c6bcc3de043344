"""The results as a page in Markdown: goals, tables, plots, what costs follow, where time goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.peers.results import Results
from bench.peers.scenarios import COMPARISONS
from bench.peers.stages import SPANS, kinds, stages
from bench.peers.tables import comparison, plot_name, plot_of, table
from bench.peers.targets import SIZES, TARGETS, costs

__all__ = ["page", "plots"]

_SHOWN = 0.03  # of the time: modules that take less anywhere are added up

_HEAD = """\
<!-- Made by `make bench-peers`. Change the benchmark, not this file. -->
# Benchmarks: whole servers side by side

What it costs to receive spans, to add their cost, and to pass them on, in the enricher and in other
servers that do the same. `make bench-peers` repeats it; it builds the Collector with Go.
"""

_METHOD = """\
## How it is measured

All servers get the same load at the same rate from one generator, pass it on over gRPC to one sink,
and take turns: each measurement starts a new process, and each round begins with another server.
Generator and sink run on the same machine.
Compare the rows of a table with each other; figures of another machine or another day are others.

- **CPU** is that of the whole server process and its children, user and system, from the operating
  system, divided by the spans that were acknowledged. It holds what the server does when nothing
  comes, too, which weighs more the fewer spans come.
- **RSS** is the most resident memory of the process and its children while the load lasts, looked
  at ten times a second.
- **Acknowledged** is from when the generator sends a request until it has the answer; **delivered**
  from then until the sink has its first span. Of fewer than a hundred requests p99 is close to the
  longest. The time that a request waits for its turn in the generator is not in it.
- Figures are medians of the rounds, with the least and the most in brackets. **To ours** compares
  with the enricher with the same kind of queue.
- The Collector's **transform** and rotel's **Python processor** add the same 17 attributes for the
  same models, which is checked in each measurement by the number of priced spans, and by a test
  that compares them attribute by attribute. The Collector's prices stand in one OTTL map, rotel's
  in a dictionary, looked up once for a span.
- **Durable** means synced before the acknowledgement: the enricher's queue by default,
  `file_storage` with `fsync: true` in the Collector. rotel has a memory queue only.
- The Collector and rotel join spans before they send them, as they do by default, which costs the
  time until they arrive, and saves CPU for requests of few spans.
- Limits on the size of a request are raised to 64 MiB where they are lower.
- rotel is the newest build on the Python package index, an alpha. Nothing is claimed of later ones.
"""


def page(raw: Mapping[str, Any]) -> str:
    """The page for the results of a run, or of several that were joined."""
    results = Results(raw)
    lines = [_HEAD, *_run(raw), "", *_goals(results), _METHOD]
    for each in COMPARISONS:
        lines += comparison(each, results)
    lines += [*_costs(results), *_stages(results), *_modules(raw), *_instructions(raw)]
    return "\n".join(lines).rstrip() + "\n"


def plots(raw: Mapping[str, Any]) -> dict[str, str]:
    """The plots of the page, by the names of their files."""
    results = Results(raw)
    made = {plot_name(each): plot_of(each, results) for each in COMPARISONS}
    return {name: plot for name, plot in made.items() if plot}


def _run(raw: Mapping[str, Any]) -> Iterator[str]:
    machine = raw["machine"]
    yield (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}."
    )
    yield "Versions: " + ", ".join(f"{k} {v}" for k, v in raw["versions"].items()) + "."
    by_run: dict[tuple[Any, ...], list[str]] = {}
    for name, cell in raw["cells"].items():
        loop = tuple(cell.get("loop_ns", ()))
        run = (cell["measured"], cell["load_before"], cell["load_after"], loop)
        by_run.setdefault(run, []).append(name)
    whole = max(by_run, key=lambda run: len(by_run[run]), default=None)
    for run, names in by_run.items():
        what = "All" if len(by_run) == 1 else "The rest" if run == whole else ", ".join(names)
        day, before, after, loop = run
        speed = "; a turn of a plain loop in Python took {} to {} ns".format(*loop) if loop else ""
        yield (
            f"{what}: measured on {day}; load average of the machine {before} before and {after} "
            f"after{speed}."
        )
    if about := raw.get("about"):
        yield ""
        yield about


def _goals(results: Results) -> Iterator[str]:
    words = {True: "met", False: "**missed**", None: "not measured"}
    yield "## Goals"
    yield ""
    yield "What this project wants to reach, and whether this run does. Medians decide."
    yield ""
    rows = [
        [each.goal, each.conditions, each.measured(results), words[each.met(results)]]
        for each in TARGETS
    ]
    yield from table(("goal", "conditions", "measured", ""), rows)
    reasons = dict.fromkeys(each.why(results) for each in TARGETS if each.met(results) is False)
    if any(reasons):
        yield "Where the missed ones come from:"
        yield ""
        yield from (f"- {reason}" for reason in reasons if reason)
        yield ""


def _costs(results: Results) -> Iterator[str]:
    found = costs(results)
    if found is None:
        return
    yield "## What a request, a span and a byte cost"
    yield ""
    yield (
        f"The enricher with a queue on disk takes {found.request_us:,.0f} µs of CPU for a request, "
        f"{found.span_us:.1f} µs for each span in it and {found.kib_us:.1f} µs for each KiB."
    )
    name, deviation = found.largest
    yield (
        "These are the costs of least squares (of relative deviations) over the cells below, one "
        f"span in ten an LLM span; no cell is further off than {abs(deviation):.0%} ({name})."
    )
    yield ""
    rows = []
    for name, deviation in found.deviations:
        cell = results.cell(name) or {}
        rows.append([name, f"{cell['spans']:,}", f"{cell['kib']:,.1f}", f"{deviation:+.0%}"])
    yield from table(("cell", "spans a request", "KiB a request", "measured to fitted"), rows)


def _stages(results: Results) -> Iterator[str]:
    found = {
        title: stages(results, title, batch)
        for title, batch in (("one in ten", "one in ten LLM"), ("all LLM", "all LLM"))
    }
    known = {title: each for title, each in found.items() if each}
    if not known:
        return
    yield "## Where the time goes"
    yield ""
    yield (
        f"CPU of the enricher, µs a span at {SPANS} spans a request. Enriching and adding up were "
        "timed in process, in the same run; the others are what the servers take beyond that, so "
        "a part may come out below 0 where it is small and the machine is noisy."
    )
    yield ""
    parts = zip(*(list(each.parts()) for each in known.values()), strict=True)
    rows = [[part[0][0], *(f"{us:.1f}" for _, us in part)] for part in parts]
    rows += [
        ["all", *(f"{each.total:.1f}" for each in known.values())],
        ["of it in the kernel", *(f"{each.system_share:.0%}" for each in known.values())],
    ]
    yield from table(("", *known), rows)
    yield from _in_process(results)


def _in_process(results: Results) -> Iterator[str]:
    """Ours beside full decode, by kind of span."""
    ways = {"the enricher": "lens", "full decode": "full_decode"}
    rows = []
    for spans in SIZES:
        for title, way in ways.items():
            found = kinds(results, spans, way)
            if found:
                rows.append(
                    [f"{title}, {spans} spans a request", f"{found.llm:.1f}", f"{found.other:.1f}"]
                )
    if rows:
        yield "In process, from request bytes to enriched bytes, µs of CPU:"
        yield ""
        yield from table(("", "an LLM span", "any other span"), rows)


def _modules(raw: Mapping[str, Any]) -> Iterator[str]:
    found: Mapping[str, Mapping[str, float]] = raw.get("modules", {})
    if not found:
        return
    most: dict[str, float] = {}
    for shares in found.values():
        for name, share in shares.items():
            most[name] = max(most.get(name, 0.0), share)
    shown = [name for name in most if name and most[name] >= _SHOWN]
    yield (
        "Of the time in process, in which modules: the shares of samples in which a module was at "
        "work, or C that it called. `enrich/stage` also looks through the spans for LLM calls and "
        "writes the request anew."
    )
    yield ""
    rows = [
        [f"`{name}`", *(f"{shares.get(name, 0.0):.0%}" for shares in found.values())]
        for name in shown
    ]
    rest = [1 - sum(shares.get(name, 0.0) for name in shown) for shares in found.values()]
    yield from table(("", *found), [*rows, ["all others", *(f"{share:.0%}" for share in rest)]])


def _instructions(raw: Mapping[str, Any]) -> Iterator[str]:
    counted = raw.get("instructions")
    if not counted:
        return
    counts = "; ".join(f"{name} {n:,}" for name, n in counted["instructions"].items())
    yield (
        "Instructions for a span, enriching and adding up in process, counted by callgrind with "
        f"{SPANS} spans a request, so that no clock has a part in it: {counts} "
        f"(Python {counted['versions']['python']}, protobuf {counted['versions']['protobuf']}; "
        "in “no LLM” one span in a hundred is one)."
    )
