from __future__ import annotations

import struct
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from genops_enricher.queue.frame import HEADER_BYTES, Damage, Frame, decode, header_of, scan

PAYLOADS = [b"first", b"", b"third payload", b"x" * 300]


ACCEPTED_MS = 1_790_000_000_123


def framed(payloads: list[bytes]) -> bytes:
    return b"".join(header_of(payload, len(payload), ACCEPTED_MS) + payload for payload in payloads)


def framed_1(payload: bytes, items: int) -> bytes:
    """As format 1 was written."""
    head = struct.pack(">4sIII", b"\xf0GQ\x0a", len(payload), items, zlib.crc32(payload))
    return head + zlib.crc32(head).to_bytes(4, "big") + payload


def scanned(data: bytes, *, payloads: bool = True) -> list[Frame | Damage]:
    return list(
        scan(lambda offset, size: data[offset : offset + size], 0, len(data), payloads=payloads)
    )


def payloads_in(data: bytes) -> list[bytes]:
    frames = [found for found in scanned(data) if isinstance(found, Frame)]
    found = [decode(data[frame.offset : frame.end]) for frame in frames]
    return [payload for payload in found if payload is not None]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50)))
def test_every_record_is_found_in_order_with_its_items(payloads: list[bytes]) -> None:
    data = framed(payloads)

    found = scanned(data)

    assert all(isinstance(frame, Frame) for frame in found)
    assert payloads_in(data) == payloads
    assert [f.items for f in found if isinstance(f, Frame)] == [len(p) for p in payloads]
    assert all(f.accepted_ms == ACCEPTED_MS for f in found if isinstance(f, Frame))


def test_records_of_both_formats_are_found_side_by_side() -> None:
    data = framed_1(b"old", 3) + framed([b"new"]) + b"damage" + framed_1(b"older", 4)

    found = scanned(data)

    assert payloads_in(data) == [b"old", b"new", b"older"]
    assert [(f.items, f.accepted_ms) for f in found if isinstance(f, Frame)] == [
        (3, 0),
        (3, ACCEPTED_MS),
        (4, 0),
    ]


def test_a_damaged_header_of_format_1_at_the_end_is_no_torn_one() -> None:
    record = bytearray(framed_1(b"", 1))
    record[8] ^= 1

    assert scanned(bytes(record)) == [Damage(0, len(record), torn=False)]


@settings(deadline=None)
@given(st.binary(max_size=40), st.data())
def test_a_record_with_one_changed_bit_is_not_decoded(payload: bytes, data: st.DataObject) -> None:
    record = bytearray(framed([payload]))
    bit = data.draw(st.integers(0, len(record) * 8 - 1))
    record[bit // 8] ^= 1 << bit % 8

    assert decode(bytes(record)) is None


@settings(deadline=None)
@given(st.data())
def test_damage_costs_the_records_it_touches_and_no_other(data: st.DataObject) -> None:
    original = framed(PAYLOADS)
    start = data.draw(st.integers(0, len(original) - 1))
    end = data.draw(st.integers(start + 1, len(original)))
    damaged = original[:start] + bytes(b ^ 0xFF for b in original[start:end]) + original[end:]

    untouched, offset = [], 0
    for payload in PAYLOADS:
        after = offset + HEADER_BYTES + len(payload)
        if after <= start or offset >= end:
            untouched.append(payload)
        offset = after
    assert payloads_in(damaged) == untouched


@settings(deadline=None)
@given(st.integers(0, len(framed(PAYLOADS)) - 1))
def test_a_cut_anywhere_leaves_the_whole_records_and_a_torn_one(cut: int) -> None:
    data = framed(PAYLOADS)[:cut]

    found = scanned(data)

    whole = [f for f in found if isinstance(f, Frame)]
    assert payloads_in(data) == PAYLOADS[: len(whole)]
    rest = found[len(whole) :]
    end = whole[-1].end if whole else 0
    assert rest == ([] if cut == end else [Damage(end, cut, torn=True)])


def test_a_whole_record_inside_a_payload_is_not_taken_for_a_record() -> None:
    inner = framed([b"inner"])

    assert payloads_in(framed([inner, b"outer"])) == [inner, b"outer"]


def test_a_marker_across_the_border_of_a_search_window_is_found() -> None:
    window = 1 << 20
    for before in range(window - 2, window + 6):
        data = b"?" * before + framed([b"after"])

        assert payloads_in(data) == [b"after"]


def test_what_can_not_be_read_is_damage_and_reading_goes_on_behind_it() -> None:
    data = framed(PAYLOADS)

    def read(offset: int, size: int) -> bytes:
        return b"" if offset == 0 else data[offset : offset + size]

    found = list(scan(read, 0, len(data), payloads=True))

    assert found[0] == Damage(0, HEADER_BYTES + len(PAYLOADS[0]), torn=False)
    assert len(found) == len(PAYLOADS)
