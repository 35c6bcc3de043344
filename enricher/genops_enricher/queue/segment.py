"""The files of a queue: append-only segments of frames, and what to do with damaged ones.

A segment is written by one process and never reopened for writing; the next process starts the
next one. An index of its frames is kept in memory (25 bytes a record), so that dropping records
needs no reading, and the books stay right when a header is damaged later.

    "GENOPSQ" | format version | frame | frame | …

Segments of an earlier format are read as they are, and go when they are delivered like any other.
"""

from __future__ import annotations

import errno
import logging
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from genops_enricher.errors import StartError
from genops_enricher.host.folders import sync_folder
from genops_enricher.queue.clock import Clock
from genops_enricher.queue.frame import Damage, Frame, decode, header_of, scan
from genops_enricher.queue.set_aside import SetAside

__all__ = [
    "Position",
    "Segment",
    "SegmentWriter",
    "list_segments",
    "load",
    "path_of",
    "read_payload",
    "remove",
]

_log = logging.getLogger(__name__)

_MAGIC = b"GENOPSQ"
_FORMAT_VERSION = 2
_FILE_HEADER = _MAGIC + bytes([_FORMAT_VERSION])
_SUFFIX = ".segment"
_BUFFERS_MAX = 1024  # IOV_MAX of Linux and macOS


class Position(NamedTuple):
    """A place in a queue: number of the segment, offset in its file. Positions compare by age."""

    segment: int
    offset: int


class Segment:
    """One file of records and the index of what is in it."""

    def __init__(self, path: Path, number: int) -> None:
        self.path = path
        self.number = number
        self.next: Segment | None = None
        self._offsets = array("Q")
        self._lengths = array("I")
        self._items = array("I")
        self._accepted_ms = array("Q")
        self._header_bytes = array("B")

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, frame: Frame) -> None:
        """Append a frame that is in the file to the index."""
        self._offsets.append(frame.offset)
        self._lengths.append(frame.length)
        self._items.append(frame.items)
        self._accepted_ms.append(frame.accepted_ms)
        self._header_bytes.append(frame.header_bytes)

    def frame(self, index: int) -> Frame:
        """The frame with that index."""
        return Frame(
            self._offsets[index],
            self._lengths[index],
            self._items[index],
            self._accepted_ms[index],
            self._header_bytes[index],
        )

    @property
    def end(self) -> int:
        """The offset behind the last frame."""
        return self.frame(len(self) - 1).end if self else len(_FILE_HEADER)

    def index_of(self, offset: int) -> int:
        """The index of the first frame at or behind `offset`."""
        return bisect_left(self._offsets, offset)


class SegmentWriter:
    """Writes a new segment; each append is synced, or leaves nothing behind that counts."""

    def __init__(self, directory: Path, number: int, sync: Callable[[int], None]) -> None:
        """Create the file.

        Raises:
            OSError: the file can't be made.
        """
        self.segment = Segment(path_of(directory, number), number)
        self.size = len(_FILE_HEADER)
        self._sync = sync
        # Truncated, not refused, if it is there: a beginning that failed and could not be removed.
        self._fd = os.open(self.segment.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(self._fd, [_FILE_HEADER])
            sync_folder(directory)
        except OSError:
            os.close(self._fd)
            remove(self.segment.path)
            raise

    def append(self, records: Sequence[tuple[bytes, int]], clock: Clock) -> list[Frame]:
        """Write and sync `(payload, items)` records; give their frames, accepted now.

        Raises:
            OSError: nothing of it is committed. The writer must not be used again: after a failed
                sync the kernel may have dropped the pages, and a second sync would not tell.
        """
        buffers: list[bytes] = []
        frames: list[Frame] = []
        end = self.size
        wall_ms, now_ms = clock.wall_ms(), clock.now_ms()
        for payload, items in records:
            buffers += (header_of(payload, items, wall_ms), payload)
            frames.append(Frame(end, len(payload), items, now_ms))
            end = frames[-1].end
        try:
            _write(self._fd, buffers)
            self._sync(self._fd)
        except BaseException:  # whatever it was: the end of the file is not where `size` says
            self._cut_back()
            raise
        self.size = end
        return frames

    def close(self) -> None:
        """Close the file; a segment without records is removed."""
        os.close(self._fd)
        if self.size == len(_FILE_HEADER):
            remove(self.segment.path)

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError as error:
            # What stays was never acknowledged; at worst it is delivered after a restart.
            _log.warning("can't cut %s back to %d bytes: %s", self.segment.path, self.size, error)


def path_of(directory: Path, number: int) -> Path:
    """The file of the segment with that number."""
    return directory / f"{number:016d}{_SUFFIX}"


def list_segments(directory: Path) -> list[Path]:
    """The segment files, oldest first."""
    return sorted(path for path in directory.glob(f"*{_SUFFIX}") if path.stem.isdecimal())


def remove(path: Path) -> None:
    """Remove a segment that nobody needs. One that stays is removed at the next start."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("can't remove the segment %s, which nobody needs: %s", path, error)


def load(path: Path, *, last: bool, set_aside: SetAside, now_ms: int) -> Segment:
    """Index a segment that an earlier process wrote.

    A record that does not say when it was accepted, as none of format 1 does, counts from the last
    write to its file: too young rather than too old. None was accepted after `now_ms`.

    Of the last segment the payloads are checked too, and a torn record at its end is cut off: the
    process ended while writing it, so nobody was told that it is safe. Every other damage is set
    aside, and reading goes on behind it.

    Raises:
        StartError: a later version wrote this file.
        OSError: the file can't be opened.
    """
    segment = Segment(path, int(path.stem))
    fd = os.open(path, os.O_RDWR)
    try:
        stat = os.fstat(fd)
        size = stat.st_size
        _refuse_newer(path, _read(fd, 0, len(_FILE_HEADER)))

        def read(offset: int, length: int) -> bytes:
            return _read(fd, offset, length)

        for found in scan(read, len(_FILE_HEADER), size, payloads=last):
            if isinstance(found, Frame):
                accepted_ms = found.accepted_ms or stat.st_mtime_ns // 10**6
                segment.add(replace(found, accepted_ms=max(min(accepted_ms, now_ms), 0)))
            elif last and found.torn:
                _log.info(
                    "%s: cutting off %d bytes of a record that was never acknowledged",
                    path,
                    found.end - found.offset,
                )
                os.ftruncate(fd, found.offset)
            else:
                set_aside.keep(path, found, read(found.offset, found.end - found.offset))
    finally:
        os.close(fd)
    return segment


def read_payload(fd: int, segment: Segment, frame: Frame, *, set_aside: SetAside) -> bytes | None:
    """The payload of a record, or None if it is damaged; then its bytes are set aside.

    Raises:
        OSError: it can't be read now.
    """
    data = _read(fd, frame.offset, frame.size)
    payload = decode(data)
    if payload is None:
        set_aside.keep(segment.path, Damage(frame.offset, frame.end, torn=False), data)
    return payload


def _refuse_newer(path: Path, header: bytes) -> None:
    # A damaged file header is no damage to the records: each has a marker and checksums of its own.
    if header.startswith(_MAGIC) and header[len(_MAGIC) :] > bytes([_FORMAT_VERSION]):
        raise StartError(
            f"{path}: queue format {header[-1]}, but this version reads up to {_FORMAT_VERSION}. "
            "Start the newer version that wrote it, or move the folder away to start empty."
        )


def _write(fd: int, buffers: Sequence[bytes]) -> None:
    for start in range(0, len(buffers), _BUFFERS_MAX):
        part = buffers[start : start + _BUFFERS_MAX]
        if os.writev(fd, part) < sum(map(len, part)):
            # The disk, a quota or a file size limit took the beginning only.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read(fd: int, offset: int, size: int) -> bytes:
    try:
        return os.pread(fd, size, offset)
    except OSError as error:
        # A sector that can't be read is damage like any other, and no reason to stop. What else
        # fails may succeed later.
        if error.errno != errno.EIO:
            raise
        _log.error("can't read %d bytes at offset %d: %s", size, offset, error)
        return b""
