"""Tell who bills a call: from the server it went to, the provider's name, or the model's id."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Markets"]


_LABEL_LONGEST = 63  # octets of one label of a host's name, RFC 1035


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
        self._mixed: dict[str, Sequence[str]] = {
            raw["id"]: raw.get("mixed_output", ()) for raw in raws
        }
        self._search: dict[str, Sequence[str]] = {
            raw["id"]: raw.get("always_searches", ()) for raw in raws
        }
        self._regional: dict[str, Sequence[Mapping[str, Any]]] = {
            raw["id"]: raw.get("regional", ()) for raw in raws
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

    def mixes_output(self, market: str, model: str) -> bool:
        """Whether a model puts out tokens of several kinds, which do not cost the same."""
        return any(fnmatch.fnmatchcase(model, each) for each in self._mixed.get(market, ()))

    def always_searches(self, market: str, model: str) -> bool:
        """Whether a model searches the web for every call, which costs apart."""
        return any(fnmatch.fnmatchcase(model, each) for each in self._search.get(market, ()))

    def region_of(self, market: str | None, host: str | None) -> str | None:
        """The region that a call is bound to by the host that it went to; None: to none."""
        bare = (host or "").lower().rstrip(".")
        for raw in self._regional.get(market or "", ()) if bare else ():
            for pattern in raw.get("hosts", ()):
                start, _, end = pattern.partition("*")
                region = bare.removeprefix(start).removesuffix(end)
                if f"{start}{region}{end}" == bare and len(region) <= _LABEL_LONGEST:
                    return region or None
        return None

    def regional(self, market: str, model: str, region: str | None) -> Mapping[str, Any] | None:
        """What the markets file states of the calls of a model bound to a region, if anything."""
        for raw in self._regional.get(market, ()) if region else ():
            models = raw.get("models", ("*",))
            if (region or "").lower() in raw.get("regions", (region,)) and any(
                fnmatch.fnmatchcase(model, pattern) for pattern in models
            ):
                return raw
        return None

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
