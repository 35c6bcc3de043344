"""Price a call once, however many spans tell of it: which span has the cost of which response.

Two instrumentations on one client, a gateway's spans beside the application's: such spans stand in
different traces without a link, and have only the id of the response in common. The first of them
gets the cost; those of one request are compared first, and the best informed of them counts as the
first. Later ones are duplicates of it. Four rules:

- A span is known by its trace id and span id. The same span again is a resend: it is no duplicate
  of itself, and is priced as before.
- An id counts as seen once the request is accepted for good. Until then it is reserved: another
  span with this id that arrives meanwhile is a duplicate at once, without waiting for the outcome.
- If the request is then refused, the reservation goes, and the next span with the id is priced.
  That is mostly the same one: its sender was told to send it again. One that arrives in between
  takes the cost over, and the refused one is then its duplicate.
- What is remembered is bounded in number and time, and in memory only (docs/adr/0005).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from enum import IntEnum
from types import TracebackType
from typing import NamedTuple

from genops_enricher.seen.recent import Recent

__all__ = ["Duplicates", "Request", "Telling", "Weight"]


class Weight(IntEnum):
    """How much a span knows of what the call cost. Of spans in one request the greatest counts."""

    NO_COST = 0  # or 0: never counts as the one that has the cost
    COMPUTED = 1
    REPORTED = 2
    STANDS = 3  # priced before it came here, and not changed


class Telling(NamedTuple):
    """A span that tells of a response."""

    response_id: str
    span: bytes  # trace id and span id
    weight: Weight


class Duplicates:
    """Which span has the cost of a response, for the responses of late. Thread safe."""

    def __init__(
        self, window_s: float, max_ids: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep `max_ids` ids at most, for `window_s` seconds and up to twice that.

        `clock` gives seconds, and never goes back.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._accepted: Recent[str, bytes] = Recent(window_s, max_ids)
        # Both are bounded by the requests in work.
        self._reserved: dict[str, bytes] = {}
        self._resent: dict[str, int] = {}  # further requests in work with a reserved span

    def limit(self, window_s: float, max_ids: int) -> None:
        """Set other bounds, and keep what is known."""
        with self._lock:
            self._accepted.limit(window_s, max_ids)

    def request(self) -> Request:
        """What one request reserves."""
        return Request(self)

    def reserve(self, tellings: Iterable[Telling], held: dict[str, bytes]) -> dict[str, bytes]:
        """Response id -> the span that has its cost; what is new is reserved and noted in `held`.

        A response of which only spans without a cost are known is not in the answer.
        """
        ranked = sorted(tellings, key=lambda telling: telling.weight, reverse=True)
        costs: dict[str, bytes] = {}
        in_work: dict[str, bytes] = {}  # of other requests
        with self._lock:
            self._accepted.forget(self._clock())
            for response_id, teller, weight in ranked:
                if response_id in costs:
                    continue
                span = self._accepted.get(response_id)
                if span is None:
                    span = self._reserved.get(response_id)
                    if span is not None:
                        in_work[response_id] = span
                    elif weight > Weight.NO_COST:
                        span = self._reserved[response_id] = held[response_id] = teller
                if span is not None:
                    costs[response_id] = span
            for response_id, teller, _ in ranked if in_work else ():
                if in_work.get(response_id) == teller and response_id not in held:
                    self._resent[response_id] = self._resent.get(response_id, 0) + 1
                    held[response_id] = teller
        return costs

    def settle(self, held: dict[str, bytes], *, accepted: bool) -> None:
        """End the reservations of a request."""
        with self._lock:
            for response_id, span in held.items():
                if others := self._resent.pop(response_id, 0) if self._resent else 0:
                    if others > 1:
                        self._resent[response_id] = others - 1
                else:
                    del self._reserved[response_id]
                if accepted:
                    self._accepted.put(response_id, span)


class Request:
    """The reservations of one request: accepted when its `with` block ends, gone if that raises."""

    def __init__(self, duplicates: Duplicates) -> None:
        self._duplicates = duplicates
        self._held: dict[str, bytes] = {}

    def costs(self, tellings: Iterable[Telling]) -> dict[str, bytes]:
        """Response id -> the span that has its cost, if one has. See `Duplicates.reserve`."""
        return self._duplicates.reserve(tellings, self._held)

    def __enter__(self) -> Request:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._duplicates.settle(self._held, accepted=kind is None)
