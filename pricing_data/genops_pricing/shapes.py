"""The shapes that a value in a file can have, and the check of a value against its shape.

Mechanics only: which keys there are is decided in `schema`. All problems are reported together,
each with the path of what is wrong and the closest valid key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = [
    "Key",
    "KeyPath",
    "ListOf",
    "MapOf",
    "Record",
    "Report",
    "Scalar",
    "Shape",
    "matching",
    "one_of",
]

KeyPath = tuple[str | int, ...]
Report = Callable[[KeyPath, str], None]


class Shape(Protocol):
    """What a value may look like."""

    @property
    def title(self) -> str:
        """Its name in the reference page and in messages."""

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        """Report everything that is wrong with `value`."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. `wrong` says what is wrong with a value and how to write it, or None."""

    title: str
    wrong: Callable[[Any], str | None]

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        """Report the value if it is wrong."""
        if problem := self.wrong(value):
            report(path, f"{path[-1]}: {problem}")


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values of one shape, at least one."""

    item: Shape

    @property
    def title(self) -> str:
        """As "list of price"."""
        return f"list of {self.item.title}"

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        """Report the list and each of its items."""
        if not isinstance(value, list) or not value:
            report(path, f"{path[-1]}: expected a {self.title}. Write one item a line, after `- `")
            return
        for index, item in enumerate(value):
            self.item.check(item, (*path, index), report)


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping whose keys are names of one kind."""

    key: Scalar
    item: Shape

    @property
    def title(self) -> str:
        """As "slug: endpoint"."""
        return f"{self.key.title}: {self.item.title}"

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        """Report the mapping, its names and each of its items."""
        if not isinstance(value, dict) or not value:
            report(path, f"{path[-1]}: expected a mapping of {self.title}. Indent it below the key")
            return
        for name, item in value.items():
            if problem := self.key.wrong(name):
                report((*path, name), problem)
            self.item.check(item, (*path, name), report)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a record."""

    name: str
    shape: Shape
    meaning: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with fixed keys. `rules` yields what is wrong with a record as a whole."""

    title: str
    keys: tuple[Key, ...]
    rules: Callable[[Mapping[str, Any]], Iterator[str]] = lambda _: iter(())

    def check(self, value: Any, path: KeyPath, report: Report) -> None:
        """Report unknown, missing and wrong keys; the rules only where these are right."""
        if not isinstance(value, dict):
            report(path, f"expected {self.title}, a mapping with keys {', '.join(self._names())}")
            return
        sound = True

        def note(where: KeyPath, what: str) -> None:
            nonlocal sound
            sound = False
            report(where, what)

        for name in value:
            if name not in self._names():
                note((*path, name), f'unknown key "{name}" in {self.title}. {self._hint(name)}')
        for key in self.keys:
            if key.name in value:
                key.shape.check(value[key.name], (*path, key.name), note)
            elif key.required:
                note(path, f'{self.title} needs the key "{key.name}": {key.meaning}. Add it')
        if sound:
            for problem in self.rules(value):
                report(path, problem)

    def _names(self) -> list[str]:
        return [key.name for key in self.keys]

    def _hint(self, name: str) -> str:
        closest = difflib.get_close_matches(name, self._names(), n=1, cutoff=0.5)
        return f'Did you mean "{closest[0]}"?' if closest else f"Known: {', '.join(self._names())}"


def matching(pattern: str, fix: str) -> Callable[[Any], str | None]:
    """A check that a value is text of a pattern; `fix` says how to write it."""
    regex = re.compile(pattern)

    def wrong(value: Any) -> str | None:
        if isinstance(value, str) and regex.fullmatch(value):
            return None
        return f'"{value}" is not right. {fix}'

    return wrong


def one_of(*words: str) -> Scalar:
    """A scalar that is one of a few words."""

    def wrong(value: Any) -> str | None:
        return None if value in words else f'"{value}" is none of {", ".join(words)}'

    return Scalar(" \\| ".join(f"`{word}`" for word in words), wrong)
