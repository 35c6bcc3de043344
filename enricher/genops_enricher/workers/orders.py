"""What the supervisor tells a worker, and what it hears: values that go over a pipe as they are.

There are two pipes: on one each order is carried out and answered, on the other the supervisor
looks at the worker whatever it is doing. Both are read by processes of this installation only.
"""

from __future__ import annotations

from dataclasses import dataclass

from genops_enricher.config.model import Config
from genops_enricher.life.health import State
from genops_enricher.workers.merge import Page

__all__ = ["Answer", "Apply", "Order", "Sight", "Sources", "Start", "Stop"]


@dataclass(frozen=True, slots=True)
class Sources:
    """What a worker runs by: its own configuration, and what the overlays say, if there are any.

    Not the paths of the overlays: they may have changed since the supervisor read them.
    """

    config: Config
    overlays: str


@dataclass(frozen=True, slots=True)
class Start:
    """The first order."""

    number: int
    sources: Sources


@dataclass(frozen=True, slots=True)
class Apply:
    """Run by other sources, or go on as before and say why."""

    sources: Sources


@dataclass(frozen=True, slots=True)
class Stop:
    """Drain, and end once this is answered."""

    why: str


Order = Start | Apply | Stop


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an order."""

    problem: str = ""
    """What can't be started; nothing is wrong if it is empty."""
    last: Page | None = None
    """The metrics page at the end, if the order was to stop."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A worker as it looks at this moment. `number` is that of the question."""

    number: int
    state: State
    degraded: tuple[str, ...]
    page: Page
