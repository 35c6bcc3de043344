"""The genops-pricing command: check, list, show, cost, diff, import and publish.

Runs what `arguments` read, prints, and chooses the exit code: 0 priced or free, 3 unpriced or
flagged, 2 wrong usage, 1 failure. What is printed is decided in `render`, `show`, `stats`,
`compare` and, for imports, in `importing.review`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from . import compare, frozen, render, show, stats
from .answers import Conditions, Miss
from .arguments import COUNTS, DATA, FACTS, make_parser
from .catalog import Catalog
from .changelog import changelog_lines
from .errors import CatalogError, PricingError
from .instants import instant_of
from .load import load_any, load_catalog, load_directory
from .streams import prepare_streams
from .units import Usage

__all__ = ["main"]

_PRICED: Final = 0
_FAILED: Final = 1
_USAGE: Final = 2
_UNPRICED: Final = 3
_FLAGGED: Final = 3

# The end of the id of a price row, as spans have it; a model's name has no instant.
_ROW_ID: Final = re.compile(r"@\d{4}-\d\d-\d\dT[\d:.]+Z")
_WITHOUT_TERMINAL: Final = (120, 24)  # columns and lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    prepare_streams()
    options = make_parser().parse_args(arguments)
    try:
        return _RUN[options.command](options)
    except PricingError as error:
        print(error, file=sys.stderr)
        return _FAILED
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; nothing may be flushed to it on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED


def _check(options: argparse.Namespace) -> int:
    """Check the bundled catalog, or the given overlays and data directories."""
    catalogs: list[Catalog] = []
    problems: list[str] = []
    # Compiled before, the files may not have been checked by the rules of this release. An
    # installation has none.
    files = options.files or ([DATA] if DATA.is_dir() else [])
    directories = [path for path in files if path.is_dir()]
    overlays = [path for path in files if not path.is_dir()]
    loads: list[Callable[[], Catalog]] = [partial(load_directory, path) for path in directories]
    if overlays or not files:
        loads.append(partial(load_catalog, overlays))
    problems += filter(None, map(frozen.missing, directories))
    for load in loads:
        try:
            catalogs.append(load())
        except CatalogError as error:
            problems += error.problems
    if options.json:
        print(json.dumps(render.check_record(catalogs, problems)))
    else:
        for problem in problems:
            print(problem, file=sys.stderr)
        for line in render.check_lines(catalogs, problems):
            print(line)
    return _FAILED if problems else _PRICED


def _list(options: argparse.Namespace) -> int:
    """List the models with their prices in force, or count them."""
    catalog = load_catalog(options.overlay)
    if _misses_market(options, catalog):
        return _USAGE
    if options.stats:
        record = stats.count(catalog, instant_of(options.at), options.market)
        _print(options, [record], lambda _: stats.count_lines(record))
        return _PRICED
    records = [
        render.list_record(catalog, model, instant_of(options.at))
        for model in catalog.models(options.market)
    ]
    _print(options, records, render.list_lines)
    return _PRICED


def _show(options: argparse.Namespace) -> int:
    """Show all that is known of one model, or of the one that has a row: facts, rows, sources."""
    catalog = load_catalog(options.overlay)
    if _misses_market(options, catalog):
        return _USAGE
    chosen = None
    if _ROW_ID.search(options.model):
        found = catalog.row(options.model)
        if found is None:
            return _report_no_row(options.model, catalog)
        model, chosen = found
    else:
        named = catalog.model(options.model, market=options.market)
        if isinstance(named, Miss):
            return _report_miss(named.reason, named.detail, named.closest)
        model = named
    at_ns = instant_of(options.at)
    width = shutil.get_terminal_size(_WITHOUT_TERMINAL).columns
    marked = (options.model, chosen) if chosen else None
    _print(
        options,
        show.show_records(catalog, model, at_ns, chosen),
        lambda _: show.show_lines(catalog, model, at_ns, width, marked),
    )
    return _PRICED


def _cost(options: argparse.Namespace) -> int:
    """Price one call."""
    catalog = load_catalog(options.overlay)
    if _misses_market(options, catalog):
        return _USAGE
    quote = catalog.quote(
        options.model,
        Usage(**{name: getattr(options, name) for name in COUNTS}),
        at=options.at,
        market=options.market,
        endpoint=options.provider,
        conditions=Conditions(
            service_tier=options.service_tier,
            processing=options.processing,
            region=options.region,
            route=options.route,
        ),
    )
    if options.json or quote.status != "unpriced":
        _print(options, [render.cost_record(quote)], lambda _: render.cost_lines(quote))
    if quote.status == "unpriced":
        return _report_miss(quote.reason or "", quote.detail or "", quote.closest)
    return _PRICED


def _diff(options: argparse.Namespace) -> int:
    """Say what one catalog has over another, and whether it changed what it must not."""
    old, new = load_any(options.old), load_any(options.new)
    changes = compare.compare(old, new)
    if options.changelog:
        print("\n".join(changelog_lines(old, new)))
    else:
        _print(options, changes, compare.compare_lines)
    return _FLAGGED if any(one["change"] in compare.BREACHES for one in changes) else _PRICED


def _publish(options: argparse.Namespace) -> int:
    """Freeze the rows that are new since the last time."""
    _need_files(options.data)
    from .sources import publish_directory

    print(f"{publish_directory(options.data)} price rows are newly published")
    return _PRICED


def _need_files(data: Path) -> None:
    if not data.is_dir():
        raise PricingError(f"{data}: no directory of price files. Give one: --data DIR")


def _import(options: argparse.Namespace) -> int:
    """Review what a source states that the catalog lacks; with --write, add it."""
    _need_files(options.data)
    try:
        from .importing import findings, run
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        fix = "Install it: pip install 'genops-ai[pricing]'"
        raise PricingError(f"imports need PyYAML. {fix}") from error
    if options.source == FACTS:
        return _import_facts(options)
    found = run.import_prices(
        options.data,
        options.source,
        options.places,
        seen_at=options.seen_at.date(),
        backed_by=options.backed_by,
        complete=options.complete,
    )
    _print(options, list(findings.review_records(found)), lambda _: findings.review_lines(found))
    if options.write:
        for path in run.write_review(options.data, found, day=datetime.now(UTC).date()):
            print(f"wrote {path}", file=sys.stderr)
    return _FLAGGED if found.flagged or found.refused else _PRICED


def _import_facts(options: argparse.Namespace) -> int:
    """Add the models that folders of price facts know and the catalog does not."""
    from .importing import facts

    refused = 0
    for folder in map(Path, options.places):
        try:
            report = facts.run(folder, options.data, save=options.write)
        except (OSError, KeyError) as error:
            fix = "Give a folder with the files that docs/pricing.md names"
            raise PricingError(f"{folder}: holds no price facts: {error}. {fix}") from error
        _print(options, list(facts.records(report)), facts.lines)
        refused += len(report.refused)
    return _FLAGGED if refused else _PRICED


def _misses_market(options: argparse.Namespace, catalog: Catalog) -> bool:
    """Whether the market asked for is none; says so."""
    if options.market in (None, *catalog.markets):
        return False
    known = ", ".join(catalog.markets)
    print(f'no market "{options.market}". Known: {known}', file=sys.stderr)
    return True


def _report_no_row(entry: str, catalog: Catalog) -> int:
    overlay = entry.partition("+")[2]
    reason = (
        f"it is of the overlay {overlay}: give it by --overlay"
        if overlay
        else f"the catalog {catalog.version} has no such row"
    )
    print(f"no price row {entry}: {reason}", file=sys.stderr)
    return _UNPRICED


def _report_miss(reason: str, detail: str, closest: Sequence[str]) -> int:
    print(f"unpriced: {reason}: {detail}", file=sys.stderr)
    if closest:
        print(f"closest: {', '.join(closest)}", file=sys.stderr)
    return _UNPRICED


def _print(
    options: argparse.Namespace,
    records: Sequence[Mapping[str, Any]],
    lines: Callable[[Sequence[Mapping[str, Any]]], Iterable[str]],
) -> None:
    for line in map(json.dumps, records) if options.json else lines(records):
        print(line)


_RUN: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "check": _check,
    "list": _list,
    "show": _show,
    "cost": _cost,
    "diff": _diff,
    "publish": _publish,
    "import": _import,
}
