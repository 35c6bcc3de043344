"""The text of additions to price files: YAML as people write it there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from genops_pricing.schema import ENDPOINT, PRICE_ROW
from genops_pricing.shapes import Record

__all__ = ["block", "item", "scalar"]

# What YAML reads as the text that it is.
_PLAIN: Final = re.compile(r"[A-Za-z][\w .()+/~@>-]*(?<!\s)")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}(T[\d:.]+Z)?")
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
# Keys whose values are never quoted: days, links and words of the schema.
_BARE: Final = frozenset({"url", "effective_from", "effective_to", "seen_at", "not_before"})


def item(record: Record, raw: Mapping[str, Any], indent: int) -> list[str]:
    """A mapping as an item of a list."""
    lines = list(_mapping(record, raw, indent + 2))
    lines[0] = f"{' ' * indent}- {lines[0].lstrip()}"
    return lines


def block(name: str, record: Record, raw: Mapping[str, Any], indent: int) -> list[str]:
    """A mapping under its name."""
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
                yield from item(PRICE_ROW, row, indent + 2)
        elif key.name == "endpoints":
            yield f"{pad}endpoints:\n"
            for slug, endpoint in value.items():
                yield from block(slug, ENDPOINT, endpoint, indent + 2)
        elif key.name == "overrides":
            yield f"{pad}overrides:\n"
            for override in value:
                yield from _override(override, indent + 2)
        else:
            yield f"{pad}{key.name}: {scalar(key.name, value)}\n"


def _override(raw: Mapping[str, Any], indent: int) -> Iterator[str]:
    lines = [f"{key}: {scalar(key, value)}\n" for key, value in raw.items()]
    yield f"{' ' * indent}- {lines[0]}"
    for line in lines[1:]:
        yield f"{' ' * (indent + 2)}{line}"


def scalar(key: str, value: Any) -> str:
    """A value on one line, quoted where YAML would read it as something else."""
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{name}: {scalar(name, item)}" for name, item in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(scalar(key, item) for item in value) + "]"
    if isinstance(value, int) or key in _BARE:
        return str(value)
    text = str(value)
    if key in ("created", "removed") and _DAY.fullmatch(text):
        return text
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
