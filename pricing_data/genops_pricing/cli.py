"""The genops-pricing command: check, list, show, cost, diff, import and publish.

Parses arguments, reads the clock, prints, and chooses the exit code: 0 priced or free, 3 unpriced
or flagged, 2 wrong usage, 1 failure. What is printed is decided in `render`, `show`, `stats`,
`compare` and, for imports, in `importing.review`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from . import compare, frozen, render, show, stats
from .answers import Conditions, Miss
from .catalog import Catalog
from .changelog import changelog_lines
from .errors import CatalogError, PricingError
from .instants import instant_of, parse_instant
from .load import load_any, load_catalog, load_directory
from .units import Usage

__all__ = ["main"]

_PRICED: Final = 0
_FAILED: Final = 1
_USAGE: Final = 2
_UNPRICED: Final = 3
_FLAGGED: Final = 3

_DATA: Final = Path(__file__).parent / "data"
_FACTS: Final = "facts"
_SOURCES: Final = ("openrouter", "litellm", "genai-prices", "models.dev")

_WITHOUT_TERMINAL: Final = (120, 24)  # columns and lines
_DIGITS_MAX: Final = 18  # OTLP counts in 64 bits

_COUNTS: Final[Mapping[str, str]] = {
    "input": "prompt tokens, those below included",
    "output": "completion tokens, those below included",
    "cache_read": "prompt tokens read from a cache",
    "cache_write": "prompt tokens written to a cache",
    "cache_write_1h": "those of --cache-write that are kept for an hour",
    "reasoning": "completion tokens spent on reasoning",
    "input_audio": "prompt tokens that are audio",
    "output_audio": "completion tokens that are audio",
    "input_image": "prompt tokens that are images",
    "output_image": "completion tokens that are images",
    "requests": "requests (default 1)",
    "web_searches": "web searches",
    "images": "images, where a price is per image",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
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
    files = options.files or ([_DATA] if _DATA.is_dir() else [])
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
    """Show all that is known of one model: facts, price rows, sources."""
    catalog = load_catalog(options.overlay)
    if _misses_market(options, catalog):
        return _USAGE
    model = catalog.model(options.model, market=options.market)
    if isinstance(model, Miss):
        return _report_miss(model.reason, model.detail, model.closest)
    at_ns = instant_of(options.at)
    width = shutil.get_terminal_size(_WITHOUT_TERMINAL).columns
    _print(
        options,
        show.show_records(catalog, model, at_ns),
        lambda _: show.show_lines(catalog, model, at_ns, width),
    )
    return _PRICED


def _cost(options: argparse.Namespace) -> int:
    """Price one call."""
    catalog = load_catalog(options.overlay)
    if _misses_market(options, catalog):
        return _USAGE
    quote = catalog.quote(
        options.model,
        Usage(**{name: getattr(options, name) for name in _COUNTS}),
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
    if options.source == _FACTS:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="genops-pricing",
        description="Dated prices of LLM calls.",
        epilog="Exit: 0 priced, free or sound, 3 unpriced or flagged, 2 wrong usage, 1 failure.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="check the catalog, or overlays and data directories")
    check.add_argument("files", nargs="*", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true", help="one JSON object")
    check.set_defaults(run=_check)

    listing = _reader(commands, "list", "list the models with their prices", _list)
    listing.add_argument("--market", type=str.lower, help="only the models of this market")
    listing.add_argument("--stats", action="store_true", help="count them, by kind")

    show = _reader(commands, "show", "show all price rows of a model, with their sources", _show)
    cost = _reader(commands, "cost", "price one call", _cost)
    for command in (show, cost):
        command.add_argument("model")
        command.add_argument(
            "--market", type=str.lower, help="who bills; default: told from the model's name"
        )
    for name, meaning in _COUNTS.items():
        default = Usage._field_defaults[name]
        flag = f"--{name.replace('_', '-')}"
        cost.add_argument(flag, type=_count, default=default, metavar="N", help=meaning)
    cost.add_argument("--provider", help="upstream provider that served the call")
    cost.add_argument("--service-tier", help="tier that served the call: flex, priority …")
    cost.add_argument("--processing", help="batch …")
    cost.add_argument("--region", help="region that the call was bound to")
    cost.add_argument("--route", help="route that the call took")

    diff = commands.add_parser("diff", help="what a catalog has over an older one")
    for name in ("old", "new"):
        diff.add_argument(
            name,
            type=Path,
            metavar=name.upper(),
            help="data directory, compiled catalog or wheel",
        )
    form = diff.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--changelog", action="store_true", help="a section of a changelog")
    diff.set_defaults(run=_diff)

    publish = commands.add_parser("publish", help="freeze new price rows: from then on they stand")
    publish.add_argument("--data", type=Path, default=_DATA, metavar="DIR", help="price files")
    publish.set_defaults(run=_publish)

    imports = commands.add_parser("import", help="review what a source states, and add it")
    imports.add_argument("source", choices=(*_SOURCES, _FACTS))
    imports.add_argument(
        "places", nargs="+", metavar="FILE-OR-URL", help="JSON of the source; for facts a folder"
    )
    imports.add_argument("--write", action="store_true", help="add to the price files")
    imports.add_argument(
        "--complete",
        action="store_true",
        help="the files are all that the market lists: models that they lack are removed",
    )
    imports.add_argument(
        "--backed-by",
        type=_backing,
        action="append",
        default=[],
        metavar="SOURCE=FILE-OR-URL",
        help="a second source; it confirms prices and adds none; may be repeated",
    )
    imports.add_argument(
        "--seen-at",
        type=_instant,
        default=datetime.now(UTC),
        metavar="DAY",
        help="day on which the source stated this; default: today",
    )
    imports.add_argument("--data", type=Path, default=_DATA, metavar="DIR", help="price files")
    imports.add_argument("--json", action="store_true", help="one JSON object a line")
    imports.set_defaults(run=_import)
    return parser


def _reader(
    commands: Any, name: str, meaning: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """A command that reads the catalog at an instant."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=meaning, description=meaning)
    command.add_argument(
        "--at",
        type=_instant,
        default=datetime.now(UTC),
        metavar="TIME",
        help="2024-07-15 (00:00Z) or 2024-07-15T12:00:00Z; default: now",
    )
    command.add_argument(
        "--overlay",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="YAML file on top of the catalog; may be repeated",
    )
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.set_defaults(run=run)
    return command


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _backing(text: str) -> tuple[str, str]:
    source, separator, place = text.partition("=")
    if source not in _SOURCES or not separator:
        known = ", ".join(_SOURCES)
        raise argparse.ArgumentTypeError(f'"{text}" names no source; write SOURCE=FILE: {known}')
    return source, place


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f'"{text}" is no count; write a whole number, 0 or more')
    if len(text) > _DIGITS_MAX:
        raise argparse.ArgumentTypeError(f"{text} is more than any call uses; correct it")
    return int(text)
