"""Our price rows as those of genai-prices, and what the two catalogs say of one model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from genai_prices.data import providers
from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, Tier, TieredPrices

from genops_pricing import Catalog, Offer
from genops_pricing.importing.sources.reading import MARKETS, plain_id
from genops_pricing.instants import instant_of
from genops_pricing.model import Model, Row

UNITS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "input_audio": "input_audio_mtok",
    "output_audio": "output_audio_mtok",
}
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)  # outside of the nightly discounts


@dataclass(frozen=True, order=True)
class Comparison:
    """One price that both catalogs state."""

    market: str
    model: str
    unit: str
    ours: str
    theirs: str
    source: str  # of ours
    seen_at: str
    starts: str
    since: str  # day from which genai-prices dates its price; empty: it does not say

    @property
    def agrees(self) -> bool:
        """Whether the two are one price."""
        return is_one_price(Decimal(self.ours), Decimal(self.theirs))


def is_one_price(ours: Decimal, theirs: Decimal) -> bool:
    """Whether two prices are the same: genai-prices rounds some to four digits."""
    return abs(ours - theirs) <= max(Decimal("0.0001"), theirs / 1000)


def as_model_price(row: Row) -> ModelPrice | None:
    """A row in the terms of genai-prices; None where these do not suffice."""
    base = {UNITS[key]: price for key, price in row.prices.items() if key in UNITS}
    if any(key.startswith("cache") for key in base):
        # It wants a price for cached audio where both are priced; we bill cached tokens as cached.
        base.pop("input_audio_mtok", None)
    if "cache_write_1h_mtok" in base:
        base.setdefault("cache_write_mtok", row.prices["input"])  # it wants the parent's price
    tiers: dict[str, list[Tier]] = {}
    for override in row.overrides:
        if override.variants:
            continue  # does not hold for a call of which nothing is known
        if not override.prompt_start or override.marginal or override.window or override.days:
            return None
        for key, price in override.prices.items():
            if key == "input_audio" and UNITS[key] not in base:
                continue
            if key not in UNITS or UNITS[key] not in base:
                return None
            tiers.setdefault(UNITS[key], []).append(Tier(override.prompt_start - 1, price))
    prices: dict[str, Decimal | TieredPrices | None] = {
        key: TieredPrices(base=price, tiers=tiers[key]) if key in tiers else price
        for key, price in base.items()
    }
    return ModelPrice(**prices) if "input_mtok" in base and "output_mtok" in base else None


def compare_prices(catalog: Catalog) -> Iterator[Comparison]:
    """Prices that both state of one model now, leaving out ours that are taken from theirs."""
    for provider in providers:
        market = MARKETS.get(provider.id)
        if market is None:
            continue
        for theirs in provider.models:
            name = plain_id(theirs.id, market)
            offer = name and catalog.find(name, market=market, at_ns=instant_of(AT))
            if not isinstance(offer, Offer) or offer.model != name:
                continue
            ours = catalog.model(offer.model, market=market)
            assert isinstance(ours, Model)
            row = ours.row_of(offer.entry)
            assert row is not None
            if row.provenance is None or "genai-prices" in row.provenance.source:
                continue
            stated = theirs.get_prices(AT)
            for unit, key in UNITS.items():
                price = getattr(stated, key, None)
                price = price.base if isinstance(price, TieredPrices) else price
                if unit in row.prices and price is not None:
                    yield Comparison(
                        market,
                        offer.model,
                        unit,
                        f"{row.prices[unit].normalize():f}",
                        f"{price.normalize():f}",
                        row.provenance.source,
                        row.provenance.seen_at,
                        row.effective_from,
                        _since(theirs, stated),
                    )


def _since(model: ModelInfo, stated: ModelPrice) -> str:
    """The day from which genai-prices dates what it states."""
    dated = model.prices if isinstance(model.prices, list) else []
    days = [
        each.constraint.start_date.isoformat()
        for each in dated
        if each.prices == stated and isinstance(each.constraint, StartDateConstraint)
    ]
    return max(days, default="")
