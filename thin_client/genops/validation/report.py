"""Print what `validate_setup` found, for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from genops.validation.setup import ValidationResult

__all__ = ["print_validation_result"]

# ANSI "select graphic rendition": red, yellow, green.
_COLOURS: Final[Mapping[str, int]] = {"error": 31, "warning": 33, "info": 32}
_LABELS: Final[Mapping[str, str]] = {"error": "ERROR", "warning": "WARN", "info": "info"}


def print_validation_result(result: ValidationResult, file: TextIO | None = None) -> None:
    """Print the findings, each with its fix below it, and the verdict.

    Args:
        result: Of `validate_setup`.
        file: Where to; by default stdout. Colours are used on a terminal, unless NO_COLOR
            (https://no-color.org) is set.
    """
    out = sys.stdout if file is None else file
    coloured = out.isatty() and not os.environ.get("NO_COLOR")

    def label(level: str) -> str:
        padded = f"{_LABELS[level]:5}"
        return f"\x1b[{_COLOURS[level]}m{padded}\x1b[0m" if coloured else padded

    for issue in result.issues:
        out.write(f"{label(issue.level)} {issue.component:13} {issue.message}\n")
        if issue.fix_suggestion:
            out.write(f"{'':19} fix: {issue.fix_suggestion}\n")
    counts = ", ".join(
        f"{count} {name}{'' if count == 1 else 's'}"
        for name in ("error", "warning")
        if (count := result.summary[f"{name}_count"])
    )
    verdict = "The setup is valid" if result.is_valid else "The setup is not valid"
    out.write(f"{verdict}{f': {counts}' if counts else ''}.\n")
