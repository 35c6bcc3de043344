"""Read a YAML file strictly, and remember on which line everything stands.

YAML guesses types: `5e-06` is text, `3:00` is 180, a repeated key wins silently, `0.1` becomes a
binary float. Here every such guess is a problem that names its line. The one module that imports
PyYAML: import it only where YAML is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from .shapes import KeyPath

__all__ = ["Document", "read_yaml"]

_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain mappings, lists, texts and integers."""

    name: str
    content: Any
    lines: Mapping[KeyPath, int]

    def at(self, path: KeyPath) -> str:
        """Where `path`, or the nearest thing around it, stands: "file:line"."""
        while path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines[path]}"


def read_yaml(path: Path, problems: list[str], *, name: str | None = None) -> Document | None:
    """Read one file, adding what is wrong with it to `problems`.

    Args:
        path: the file.
        problems: gets "file:line: what. fix" lines.
        name: what to call the file in messages; its path by default.

    Returns:
        The document as far as it could be read; None if the file can't be read or is no YAML.
    """
    name = name or str(path)
    # libyaml reads ten times as fast, where PyYAML was built with it.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=loader)
    except OSError as error:
        problems.append(f"{name}: can't be read: {error.strerror}. Give the path of a YAML file")
        return None
    except UnicodeDecodeError as error:
        problems.append(f"{name}: byte {error.start} is not UTF-8. Save the file as UTF-8")
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or str(error)
        problems.append(f"{name}:{line}: not YAML: {what}. Correct the syntax there")
        return None
    if root is None:
        problems.append(f"{name}:1: the file is empty. Fill it or remove it")
        return None
    reader = _Reader(name, problems)
    content = reader.read(root, ())
    return Document(name, content, reader.lines)


class _Reader:
    """Turns a tree of YAML nodes into plain values."""

    def __init__(self, name: str, problems: list[str]) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._name = name
        self._problems = problems
        self._seen: set[int] = set()

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, _line(node))
        if isinstance(node.value, str):
            return self._scalar(node)
        if id(node) in self._seen:
            self._report(node, "anchors and aliases are not read. Write the value out")
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str) or key_node.tag == _TAG + "merge":
                self._report(key_node, "keys are plain words. Write the key out")
                continue
            if key in mapping:
                first = self.lines[*path, key]
                what = f'key "{key}" is already set on line {first}. Keep one of the two'
                self._report(key_node, what)
                continue
            self.lines[*path, key] = _line(key_node)
            mapping[key] = self.read(value_node, (*path, key))
        return mapping

    def _scalar(self, node: yaml.Node) -> str | int | None:
        text: str = node.value
        kind = node.tag.removeprefix(_TAG)
        if kind in ("str", "timestamp"):
            return text
        if kind == "int" and _INTEGER.fullmatch(text):
            return int(text)
        if kind == "null":
            self._report(node, "the value is missing. Give one or remove the key")
        elif kind == "float":
            self._report(node, f'{text} is a float, which is not exact. Quote it: "{text}"')
        else:
            self._report(node, f'YAML reads {text} as {kind}. Quote it: "{text}"')
        return text

    def _report(self, node: yaml.Node, what: str) -> None:
        self._problems.append(f"{self._name}:{_line(node)}: {what}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
