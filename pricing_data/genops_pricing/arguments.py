"""What the genops-pricing command may be asked: its commands, options and their values."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from .instants import parse_instant
from .load import load_catalog
from .units import Usage

__all__ = ["COUNTS", "DATA", "FACTS", "make_parser"]

DATA: Final = Path(__file__).parent / "data"
FACTS: Final = "facts"
_SOURCES: Final = ("openrouter", "litellm", "genai-prices", "models.dev")

_DIGITS_MAX: Final = 18  # OTLP counts in 64 bits

COUNTS: Final[Mapping[str, str]] = {
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


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `command` of what it returns names what to run."""
    parser = argparse.ArgumentParser(
        prog="genops-pricing",
        description="Dated prices of LLM calls.",
        epilog="Exit: 0 priced, free or sound, 3 unpriced or flagged, 2 wrong usage, 1 failure.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="of the release and catalog")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    check = commands.add_parser("check", help="check the catalog, or overlays and data directories")
    check.add_argument("files", nargs="*", type=Path, metavar="FILE")
    check.add_argument("--json", action="store_true", help="one JSON object")

    listing = _reader(commands, "list", "list the models with their prices")
    listing.add_argument("--market", type=str.lower, help="only the models of this market")
    listing.add_argument("--stats", action="store_true", help="count them, by kind")

    show = _reader(commands, "show", "show all price rows of a model, with their sources")
    cost = _reader(commands, "cost", "price one call")
    show.add_argument("model", help="its name, or a row's id as a span has it")
    cost.add_argument("model")
    for command in (show, cost):
        command.add_argument(
            "--market", type=str.lower, help="who bills; default: told from the model's name"
        )
    for name, meaning in COUNTS.items():
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

    publish = commands.add_parser("publish", help="freeze new price rows: from then on they stand")
    publish.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="price files")

    imports = commands.add_parser("import", help="review what a source states, and add it")
    imports.add_argument("source", choices=(*_SOURCES, FACTS))
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
    imports.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="price files")
    imports.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


class _Version(argparse.Action):
    """Prints the versions of the release and of the catalog, which is read only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"{version('genops-ai')}, catalog {load_catalog().version}\n")
        parser.exit()


def _reader(commands: Any, name: str, meaning: str) -> argparse.ArgumentParser:
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
