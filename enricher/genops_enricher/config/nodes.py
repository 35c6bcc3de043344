"""A configuration as it was written: sections, lists and scalars, each with its place.

The tree comes from a YAML file or from environment variables. What the keys mean is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Entry", "Items", "KeyPath", "Node", "Place", "Problem", "Scalar", "Section"]

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: `enricher.yaml:12`, or the name of an environment variable."""

    source: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where, which key, what and how to fix it."""

    place: Place
    path: KeyPath
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), ".".join(self.path), self.text) if part)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as text.

    `private` text came from the environment and is never shown. `null` is a value that was left
    out. `broken` is one that could not be read, for which the problem is already noted.
    """

    place: Place
    text: str
    private: bool = False
    null: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value. `place` is that of the key."""

    place: Place
    key: str
    node: Node


@dataclass(frozen=True, slots=True)
class Section:
    """A map. The keys are unique."""

    place: Place
    entries: tuple[Entry, ...]


Node = Scalar | Items | Section
