"""The results as a page: tables, and a plot of each comparison."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["page"]

_HEAD = """\
<!-- Made by `make bench-peers`. Change the benchmark, not this file. -->
# Benchmarks: whole servers side by side

What it costs to receive spans, to add their cost, and to pass them on: CPU time of the whole
server process for each span, from the operating system.
All servers get the same load at the same rate from one generator, pass it on over gRPC to one sink,
and take turns in one run on one machine, which also runs the generator and the sink.
Compare the rows of a table with each other; figures of another machine or another day are others.

- "Transform" and "Python processor" add the same 17 attributes for the same 60 models.
  The Collector's prices stand in one OTTL map, rotel's in a dictionary, looked up once for a span.
- Durable means synced before the acknowledgement: our queue by default, `file_storage` with
  `fsync: true` in the Collector. rotel has a memory queue only.
- The Collector and rotel join spans before they send them, as they do by default, which costs the
  time until they arrive.
- rotel is the newest build on the Python package index, an alpha. Nothing is claimed of later ones.

`make bench-peers` repeats it; it builds the Collector with Go.
"""

_SERVER_COLUMNS = (
    "server",
    "CPU, µs a span",
    "least – most",
    "to ours",
    "RSS, MiB",
    "acknowledged, ms p50 · p99",
    "delivered, ms p50 · p99",
)


def page(result: Mapping[str, Any]) -> str:
    """The page in Markdown for the results of a run."""
    machine = result["machine"]
    lines = [
        _HEAD,
        f"Run on {result['date']}: {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['system']}, Python {machine['python']}; load average {machine['load_before']} "
        f"before and {machine['load_after']} after.",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in result["versions"].items()) + ".",
        "Each figure is the median of the rounds.",
        "",
    ]
    for scenario, meaning in result["scenarios"].items():
        rows = [row for row in result["rows"] if row["scenario"] == scenario]
        if rows:
            lines += _scenario(scenario, meaning, rows)
    return "\n".join(lines).rstrip() + "\n"


def _scenario(name: str, meaning: Mapping[str, Any], rows: Sequence[Any]) -> list[str]:
    lines = [f"## {name[0].upper()}{name[1:]}", ""]
    lines += ["; ".join(f"{key}: {value}" for key, value in meaning.items()) + ".", ""]
    lines += [f"| {' | '.join(_SERVER_COLUMNS)} |", f"|{'---|' * len(_SERVER_COLUMNS)}"]
    medians = {row["server"]: _median(row, "cpu_us_per_span") for row in rows}
    ours = next((cpu for server, cpu in medians.items() if "durable" in server and cpu), None)
    for row in rows:
        good = [one for one in row["rounds"] if "failed" not in one]
        if not good:
            lines.append(f"| {row['server']} | failed: {row['rounds'][0]['failed'][:80]} |||||| ")
            continue
        cpu = [one["cpu_us_per_span"] for one in good]
        ratio = f"{statistics.median(cpu) / ours:.2f}x" if ours else ""
        lines.append(
            f"| {row['server']} | {statistics.median(cpu):.1f} | {min(cpu):.1f} – {max(cpu):.1f} "
            f"| {ratio} | {statistics.median(one['rss_max_mib'] for one in good):.0f} "
            f"| {_pair(good, 'answer_ms')} | {_pair(good, 'delivered_ms')} |"
        )
    plotted = {server: cpu for server, cpu in medians.items() if cpu}
    if len(plotted) > 2:
        lines += ["", *_plot(plotted)]
    return [*lines, ""]


def _plot(medians: Mapping[str, float]) -> list[str]:
    """Bars in text: they can be read anywhere, and compared with those of another run."""
    width = max(map(len, medians))
    most = max(medians.values())
    bars = [
        f"{server:<{width}}  {'█' * max(round(cpu / most * 40), 1)} {cpu:.1f}"
        for server, cpu in medians.items()
    ]
    return ["```", *bars, "```"]


def _median(row: Mapping[str, Any], key: str) -> float | None:
    values = [one[key] for one in row["rounds"] if key in one]
    return statistics.median(values) if values else None


def _pair(good: Sequence[Any], key: str) -> str:
    return " · ".join(f"{statistics.median(one[key][n] for one in good):.1f}" for n in (0, 1))
