"""The day that a model's id tells. Pure."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

__all__ = ["day_in", "without_day"]

_DAY: Final = re.compile(r"[-@](20\d\d)-?([01]\d)-?([0-3]\d)(?:-v\d+(?::\d+)?)?$")
# mistral-medium-2508 is of August 2025, deep-research-preview-04-2026 of April 2026.
_MONTHS: Final = (
    re.compile(r"-(?P<year>2[3-9])(?P<month>0[1-9]|1[0-2])$"),
    re.compile(r"-(?P<month>0[1-9]|1[0-2])-20(?P<year>\d\d)$"),
)


def day_in(model: str) -> date | None:
    """The day that a model's id ends in, or the first of the month.

    As in `gpt-4.1-2025-04-14`, `claude-opus-4-20250514`, `mistral-medium-2508`.
    """
    if match := _DAY.search(model.lower()):
        try:
            return date(*(int(part) for part in match.groups()))
        except ValueError:
            return None
    for pattern in _MONTHS:
        if match := pattern.search(model.lower()):
            return date(2000 + int(match["year"]), int(match["month"]), 1)
    return None


def without_day(model: str) -> str:
    """A model's id in lower case, without the day that it ends in."""
    return _DAY.sub("", model.lower())
