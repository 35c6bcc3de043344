"""The models that a catalog holds: those of the bundled one, and what overlays state on top.

Joined one by one when first asked for: a process sees few of the thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .entries import Entry, Stated, build_entry
from .shelf import Shelf

__all__ = ["Stock"]


class Stock:
    """The models of the bundled catalog and of overlays, in order.

    Attributes:
        authors: those that overlays name.
    """

    def __init__(self, models: Shelf, overlays: Sequence[Mapping[str, Any]]) -> None:
        self.authors: Final = frozenset(file["author"] for file in overlays if "author" in file)
        self._models: Final = models
        # What overlays state, by market and id.
        self._overlaid: Final[dict[str, dict[str, list[Stated]]]] = {}
        for layer, file in enumerate(overlays, start=1):
            for raw in file.get("models", ()):
                stated = Stated(layer, file["overlay"], file.get("author"), raw)
                overlaid = self._overlaid.setdefault(file["market"], {})
                overlaid.setdefault(raw["id"], []).append(stated)
        self._entries: Final[dict[tuple[str, str], Entry]] = {}

    def markets(self) -> Iterable[str]:
        """The markets that have models."""
        return dict.fromkeys((*self._models.markets(), *self._overlaid))

    def ids(self, market: str) -> Iterable[str]:
        """The models of a market, in the order of the files."""
        return dict.fromkeys((*self._models.ids(market), *self._overlaid.get(market, ())))

    def aliases(self, market: str) -> Mapping[str, str]:
        """What else the models of a market are called: id by alias, those of later files last."""
        aliases = dict(self._models.aliases(market))
        for model_id, stated in self._overlaid.get(market, {}).items():
            for file in stated:
                aliases.update(dict.fromkeys(file.raw.get("aliases", ()), model_id))
                if "merged_into" in file.raw:
                    aliases[model_id] = file.raw["merged_into"]
        return aliases

    def entry(self, market: str, model_id: str) -> Entry:
        """A model that is there, with all that is stated of it."""
        key = (market, model_id)
        if key not in self._entries:
            stated = self._overlaid.get(market, {}).get(model_id, ())
            if key in self._models:
                stated = (Stated(0, None, *self._models.read(market, model_id)), *stated)
            self._entries[key] = build_entry(market, stated)
        return self._entries[key]
