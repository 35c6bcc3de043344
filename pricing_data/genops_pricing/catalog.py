"""The catalog of prices: immutable, looked up by market, model and instant.

Joins the parts: `markets` tells who bills, `matching` which model is meant, `entries` which row is
in force, the row its rates. Does no I/O and reads no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Final

from .answers import NO_CONDITIONS, Conditions, Miss, MissReason, Offer, Quote
from .discounts import build_discount, discount_at
from .entries import Entry, InForce, Stated, build_entry
from .instants import instant_of, parse_instant
from .markets import Markets
from .matching import Ambiguous, Names
from .model import Model
from .shelf import Shelf
from .tiers import Tiers
from .units import Usage

__all__ = ["Catalog"]

Content = Mapping[str, Any]

# Names that calls gave are remembered with what they mean: some 200 bytes each. A name that is much
# longer than any id is looked up each time, so that no caller can fill the memory.
_REMEMBERED_NAMES: Final = 4096
_REMEMBERED_LENGTH: Final = 256
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
        self.released: Final[datetime] = parse_instant(content["released"])
        self._markets = Markets(content["markets"], content["vendor_prefixed"])
        self._tiers = Tiers(content["tiers"])
        self._models = models
        # What overlays state, by market and id.
        self._overlaid: dict[str, dict[str, list[Stated]]] = {}
        for layer, file in enumerate(overlays, start=1):
            for raw in file.get("models", ()):
                stated = Stated(layer, file["overlay"], file.get("author"), raw)
                overlaid = self._overlaid.setdefault(file["market"], {})
                overlaid.setdefault(raw["id"], []).append(stated)
        self._discounts = tuple(
            build_discount(overlay["overlay"], raw)
            for overlay in overlays
            for raw in overlay.get("discounts", ())
        )
        # Laid out when first asked for: a process sees few of the markets and models.
        self._names: dict[str, Names] = {}
        self._entries: dict[tuple[str, str], Entry] = {}
        self._remembered = lru_cache(_REMEMBERED_NAMES)(self._look_up)
        self._latest = lru_cache(_REMEMBERED_ANSWERS)(_Latest)

    def market_of(self, *, host: str | None, provider: str | None, model: str | None) -> str | None:
        """Who bills a call: by server host, then provider name, then a vendor-prefixed model id.

        Returns:
            The id of the market; None where nothing tells.
        """
        return self._markets.market_of(host=host, provider=provider, model=model)

    @property
    def markets(self) -> tuple[str, ...]:
        """The ids of all markets that a call can be told to belong to."""
        return self._markets.ids

    def models(self, market: str | None = None) -> Iterator[Model]:
        """The models of one market, or of all, in the order of their files."""
        for name in dict.fromkeys((*self._models.markets(), *self._overlaid)):
            if market in (None, name):
                for model_id in self._ids(name):
                    yield self._entry(name, model_id).model

    def model(self, name: str, *, market: str | None = None) -> Model | Miss:
        """The model that a name means."""
        resolved = self._resolve(name, market)
        return resolved if isinstance(resolved, Miss) else self._entry(*resolved).model

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
            endpoint: the upstream provider that served the call, by name or slug. Its own price
                is taken where the catalog has one that is not older than the model's.
            conditions: what else a price may depend on.
        """
        if len(model) + len(endpoint or "") > _REMEMBERED_LENGTH:
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
        resolved = self._resolve(model, market)
        if isinstance(resolved, Miss):
            return resolved
        entry = self._entry(*resolved)
        slug = endpoint.lower().replace(" ", "-") if endpoint else None
        known = entry.model
        in_force = entry.at(at_ns, slug)
        row = in_force.row
        if row is None:
            return _no_price(in_force, known, "not_yet_priced", _first_price(entry))
        if row.status is not None:
            return _no_price(in_force, known, _NO_PRICE[row.status], row.reason or "")
        discount = discount_at(self._discounts, known, slug, at_ns)
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

    def _entry(self, market: str, model_id: str) -> Entry:
        key = (market, model_id)
        if key not in self._entries:
            stated = self._overlaid.get(market, {}).get(model_id, ())
            if key in self._models:
                stated = (Stated(0, None, *self._models.read(market, model_id)), *stated)
            self._entries[key] = build_entry(market, stated)
        return self._entries[key]

    def _ids(self, market: str) -> Iterable[str]:
        return dict.fromkeys((*self._models.ids(market), *self._overlaid.get(market, ())))

    def _spellings(self, market: str) -> dict[str, str]:
        """Aliases of the models of a market: id by alias, those of later files last."""
        aliases = dict(self._models.aliases(market))
        for model_id, stated in self._overlaid.get(market, {}).items():
            for file in stated:
                aliases.update(dict.fromkeys(file.raw.get("aliases", ()), model_id))
        return aliases

    def _resolve(self, name: str, market: str | None) -> tuple[str, str] | Miss:
        if len(name) > _REMEMBERED_LENGTH:
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
        if market not in self._models.markets() and market not in self._overlaid:
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
            self._names[market] = Names(
                self._ids(market), self._spellings(market), prefixes, self._makers
            )
        return self._names[market]

    @cached_property
    def _makers(self) -> frozenset[str]:
        """The authors that the ids of the market of all vendors begin with, and of overlays."""
        prefixed = self._ids(self._markets.vendor_prefixed)
        overlaid = (
            file.author
            for models in self._overlaid.values()
            for stated in models.values()
            for file in stated
        )
        return frozenset(
            (*(model_id.partition("/")[0] for model_id in prefixed), *filter(None, overlaid))
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
