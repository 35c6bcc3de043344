"""A mapping that forgets: bounded in number and in time, at the cost of a dictionary.

There are two generations. What is put in goes to the younger one; when that has been filled for one
window, or holds half of the entries, it becomes the older one and what was the older one is gone.
So an entry is kept for one to two windows, or for half of `max_entries` later ones if that is
shorter. An order of use or a time for each entry would cost as much memory again.
"""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Not safe for use by several threads; its owners have a lock."""

    __slots__ = ("_generation_max", "_old", "_since_s", "_window_s", "_young")

    def __init__(self, window_s: float, max_entries: int) -> None:
        """`window_s`: seconds for which an entry is kept at least, while there is room."""
        self.limit(window_s, max_entries)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._since_s: float | None = None  # when the younger generation began

    def limit(self, window_s: float, max_entries: int) -> None:
        """Set other bounds; what is there goes by them as entries come."""
        self._window_s = window_s
        self._generation_max = max(max_entries // 2, 1)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """What was put in last under `key`, if it is still known."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def put(self, key: K, value: V) -> None:
        """Remember `value` for another window."""
        if len(self._young) >= self._generation_max and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def forget(self, now_s: float) -> None:
        """Let go of what is too old at `now_s`, in seconds on a clock that never goes back."""
        if self._since_s is None:
            self._since_s = now_s
        elif (age_s := now_s - self._since_s) >= self._window_s:
            self._old = self._young if age_s < 2 * self._window_s else {}
            self._young = {}
            self._since_s = now_s
