"""The genops-pricing command: check, list, show and cost.

Parses arguments, reads the clock, prints, and chooses the exit code: 0 priced or free, 3 unpriced,
2 wrong usage, 1 failure. What is printed is decided in `render`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from . import render
from .answers import Conditions, Miss
from .catalog import Catalog
from .errors import CatalogError, PricingError
from .instants import instant_of, parse_instant
from .load import load_catalog, load_directory
from .units import Usage

__all__ = ["main"]

_PRICED: Final = 0
_FAILED: Final = 1
_USAGE: Final = 2
_UNPRICED: Final = 3

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
    directories = [path for path in options.files if path.is_dir()]
    overlays = [path for path in options.files if not path.is_dir()]
    loads: list[Callable[[], Catalog]] = [partial(load_directory, path) for path in directories]
    if overlays or not directories:
        loads.append(partial(load_catalog, overlays))
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
    """List the models with their prices in force."""
    catalog = load_catalog(options.overlay)
    if options.market not in (None, *catalog.markets):
        known = ", ".join(catalog.markets)
        print(f'no market "{options.market}". Known: {known}', file=sys.stderr)
        return _USAGE
    records = [
        render.list_record(catalog, model, instant_of(options.at))
        for model in catalog.models(options.market)
    ]
    _print(options, records, render.list_lines)
    return _PRICED


def _show(options: argparse.Namespace) -> int:
    """Show all that is known of one model: facts, price rows, sources."""
    catalog = load_catalog(options.overlay)
    model = catalog.model(options.model, market=options.market)
    if isinstance(model, Miss):
        return _report_miss(model.reason, model.detail, model.closest)
    records = render.show_records(catalog, model, instant_of(options.at))
    _print(options, records, lambda _: render.show_lines(catalog, model, instant_of(options.at)))
    return _PRICED


def _cost(options: argparse.Namespace) -> int:
    """Price one call."""
    catalog = load_catalog(options.overlay)
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
        epilog="Exit: 0 priced or free, 3 unpriced, 2 wrong usage, 1 failure.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="check the catalog, or overlays and data directories")
    check.add_argument("files", nargs="*", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true", help="one JSON object")
    check.set_defaults(run=_check)

    listing = _reader(commands, "list", "list the models with their prices", _list)
    listing.add_argument("--market", type=str.lower, help="only the models of this market")

    show = _reader(commands, "show", "show all price rows of a model, with their sources", _show)
    show.add_argument("model")
    show.add_argument(
        "--market", type=str.lower, help="who bills; default: told from the model's name"
    )

    cost = _reader(commands, "cost", "price one call", _cost)
    cost.add_argument("model")
    for name, meaning in _COUNTS.items():
        default = Usage._field_defaults[name]
        flag = f"--{name.replace('_', '-')}"
        cost.add_argument(flag, type=_count, default=default, metavar="N", help=meaning)
    cost.add_argument(
        "--market", type=str.lower, help="who bills; default: told from the model's name"
    )
    cost.add_argument("--provider", help="upstream provider that served the call")
    cost.add_argument("--service-tier", help="tier that served the call: flex, priority …")
    cost.add_argument("--processing", help="batch …")
    cost.add_argument("--region", help="region that the call was bound to")
    cost.add_argument("--route", help="route that the call took")
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


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f'"{text}" is no count; write a whole number, 0 or more')
    if len(text) > _DIGITS_MAX:
        raise argparse.ArgumentTypeError(f"{text} is more than any call uses; correct it")
    return int(text)
