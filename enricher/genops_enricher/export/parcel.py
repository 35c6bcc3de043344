"""What is sent in one request: entries of the queue as they are, joined, or in pieces.

Concatenated export requests are one valid request, because their only field is repeated. However
an entry is joined and divided, its account knows what became of each of its items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from genops_enricher.export.pieces import halve, split
from genops_enricher.pipeline import Signal
from genops_enricher.queue import Entry

__all__ = ["Account", "Parcel", "Part", "pack"]


@dataclass(slots=True, eq=False)
class Account:
    """What became of the items of one entry so far. Belongs to one thread."""

    entry: Entry
    open_parts: int = 1  # whose fate is not known yet
    dropped: Counter[str] = field(default_factory=Counter)  # by reason
    dead_lettered: int = 0


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
        part.account.open_parts += 1
        one, other = (
            Parcel((replace(part, payload=piece.payload, items=piece.items),), suspect=True)
            for piece in pieces
        )
        return one, other


def pack(signal: Signal, entries: Sequence[Entry], limit_bytes: int) -> list[Parcel]:
    """The entries in parcels of at most `limit_bytes`, but for single items that are larger.

    Several entries must fit into one parcel together; a single one may have any size.
    """
    parts = [Part(Account(entry), entry.payload, entry.items) for entry in entries]
    if len(parts) > 1 or len(parts[0].payload) <= limit_bytes:
        return [Parcel(tuple(parts))]
    (whole,) = parts
    pieces = split(signal, whole.payload, limit_bytes)
    if len(pieces) < 2:
        return [Parcel((whole,))]
    whole.account.open_parts = len(pieces)
    return [Parcel((replace(whole, payload=p.payload, items=p.items),)) for p in pieces]
