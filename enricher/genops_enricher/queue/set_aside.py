"""Where damaged bytes of a queue go: a folder, for a person to look at, once and within a limit."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from genops_enricher.queue.frame import Damage

__all__ = ["SetAside"]

_log = logging.getLogger(__name__)

_BYTES_MAX = 256 << 20  # a failing disk must not fill itself with its own damage


class SetAside:
    """The folder of one queue; `count` is called for each damaged range that is found."""

    def __init__(self, folder: Path, count: Callable[[], None]) -> None:
        self._folder = folder
        self._count = count
        self._not_kept = 0

    def keep(self, segment: Path, damage: Damage, data: bytes) -> None:
        """Keep `data`, what could be read of the damaged range of a segment, and report it."""
        copy = self._folder / f"{segment.stem}-{damage.offset}.damaged"
        if copy.exists():
            return  # the same segment, met again at the next start
        self._count()
        is_kept = False
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if len(data) + sum(f.stat().st_size for f in self._folder.iterdir()) > _BYTES_MAX:
                kept = f"not kept: {self._folder} is full"
            else:
                with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                    file.write(data)
                kept = f"kept as {copy}"
                is_kept = True
        except OSError as error:
            kept = f"not kept: {error}"
        self._not_kept += not is_kept
        _log.error(
            "%s is damaged: %d bytes from offset %d on can't be read and are not delivered (%s). "
            "Check the disk.",
            segment,
            damage.end - damage.offset,
            damage.offset,
            kept,
        )

    def trouble(self) -> str:
        """What a person should act on, for as long as the damage lies in the folder; or nothing."""
        try:
            found = self._not_kept + len([*self._folder.iterdir()])
        except OSError:  # most often: there is no such folder
            found = self._not_kept
        if not found:
            return ""
        return (
            f"{found} damaged ranges of the queue were not delivered and are in {self._folder}. "
            "Check the disk, and move the files away"
        )
