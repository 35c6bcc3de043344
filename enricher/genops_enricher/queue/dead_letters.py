"""What a destination can never accept, in a folder, for a person to look at and send again.

A letter is one file: a line of JSON that tells what it is, then the request as bytes. Its name is
made of its content, so that the same one, refused again after a restart, is there once. A letter
is synced before it counts as kept: what it holds was acknowledged.

    <data_dir>/dead_letters/<signal>/<exporter>/<id>.letter

Each worker has a folder of its own in its part of the data folder; commands see all of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from genops_enricher.errors import EnricherError
from genops_enricher.host.folders import make_folder, sync_folder
from genops_enricher.pipeline import Signal

__all__ = ["DeadLetters", "Letter", "letter_id", "letter_paths", "read_letter"]

_FOLDER = "dead_letters"
_SUFFIX = ".letter"
_UNFINISHED = ".unfinished"
_ID_CHARACTERS = 16
_FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it lies in the folder. `time` is when it was refused, in ISO 8601, UTC."""

    path: Path
    exporter: str
    signal: Signal
    items: int
    reason: str
    time: str
    payload: bytes

    @property
    def id(self) -> str:
        """What commands call it."""
        return letter_id(self.path)


class DeadLetters:
    """The letters of one exporter and signal. Thread safe."""

    def __init__(self, data_dir: Path, signal: Signal, exporter: str, max_bytes: int) -> None:
        """Touches no disk yet."""
        self._folder = data_dir / _FOLDER / signal / quote(exporter, safe="")
        self._signal = signal
        self._exporter = exporter
        self._max_bytes = max_bytes
        self._bytes: int | None = None  # what is there, at most: others may have taken some away
        self._counted_ns = 0  # when the folder had last changed as its content was counted
        self._refused_bytes = 0  # of the last letter for which there was no room
        self._lock = threading.Lock()

    def keep(self, payload: bytes, items: int, reason: str) -> bool:
        """Keep a request for good; False if there is no room for it within the bound.

        Raises:
            OSError: the disk refuses.
        """
        head = {
            "format": _FORMAT_VERSION,
            "exporter": self._exporter,
            "signal": self._signal.value,
            "items": items,
            "reason": reason,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        data = json.dumps(head).encode() + b"\n" + payload
        path = self._folder / f"{hashlib.sha256(payload).hexdigest()[:_ID_CHARACTERS]}{_SUFFIX}"
        with self._lock:
            if path.exists():
                return True
            if self._bytes is None:
                _remove_unfinished(self._folder)
            if self._size(len(data)) > self._max_bytes:
                self._refused_bytes = len(data)
                return False
            _write(path, data)
            self._bytes = (self._bytes or 0) + len(data)
            self._refused_bytes = 0
            return True

    def trouble(self) -> str:
        """What a person should act on: letters are lost until some are gone; or nothing."""
        with self._lock:
            refused_bytes = self._refused_bytes
            if not refused_bytes or self._size(refused_bytes) <= self._max_bytes:
                return ""
        return (
            f"its dead letters are at their bound ({self._max_bytes} bytes), and more are lost. "
            "Send them again or remove them by `genops-enricher dead-letters`, or raise "
            "dead_letter.max_size"
        )

    def _size(self, added: int) -> int:
        """The bytes there would be; counted if that might be too many and something has changed."""
        if self._bytes is None or self._bytes + added > self._max_bytes:
            changed_ns = _changed_ns(self._folder)
            if self._bytes is None or changed_ns != self._counted_ns:
                self._bytes, self._counted_ns = _count_bytes(self._folder), changed_ns
        return self._bytes + added


def letter_paths(data_dir: Path) -> list[Path]:
    """The file of every letter, also of further workers, by signal and exporter."""
    letters = f"{_FOLDER}/*/*/*{_SUFFIX}"
    return [*sorted(data_dir.glob(letters)), *sorted(data_dir.glob(f"worker-*/{letters}"))]


def letter_id(path: Path) -> str:
    """What commands call the letter in that file."""
    return path.name.removesuffix(_SUFFIX)


def read_letter(path: Path) -> Letter:
    """Read one letter.

    Raises:
        EnricherError: it can't be read, or is no letter of this version.
    """
    try:
        head, _, payload = path.read_bytes().partition(b"\n")
        content = json.loads(head)
        if content["format"] != _FORMAT_VERSION:
            raise EnricherError(
                f"{path}: format {content['format']}, but this version reads {_FORMAT_VERSION}. "
                "Use the version that wrote it."
            )
        if not path.name.startswith(hashlib.sha256(payload).hexdigest()[:_ID_CHARACTERS]):
            raise EnricherError(f"{path}: the content is damaged. Check the disk; remove the file.")
        return Letter(
            path,
            content["exporter"],
            Signal(content["signal"]),
            content["items"],
            content["reason"],
            content["time"],
            payload,
        )
    except OSError as error:
        raise EnricherError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EnricherError(f"{path}: is no dead letter. Remove the file.") from error


def _changed_ns(folder: Path) -> int:
    return folder.stat().st_mtime_ns if folder.is_dir() else 0


def _count_bytes(folder: Path) -> int:
    total = 0
    if folder.is_dir():
        with os.scandir(folder) as files:
            for file in files:
                with contextlib.suppress(FileNotFoundError):  # sent again at this moment
                    total += file.stat().st_size
    return total


def _remove_unfinished(folder: Path) -> None:
    """What a crash left behind: what it was to hold is in the queue, and comes again."""
    for path in folder.glob(f"*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is there as a whole, for good, or not at all."""
    folder = path.parent
    make_folder(folder)
    unfinished = path.with_suffix(_UNFINISHED)
    try:
        with os.fdopen(
            os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
        ) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(folder)
