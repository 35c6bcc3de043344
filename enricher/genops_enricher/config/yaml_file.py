"""Reads a YAML file into nodes: strictly, with places, and with environment variables filled in.

Only maps, lists and scalars; no tags, anchors or merge keys. No value gets a type here (see
`values`). Messages name lines and keys, never values: PyYAML's own text quotes the line that it
could not read, which may hold a secret, so only its diagnosis is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from genops_enricher.config.nodes import Entry, Items, Node, Place, Problem, Scalar, Section
from genops_enricher.config.substitution import expand

__all__ = ["read_yaml"]

_SIZE_MAX = 1 << 20  # a configuration has a few KiB; this stops a data file given by mistake
_NULL = "tag:yaml.org,2002:null"
_QUOTED_TAG = re.compile(r"tag handle '.*'", re.DOTALL)
_NO_SPECIALS = "is not supported here; write the value out"


def read_yaml(path: Path, env: Mapping[str, str], problems: list[Problem]) -> Section:
    """The file as a tree. What is wrong is added to `problems`, and the rest is read on."""
    start = Place(str(path))
    empty = Section(start, ())

    def fail(text: str, line: int = 0) -> Section:
        problems.append(Problem(Place(str(path), line), (), text))
        return empty

    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_MAX + 1)
    except OSError as error:
        return fail(f"can't be read: {error.strerror}; check --config and the file's permissions")
    if len(data) > _SIZE_MAX:
        return fail("is larger than 1 MiB; give the configuration file")
    try:
        root = yaml.compose(data.decode(), Loader=_Loader)
    except UnicodeDecodeError:
        return fail("is not UTF-8 text; save it as UTF-8")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = _QUOTED_TAG.sub("tag handle", error.problem or "")  # a value may begin with `!`
        return fail(f"is not valid YAML: {problem}", mark.line + 1 if mark else 0)
    except yaml.YAMLError:
        return fail("is not valid YAML: it has control characters; remove them")
    except RecursionError:
        return fail("is nested too deeply")
    if root is None:
        return empty
    tree = _Reader(str(path), env, problems).node(root, ())
    if isinstance(tree, Section):
        return tree
    return fail("must be a map of keys such as `exporters:`", root.start_mark.line + 1)


class _Loader(yaml.SafeLoader):
    """A loader that refuses aliases: they hide what a file says, and can make it explode."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"an alias (*) {_NO_SPECIALS}", mark)
        return super().compose_node(parent, index)


class _Reader:
    """Turns PyYAML's nodes into ours."""

    def __init__(self, source: str, env: Mapping[str, str], problems: list[Problem]) -> None:
        self._source = source
        self._env = env
        self._problems = problems

    def node(self, node: yaml.Node, path: tuple[str, ...]) -> Node:
        place = self._place(node)
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self._problems.append(Problem(place, path, f"a tag (!) {_NO_SPECIALS}"))
        if isinstance(node, yaml.MappingNode):
            return Section(place, self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return Items(place, tuple(self.node(item, path) for item in node.value))
        return self._scalar(node, place, path)

    def _entries(self, node: yaml.MappingNode, path: tuple[str, ...]) -> tuple[Entry, ...]:
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.append(Problem(place, path, "a key must be a single word"))
                continue
            key = str(key_node.value)
            if key in entries:
                text = f"is already set on line {entries[key].place.line}; keep one of the two"
                self._problems.append(Problem(place, (*path, key), text))
                continue
            entries[key] = Entry(place, key, self.node(value_node, (*path, key)))
        return tuple(entries.values())

    def _scalar(self, node: yaml.Node, place: Place, path: tuple[str, ...]) -> Scalar:
        if node.tag == _NULL:
            return Scalar(place, "", null=True)
        try:
            text, private = expand(str(node.value), self._env)
        except ValueError as error:
            self._problems.append(Problem(place, path, str(error)))
            return Scalar(place, "", broken=True)
        return Scalar(place, text, private=private)

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._source, node.start_mark.line + 1)
