"""Whole servers side by side in one run: CPU time for a span, memory, and how long spans take.

Each server gets the same spans at the same rate from one load generator and passes them on to one
sink; all of it on this machine. Servers take turns, and each round begins with another one. Quote
the ratios: machines differ, and so does what else they do.

    python tests/bench/bench_peers.py --json docs/benchmarks.json   # about 30 minutes
    python tests/bench/bench_peers.py --only enricher --scenario "one in ten"
    python tests/bench/bench_peers.py --page docs/benchmarks.json > docs/benchmarks.md

Run with `make bench-peers`, which installs what it needs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.peers.page import page
from bench.peers.run import measure
from bench.peers.scenarios import SCENARIOS, Scenario
from bench.peers.servers import SERVERS, Server, versions
from bench.peers.sink import Sink, sink

__all__ = ["main"]


def run(scenarios: Sequence[Scenario], only: str, rounds: int, sink_: Sink) -> list[dict[str, Any]]:
    """Measure every server of every scenario; print a line for each."""
    rows: list[dict[str, Any]] = []
    for scenario in scenarios:
        servers = [SERVERS[name] for name in scenario.servers if only in name]
        figures: dict[str, list[dict[str, Any]]] = {server.name: [] for server in servers}
        for number in range(rounds or scenario.rounds):
            turn = number % max(len(servers), 1)
            for server in servers[turn:] + servers[:turn]:
                figures[server.name].append(_measure(server, scenario, sink_))
        rows += [
            {"scenario": scenario.name, "server": name, "rounds": measured}
            for name, measured in figures.items()
        ]
    return rows


def _measure(server: Server, scenario: Scenario, sink_: Sink) -> dict[str, Any]:
    print(f"{scenario.name}: {server.name} … ", end="", file=sys.stderr, flush=True)
    try:
        figures = measure(server, scenario.workload, scenario.shape, sink_)
    except RuntimeError as error:
        sink_.taken()
        print(f"failed: {error}", file=sys.stderr)
        return {"failed": str(error)[:300]}
    print(
        f"{figures.cpu_us_per_span:.1f} µs a span, {figures.rss_max_mib:.0f} MiB, "
        f"{figures.delivered_ms[1]:.0f} ms at p99",
        file=sys.stderr,
    )
    return dataclasses.asdict(figures)


def _machine() -> dict[str, Any]:
    model = "unknown"
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        names = [ln for ln in cpuinfo.read_text().splitlines() if ln.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="servers whose name has this in it")
    parser.add_argument(
        "--scenario", nargs="+", default=[""], help="scenarios whose name begins so; all by default"
    )
    parser.add_argument("--rounds", type=int, default=0, help="by default those of the scenario")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--page", type=Path, help="print the page for the results in this file")
    options = parser.parse_args()
    if options.page:
        print(page(json.loads(options.page.read_text())), end="")
        return
    scenarios = [each for each in SCENARIOS if each.name.startswith(tuple(options.scenario))]
    result: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": _machine(),
        "versions": {"enricher": version("genops-ai"), **versions()},
        "scenarios": {each.name: each.meaning() for each in scenarios},
    }
    with sink() as sink_:
        result["rows"] = run(scenarios, options.only, options.rounds, sink_)
    result["machine"]["load_after"] = round(os.getloadavg()[0], 1)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    else:
        print(page(result), end="")


if __name__ == "__main__":
    main()
