"""The short form of the search through the decoders: mutated requests, without atheris."""

from __future__ import annotations

import gzip

import pytest

from genops_enricher.pipeline import Signal
from soak.decoders import starts, take
from soak.mutate import Encoding, mutated


def test_the_decoders_take_what_is_valid() -> None:
    assert all(take(start) for start in starts() if start[1:])
    assert take(b"\x06" + gzip.compress(b"x"))


@pytest.mark.parametrize(("base", "encoding"), [(0, Encoding.PROTOBUF), (3, Encoding.JSON)])
def test_the_decoders_take_or_refuse_whatever_comes(base: int, encoding: Encoding) -> None:
    taken = [
        take(bytes([base + place]) + mutated(11, number, signal, encoding))
        for place, signal in enumerate(Signal)
        for number in range(500)
    ]

    assert 100 < sum(taken) < len(taken) - 100
