"""The end of a parcel: delivered, given up, or a dead letter; and the books of its entries.

Decides nothing about it: `worker` does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from genops_enricher.export.notices import Notices
from genops_enricher.export.outcome import Hold
from genops_enricher.export.parcel import Parcel, Part
from genops_enricher.queue import DeadLetters, Ended, Reader
from genops_enricher.telemetry import Telemetry

__all__ = ["Settling"]


class Settling:
    """Finishes the entries of one exporter. Thread safe."""

    def __init__(
        self,
        reader: Reader,
        dead_letters: DeadLetters,
        notices: Notices,
        telemetry: Telemetry,
        labels: Mapping[str, str],
        *,
        stopping: threading.Event,
        pause_s: float,
    ) -> None:
        """`pause_s` is the wait, in seconds, after the disk refused a dead letter."""
        self._reader = reader
        self._dead_letters = dead_letters
        self._notices = notices
        self._telemetry = telemetry
        self._labels = labels
        self._stopping = stopping
        self._pause_s = pause_s

    def delivered(self, parcel: Parcel, rejected: int, message: str) -> None:
        """The destination has it, but for items that it rejected, which are not sent again."""
        rejected = min(rejected, parcel.items)
        if rejected:
            self._notices.lost(rejected, f"the destination rejected them: {message}")
        elif message:
            self._notices.warned(message)
        if parcel.shortened is not None:
            self._telemetry.add(
                "genops_exporter_truncated_items_total", parcel.items, **self._labels
            )
        fates = []
        for part in parcel.parts:  # the answer says how many of them, not which
            share = min(rejected, part.items)
            rejected -= share
            fates.append((part, {"rejected": share} if share else {}))
        self._settle(fates)

    def drop(self, parcel: Parcel, label: str, reason: str) -> None:
        """It is lost: counted under `label`, logged with the reason."""
        self._notices.lost(parcel.items, reason)
        self._settle([(part, {label: part.items}) for part in parcel.parts])

    def bury(self, parcel: Parcel, reason: str) -> None:
        """Make each part a dead letter, as it came. As long as the disk refuses, wait."""
        for part in parcel.parts:
            while True:
                try:
                    kept = self._dead_letters.keep(part.payload, part.items, reason)
                    break
                except OSError as error:
                    self._notices.attempt(Hold(f"can't write a dead letter: {error.strerror}"))
                    if self._stopping.wait(self._pause_s):
                        return
            if kept:
                self._notices.dead_lettered(part.items, reason)
                self._settle([(part, {"dead_lettered": part.items})])
            else:
                self._notices.lost(part.items, f"{reason}; the dead letters are at their bound")
                self._settle([(part, {"dead_letters_full": part.items})])

    def _settle(self, fates: Iterable[tuple[Part, dict[str, int]]]) -> None:
        """The fates of parts are known; finish the entries of which nothing else is left."""
        closed = [part.account for part, fate in fates if part.account.close_part(**fate)]
        if closed:
            self._reader.finish(*(Ended(a.entry, a.dropped, a.dead_lettered) for a in closed))
