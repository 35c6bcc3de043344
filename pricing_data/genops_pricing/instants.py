"""Instants as Unix nanoseconds in UTC, and their text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

__all__ = ["DAY_NS", "format_instant", "instant_of", "midnight", "parse_instant"]

DAY_NS: Final = 86_400 * 10**9
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SHAPE: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2}))?", re.ASCII
)


def parse_instant(text: str) -> datetime:
    """Read `2024-05-13` (00:00Z) or `2024-05-13T16:00:00Z`.

    Raises:
        ValueError: the text is no such instant; a time without an offset is none.
    """
    fix = "write 2024-05-13 or 2024-05-13T16:00:00Z"
    if not _SHAPE.fullmatch(text):
        raise ValueError(f'"{text}" is no instant; {fix}')
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f'"{text}" is no instant: {error}; {fix}') from error


def instant_of(moment: datetime) -> int:
    """Unix nanoseconds of an aware datetime, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def format_instant(moment: datetime) -> str:
    """As `2024-05-13T00:00:00Z`; a fraction of a second only where there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def midnight(day: date) -> datetime:
    """The start of a day, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
