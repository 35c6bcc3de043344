"""Decide what is added to a span: its cost and where the price comes from, or why there is none.

Pure: a span's bytes in, the bytes to append out. Reads no clock; a call is priced at the instant
at which it ended, whenever that was. Which attributes mean what is known to `decode`, which price
holds to `genops_pricing`, and what becomes of the counts to the stage around this.

Everything about a model at a place that does not change from call to call is worked out once and
kept with the interval in which it holds, its constant attributes already encoded. What is left per
call is its counts, one exact sum, and the packing of a few numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from genops_enricher.config.model import AttributionRule
from genops_enricher.decode.lens import DecodeError, parse_resource, parse_span
from genops_enricher.decode.llm_call import (
    IDENTITY_NAMES,
    CallIdentity,
    Kind,
    ended_early,
    has_usage,
    read_identity,
    read_reported_cost,
    read_usage,
)
from genops_enricher.decode.values import as_text
from genops_enricher.enrich.attributes import (
    COST_PARTS,
    double_attribute,
    int_attribute,
    text_attribute,
)
from genops_pricing import Catalog, Charge, Conditions, Miss, Offer, Usage

__all__ = ["ALREADY_ENRICHED", "NOT_LLM", "Enricher", "Outcome", "Status"]


class Status(StrEnum):
    """What became of a span; the sum over these is the number of spans received."""

    PRICED = "priced"
    FREE = "free"
    UNPRICED = "unpriced"
    NOT_LLM = "not_llm"
    ALREADY_ENRICHED = "already_enriched"


class Outcome(NamedTuple):
    """The answer for one span."""

    status: Status
    reason: str = ""  # why a span is unpriced
    addition: bytes = b""  # serialized attributes to append to the span
    unknown_in: str | None = None  # the market in which the model is unknown
    drift: bool = False  # a cost was reported that can't be right


NOT_LLM = Outcome(Status.NOT_LLM)
ALREADY_ENRICHED = Outcome(Status.ALREADY_ENRICHED)

_NO_MODEL = Miss(reason="no_model", detail="the span names no model")
_UNKNOWN_MODEL = Miss(reason="unknown_model", detail="the name is too long for a model's")
_STATUS_CODE_ERROR = 2  # opentelemetry.proto.trace.v1.Status.StatusCode

# Models are named by callers: neither a flood of names nor long ones may grow memory or take time.
_PLACES_MAX = 4096
_KEPT_BYTES_MAX = 1024
_MODEL_CHARACTERS_MAX = 256


class _Block:
    """Attributes that are the same for many spans, encoded once."""

    __slots__ = ("_joined", "_pieces")

    def __init__(self, texts: Iterable[tuple[str, str | None]]) -> None:
        self._pieces = {name: text_attribute(name, text) for name, text in texts if text}
        self._joined = b"".join(self._pieces.values())

    def missing_from(self, attributes: Mapping[str, bytes]) -> bytes:
        """The block, without what the span has already."""
        for name in self._pieces:
            if name in attributes:
                return b"".join(p for name, p in self._pieces.items() if name not in attributes)
        return self._joined


class _Price:
    """The answer of the catalog for a place, while it holds."""

    __slots__ = ("_blocks", "_version", "found", "from_ns", "is_free", "until_ns")

    def __init__(self, found: Offer | Miss, version: str) -> None:
        self.found = found
        self.from_ns, self.until_ns = found.valid_from_ns, found.valid_until_ns
        self.is_free = isinstance(found, Offer) and found.status == "free"
        self._version = version
        self._blocks: dict[tuple[str, Status, bool], _Block] = {}

    def block(self, source: str, status: Status, *, used: bool) -> _Block:
        """What stands beside the numbers; `used`: a cost was computed from this price."""
        block = self._blocks.get((source, status, used))
        if block is None:
            block = self._blocks[source, status, used] = self._encode(source, status, used=used)
        return block

    def _encode(self, source: str, status: Status, *, used: bool) -> _Block:
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
        return _Block(texts)


class _Place:
    """A model at a market: what the catalog is asked for, and its latest answer."""

    __slots__ = ("identity", "market", "model", "named", "price")

    def __init__(self, identity: CallIdentity, market: str | None) -> None:
        self.identity = identity
        self.market = market
        self.model = identity.response_model or identity.request_model
        self.named = _Block(
            [
                ("genops.provider", identity.provider or market),
                ("genops.model", identity.request_model or identity.response_model),
            ]
        )
        self.price: _Price | None = None


class Enricher:
    """Prices spans from one catalog. Safe for use by several threads."""

    def __init__(self, catalog: Catalog, attribution: Sequence[AttributionRule] = ()) -> None:
        self._catalog = catalog
        self._attribution = attribution
        self._places: dict[tuple[bytes | None, ...], _Place] = {}
        self._unpriced: dict[str, _Block] = {}

    @property
    def catalog(self) -> Catalog:
        """The catalog that prices."""
        return self._catalog

    def enrich(self, span: bytes, resource: bytes = b"") -> Outcome:
        """What is to be appended to `span`, a serialized Span of the serialized `resource`.

        A span that can't be parsed is passed on as it is: it is the receiver's neighbour, not ours
        to judge.
        """
        try:
            lens = parse_span(span)
        except DecodeError:
            return NOT_LLM
        attributes = lens.attributes
        if "genops.pricing.version" in attributes:
            return ALREADY_ENRICHED

        place = self._place(attributes)
        identity = place.identity
        kind = identity.kind
        if kind is Kind.OTHER:
            return NOT_LLM
        if kind is Kind.UNSTATED and not (place.model and has_usage(attributes)):
            return NOT_LLM
        if kind is Kind.AGGREGATE and not has_usage(attributes):
            return NOT_LLM

        common = place.named.missing_from(attributes)
        if self._attribution:
            common += self._attributed(attributes, resource)
        if kind is Kind.AGGREGATE:
            return self._without_price("aggregate", attributes, common)

        usage = read_usage(attributes, kind)
        if isinstance(usage, Usage):
            common += _missing_tokens(attributes, usage)
        if "genops.cost.total" in attributes:
            return self._without_price("foreign_cost", attributes, common)

        price = self._price(place, lens.end_time_unix_nano or lens.start_time_unix_nano)
        charge = _charge(price, usage)
        unknown_in = None
        if isinstance(price.found, Miss) and price.found.reason == "unknown_model":
            unknown_in = place.market or ""

        reported = read_reported_cost(attributes)
        drift = False
        if reported == 0 and not price.is_free:
            failed = any(status.code == _STATUS_CODE_ERROR for status in lens.status)
            if not _may_cost_nothing(usage, ended_early=failed or ended_early(attributes)):
                reported, drift = None, True

        computed = charge.total / charge.divisor if isinstance(charge, Charge) else None
        total = computed if reported is None else reported
        if total is None:
            outcome = self._without_price(str(charge), attributes, common)
            return outcome._replace(unknown_in=unknown_in, drift=drift)
        source = "computed" if reported is None else "reported"
        status = Status.FREE if price.is_free and total == 0 else Status.PRICED
        block = price.block(source, status, used=computed is not None)
        numbers = [("genops.cost.total", total)]
        if isinstance(charge, Charge):
            numbers += _split(charge)
        if computed is not None and reported is not None:
            numbers.append(("genops.cost.estimated", computed))
        addition = common + block.missing_from(attributes) + _doubles(attributes, numbers)
        return Outcome(status, "", addition, unknown_in, drift)

    def _place(self, attributes: Mapping[str, bytes]) -> _Place:
        # `in` and `[]` are C here, `.get` is a Python method of the mapping: half the time.
        key = tuple([attributes[n] if n in attributes else None for n in IDENTITY_NAMES])  # noqa: SIM401
        place = self._places.get(key)
        if place is None:
            identity = read_identity(attributes)
            market = self._catalog.market_of(
                host=identity.host or None,
                provider=identity.provider or None,
                model=identity.response_model or identity.request_model or None,
            )
            place = _Place(identity, market)
            if len(self._places) >= _PLACES_MAX:
                self._places.clear()  # rebuilt in microseconds each; simpler than an order of use
            if sum(len(value) for value in key if value) <= _KEPT_BYTES_MAX:
                self._places[key] = place
        return place

    def _price(self, place: _Place, at_ns: int) -> _Price:
        price = place.price
        if price is None or not price.from_ns <= at_ns < price.until_ns:
            found: Offer | Miss
            if not place.model:
                found = _NO_MODEL
            elif len(place.model) > _MODEL_CHARACTERS_MAX:
                found = _UNKNOWN_MODEL
            else:
                found = self._catalog.find(
                    place.model,
                    market=place.market,
                    endpoint=place.identity.endpoint or None,
                    at_ns=at_ns,
                    conditions=Conditions(service_tier=place.identity.service_tier or None),
                )
            price = place.price = _Price(found, self._catalog.version)
        return price

    def _without_price(
        self, reason: str, attributes: Mapping[str, bytes], common: bytes
    ) -> Outcome:
        block = self._unpriced.get(reason)
        if block is None:
            block = self._unpriced[reason] = _Block(
                [
                    ("genops.cost.status", Status.UNPRICED),
                    ("genops.cost.unpriced_reason", reason),
                    ("genops.pricing.version", self._catalog.version),
                ]
            )
        return Outcome(Status.UNPRICED, reason, common + block.missing_from(attributes))

    def _attributed(self, attributes: Mapping[str, bytes], resource: bytes) -> bytes:
        """The attributes that the operator's attribution table derives from others."""
        of_resource: Mapping[str, bytes] | None = None
        out = b""
        for rule in self._attribution:
            if rule.target in attributes:
                continue
            for source in rule.sources:
                if source.startswith("resource:"):
                    if of_resource is None:
                        of_resource = _resource_attributes(resource)
                    text = as_text(of_resource.get(source.removeprefix("resource:")))
                else:
                    text = as_text(attributes.get(source))
                if text:
                    out += text_attribute(rule.target, text)
                    break
        return out


def _charge(price: _Price, usage: Usage | str) -> Charge | str:
    """What the usage costs, or the reason why that is not known."""
    if isinstance(price.found, Miss):
        return price.found.reason
    if isinstance(usage, str):
        return usage
    charge = price.found.charge(usage)
    return charge.reason if isinstance(charge, Miss) else charge


def _may_cost_nothing(usage: Usage | str, *, ended_early: bool) -> bool:
    """Whether a reported 0 for a model that is not free has a reason.

    Without one it is not believed, because a 0 is also what many writers put for "unknown".
    Source: OpenRouter documentation, "Zero Completion Insurance".
    """
    if isinstance(usage, str) or usage.output:
        return False
    return ended_early or not usage.input


def _split(charge: Charge) -> list[tuple[str, float]]:
    divisor = charge.divisor
    return [(COST_PARTS[part], value / divisor) for part, value in charge.parts]


def _doubles(attributes: Mapping[str, bytes], numbers: Iterable[tuple[str, float]]) -> bytes:
    return b"".join([double_attribute(n, v) for n, v in numbers if n not in attributes])


def _missing_tokens(attributes: Mapping[str, bytes], usage: Usage) -> bytes:
    counts = (
        ("genops.tokens.input", usage.input),
        ("genops.tokens.output", usage.output),
        ("genops.tokens.total", usage.input + usage.output),
    )
    return b"".join([int_attribute(n, v) for n, v in counts if n not in attributes])


def _resource_attributes(resource: bytes) -> Mapping[str, bytes]:
    try:
        return parse_resource(resource)
    except DecodeError:
        return {}
