"""What a reader needs of the place where its records are: `log_cursor` on disk, or `memory`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from genops_enricher.queue.frame import Frame
from genops_enricher.queue.segment import Position

__all__ = ["Cursor"]


class Cursor(Protocol):
    """Where one exporter is among the records of a queue.

    The lock of the queue is held for all but `read`.
    """

    keeps: bool
    """Whether what is not finished is there again after a restart."""

    def first(self) -> Frame | None:
        """The oldest record that is neither out nor passed."""

    def accepted_ms(self) -> int | None:
        """When the oldest record that is not finished was accepted, be it out or not."""

    def at_newest(self) -> bool:
        """Whether `first` is the newest record of all."""

    def take(self) -> Position:
        """Pass `first`, which is out from now on."""

    def drop(self) -> None:
        """Pass `first` for good."""

    def put_back(self, position: Position) -> None:
        """A record that is out is to be taken again."""

    def read(self, position: Position) -> bytes | None:
        """The payload of a record that is out; None if it is damaged.

        Raises:
            OSError: it can't be read now.
        """

    def finish(self, position: Position) -> Frame:
        """A record that is out is done with."""

    def save(self) -> None:
        """Remember what is finished and dropped across a restart, as well as that is possible."""

    def arrived(self, frames: Sequence[Frame], payloads: Sequence[bytes]) -> None:
        """Records were accepted."""

    def shut(self) -> None:
        """Save for the last time, and let go of everything."""
