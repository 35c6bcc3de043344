"""Tell which model of which market a call means, and remember it.

`markets` decides who bills where the call does not say, `matching` what a name means in a market.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Final

from .answers import Miss
from .markets import Markets
from .matching import Ambiguous, Names
from .stock import Stock

__all__ = ["LONGEST_REMEMBERED", "Lookup"]

# Names that calls gave are remembered with what they mean: some 200 bytes each. A name that is much
# longer than any id is looked up each time, so that no caller can fill the memory.
_REMEMBERED: Final = 4096
LONGEST_REMEMBERED: Final = 256


class Lookup:
    """The names of the models of all markets."""

    def __init__(self, stock: Stock, markets: Markets) -> None:
        self._stock: Final = stock
        self._markets: Final = markets
        self._names: Final[dict[str, Names]] = {}  # by market, laid out when first asked for
        self._remembered: Final = lru_cache(_REMEMBERED)(self._look_up)

    def resolve(self, name: str, market: str | None) -> tuple[str, str] | Miss:
        """The market and id of the model that a name means.

        Args:
            name: as the call gave it.
            market: who bills; None: decided from the name.
        """
        if len(name) > LONGEST_REMEMBERED:
            return self._look_up(name, market)
        return self._remembered(name, market)

    def _look_up(self, name: str, market: str | None) -> tuple[str, str] | Miss:
        """The market and id of the model that a name means."""
        if not name.strip():
            return Miss("no_model", "the call names no model")
        # A bare name without a market can still be told if only one vendor has such a model.
        found = self._look_up_in(market or self._markets.vendor_prefixed, name)
        if market is None and isinstance(found, Miss):
            # What looks like a vendor may be the name of a market: bedrock/…, vertex_ai/….
            prefix, slash, _ = name.strip().partition("/")
            named = slash and self._markets.market_of(host=None, provider=prefix, model=None)
            if named:
                in_named = self._look_up_in(named, name)
                return found if isinstance(in_named, Miss) else in_named
        return found

    def _look_up_in(self, market: str, name: str) -> tuple[str, str] | Miss:
        if market not in self._stock.markets():
            return Miss("unknown_model", f"the catalog holds no prices of market {market}")
        names = self._names_of(market)
        resolved = names.resolve(name)
        if isinstance(resolved, str):
            return market, resolved
        if isinstance(resolved, Ambiguous):
            detail = f"{name} is one of {', '.join(resolved.ids)}"
            return Miss("ambiguous_model", detail, asked=name, names=resolved.ids)
        detail = f"market {market} has no model {name}"
        return Miss("unknown_model", detail, asked=name, names=names.ids)

    def _names_of(self, market: str) -> Names:
        if market not in self._names:
            prefixes = self._markets.names_of(market)
            aliases = self._stock.aliases(market)
            # The id of a model that was merged into another is an alias of that one.
            ids = [model_id for model_id in self._stock.ids(market) if model_id not in aliases]
            self._names[market] = Names(ids, aliases, prefixes, self._makers)
        return self._names[market]

    @cached_property
    def _makers(self) -> frozenset[str]:
        """The authors that the ids of the market of all vendors begin with, and of overlays."""
        prefixed = self._stock.ids(self._markets.vendor_prefixed)
        return self._stock.authors | {model_id.partition("/")[0] for model_id in prefixed}
