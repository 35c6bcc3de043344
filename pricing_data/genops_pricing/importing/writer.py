"""Add models, endpoints and price rows to the YAML files of a data directory.

Only adds: what is there, comments and layout included, stays byte for byte. Each file is replaced
whole or not at all.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml

from genops_pricing.errors import CatalogError
from genops_pricing.importing.authors import MAKERS
from genops_pricing.importing.decision import Addition, NewEndpoint, NewModel, NewRow, Removal
from genops_pricing.schema import ENDPOINT, MODEL, PRICE_ROW
from genops_pricing.shapes import Record

__all__ = ["plan", "write"]

_INDENT: Final = "  "
# What YAML reads as the text that it is.
_PLAIN: Final = re.compile(r"[A-Za-z][\w .()+/~@>-]*(?<!\s)")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}(T[\d:.]+Z)?")
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
# Keys whose values are never quoted: days, links and words of the schema.
_START: Final = "effective_from"
_BARE: Final = frozenset({"url", _START, "effective_to", "seen_at", "not_before"})


def write(data: Path, additions: Iterable[Addition]) -> list[Path]:
    """Add to the price files of `data`.

    Returns:
        The files that changed or are new.

    Raises:
        CatalogError: an addition is for a model that no file holds.
        OSError: a file can't be written.
    """
    changed = plan(data, additions)
    for path, text in changed.items():
        _replace(path, text)
    return sorted(changed)


def plan(data: Path, additions: Iterable[Addition]) -> dict[Path, str]:
    """The new text of each file that the additions change.

    Raises:
        CatalogError: as `write`.
    """
    index = _Index(data)
    short = _short_names(data)
    additions = [_abbreviated(addition, short) for addition in additions]
    files: dict[Path, _File] = {}
    problems: list[str] = []

    def file_at(path: Path) -> _File:
        return files.setdefault(path, _File(path.read_text(encoding="utf-8")))

    fresh: dict[Path, list[NewModel]] = defaultdict(list)
    for addition in additions:
        if isinstance(addition, NewModel):
            fresh[index.path_for(addition.market, addition.author)].append(addition)
            continue
        subject = addition.subject
        path = index.models.get((subject.market, subject.model))
        if path is None:
            problems.append(f"{data}: no file holds {subject.owner}. Add the model first")
        elif isinstance(addition, Removal):
            file_at(path).add_removed(subject.model, addition.day)
        elif isinstance(addition, NewRow):
            if not file_at(path).add_row(subject.model, subject.endpoint, addition.raw):
                problems.append(f"{path}: {subject.owner} has no `prices`. Add them first")
        else:
            file_at(path).add_endpoint(addition)
    if problems:
        raise CatalogError(problems)
    texts = {path: file.text() for path, file in files.items()}
    for path, models in fresh.items():
        before = texts.get(path)
        if before is None:
            before = path.read_text(encoding="utf-8") if path.exists() else ""
        texts[path] = _with_models(before, models)
    return texts


def _short_names(data: Path) -> dict[tuple[str, str], str]:
    """The short names of sources by name and url, as `sources.yaml` gives them."""
    path = data / "sources.yaml"
    if not path.exists():
        return {}
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 -- reads no types at all
    return {(raw["name"], raw.get("url", "")): slug for slug, raw in content["sources"].items()}


def _abbreviated(addition: Addition, short: Mapping[tuple[str, str], str]) -> Addition:
    """The addition with short names of sources in place of names and links."""

    def row(raw: Mapping[str, Any]) -> dict[str, Any]:
        provenance = dict(raw.get("provenance", {}))
        slug = short.get((provenance.get("source", ""), provenance.get("url", "")))
        if slug is None or provenance["basis"] == "documented":
            return dict(raw)
        provenance.pop("url", None)
        return {**raw, "provenance": {**provenance, "source": slug}}

    def rows(raw: Mapping[str, Any]) -> dict[str, Any]:
        return (
            {**raw, "prices": [row(item) for item in raw["prices"]]} if "prices" in raw else {**raw}
        )

    if isinstance(addition, Removal):
        return addition
    if isinstance(addition, NewRow):
        return replace(addition, raw=row(addition.raw))
    raw = rows(addition.raw)
    if "endpoints" in raw:
        raw["endpoints"] = {slug: rows(item) for slug, item in raw["endpoints"].items()}
    return replace(addition, raw=raw)


class _Index:
    """Which file holds which model, and where a new one belongs."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.models: dict[tuple[str, str], Path] = {}
        self._files: dict[tuple[str, str], Path] = {}
        self._markets: dict[str, set[str]] = defaultdict(set)
        for path in sorted(data.rglob("*.yaml")):
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 -- reads no types at all
            if isinstance(content, dict) and "models" in content:
                market, author = content["market"], content["author"]
                self._files[market, author] = path
                self._markets[market].add(author)
                for raw in content["models"]:
                    self.models[market, raw["id"]] = path

    def path_for(self, market: str, author: str) -> Path:
        """The file for models of an author in a market.

        openrouter/AUTHOR.yaml; direct/PROVIDER.yaml for a maker, direct/PROVIDER/AUTHOR.yaml for
        one who sells the models of several.
        """
        if path := self._files.get((market, author)):
            return path
        if market == "openrouter":
            path = self._data / market / f"{author}.yaml"
        elif MAKERS.get(market) == author:
            path = self._data / "direct" / f"{market}.yaml"
        else:
            path = self._data / "direct" / market / f"{author}.yaml"
        self._files[market, author] = path
        return path


class _Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
    """Reads everything as text."""


_LOADER: Any = _Loader


class _File:
    """A price file as lines, and where each list of rows ends."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines(keepends=True)
        root = yaml.compose(text, Loader=_LOADER)
        self._models = {_value(model, "id").value: model for model in _value(root, "models").value}
        self._insertions: dict[int, list[str]] = defaultdict(list)

    def add_row(self, model: str, endpoint: str | None, raw: Mapping[str, Any]) -> bool:
        """Add a row after those that start no later; False if there is no list of rows."""
        node: yaml.Node | None = self._models[model]
        if endpoint is not None:
            node = _value(_value(node, "endpoints"), endpoint)
        prices = _value(node, "prices")
        if prices is None:
            return False
        earlier = [row for row in prices.value if _value(row, _START).value <= raw[_START]]
        line = self._end(earlier[-1]) if earlier else prices.value[0].start_mark.line
        self._insertions[line] += _item(PRICE_ROW, raw, prices.start_mark.column)
        return True

    def add_removed(self, model: str, day: date) -> None:
        """Add the day on which a model had left, where the schema has it."""
        node = self._models[model]
        names = [key.name for key in MODEL.keys]
        before = names[: names.index("removed")]
        line = max(self._end(value) for key, value in node.value if key.value in before)
        self._insertions[line].append(f"{' ' * node.start_mark.column}removed: {day}\n")

    def add_endpoint(self, addition: NewEndpoint) -> None:
        """Add an endpoint after the last, or as the first."""
        model = self._models[addition.subject.model]
        endpoints = _value(model, "endpoints")
        slug = addition.subject.endpoint or ""
        if endpoints is not None:
            indent = endpoints.value[0][0].start_mark.column
            self._insert(endpoints, _block(slug, ENDPOINT, addition.raw, indent))
        else:
            indent = model.start_mark.column
            added = [f"{' ' * indent}endpoints:\n"] if not self._has_pending(model) else []
            added += _block(slug, ENDPOINT, addition.raw, indent + 2)
            self._insert(model, added)

    def text(self) -> str:
        """The text with all that was added."""
        lines: list[str] = []
        for number, line in enumerate(self._lines):
            lines += self._insertions.get(number, ())
            lines.append(line)
        last = self._insertions.get(len(self._lines), [])
        if last and lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        return "".join([*lines, *last])

    def _has_pending(self, node: Any) -> bool:
        return any("endpoints:" in line for line in self._insertions.get(self._end(node), ()))

    def _insert(self, node: Any, added: Iterable[str]) -> None:
        self._insertions[self._end(node)] += added

    def _end(self, node: Any) -> int:
        """The line after the last of a node: comments and blank lines belong to what follows."""
        is_inline = isinstance(node, yaml.ScalarNode) or node.flow_style
        end: int = node.end_mark.line + (1 if node.end_mark.column and is_inline else 0)
        if node.end_mark.line == len(self._lines) - 1 and node.end_mark.column:
            end = len(self._lines)
        while not self._lines[end - 1].split("#", 1)[0].strip():
            end -= 1
        return end


def _value(node: Any, key: str) -> Any:
    if node is None:
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _with_models(text: str, models: Sequence[NewModel]) -> str:
    """A file's text with models at its end; a new file has its head."""
    first = models[0]
    blocks = ["".join(_item(MODEL, model.raw, 2)) for model in models]
    if not text:
        head = f"market: {first.market}\nauthor: {_scalar('author', first.author)}\nmodels:\n"
        return head + "\n".join(blocks)
    return "\n".join([text if text.endswith("\n") else f"{text}\n", *blocks])


def _item(record: Record, raw: Mapping[str, Any], indent: int) -> list[str]:
    """A mapping as an item of a list."""
    lines = list(_mapping(record, raw, indent + 2))
    lines[0] = f"{' ' * indent}- {lines[0].lstrip()}"
    return lines


def _block(name: str, record: Record, raw: Mapping[str, Any], indent: int) -> list[str]:
    return [f"{' ' * indent}{name}:\n", *_mapping(record, raw, indent + 2)]


def _mapping(record: Record, raw: Mapping[str, Any], indent: int) -> Iterator[str]:
    """The keys of a mapping in the order of the schema."""
    pad = " " * indent
    for key in record.keys:
        if key.name not in raw:
            continue
        value = raw[key.name]
        if key.name == "prices":
            yield f"{pad}prices:\n"
            for row in value:
                yield from _item(PRICE_ROW, row, indent + 2)
        elif key.name == "endpoints":
            yield f"{pad}endpoints:\n"
            for slug, endpoint in value.items():
                yield from _block(slug, ENDPOINT, endpoint, indent + 2)
        elif key.name == "overrides":
            yield f"{pad}overrides:\n"
            for override in value:
                yield from _override(override, indent + 2)
        else:
            yield f"{pad}{key.name}: {_scalar(key.name, value)}\n"


def _override(raw: Mapping[str, Any], indent: int) -> Iterator[str]:
    lines = [f"{key}: {_scalar(key, value)}\n" for key, value in raw.items()]
    yield f"{' ' * indent}- {lines[0]}"
    for line in lines[1:]:
        yield f"{' ' * (indent + 2)}{line}"


def _scalar(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{name}: {_scalar(name, item)}" for name, item in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_scalar(key, item) for item in value) + "]"
    if isinstance(value, int) or key in _BARE:
        return str(value)
    text = str(value)
    if key in ("created", "removed") and _DAY.fullmatch(text):
        return text
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
