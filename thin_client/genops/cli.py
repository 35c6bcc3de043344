"""The genops command: parses arguments, prints, and chooses the exit code.

Exit codes: 0 the setup is valid, 1 it is not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from genops._runtime import version
from genops.validation.report import print_validation_result
from genops.validation.setup import TIMEOUT_S, validate_setup

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code.
    """
    from genops_pricing.streams import prepare_streams

    prepare_streams()
    options = _parser().parse_args(arguments)
    result = validate_setup(live=options.live, timeout=options.timeout)
    try:
        if options.json:
            print(json.dumps(asdict(result)))
        else:
            print_validation_result(result)
        if sys.stdout is not None:  # which it is where it was closed
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted; nothing may be flushed to it on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if result.is_valid else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="genops", description="Attribute the cost of LLM calls, over OpenTelemetry."
    )
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    validate = commands.add_parser(
        "validate",
        help="check key, installation, prices and where spans go; makes no paid call",
        description="Check key, installation, prices and where spans go. Makes no paid call. "
        "Without --live the network decides nothing: fit for a container's probe.",
        epilog="exit codes: 0 valid, 1 not valid, 2 wrong usage",
    )
    validate.add_argument(
        "--live",
        action="store_true",
        help="also ask OpenRouter about the key, and send the OTLP endpoint an empty request",
    )
    validate.add_argument("--json", action="store_true", help="print one JSON object")
    validate.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help="for each step over the network (default %(default)g)",
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600 seconds")
    return seconds
