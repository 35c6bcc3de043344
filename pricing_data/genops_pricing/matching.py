"""Resolve the name that a call gave for a model to one id of a market.

Tries the spelling as it is, then plainer ones in a fixed order. Never guesses: a name that fits
two models is ambiguous, and one that fits none is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Ambiguous", "Names"]

# Routing hints that OpenRouter takes on any id; the price is that of the id without them
# (https://openrouter.ai/docs/guides/routing/model-variants). `:free`, `:thinking`, `:batch` … are
# models of their own.
_ROUTING: Final = (":nitro", ":floor", ":online", ":exacto")

# The day of a dated snapshot, as in gpt-5.2-20251211 and gpt-4o-2024-08-06.
_DATED: Final = re.compile(r"-20\d{2}(-?)(0[1-9]|1[0-2])\1(0[1-9]|[12]\d|3[01])(?=$|:)")


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A name that fits several models."""

    ids: tuple[str, ...]


class Names:
    """The model names of one market.

    Args:
        models: (id, aliases) of each model.
        prefixes: what may stand before an id, as in `openrouter/openai/gpt-4o`.
    """

    def __init__(
        self, models: Iterable[tuple[str, Iterable[str]]], prefixes: Iterable[str] = ()
    ) -> None:
        self._prefixes = tuple(f"{prefix}/" for prefix in prefixes)
        self._ids: dict[str, str] = {}
        self._leaves: dict[str, set[str]] = {}
        aliases: dict[str, str] = {}
        for model_id, spellings in models:
            self._ids[model_id.lower()] = model_id
            for spelling in (model_id, *spellings):
                aliases[spelling.lower()] = model_id
                _, slash, leaf = spelling.lower().rpartition("/")
                if slash:
                    self._leaves.setdefault(leaf, set()).add(model_id)
        self._known = aliases | self._ids  # an id outranks an alias of the same spelling
        self.ids = tuple(self._ids)

    def resolve(self, name: str) -> str | Ambiguous | None:
        """The id that `name` means; None if none."""
        for spelling in self._spellings(name.strip().lower()):
            if spelling in self._known:
                return self._known[spelling]
            if owners := self._leaves.get(spelling):
                return owners.copy().pop() if len(owners) == 1 else Ambiguous(tuple(sorted(owners)))
        return None

    def _spellings(self, name: str) -> Iterator[str]:
        """The name, and then plainer and plainer."""
        yield name
        for prefix in self._prefixes:
            if name.startswith(prefix):
                name = name.removeprefix(prefix)
                yield name
                break
        while name.endswith(_ROUTING):
            name = name.rpartition(":")[0]
            yield name
        undated = _DATED.sub("", name)
        if undated != name:
            yield undated
