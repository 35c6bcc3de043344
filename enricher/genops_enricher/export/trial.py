"""A parcel on its way: what was learned from the attempts so far, and when the next one is due."""

from __future__ import annotations

from dataclasses import dataclass

from genops_enricher.export.doubt import CONVICTED, SUSPECTED, Doubt
from genops_enricher.export.parcel import Parcel
from genops_enricher.export.retry import Backoff

__all__ = ["Family", "Trial"]


@dataclass(slots=True, eq=False)
class Family:
    """Whatever comes out of one request by halving. A count lost between two threads is no harm."""

    halvings: int = 0


@dataclass(slots=True, eq=False)
class Trial:
    """A parcel that is tried until its fate is known. Belongs to one thread at a time."""

    parcel: Parcel
    family: Family
    backoff: Backoff
    began_s: float
    due_s: float
    doubt: Doubt | None = None  # from its first failure on
    failures: int = 0
    reason: str = ""  # of the last one
    throttled: bool = False  # the destination said when to come again: then it is not the data

    @property
    def suspect(self) -> bool:
        """Whether it fails while others get through, which they would not by accident."""
        return self.doubt is not None and self.doubt.weight >= SUSPECTED

    @property
    def convicted(self) -> bool:
        """Whether the data is the cause beyond doubt."""
        return self.doubt is not None and self.doubt.weight >= CONVICTED
