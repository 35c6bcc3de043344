"""What is sent in one request: entries of the queue as they are, joined, or in pieces.

Concatenated export requests are one valid request, because their only field is repeated. However
an entry is joined and divided, its account knows what became of each of its items.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from genops_enricher.export.pieces import halve, split
from genops_enricher.pipeline import Signal
from genops_enricher.queue import Entry

__all__ = ["Account", "Parcel", "Part", "pack"]


@dataclass(slots=True, eq=False)
class Account:
    """What became of the items of one entry so far. Thread safe: parts of it may wait apart."""

    entry: Entry
    dropped: Counter[str] = field(default_factory=Counter)  # by reason; complete once closed
    dead_lettered: int = 0
    _open_parts: int = 1  # whose fate is not known yet
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def divided(self) -> None:
        """One of its parts became two."""
        with self._lock:
            self._open_parts += 1

    def close_part(self, *, dead_lettered: int = 0, **dropped: int) -> bool:
        """The fate of a part is known, so many of its items lost; True if it was the last part."""
        with self._lock:
            self.dead_lettered += dead_lettered
            self.dropped.update(dropped)
            self._open_parts -= 1
            return not self._open_parts


@dataclass(frozen=True, slots=True)
class Part:
    """An entry, or a piece of one."""

    account: Account
    payload: bytes
    items: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """One request.

    `shortened` is sent in place of the only part, if that had to be shortened. `suspect`: it comes
    out of a larger one that was refused.
    """

    parts: tuple[Part, ...]
    shortened: bytes | None = None
    suspect: bool = False

    @property
    def payload(self) -> bytes:
        """The request."""
        return self.shortened or b"".join(part.payload for part in self.parts)

    @property
    def items(self) -> int:
        """How many items are in it."""
        return sum(part.items for part in self.parts)

    def carries(self) -> Iterator[bytes]:
        """The entries of which it has at least a part, as they were queued."""
        return (part.account.entry.payload for part in self.parts)

    def halves(self, signal: Signal) -> tuple[Parcel, Parcel] | None:
        """Two parcels of about half the size; None if there is only one item."""
        if len(self.parts) > 1:
            middle = len(self.parts) // 2
            return Parcel(self.parts[:middle], suspect=True), Parcel(
                self.parts[middle:], suspect=True
            )
        (part,) = self.parts
        pieces = halve(signal, part.payload)
        if pieces is None:
            return None
        part.account.divided()
        one, other = (
            Parcel((replace(part, payload=piece.payload, items=piece.items),), suspect=True)
            for piece in pieces
        )
        return one, other


def pack(signal: Signal, entries: Sequence[Entry], limit_bytes: int) -> Iterator[Parcel]:
    """The entries in parcels of at most `limit_bytes`, but for single items that are larger.

    Several entries must fit into one parcel together; a single one may have any size. Parcels are
    made one by one: each has the envelope of its items, which may be most of it.
    """
    parts = [Part(Account(entry), entry.payload, entry.items) for entry in entries]
    if len(parts) > 1 or len(parts[0].payload) <= limit_bytes:
        yield Parcel(tuple(parts))
        return
    (whole,) = parts
    pieces = split(signal, whole.payload, limit_bytes)
    piece = next(pieces, None)
    if piece is None:
        yield Parcel((whole,))
        return
    for following in pieces:
        whole.account.divided()
        yield Parcel((replace(whole, payload=piece.payload, items=piece.items),))
        piece = following
    yield Parcel((replace(whole, payload=piece.payload, items=piece.items),))
