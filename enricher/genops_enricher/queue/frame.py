"""The bytes of a queued record: a header that can be found and checked by itself, then the payload.

    marker 4 | payload length 4 | items 4 | payload CRC-32 4 | header CRC-32 4 | payload

Integers are big endian. The header has a checksum of its own, so that a damaged length can't
swallow the records behind it, and a marker, so that reading can go on behind damage.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["HEADER_BYTES", "Damage", "Frame", "decode", "header_of", "scan"]

_MARKER = b"\xf0GQ\x0a"  # 0xf0 followed by a letter is no UTF-8: text payloads can't hold it
_HEADER = struct.Struct(">4sIIII")
_CHECKED_BYTES = 16  # what the header's own checksum covers
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

    @property
    def end(self) -> int:
        """The offset behind the record."""
        return self.offset + HEADER_BYTES + self.length


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes in which no record can be read. `torn`: the data ends in the middle of a record."""

    offset: int
    end: int
    torn: bool


def header_of(payload: bytes, items: int) -> bytes:
    """The header that stands before `payload`."""
    checked = _HEADER.pack(_MARKER, len(payload), items, zlib.crc32(payload), 0)[:_CHECKED_BYTES]
    return checked + zlib.crc32(checked).to_bytes(4, "big")


def decode(record: bytes) -> bytes | None:
    """The payload of a whole record, or None if any bit of it changed."""
    header = _read_header(record)
    if header is None:
        return None
    length, _, checksum = header
    payload = record[HEADER_BYTES:]
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None


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


def _read_header(data: bytes) -> tuple[int, int, int] | None:
    if len(data) < HEADER_BYTES:
        return None
    marker, length, items, payload_checksum, header_checksum = _HEADER.unpack_from(data)
    if marker != _MARKER or zlib.crc32(data[:_CHECKED_BYTES]) != header_checksum:
        return None
    return length, items, payload_checksum


def _frame_at(read: Read, offset: int, size: int, *, payloads: bool) -> Frame | bool:
    """The record at `offset`; or, if there is none, whether it is one that ends too early."""
    data = read(offset, HEADER_BYTES)
    header = _read_header(data)
    if header is None:
        return size - offset < HEADER_BYTES and _MARKER.startswith(data[: len(_MARKER)])
    frame = Frame(offset, header[0], header[1])
    if frame.end > size:
        return True
    if payloads and decode(read(offset, frame.end - offset)) is None:
        return False
    return frame


def _next_record(read: Read, offset: int, size: int) -> int:
    """The offset of the first whole record at or behind `offset`, else `size`."""
    while offset < size:
        # Windows overlap, so that a marker across their border is seen.
        window = read(offset, _SEARCH_BYTES + len(_MARKER) - 1)
        at = window.find(_MARKER)
        while at >= 0:
            if isinstance(_frame_at(read, offset + at, size, payloads=True), Frame):
                return offset + at
            at = window.find(_MARKER, at + 1)
        offset += _SEARCH_BYTES
    return size
