"""Tell who bills a call: from the server it went to, the provider's name, or the model's id."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Markets"]


class Markets:
    """The markets of a catalog, as its markets file states them."""

    def __init__(self, raws: Sequence[Mapping[str, Any]], vendor_prefixed: str) -> None:
        self.vendor_prefixed = vendor_prefixed
        self.ids = tuple(raw["id"] for raw in raws)
        self._providers: dict[str, str] = {
            name.lower(): raw["id"] for raw in raws for name in raw.get("providers", ())
        }
        patterns: dict[str, str] = {
            host: raw["id"] for raw in raws for host in raw.get("hosts", ())
        }
        self._tiers: dict[str, Mapping[str, str]] = {
            raw["id"]: raw.get("service_tiers", {}) for raw in raws
        }
        self._hosts = {host: market for host, market in patterns.items() if "*" not in host}
        self._patterns = [
            (re.compile(fnmatch.translate(host)), market)
            for host, market in patterns.items()
            if "*" in host
        ]

    def names_of(self, market: str) -> tuple[str, ...]:
        """Every name of a market: what may stand as a prefix before its model ids."""
        return (market, *(name for name, owner in self._providers.items() if owner == market))

    def tier_apart(self, market: str, served: str | None) -> str | None:
        """The name in price rows of a service tier that does not cost the list price, else None."""
        return self._tiers.get(market, {}).get((served or "").lower())

    def market_of(self, *, host: str | None, provider: str | None, model: str | None) -> str | None:
        """The market; None where nothing tells."""
        if host:
            bare = host.lower().rstrip(".")
            if bare in self._hosts:
                return self._hosts[bare]
            for pattern, market in self._patterns:
                if pattern.match(bare):
                    return market
        name = (provider or "").lower()
        while name:
            if name in self._providers:
                return self._providers[name]
            # The AI SDK appends the API that it calls: openai.responses, google.vertex.chat.
            name = name.rpartition(".")[0]
        if model and "/" in model.strip("/"):
            return self.vendor_prefixed
        return None
