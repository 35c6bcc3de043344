"""What is known of a model at a place, kept from call to call: the market, and the price in force.

Everything about a model at a place that does not change from call to call is worked out once and
kept with the interval in which it holds, its attributes already encoded.
"""

from __future__ import annotations

from collections.abc import Mapping

from genops_enricher.decode.call import CallIdentity
from genops_enricher.decode.dialects import PROVIDERS
from genops_enricher.decode.plan import Plan
from genops_enricher.enrich.block import Block
from genops_enricher.enrich.status import Status
from genops_pricing import Catalog, Conditions, Miss, Offer

__all__ = ["Place", "Places", "Price"]

_NO_MODEL = Miss(reason="no_model", detail="the span names no model")
_UNKNOWN_MODEL = Miss(reason="unknown_model", detail="the name is too long for a model's")

# Models are named by callers: neither a flood of names nor long ones may grow memory or take time.
_PLACES_MAX = 4096
_KEPT_BYTES_MAX = 1024
_MODEL_CHARACTERS_MAX = 256

# Instrumentations of the OpenAI SDK name OpenAI as provider whoever they call. Where they do not
# say the host either, a model named `author/model`, which OpenAI has not, tells that it is another.
_DEFAULT_PROVIDER = "openai"

# The market of whom the catalog does not know. It has no prices but those of an operator's overlay.
_ELSEWHERE = "openai_compatible"


class Price:
    """The answer of the catalog for a place, while it holds."""

    __slots__ = ("_blocks", "_version", "found", "from_ns", "is_free", "until_ns")

    def __init__(self, found: Offer | Miss, version: str) -> None:
        self.found = found
        self.from_ns, self.until_ns = found.valid_from_ns, found.valid_until_ns
        self.is_free = isinstance(found, Offer) and found.status == "free"
        self._version = version
        self._blocks: dict[tuple[str, Status, bool], Block] = {}

    def block(self, source: str, status: Status, *, used: bool) -> Block:
        """What stands beside the numbers; `used`: a cost was computed from this price."""
        block = self._blocks.get((source, status, used))
        if block is None:
            block = self._blocks[source, status, used] = self._encode(source, status, used=used)
        return block

    def _encode(self, source: str, status: Status, *, used: bool) -> Block:
        texts: list[tuple[str, str | None]] = [
            ("genops.cost.currency", "USD"),
            ("genops.cost.source", source),
            ("genops.cost.status", status),
            ("genops.pricing.version", self._version),
        ]
        if isinstance(self.found, Offer):
            texts += [
                ("genops.model_family", self.found.family),
                ("genops.model_tier", self.found.tier),
            ]
            if used:
                texts += [
                    ("genops.pricing.entry", self.found.entry),
                    ("genops.pricing.effective_from", self.found.effective_from),
                ]
        return Block(texts)


class Place:
    """A model at a market: what the catalog is asked for, and its latest answer."""

    __slots__ = ("conditions", "identity", "market", "model", "named", "price")

    def __init__(
        self,
        identity: CallIdentity,
        market: str | None,
        provider: str | None,
        conditions: Conditions,
    ) -> None:
        self.identity = identity
        self.market = market
        self.conditions = conditions
        self.model = identity.response_model or identity.request_model
        self.named = Block(
            [
                ("genops.provider", provider),
                ("genops.model", identity.request_model or identity.response_model),
            ]
        )
        self.price: Price | None = None


class Places:
    """The places seen so far and their prices. Safe for use by several threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._places: dict[tuple[Plan, tuple[bytes | str, ...]], Place] = {}

    def of(self, plan: Plan, attributes: Mapping[str, bytes]) -> Place:
        """The place that a span tells of; `plan` is the one for its shape."""
        values = plan.identity_values(attributes)
        key = (plan, values)
        place = self._places.get(key)
        if place is None:
            place = self._locate(plan.identity(attributes))
            if len(self._places) >= _PLACES_MAX:
                self._places.clear()  # rebuilt in microseconds each; simpler than an order of use
            if sum(map(len, values)) <= _KEPT_BYTES_MAX:
                self._places[key] = place
        return place

    def _locate(self, identity: CallIdentity) -> Place:
        """Find who bills: by the host, else the provider, else what the model's name tells.

        A provider or host that is named and not known has prices of its own, if any. `author/model`
        does not make it OpenRouter's: so Hugging Face names what runs on anybody's server.
        `openrouter/author/model` does.
        """
        market_of = self._catalog.market_of
        model = identity.response_model or identity.request_model or None
        of_model = market_of(host=None, provider=None, model=model)
        of_host = market_of(host=identity.host, provider=None, model=None)
        of_provider = None
        elsewhere = _ELSEWHERE if identity.provider or identity.host else None
        # The AI SDK adds a dot and the API that was called.
        is_default = identity.provider.partition(".")[0] == _DEFAULT_PROVIDER
        if is_default and of_model and not identity.host:
            elsewhere = None
        else:
            for name in _spellings(identity.provider):
                of_provider = of_provider or market_of(host=None, provider=name, model=None)
        market = of_host or of_provider or self._named_by_model(identity) or elsewhere or of_model
        # The provider by the name that the span gives it, unless that is not who was called.
        is_named = market in (of_provider, elsewhere)
        conditions = Conditions(
            service_tier=identity.service_tier or None,
            region=identity.region or self._catalog.region_of(market=market, host=identity.host),
        )
        return Place(identity, market, identity.provider if is_named else market, conditions)

    def _named_by_model(self, identity: CallIdentity) -> str | None:
        """The market whose name stands before a model as before any model of that market."""
        for model in (identity.response_model, identity.request_model):
            prefix = model.partition("/")[0]
            of_model = self._catalog.market_of(host=None, provider=None, model=model)
            if of_model and of_model == self._catalog.market_of(
                host=None, provider=prefix, model=None
            ):
                return of_model
        return None

    def price(self, place: Place, at_ns: int) -> Price:
        """The price in force at `at_ns`, in nanoseconds since the epoch."""
        price = place.price
        if price is None or not price.from_ns <= at_ns < price.until_ns:
            found = self._find(place, place.model, at_ns)
            price = place.price = Price(found, self._catalog.version)
        return price

    def asked_for_free(self, place: Place, price: Price, at_ns: int) -> Price:
        """The price of the free variant that was asked for, if `price` is that of its base.

        Some name what answered by its base, or by the slug that all variants of a model share.
        Which of them it was only the bill tells: this is for calls that were billed 0.
        """
        asked = self._find(place, place.identity.request_model, at_ns)
        if (
            isinstance(asked, Offer)
            and isinstance(price.found, Offer)
            and asked.status == "free"
            and asked.model.rpartition(":")[0] == price.found.model
        ):
            return Price(asked, self._catalog.version)
        return price

    def _find(self, place: Place, model: str, at_ns: int) -> Offer | Miss:
        if not model:
            return _NO_MODEL
        if len(model) > _MODEL_CHARACTERS_MAX:
            return _UNKNOWN_MODEL
        return self._catalog.find(
            model,
            market=place.market,
            endpoint=place.identity.endpoint or None,
            at_ns=at_ns,
            conditions=place.conditions,
        )


def _spellings(provider: str) -> list[str]:
    """The provider, and without the words behind a dot: the AI SDK names `openai.chat`."""
    words = provider.split(".")[:4]
    names = [".".join(words[:n]) for n in range(len(words), 0, -1)]
    return [PROVIDERS.get(name, name) for name in names if name]
