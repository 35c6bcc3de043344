"""A price file as lines, to which models, endpoints and rows are added. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import yaml

from genops_pricing.importing.decision import NewEndpoint, NewModel
from genops_pricing.schema import ENDPOINT, MODEL, PRICE_ROW

from .layout import block, item, scalar

__all__ = ["LOADER", "PriceFile", "with_models"]

_START: Final = "effective_from"


class _Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
    """Reads everything as text."""


LOADER: Any = _Loader


class PriceFile:
    """A price file as lines, and where each list of rows ends."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines(keepends=True)
        root = yaml.compose(text, Loader=LOADER)
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
        self._insertions[line] += item(PRICE_ROW, raw, prices.start_mark.column)
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
            self._insert(endpoints, block(slug, ENDPOINT, addition.raw, indent))
        else:
            indent = model.start_mark.column
            added = [f"{' ' * indent}endpoints:\n"] if not self._has_pending(model) else []
            added += block(slug, ENDPOINT, addition.raw, indent + 2)
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


def with_models(text: str, models: Sequence[NewModel]) -> str:
    """A file's text with models at its end; a new file has its head."""
    first = models[0]
    blocks = ["".join(item(MODEL, model.raw, 2)) for model in models]
    if not text:
        head = f"market: {first.market}\nauthor: {scalar('author', first.author)}\nmodels:\n"
        return head + "\n".join(blocks)
    return "\n".join([text if text.endswith("\n") else f"{text}\n", *blocks])
