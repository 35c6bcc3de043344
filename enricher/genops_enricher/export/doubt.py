"""Whether a destination fails in passing, or one request makes it fail: the evidence, and the rule.

A destination that fails seven calls in ten fails a healthy request ten times in a row now and then,
so a number of failures proves nothing. What counts is how requests fare that are tried meanwhile.
Between two attempts at the suspect, others are tried for the first time; if the suspect is like
them, the next attempt is one more draw from the same lot. Of `tried` others and itself, m = tried +
1, `taken` were successes, so it fails with probability 1 - taken/m at most. A failure multiplies
the evidence by the reciprocal of that. For a healthy request the product is a supermartingale that
starts at 1, however the rate of failures changes with time: by Ville's inequality the probability
that it ever reaches E is at most 1/E (Shafer, "Testing by betting", 2021, JRSS A 184).

One failure counts as a coin's toss at most. Where the others always succeed, several failures in a
row may be one event, such as a shard that is away, and must not count as many.

See docs/adr/0014-healthy-or-poison.md. Pure: knows no clock.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

__all__ = ["CONVICTED", "SUSPECTED", "Doubt", "Others"]

# Dividing and setting apart lose nothing: one healthy request in eight may be suspected by mistake.
SUSPECTED = math.log(8)
# Giving up does: at most one healthy request in 10^9, and never before thirty failures.
CONVICTED = math.log(1e9)

_CHANCE_MIN = 0.5


@dataclass(frozen=True, slots=True)
class Count:
    """How many requests were tried for the first time, and how many of those were taken."""

    tried: int = 0
    taken: int = 0


class Others:
    """Counts the first attempts at requests that are not suspects themselves. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = Count()

    def tried(self, *, taken: bool) -> None:
        """A request was tried for the first time."""
        with self._lock:
            self._count = Count(self._count.tried + 1, self._count.taken + taken)

    @property
    def count(self) -> Count:
        """The sum so far."""
        return self._count


class Doubt:
    """The evidence against one request. Belongs to one thread at a time."""

    def __init__(self, others: Count) -> None:
        """`others` is the count after its own first attempt."""
        self.weight = 0.0  # logarithm of the evidence
        self._others = others

    def failed(self, others: Count) -> None:
        """It failed again; `others` is the count at that moment."""
        tried = others.tried - self._others.tried
        taken = others.taken - self._others.taken
        self._others = others
        chance = 1 - taken / (tried + 1)
        self.weight -= math.log(max(chance, _CHANCE_MIN))
