"""The catalog of prices: immutable, looked up by market, model and instant."""

from __future__ import annotations

from datetime import datetime

from .answers import NO_CONDITIONS, Conditions, Miss, Offer, Quote
from .units import Usage

__all__ = ["Catalog"]


class Catalog:
    """Prices of LLM calls. Immutable, and safe to share between threads."""

    version: str  # "2026.11.22+3f2a9c1d"; with overlays "2026.11.22+3f2a9c1d.overlay.ab12cd34"
    digest: str  # sha256 of the content, in full
    released: datetime  # UTC

    def market_of(self, *, host: str | None, provider: str | None, model: str | None) -> str | None:
        """Who bills a call: by server host, then provider name, then a vendor-prefixed model id."""
        raise NotImplementedError

    def find(
        self,
        model: str,
        *,
        market: str | None,
        at_ns: int,
        endpoint: str | None = None,
        conditions: Conditions = NO_CONDITIONS,
    ) -> Offer | Miss:
        """The price in force for `model` at `at_ns` (Unix nanoseconds)."""
        raise NotImplementedError

    def quote(
        self,
        model: str,
        usage: Usage,
        *,
        at: datetime,
        market: str | None = None,
        endpoint: str | None = None,
        conditions: Conditions = NO_CONDITIONS,
    ) -> Quote:
        """The cost of `usage` in Decimal USD, for people."""
        raise NotImplementedError


def bundled_catalog() -> Catalog:
    raise NotImplementedError
