"""The tables of a comparison: one server a row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bench.peers.results import Results, Spread
from bench.peers.scenarios import OURS, OURS_IN_MEMORY, Comparison
from bench.peers.svg import line_plot

__all__ = ["comparison", "plot_name", "plot_of", "table"]

_CPU = "cpu_us_per_span"
_REACHED = 0.95  # of the rate that is offered: below, it is said
_BAR = 40
_COLUMNS = (
    "server",
    "CPU, µs a span",
    "in the kernel",
    "to ours",
    "RSS, MiB",
    "acknowledged, ms p50 · p99",
    "delivered, ms p50 · p99",
)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown, with an empty line behind it."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def comparison(each: Comparison, results: Results) -> Iterator[str]:
    """The section of a comparison; nothing where nothing of it was measured."""
    cells = [cell for cell in each.cells if results.cell(cell.name)]
    if not cells:
        return
    yield f"## {each.name[0].upper()}{each.name[1:]}"
    yield ""
    if each.note:
        yield from (each.note, "")
    if each.marks:
        yield from _swept(each, results)
    else:
        yield from _single(each, results)


def _single(each: Comparison, results: Results) -> Iterator[str]:
    (cell,) = each.cells
    known = results.cell(cell.name) or {}
    yield "; ".join(f"{key}: {value}" for key, value in known["meaning"].items()) + "."
    yield ""
    free = not known["offered_spans_per_s"]
    rows = [[server, *_figures(cell.name, server, results, free=free)] for server in each.servers]
    yield from table((*_COLUMNS, *(("spans/s",) if free else ())), rows)
    medians = {server: results.median(cell.name, server, _CPU) for server in each.servers}
    yield from _bars({server: cpu for server, cpu in medians.items() if cpu})
    yield from _too_slow([("", cell.name)], each.servers, results)


def _figures(cell: str, server: str, results: Results, *, free: bool) -> list[str]:
    cpu = results.spread(cell, server, _CPU)
    if cpu is None:
        return [_missing(cell, server, results)] + [""] * (len(_COLUMNS) - 2 + free)
    system = results.median(cell, server, "system_share")
    ours = OURS_IN_MEMORY if "memory" in server else OURS
    ratio = results.ratio(cell, server, ours)
    found = [
        _around(cpu),
        "" if system is None else f"{system:.0%}",
        "" if ratio is None else f"{ratio.median:.2f}x",
        f"{results.median(cell, server, 'rss_max_mib'):.0f}",
        _pair(cell, server, "answer_ms", results),
        _pair(cell, server, "delivered_ms", results),
    ]
    return [*found, *([f"{results.median(cell, server, 'spans_per_s'):,.0f}"] if free else [])]


def _swept(each: Comparison, results: Results) -> Iterator[str]:
    first = results.cell(each.cells[0].name) or {}
    same = {key: value for key, value in first["meaning"].items() if _is_same(key, each, results)}
    yield "; ".join(f"{key}: {value}" for key, value in same.items()) + "."
    yield ""
    yield "CPU, µs a span:"
    yield ""
    heads = ("server", *(label for label, _ in each.marks))
    cpu = [
        [server, *(_around_or_missing(name, server, results) for _, name in each.marks)]
        for server in each.servers
    ]
    differing = [
        [
            key,
            *(
                f"{(results.cell(name) or {}).get('meaning', {}).get(key, '')}"
                for _, name in each.marks
            ),
        ]
        for key in first["meaning"]
        if key not in same and key != each.axis
    ]
    yield from table(heads, [*cpu, *differing])
    if plot_of(each, results):
        yield from (f"![CPU by {each.axis}](benchmarks/{plot_name(each)})", "")
    yield "Memory (RSS, MiB), and p99 until delivered (ms):"
    yield ""
    rest = [
        [server, *(_memory_and_delay(name, server, results) for _, name in each.marks)]
        for server in each.servers
    ]
    yield from table(heads, rest)
    own = {cell.name for cell in each.cells}
    marks = [(label, name) for label, name in each.marks if name in own]
    yield from _too_slow(marks, each.servers, results)


def _is_same(key: str, each: Comparison, results: Results) -> bool:
    known = [results.cell(name) for _, name in each.marks]
    return len({cell["meaning"][key] for cell in known if cell}) == 1


def plot_name(each: Comparison) -> str:
    """The name of the file with the plot of a comparison."""
    return re.sub(r"[^a-z]+", "-", each.name.lower()).strip("-") + ".svg"


def plot_of(each: Comparison, results: Results) -> str:
    """The plot; empty where there is no axis of numbers, or hardly a point on it."""
    try:
        places = {name: float(label) for label, name in each.marks}
    except ValueError:
        return ""
    series = {}
    for server in each.servers:
        found = [(x, results.median(name, server, _CPU)) for name, x in places.items()]
        points = [(x, cpu) for x, cpu in found if cpu]
        if len(points) > 1:
            series[server] = points
    if len(places) < 3 or not series:
        return ""
    return line_plot("CPU, µs a span", each.axis, series, log=each.log)


def _bars(medians: dict[str, float]) -> list[str]:
    """Bars in text: they can be read anywhere, and compared with those of another run."""
    if len(medians) < 3:
        return []
    width, most = max(map(len, medians)), max(medians.values())
    bars = [
        f"{server:<{width}}  {'█' * max(round(cpu / most * _BAR), 1)} {cpu:.1f}"
        for server, cpu in medians.items()
    ]
    return ["```", *bars, "```", ""]


def _too_slow(
    marks: Sequence[tuple[str, str]], servers: Sequence[str], results: Results
) -> Iterator[str]:
    """Who did not take the rate that was offered: its figures are of the lower one."""
    slow = []
    for label, name in marks:
        offered = float((results.cell(name) or {}).get("offered_spans_per_s", 0.0))
        for server in servers if offered else ():
            rate = results.median(name, server, "spans_per_s")
            if rate and rate < offered * _REACHED:
                where = f" ({label})" if label else ""
                slow.append(f"{server}{where} {rate:,.0f} of {offered:,.0f}")
    if slow:
        yield f"Took fewer spans a second than were offered: {'; '.join(slow)}."
        yield ""


def _around(spread: Spread) -> str:
    median, *between = (f"{us:.1f}" for us in (spread.median, spread.least, spread.most))
    return median if len({*between}) == 1 else f"{median} ({' – '.join(between)})"


def _around_or_missing(cell: str, server: str, results: Results) -> str:
    spread = results.spread(cell, server, _CPU)
    return _around(spread) if spread else _missing(cell, server, results)


def _missing(cell: str, server: str, results: Results) -> str:
    failure = results.failure(cell, server)
    return f"failed: {' '.join(failure.split())[:100]}" if failure else "not measured"


def _memory_and_delay(cell: str, server: str, results: Results) -> str:
    rss = results.median(cell, server, "rss_max_mib")
    delay = results.median(cell, server, "delivered_ms", 1)
    return "" if rss is None or delay is None else f"{rss:.0f} · {delay:.1f}"


def _pair(cell: str, server: str, key: str, results: Results) -> str:
    found = [results.median(cell, server, key, part) for part in (0, 1)]
    return " · ".join("" if value is None else f"{value:.1f}" for value in found)
