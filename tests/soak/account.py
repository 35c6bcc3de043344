"""The account of an audit: which numbered spans were sent, acknowledged and delivered.

Pure: knows no process and no socket. Whether something was lost is decided here and nowhere else.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_DELIVERIES_MAX = 0xFFFF


@dataclass(frozen=True, slots=True)
class Balance:
    """What became of the acknowledged spans at one destination, in spans."""

    destination: str
    delivered: int
    lost: int
    duplicated: int
    unknown: int
    """Spans that nobody sent: their number changed on the way."""


class Account:
    """Counts by sequence number, which begin at 0. Thread safe."""

    def __init__(self, destinations: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._acknowledged = bytearray()
        self._delivered = {name: array("H") for name in destinations}
        self._unknown = dict.fromkeys(destinations, 0)

    def send(self, count: int) -> int:
        """The first of `count` numbers that were never used before."""
        with self._lock:
            first = len(self._acknowledged)
            self._acknowledged.extend(bytes(count))
            for counts in self._delivered.values():
                counts.extend([0] * count)
            return first

    def acknowledge(self, first: int, count: int) -> None:
        with self._lock:
            self._acknowledged[first : first + count] = b"\x01" * count

    def deliver(self, destination: str, numbers: Iterable[int]) -> None:
        with self._lock:
            counts = self._delivered[destination]
            for number in numbers:
                if number >= len(counts):
                    self._unknown[destination] += 1
                elif counts[number] < _DELIVERIES_MAX:
                    counts[number] += 1

    def forget(self, destination: str) -> None:
        """Strike one acknowledged span that was delivered: an audit must notice it."""
        with self._lock:
            counts = self._delivered[destination]
            number = next(n for n, known in enumerate(self._acknowledged) if known and counts[n])
            counts[number] = 0

    @property
    def sent(self) -> int:
        return len(self._acknowledged)

    @property
    def acknowledged(self) -> int:
        with self._lock:
            return self._acknowledged.count(1)

    def balances(self) -> list[Balance]:
        with self._lock:
            return [
                Balance(
                    destination=name,
                    delivered=sum(count > 0 for count in counts),
                    lost=sum(
                        known and not count
                        for known, count in zip(self._acknowledged, counts, strict=True)
                    ),
                    duplicated=sum(count - 1 for count in counts if count > 1),
                    unknown=self._unknown[name],
                )
                for name, counts in self._delivered.items()
            ]

    @property
    def lost(self) -> int:
        """Spans that were acknowledged and are missing, summed over the destinations."""
        return sum(balance.lost for balance in self.balances())
