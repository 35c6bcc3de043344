"""Attributes that are the same on many spans: encoded once, and added where they are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from genops_enricher.enrich.attributes import text_attribute

__all__ = ["Block"]


class Block:
    """Attributes that are the same for many spans, encoded once."""

    __slots__ = ("_joined", "_pieces")

    def __init__(self, texts: Iterable[tuple[str, str | None]]) -> None:
        self._pieces = {name: text_attribute(name, text) for name, text in texts if text}
        self._joined = b"".join(self._pieces.values())

    def missing_from(self, attributes: Mapping[str, bytes]) -> bytes:
        """The block, without what the span has already."""
        for name in self._pieces:
            if name in attributes:
                return b"".join(p for name, p in self._pieces.items() if name not in attributes)
        return self._joined
