"""What the policy decides, and what the writer writes: additions to price files, and refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from .observation import Subject

__all__ = ["Addition", "Decision", "NewEndpoint", "NewModel", "NewRow", "Refused", "Removal"]


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model that the catalog did not know: its whole block, as in a price file."""

    market: str
    author: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """An upstream provider's endpoint that the model did not have: `quantization`, `prices`."""

    subject: Subject
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewRow:
    """A price row for a model or endpoint that is there.

    Attributes:
        raw: the row as in a price file; one with a `status` states why there is no price.
        ratios: new price by old, for the units whose price changes.
    """

    subject: Subject
    raw: Mapping[str, Any]
    ratios: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Removal:
    """A model that its market no longer lists.

    Attributes:
        day: first day on which it was seen to be gone.
    """

    subject: Subject
    day: date


@dataclass(frozen=True, slots=True)
class Refused:
    """A price that becomes no row, and why."""

    subject: Subject
    reason: str


Addition = NewModel | NewEndpoint | NewRow | Removal
Decision = Addition | Refused
