"""Holds a configuration as written against the table of keys.

Decides which keys exist and whether their values have the right kind. What values mean together is
decided in `load`.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TypeVar

from genops_enricher.config.keys import ELSEWHERE, EXPORTER_TYPES, KEYS, Key
from genops_enricher.config.nodes import (
    Entry,
    Items,
    KeyPath,
    Node,
    Place,
    Problem,
    Scalar,
    Section,
)
from genops_enricher.config.values import HEADER_NAME, Kind, Shape

__all__ = ["Settings", "check", "closest"]

# It becomes part of file names and metric labels.
_EXPORTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

_Tree = dict[str, "Key | _Tree"]
_T = TypeVar("_T")


@dataclass(slots=True)
class Settings:
    """The values that were set, by path, and the defaults of the rest."""

    values: dict[KeyPath, object] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    broken: set[KeyPath] = field(default_factory=set)  # set, but wrong: the problem is noted
    private: set[KeyPath] = field(default_factory=set)  # from the environment: never shown
    exporters: list[str] = field(default_factory=list)  # ids, in the order of the file

    def get(self, kind: type[_T], *path: str) -> _T:
        """The value at `path`, or its default. The table says that there is one."""
        value = self.find(kind, *path)
        if value is None:
            raise TypeError(f"{path} has no value and no default")
        return value

    def find(self, kind: type[_T], *path: str) -> _T | None:
        """The value at `path`, or its default if it has one."""
        value = self.values.get(path)
        if value is None:
            key = _key(path)
            value = None if key.default is None else _read_default(key)
        if value is None or isinstance(value, kind):
            return value
        raise TypeError(f"{path} is a {type(value).__name__}, not a {kind.__name__}")

    def is_set(self, *path: str) -> bool:
        """Whether the key or section was written, rightly or not."""
        return path in self.places

    def place(self, *path: str) -> Place:
        """Where the key was written, or else the nearest section around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]


def check(root: Section, problems: list[Problem]) -> Settings:
    """The settings of a tree; every mistake in it is added to `problems`."""
    checker = _Checker(problems)
    checker.section(root, _TREE, ())
    return checker.settings


def closest(word: str, options: list[str]) -> str:
    """`; did you mean …?` if an option is near the word, else nothing."""
    near = difflib.get_close_matches(word, options, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


class _Checker:
    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._wrong = False  # something about the value in hand
        self.settings = Settings()

    def section(self, section: Section, tree: _Tree, path: KeyPath) -> None:
        self.settings.places[path] = section.place
        for entry in section.entries:
            self._entry(entry, tree, (*path, entry.key))

    def _entry(self, entry: Entry, tree: _Tree, path: KeyPath) -> None:
        self.settings.places[path] = entry.place
        is_exporter = path[:-1] == ("exporters",)
        if is_exporter and not self._is_exporter_id(entry, path):
            return
        known = tree.get("<id>" if is_exporter else entry.key)
        if known is None:
            self._note(entry.place, path, _unknown(path, tree))
        elif isinstance(known, Key):
            self._value(entry, known, path)
        elif isinstance(entry.node, Section):
            self.section(entry.node, known, path)
        elif not (isinstance(entry.node, Scalar) and entry.node.null):
            self.settings.broken.add(path)
            example = next(iter(known)).replace("<id>", "otlp")
            self._note(entry.place, path, f"must be a map with keys such as `{example}`")

    def _is_exporter_id(self, entry: Entry, path: KeyPath) -> bool:
        self.settings.exporters.append(entry.key)
        kind, slash, name = entry.key.partition("/")
        types = ", ".join(f"`{name}`" for name in EXPORTER_TYPES)
        if kind not in EXPORTER_TYPES:
            hint = closest(kind, list(EXPORTER_TYPES)) or f"; the types are {types}"
            self._note(entry.place, path, f"there is no exporter type `{kind}`{hint}")
        elif slash and not _EXPORTER_NAME.fullmatch(name):
            what = "needs a plain name after the slash: letters, digits, - _ and ."
            self._note(entry.place, path, what)
        else:
            return True
        self.settings.broken.add(path)
        return False

    def _value(self, entry: Entry, key: Key, path: KeyPath) -> None:
        if key.types and path[1].partition("/")[0] not in key.types:
            types = " and ".join(f"`{name}`" for name in key.types)
            self._note(entry.place, path, f"is a key of {types} only; remove it")
            return
        self._wrong = False
        value = self._shaped(entry.node, key.kind, path)
        if self._wrong:
            self.settings.broken.add(path)
        else:
            self.settings.values[path] = value

    def _shaped(self, node: Node, kind: Kind, path: KeyPath) -> object:
        match kind.shape, node:
            case (Shape.SCALAR, _) | (_, Scalar(null=True) | Scalar(broken=True)):
                return self._scalar(node, kind, path)
            case Shape.LIST, Items():
                return self._items(node, kind, path)
            case Shape.MAP, Section():
                return {
                    entry.key: self._scalar(entry.node, kind, (*path, _name(entry, kind)))
                    for entry in node.entries
                }
            case Shape.MAP_OF_LISTS, Section():
                return {
                    entry.key: self._items(entry.node, kind, (*path, entry.key))
                    for entry in node.entries
                }
            case _:
                self._note(node.place, path, f"must be {_SHAPES[kind.shape]}")
                return None

    def _items(self, node: Node, kind: Kind, path: KeyPath) -> object:
        if not isinstance(node, Items) or not node.items:
            self._note(node.place, path, f"must be {_SHAPES[Shape.LIST]}")
            return None
        return tuple([self._scalar(item, kind, path) for item in node.items])

    def _scalar(self, node: Node, kind: Kind, path: KeyPath) -> object:
        if not isinstance(node, Scalar):
            self._note(node.place, path, f"must be {_SHAPES[Shape.SCALAR]}")
        elif node.null:
            self._note(node.place, path, "has no value; give it one or remove it")
        elif node.broken:
            self._wrong = True  # and already noted
        else:
            if node.private:
                self.settings.private.add(path)
            try:
                return kind.read(node.text)
            except ValueError as error:
                self._note(node.place, path, f"{_shown(node, kind)} {error}")
        return None

    def _note(self, place: Place, path: KeyPath, text: str) -> None:
        self._wrong = True
        self._problems.append(Problem(place, path, text))


_SHAPES = {
    Shape.SCALAR: "a single value",
    Shape.LIST: "a list with at least one value, such as [a, b]",
    Shape.MAP: "a map of names to values",
    Shape.MAP_OF_LISTS: "a map of names to lists",
}


def _shown(node: Scalar, kind: Kind) -> str:
    if node.private:
        return "the value from the environment"
    if kind.secret or not node.text:
        return "the value"
    return f'"{node.text[:60]}{"…" if len(node.text) > 60 else ""}"'


def _name(entry: Entry, kind: Kind) -> str:
    """The name in a map as messages show it.

    `{key=secret}` makes a name of a secret, and so does a variable that holds only a key in base64,
    which ends in `=`.
    """
    empty = isinstance(entry.node, Scalar) and not entry.node.text
    return "…" if kind.secret and (empty or not HEADER_NAME.fullmatch(entry.key)) else entry.key


def _unknown(path: KeyPath, tree: _Tree) -> str:
    generic = ".".join(_generic(path))
    if generic in ELSEWHERE:
        return ELSEWHERE[generic]
    if near := closest(path[-1], list(tree)):
        return f"unknown key{near}"
    for key in KEYS:
        if key.path.split(".")[0] == path[0] and key.path.split(".")[-1] == path[-1]:
            return f"unknown key; did you mean `{key.path}`?"
    here = ", ".join(f"`{name}`" for name in tree)
    return f"unknown key; the keys here are {here}"


def _generic(path: KeyPath) -> KeyPath:
    return ("exporters", "<id>", *path[2:]) if path[:1] == ("exporters",) else path


def _grow(keys: tuple[Key, ...]) -> _Tree:
    tree: _Tree = {}
    for key in keys:
        *sections, leaf = key.path.split(".")
        here = tree
        for name in sections:
            below = here.setdefault(name, {})
            if isinstance(below, Key):
                raise TypeError(f"{key.path}: {name} is a key and a section")
            here = below
        here[leaf] = key
    return tree


def _key(path: KeyPath) -> Key:
    return _BY_PATH[".".join(_generic(path))]


def _read_default(key: Key) -> object:
    default = key.default or ""
    if key.kind.shape is Shape.LIST:
        return tuple([key.kind.read(item) for item in default.split(", ")])
    return key.kind.read(default)


_TREE = _grow(KEYS)
_BY_PATH = {key.path: key for key in KEYS}
