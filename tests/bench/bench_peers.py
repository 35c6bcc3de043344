"""Whole servers side by side in one run: CPU time for a span, memory, and how long spans take.

Each server gets the same spans at the same rate from one load generator and passes them on to one
sink; all of it on this machine. Servers take turns, and each round begins with another one. Quote
the ratios: machines differ, and so does what else they do.

    python tests/bench/bench_peers.py --plan                       # how long it takes
    python tests/bench/bench_peers.py --json docs/benchmarks.json  # all of it, half an hour
    python tests/bench/bench_peers.py --json docs/benchmarks.json --only "half load" prompt
    python tests/bench/bench_peers.py --write docs                 # the page and its plots

Run with `make bench-peers`, which installs what it needs and does the second and the last.
With `--only` results of the same machine and versions that are in the file are kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import bench_hot_path, instructions, sampler
from bench.peers import plan
from bench.peers.page import page, plots
from bench.peers.results import Results, joined
from bench.peers.run import Ends, ends, measure
from bench.peers.scenarios import COMPARISONS, MOST, OURS, Cell, Comparison, chosen
from bench.peers.servers import SERVERS, Server, versions
from bench.peers.targets import SIZES
from bench.peers.workload import template
from genops_pricing import bundled_catalog

__all__ = ["main"]

_PAGE, _RESULTS, _PLOTS = "benchmarks.md", "benchmarks.json", "benchmarks"


def run(
    comparison: Comparison,
    ends_: Ends,
    *,
    servers: str = "",
    rounds: int = 0,
    seconds: float = 0.0,
    known: Results,
) -> dict[str, Any]:
    """Measure every server in every cell; print a line for each.

    Args:
        comparison: what to measure.
        ends_: before and behind the servers.
        servers: only those whose name has this in it.
        rounds: in place of those of the comparison.
        seconds: in place of those of the cell.
        known: results so far, of which the rate of the half load is taken.

    Raises:
        ValueError: there is nothing to take it from.
    """
    cells = [_offered(cell, known) for cell in comparison.cells]
    if seconds:
        cells = [_with(cell, seconds=seconds) for cell in cells]
    names = [name for name in comparison.servers if servers in name]
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {
        (cell.name, name): [] for cell in cells for name in names
    }
    for number in range(rounds or comparison.rounds):
        turn = number % max(len(names), 1)
        for cell in cells:
            for name in names[turn:] + names[:turn]:
                measured[cell.name, name].append(_measure(SERVERS[name], cell, ends_))
    return {
        "cells": {cell.name: _about(cell) for cell in cells},
        "rows": [
            {"cell": cell, "server": name, "rounds": figures}
            for (cell, name), figures in measured.items()
        ],
    }


def _about(cell: Cell) -> dict[str, Any]:
    return {
        "meaning": cell.meaning(),
        "spans": cell.workload.spans,
        "kib": len(template(cell.workload)) / 1024,
        "offered_spans_per_s": cell.shape.spans_per_s,
    }


def _with(cell: Cell, **shape: float) -> Cell:
    return dataclasses.replace(cell, shape=dataclasses.replace(cell.shape, **shape))  # type: ignore[arg-type]


def _offered(cell: Cell, known: Results) -> Cell:
    """The cell with its rate, which may depend on what was measured."""
    if not cell.share_of_most:
        return cell
    most = known.median(MOST, OURS, "spans_per_s")
    if most is None:
        raise ValueError(f"{cell.name!r} needs the rate of {MOST!r}: measure that too")
    rate = round(most * cell.share_of_most, -2)
    return _with(cell, spans_per_s=rate)


def _measure(server: Server, cell: Cell, ends_: Ends) -> dict[str, Any]:
    _say(f"{cell.name}: {server.name} … ", end="")
    try:
        figures = measure(server, cell.workload, cell.shape, ends_)
    except RuntimeError as error:
        ends_.sink.taken()
        _say(f"failed: {error}")
        return {"failed": str(error)[:300]}
    _say(
        f"{figures.cpu_us_per_span:.1f} µs a span, {figures.rss_max_mib:.0f} MiB, "
        f"{figures.delivered_ms[1]:.0f} ms at p99"
    )
    return dataclasses.asdict(figures)


def _in_process() -> dict[str, Any]:
    """The hot path without servers: what it takes, in which modules, and in instructions."""
    _say("in process: the hot path, and its modules")
    return {
        "hot_path": [_told(bench_hot_path.__file__, "--spans", f"{size}") for size in SIZES],
        "modules": _told(sampler.__file__),
        "instructions": json.loads(instructions.BASELINE.read_text(encoding="utf-8")),
    }


def _told(program: str, *words: str) -> Any:
    """What another benchmark says, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, program, *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def _machine() -> dict[str, Any]:
    model = "unknown"
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        names = [ln for ln in cpuinfo.read_text().splitlines() if ln.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _versions() -> dict[str, str]:
    catalog = bundled_catalog()
    models = sum(1 for _ in catalog.models())
    return {
        "enricher": version("genops-ai"),
        "its catalog": f"{catalog.version} with {models:,} models",
        **versions(),
    }


def _load() -> float:
    return round(os.getloadavg()[0], 1)


def _loop_ns() -> int:
    """CPU time of one turn of a loop that adds up: how fast Python is here, and now."""
    turns, total = 1_000_000, 0
    began = time.process_time_ns()
    for number in range(turns):
        total += number & 3
    return round((time.process_time_ns() - began) / turns)


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


def write(folder: Path) -> None:
    """Write the page and its plots beside the results in the folder."""
    results = json.loads((folder / _RESULTS).read_text(encoding="utf-8"))
    (folder / _PAGE).write_text(page(results), encoding="utf-8")
    made = plots(results)
    (folder / _PLOTS).mkdir(exist_ok=True)
    for old in (folder / _PLOTS).glob("*.svg"):
        old.unlink()
    for name, plot in made.items():
        (folder / _PLOTS / name).write_text(plot, encoding="utf-8")


def main() -> None:
    total = plan.planned_s(COMPARISONS) / 60
    parser = argparse.ArgumentParser(
        description=f"{(__doc__ or '').partition(chr(10))[0]} All of it takes {total:.0f} minutes."
    )
    parser.add_argument("--plan", action="store_true", help="say what will be done, and stop")
    parser.add_argument(
        "--only", nargs="+", default=[], help="comparisons whose name begins so, kept with the rest"
    )
    parser.add_argument("--servers", default="", help="servers whose name has this in it")
    parser.add_argument("--rounds", type=int, default=0, help="by default those of the comparison")
    parser.add_argument("--seconds", type=float, default=0.0, help="of load; by default by cell")
    parser.add_argument("--about", default="", help="what to say of this run on its page, Markdown")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--write", type=Path, help="write the page of the results in this folder")
    options = parser.parse_args()
    if options.write:
        write(options.write)
        return
    try:
        comparisons = chosen(tuple(options.only))
    except ValueError as error:
        parser.error(str(error))
    for line in plan.lines(comparisons):
        _say(line)
    if options.plan:
        return
    result: dict[str, Any] = {
        "machine": _machine(),
        "versions": _versions(),
        "cells": {},
        "rows": [],
    }
    if options.only and options.json and options.json.exists():
        result = joined(json.loads(options.json.read_text(encoding="utf-8")), result)
    else:
        result |= _in_process()
    if options.about:
        result["about"] = options.about
    began = {"measured": f"{datetime.now(UTC):%Y-%m-%d}", "load_before": _load()}
    loops = [_loop_ns()]
    cells: set[str] = set()  # of this run
    with ends() as ends_:
        for comparison in comparisons:
            found = run(
                comparison,
                ends_,
                servers=options.servers,
                rounds=options.rounds,
                seconds=options.seconds,
                known=Results(result),
            )
            result = joined(result, {**result, **found})
            cells |= found["cells"].keys()
            loops.append(_loop_ns())
            measured = {**began, "load_after": _load(), "loop_ns": [min(loops), max(loops)]}
            for name in cells:
                result["cells"][name] |= measured
            if options.json:  # each time, so that nothing is lost if the rest fails
                options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if not options.json:
        print(page(result), end="")


if __name__ == "__main__":
    main()
