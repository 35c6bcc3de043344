"""The bytes of a queued record: a header that can be found and checked by itself, then the payload.

    2: marker 4 | payload length 4 | items 4 | accepted 8 | payload CRC-32 4 | header CRC-32 4 | …
    1: marker 4 | payload length 4 | items 4 | payload CRC-32 4 | header CRC-32 4 | payload

Integers are big endian; `accepted` is Unix time in milliseconds. The header has a checksum of its
own, so that a damaged length can't swallow the records behind it, and a marker, so that reading can
go on behind damage. The marker tells the format too: each record says by itself how it is read.
Records are written in format 2 and read in both.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["HEADER_BYTES", "Damage", "Frame", "decode", "header_of", "scan"]

# 0xf0 followed by anything but a continuation byte is no UTF-8: text payloads can't hold it.
_MARKERS_BEGIN = b"\xf0G"
_MARKER_BYTES = 4
_MARKER = b"\xf0G2\x0a"
_MARKER_1 = b"\xf0GQ\x0a"
_HEADER = struct.Struct(">4sIIQII")
_HEADERS = {_MARKER: _HEADER, _MARKER_1: struct.Struct(">4sIIII")}
_CHECKSUM_BYTES = 4  # at the end of a header, of all that is before it
HEADER_BYTES = _HEADER.size
_SEARCH_BYTES = 1 << 20

Read = Callable[[int, int], bytes]
"""`read(offset, size)` gives at most `size` bytes; fewer at the end, or where it can't read."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A record that is there: its place, and what its header says."""

    offset: int
    length: int  # bytes of payload
    items: int
    accepted_ms: int = 0  # Unix time; 0 is unknown, as in format 1
    header_bytes: int = HEADER_BYTES

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.header_bytes + self.length

    @property
    def end(self) -> int:
        """The offset behind the record."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes in which no record can be read. `torn`: the data ends in the middle of a record."""

    offset: int
    end: int
    torn: bool


def header_of(payload: bytes, items: int, accepted_ms: int) -> bytes:
    """The header that stands before `payload`."""
    header = _HEADER.pack(_MARKER, len(payload), items, accepted_ms, zlib.crc32(payload), 0)
    checked = header[:-_CHECKSUM_BYTES]
    return checked + zlib.crc32(checked).to_bytes(_CHECKSUM_BYTES, "big")


def decode(record: bytes) -> bytes | None:
    """The payload of a whole record, or None if any bit of it changed."""
    header = _read_header(record)
    if header is None:
        return None
    payload = record[header.size :]
    whole = len(payload) == header.length and zlib.crc32(payload) == header.checksum
    return payload if whole else None


def scan(read: Read, start: int, size: int, *, payloads: bool) -> Iterator[Frame | Damage]:
    """Every record and every damaged range of `[start, size)`, in order.

    Args:
        read: gives the bytes.
        start: the offset of the first record.
        size: the offset where the data ends.
        payloads: check the payloads too, not only the headers.
    """
    offset = start
    while offset < size:
        found = _frame_at(read, offset, size, payloads=payloads)
        if isinstance(found, Frame):
            yield found
            offset = found.end
        else:
            end = _next_record(read, offset + 1, size)
            yield Damage(offset, end, torn=found and end == size)
            offset = end


class _Header(NamedTuple):
    size: int
    length: int
    items: int
    accepted_ms: int
    checksum: int  # of the payload


def _read_header(data: bytes) -> _Header | None:
    layout = _HEADERS.get(data[:_MARKER_BYTES])
    if layout is None or len(data) < layout.size:
        return None
    _, length, items, *accepted_ms, payload_checksum, header_checksum = layout.unpack_from(data)
    if zlib.crc32(data[: layout.size - _CHECKSUM_BYTES]) != header_checksum:
        return None
    when = accepted_ms[0] if accepted_ms else 0  # format 1 does not say
    return _Header(layout.size, length, items, when, payload_checksum)


def _frame_at(read: Read, offset: int, size: int, *, payloads: bool) -> Frame | bool:
    """The record at `offset`; or, if there is none, whether it is one that ends too early."""
    data = read(offset, HEADER_BYTES)
    header = _read_header(data)
    if header is None:
        return any(
            size - offset < layout.size and marker.startswith(data[:_MARKER_BYTES])
            for marker, layout in _HEADERS.items()
        )
    frame = Frame(offset, header.length, header.items, header.accepted_ms, header.size)
    if frame.end > size:
        return True
    if payloads and decode(read(offset, frame.size)) is None:
        return False
    return frame


def _next_record(read: Read, offset: int, size: int) -> int:
    """The offset of the first whole record at or behind `offset`, else `size`."""
    while offset < size:
        # Windows overlap, so that a marker across their border is seen.
        window = read(offset, _SEARCH_BYTES + len(_MARKERS_BEGIN) - 1)
        at = window.find(_MARKERS_BEGIN)
        while at >= 0:
            if isinstance(_frame_at(read, offset + at, size, payloads=True), Frame):
                return offset + at
            at = window.find(_MARKERS_BEGIN, at + 1)
        offset += _SEARCH_BYTES
    return size
