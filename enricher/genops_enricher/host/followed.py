"""A value made of files, made again when they change: certificates, keys, tokens.

The files are looked at when the value is used, at most once a second, so there is no thread and
nothing to stop. What can't be used leaves the value as it was: files are replaced one after the
other, and in between a key does not fit its certificate.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from genops_enricher.errors import StartError
from genops_enricher.telemetry import Telemetry

__all__ = ["Followed"]

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_LOOK_S = 1.0

# How a file looks from outside: device, inode, size, times. None: it is not there.
_Look = tuple[int, ...] | None


class Followed(Generic[_T]):
    """Holds the latest usable value. Thread safe."""

    def __init__(
        self,
        key: str,
        files: Sequence[Path],
        make: Callable[[], _T],
        telemetry: Telemetry | None = None,
        *,
        interval_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the value for the first time.

        Args:
            key: of the configuration, for messages and as the label of the metric.
            files: that the value is made of.
            make: makes the value of the files as they are; ValueError says what is wrong with them.
            telemetry: counts how often they changed; None counts nowhere.
            interval_s: when the value is made again though the files look the same.
            clock: seconds that only go up.

        Raises:
            StartError: the files can't be used.
        """
        self._key = key
        self._files = files
        self._make = make
        self._telemetry = telemetry
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        self._looks = self._look()
        self._said = ""
        try:
            self._value = make()
        except (OSError, ValueError) as error:
            raise StartError(f"{key}: {_text(error)}") from error
        self._looked_s = self._made_s = clock()
        for outcome in ("applied", "failed"):
            self._count(outcome, 0)

    def get(self) -> _T:
        """The value, of the files as they were within the last second if they could be used."""
        if self._clock() - self._looked_s >= _LOOK_S and self._lock.acquire(blocking=False):
            try:
                self._follow()
            finally:
                self._lock.release()
        return self._value

    def _follow(self) -> None:
        now_s = self._clock()
        self._looked_s = now_s
        looks = self._look()
        changed = looks != self._looks
        due = self._interval_s is not None and now_s - self._made_s >= self._interval_s
        if not changed and not due:
            return
        self._made_s = now_s
        try:
            value = self._make()
            if self._look() != looks:
                return  # replaced under our eyes: what we read may be half of each; look again
        except (OSError, ValueError) as error:
            self._looks = looks
            self._fail(_text(error), changed=changed)
            return
        self._looks, self._value = looks, value
        if changed or self._said:
            _LOG.info("%s: the files were read again", self._key)
            self._count("applied")
        self._said = ""

    def _fail(self, text: str, *, changed: bool) -> None:
        if changed:
            self._count("failed")
        if text != self._said:
            _LOG.warning("%s: %s. What was read before stays in use", self._key, text)
        self._said = text

    def _count(self, outcome: str, amount: int = 1) -> None:
        if self._telemetry is not None:
            self._telemetry.add("genops_file_reloads_total", amount, key=self._key, outcome=outcome)

    def _look(self) -> list[_Look]:
        return [_look(file) for file in self._files]


def _look(file: Path) -> _Look:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _text(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"can't read {error.filename or 'a file'}: {error.strerror}"
    return str(error)
