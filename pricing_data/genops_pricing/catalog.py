"""The catalog of prices: immutable, looked up by market, model and instant.

Joins the parts: `markets` tells who bills, `lookup` which model is meant, `entries` which row is in
force, `discounts` what is off it, the row its rates. Does no I/O and reads no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from .answers import NO_CONDITIONS, Conditions, Miss, MissReason, Offer, Quote
from .discounts import build_discount, discount_at
from .entries import Entry, InForce
from .instants import instant_of, parse_instant
from .lookup import LONGEST_REMEMBERED, Lookup
from .markets import Markets
from .model import Model, Row
from .shelf import Shelf, canonical
from .stock import Stock
from .tiers import Tiers
from .units import Usage
from .upstream import upstream_key

__all__ = ["Catalog"]

Content = Mapping[str, Any]

# Answers are remembered for what calls asked: some 2 KiB each.
_REMEMBERED_ANSWERS: Final = 2048

_NO_PRICE: Final[Mapping[str, MissReason]] = {
    "dynamic": "dynamic_price",
    "suspect": "suspect_price",
}


class Catalog:
    """Prices of LLM calls. Immutable, and safe to share between threads.

    Made by `bundled_catalog` and `load_catalog`.

    Attributes:
        version: names the content: "2026.11.22+3f2a9c1d", with overlays
            "2026.11.22+3f2a9c1d.overlay.ab12cd34".
        digest: sha256 of the content, in full, in hex.
        released: when the prices were gathered (UTC).
    """

    def __init__(
        self,
        content: Content,
        models: Shelf,
        overlays: Sequence[Content] = (),
        *,
        version: str,
        digest: str,
    ) -> None:
        self.version: Final = version
        self.digest: Final = digest
        self._overlays: Final = overlays
        self.released: Final[datetime] = parse_instant(content["released"])
        self._markets = Markets(content["markets"], content["vendor_prefixed"])
        self._tiers = Tiers(content["tiers"])
        self._stock = Stock(models, overlays)
        self._lookup = Lookup(self._stock, self._markets)
        self._discounts = tuple(
            build_discount(overlay["overlay"], raw)
            for overlay in overlays
            for raw in overlay.get("discounts", ())
        )
        self._latest = lru_cache(_REMEMBERED_ANSWERS)(_Latest)

    @property
    def overlays(self) -> str:
        """What the overlays say, as `catalog_with` takes it; empty without any."""
        return canonical(self._overlays) if self._overlays else ""

    def market_of(self, *, host: str | None, provider: str | None, model: str | None) -> str | None:
        """Who bills a call: by server host, then provider name, then a vendor-prefixed model id.

        Returns:
            The id of the market; None where nothing tells.
        """
        return self._markets.market_of(host=host, provider=provider, model=model)

    def region_of(self, *, market: str | None, host: str | None) -> str | None:
        """The region that a call is bound to by its server host, as `Conditions.region`."""
        return self._markets.region_of(market, host)

    @property
    def markets(self) -> tuple[str, ...]:
        """The ids of all markets that a call can be told to belong to."""
        return self._markets.ids

    def models(self, market: str | None = None, *, merged: bool = False) -> Iterator[Model]:
        """The models of one market, or of all, in the order of their files.

        Args:
            market: only its models.
            merged: also those that are now only another name of a model; their rows have no effect.
        """
        for name in self._stock.markets():
            if market in (None, name):
                for model_id in self._stock.ids(name):
                    model = self._stock.entry(name, model_id).model
                    if merged or model.merged_into is None:
                        yield model

    def model(self, name: str, *, market: str | None = None) -> Model | Miss:
        """The model that a name means."""
        resolved = self._lookup.resolve(name, market)
        return resolved if isinstance(resolved, Miss) else self._stock.entry(*resolved).model

    def row(self, entry: str) -> tuple[Model, Row] | None:
        """The price row of an id, as spans state it, and the model that it is of."""
        market, _, rest = entry.partition("/")
        name = rest.rpartition("@")[0]
        # The id of an upstream provider's row has the provider after the model.
        for model_id in (name, name.rpartition("/")[0]):
            if model_id in self._stock.ids(market):
                model = self._stock.entry(market, model_id).model
                if row := model.row_of(entry):
                    return model, row
        return None

    def find(
        self,
        model: str,
        *,
        market: str | None,
        at_ns: int,
        endpoint: str | None = None,
        conditions: Conditions = NO_CONDITIONS,
    ) -> Offer | Miss:
        """The price in force for a model at an instant.

        Args:
            model: the name that the call gave.
            market: who bills; None: decided from the model's name.
            at_ns: when the call ended, in Unix nanoseconds.
            endpoint: the upstream provider that served the call, by name, slug or an endpoint's
                tag. Its own price is taken where the catalog has one that is not older than the
                model's.
            conditions: what else a price may depend on.
        """
        if len(model) + len(endpoint or "") > LONGEST_REMEMBERED:
            return self._find(model, market, endpoint, conditions, at_ns)
        latest = self._latest(model, market, endpoint, conditions)
        answer = latest.answer
        if answer is None or not answer.valid_from_ns <= at_ns < answer.valid_until_ns:
            answer = latest.answer = self._find(model, market, endpoint, conditions, at_ns)
        return answer

    def _find(
        self,
        model: str,
        market: str | None,
        endpoint: str | None,
        conditions: Conditions,
        at_ns: int,
    ) -> Offer | Miss:
        resolved = self._lookup.resolve(model, market)
        if isinstance(resolved, Miss):
            return resolved
        entry = self._stock.entry(*resolved)
        upstream = upstream_key(endpoint) if endpoint else None
        known = entry.model
        in_force = entry.at(at_ns, upstream)
        row = in_force.row
        if row is None:
            return _no_price(in_force, known, "not_yet_priced", _first_price(entry))
        if row.status is not None:
            return _no_price(in_force, known, _NO_PRICE[row.status], row.reason or "")
        served = conditions.service_tier or ""
        tier = self._markets.tier_apart(known.market, served)
        if tier and not row.prices_apart("service_tier", served):  # an overlay may name it so
            stated = row.prices_apart("service_tier", tier) or not any(row.prices.values())
            if row.layer == 0 and not stated:
                detail = f"no source tells what it costs at the service tier {tier}"
                return _no_price(in_force, known, "suspect_price", detail)
            conditions = replace(conditions, service_tier=tier)
        region = conditions.region
        bound = self._markets.regional(known.market, known.id, region)
        if bound and region and row.layer == 0 and not row.prices_apart("region", region):
            if "multiply" not in bound:
                detail = f"no source tells what it costs in the region {region}"
                return _no_price(in_force, known, "suspect_price", detail)
            row = row.multiplied(Decimal(bound["multiply"]))
        discount = discount_at(self._discounts, known, upstream, at_ns)
        rates, *edges = row.rates_at(at_ns, conditions, discount.factor)
        base = in_force.model_row
        return Offer(
            market=known.market,
            model=known.id,
            endpoint=in_force.endpoint,
            # A discounted price is not the one that the row states: its id says who lowered it.
            entry="~".join((row.entry, *discount.overlays)),
            effective_from=row.effective_from,
            status="priced" if any(rate for band in rates.bands for rate in band) else "free",
            family=known.family,
            tier=known.tier or (self._tiers.tier_of(base.prices) if base else None),
            removed=known.removed,
            valid_from_ns=max(in_force.from_ns, discount.from_ns, edges[0]),
            valid_until_ns=min(in_force.until_ns, discount.until_ns, edges[1]),
            rates=rates,
            mixed_output=row.layer == 0 and self._markets.mixes_output(known.market, known.id),
            always_searches=row.layer == 0
            and bool(row.prices.get("web_search"))
            and not row.prices.get("request")
            and self._markets.always_searches(known.market, known.id),
        )

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
        """The cost of one call in Decimal USD, for people.

        Args:
            model: the name that the call gave.
            usage: what it consumed.
            at: when it ended; an aware datetime.
            market: who bills; None: decided from the model's name.
            endpoint: the upstream provider that served it.
            conditions: what else a price may depend on.

        Raises:
            ValueError: `at` has no time zone.
        """
        if at.tzinfo is None:
            raise ValueError(f"{at} has no time zone. Give an aware datetime: tzinfo=UTC")
        offer = self.find(
            model, market=market, at_ns=instant_of(at), endpoint=endpoint, conditions=conditions
        )
        if isinstance(offer, Miss):
            return self._unpriced(model, market, at, offer)
        charge = offer.charge(usage)
        if isinstance(charge, Miss):
            return self._unpriced(model, market, at, charge)
        return Quote(
            asked=model,
            at=at,
            version=self.version,
            status=offer.status,
            market=offer.market,
            model=offer.model,
            endpoint=offer.endpoint,
            total=charge.usd(charge.total),
            parts={name: charge.usd(value) for name, value in charge.parts},
            entry=offer.entry,
            effective_from=offer.effective_from,
            removed=offer.removed,
            tier=offer.tier,
            family=offer.family,
        )

    def _unpriced(self, asked: str, market: str | None, at: datetime, miss: Miss) -> Quote:
        return Quote(
            asked=asked,
            at=at,
            version=self.version,
            status="unpriced",
            market=miss.market or market,
            model=miss.model,
            family=miss.family,
            removed=miss.removed,
            reason=miss.reason,
            detail=miss.detail,
            closest=miss.closest,
        )


class _Latest:
    """The latest answer to one question; it holds for as long as it says."""

    __slots__ = ("answer",)

    def __init__(self, *_: object) -> None:
        self.answer: Offer | Miss | None = None


def _no_price(in_force: InForce, model: Model, reason: MissReason, detail: str) -> Miss:
    bounds = in_force.from_ns, in_force.until_ns
    return Miss(reason, detail, model.id, model.family, model.market, model.removed, *bounds)


def _first_price(entry: Entry) -> str:
    first = next((row for row in entry.timeline.rows if row is not None), None)
    return (
        f"its first price is of {first.effective_from}" if first else "it has no price of its own"
    )
