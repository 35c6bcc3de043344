"""The position of one exporter in a queue, in a file.

A state is where the exporter goes on, and the older records that it had not finished when it was
written. So a single record that is retried for hours pins one segment, not everything behind it,
and a restart repeats only what was under way. There is no sync: an old state only means duplicates.

Two slots are written in turn, each with a counter and a checksum: a torn write leaves the other.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from genops_enricher.errors import StartError
from genops_enricher.host.folders import sync_folder
from genops_enricher.queue.segment import Position

__all__ = ["PositionFile", "State", "list_positions", "read_state"]

_FORMAT_VERSION = 1
_SLOT_BYTES = 4096
_HEAD = struct.Struct(">4sHHQQQ")  # marker, version, number of unfinished, counter, segment, offset
_PLACE = struct.Struct(">QQ")
_CHECKSUM_BYTES = 4
_MARKER = b"GPOS"
_UNFINISHED_MAX = (_SLOT_BYTES - _HEAD.size - _CHECKSUM_BYTES) // _PLACE.size
_SUFFIX = ".position"


@dataclass(frozen=True, slots=True)
class State:
    """`next` is the first record never taken; `unfinished` are older ones, in any order."""

    next: Position
    unfinished: tuple[Position, ...] = ()


class PositionFile:
    """Writes the states of one exporter. `state` is the one found in the file."""

    def __init__(self, directory: Path, exporter: str, *, tail: Position) -> None:
        """Open the file, or create it for a new exporter, which starts at the tail.

        A file without a whole state starts at the oldest record: better twice than never.

        Raises:
            OSError: it can't be made.
            StartError: a later version wrote it.
        """
        path = directory / f"{quote(exporter, safe='')}{_SUFFIX}"
        new = not path.exists()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._counter, state = _newest(path, os.pread(self._fd, 2 * _SLOT_BYTES, 0))
            self.state = state or State(tail if new else Position(0, 0))
            if new:
                # If its name were lost in a power failure, the exporter would be taken for a new
                # one and start behind records that were acknowledged.
                # Both slots get their space now: a full disk must not stop positions.
                os.pwrite(self._fd, bytes(2 * _SLOT_BYTES), 0)
                self.write(self.state)
                os.fsync(self._fd)
                sync_folder(directory)
        except BaseException:
            os.close(self._fd)
            if new:  # the next try is to find none either
                path.unlink(missing_ok=True)
            raise

    def write(self, state: State) -> None:
        """Replace the older of the two slots.

        Raises:
            OSError: the state is not written; the one before it stands.
        """
        where, unfinished = state.next, sorted(state.unfinished)
        if len(unfinished) > _UNFINISHED_MAX:  # repeats what is done behind the last that fits
            where, unfinished = unfinished[_UNFINISHED_MAX], unfinished[:_UNFINISHED_MAX]
        self._counter += 1
        slot = _HEAD.pack(_MARKER, _FORMAT_VERSION, len(unfinished), self._counter, *where)
        slot += b"".join(_PLACE.pack(*place) for place in unfinished)
        slot += zlib.crc32(slot).to_bytes(_CHECKSUM_BYTES, "big")
        os.pwrite(self._fd, slot, (self._counter % 2) * _SLOT_BYTES)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def list_positions(directory: Path) -> dict[str, Path]:
    """The position files of a folder by exporter id, of exporters no longer configured too."""
    return {unquote(path.stem): path for path in sorted(directory.glob(f"*{_SUFFIX}"))}


def read_state(path: Path) -> State | None:
    """The state in a position file, None if it holds none that is whole."""
    return _newest(path, path.read_bytes())[1]


def _newest(path: Path, data: bytes) -> tuple[int, State | None]:
    slots = (_parse(path, data[at : at + _SLOT_BYTES]) for at in (0, _SLOT_BYTES))
    whole = [slot for slot in slots if slot is not None]
    return max(whole, key=lambda slot: slot[0], default=(0, None))


def _parse(path: Path, slot: bytes) -> tuple[int, State] | None:
    if len(slot) < _HEAD.size:
        return None
    marker, version, count, counter, segment, offset = _HEAD.unpack_from(slot)
    if marker != _MARKER:
        return None
    if version > _FORMAT_VERSION:
        raise StartError(
            f"{path}: position format {version}, but this version reads up to {_FORMAT_VERSION}. "
            "Start the newer version that wrote it, or remove the file to deliver all again."
        )
    end = _HEAD.size + count * _PLACE.size
    if zlib.crc32(slot[:end]) != int.from_bytes(slot[end : end + _CHECKSUM_BYTES], "big"):
        return None
    places = _PLACE.iter_unpack(slot[_HEAD.size : end])
    return counter, State(Position(segment, offset), tuple(Position(*place) for place in places))
