"""JSON objects that stand in an attribute as text, within bounds of size and depth."""

from __future__ import annotations

import json
from typing import Any

from genops_enricher.decode.values import as_text

__all__ = ["at_path", "read_object"]

_BYTES_MAX = 128 * 1024
_PYTHON = (("'", '"'), ("None", "null"), ("True", "true"), ("False", "false"))


def read_object(raw: bytes, *, python: bool = False) -> dict[str, Any]:
    """The object in a serialized AnyValue; empty if there is none, or none that is sensible.

    Args:
        raw: the serialized AnyValue.
        python: the text is Python's notation of a dictionary of numbers and truths.
    """
    if len(raw) > _BYTES_MAX:
        return {}
    text = as_text(raw)
    if python:
        for theirs, ours in _PYTHON:
            text = text.replace(theirs, ours)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def at_path(value: object, path: tuple[str, ...]) -> object:
    """What stands in an object below keys in keys; None if nothing does."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value
