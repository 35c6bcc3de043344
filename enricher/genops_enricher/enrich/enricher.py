"""Decide what is added to a span: its cost and where the price comes from, or why there is none.

Pure: a span's bytes in, the bytes to append out. Reads no clock; a call is priced at the instant
at which it ended, whenever that was. Which attributes mean what is known to `decode`, which price
holds to `genops_pricing`, and what becomes of the counts to the stage around this.

What does not change from call to call is kept by `places`. What is left per call is its counts, one
exact sum, and the packing of a few numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from genops_enricher.config.model import AttributionRule, Vocabulary
from genops_enricher.decode.call import Kind
from genops_enricher.decode.lens import DecodeError, SpanPosition, parse_span
from genops_enricher.decode.plan import Plans
from genops_enricher.enrich.attributes import (
    ATTRIBUTES,
    COST_PARTS,
    double_attribute,
    int_attribute,
    text_attribute,
)
from genops_enricher.enrich.attribution import attributed
from genops_enricher.enrich.block import Block
from genops_enricher.enrich.places import Places, Price
from genops_enricher.enrich.status import Status
from genops_enricher.enrich.vocabularies import vocabulary_aliases, vocabulary_attributes
from genops_enricher.spend.drift import Audit
from genops_pricing import Catalog, Charge, Miss, Offer, Usage

__all__ = ["NOT_LLM", "Enricher", "Outcome"]


class Outcome(NamedTuple):
    """The answer for one span."""

    status: Status
    reason: str = ""  # why a span is unpriced
    addition: bytes = b""  # serialized attributes to append to the span
    texts_size: int = 0  # of the first part of the addition, which is the same for many spans
    labels: tuple[bytes | None, ...] = ()  # the values that the span has of the labels
    usage: Usage | None = None  # what a call consumed, as far as it says so
    total: float | None = None  # genops.cost.total
    unknown_in: str | None = None  # the market in which the model is unknown
    drift: bool = False  # a cost was reported that can't be right
    position: SpanPosition | None = None  # None: it has nothing to do with the cost of others
    response_id: str = ""  # of a call
    is_call: bool = False  # a single inference or embedding, which other spans may tell of too
    is_reported: bool = False  # the total is the provider's own figure
    audit: Audit | None = None  # where a cost is both reported and computed


NOT_LLM = Outcome(Status.NOT_LLM)

_OWN = frozenset(attribute.name for attribute in ATTRIBUTES)
_NOTHING: Mapping[str, bytes] = {}

# With a provider key of one's own OpenRouter charges 5 % of what the provider bills, and nothing
# else. Where an emitter copies that as the cost and can't say so, it is not believed.
# Source: OpenRouter documentation, BYOK.
_FEE_LOW, _FEE_HIGH = 0.049, 0.051

_STATUS_CODE_ERROR = 2  # opentelemetry.proto.trace.v1.Status.StatusCode


class Enricher:
    """Prices spans from one catalog. Safe for use by several threads."""

    def __init__(
        self,
        catalog: Catalog,
        attribution: Sequence[AttributionRule] = (),
        vocabularies: Sequence[Vocabulary] = (),
        labels: Sequence[str] = (),
    ) -> None:
        """Price spans.

        Args:
            catalog: the prices.
            attribution: fills governance attributes from others.
            vocabularies: the names of other tools to write beside ours.
            labels: the attributes whose values `Outcome.labels` is to hold.
        """
        self.aliases = vocabulary_aliases(vocabularies)
        """What is written in the names of others."""
        self._labels = labels
        self._catalog = catalog
        self._attribution = attribution
        self._plans = Plans(_OWN)
        self._places = Places(catalog)
        self._unpriced: dict[str, Block] = {}

    @property
    def catalog(self) -> Catalog:
        """The catalog that prices."""
        return self._catalog

    def enrich(
        self,
        span: bytes,
        resource: bytes = b"",
        *,
        duplicate_of: bytes = b"",
        as_call: bool = False,
    ) -> Outcome:
        """What is to be appended to `span`, a serialized Span of the serialized `resource`.

        A span that can't be parsed is passed on as it is: it is the receiver's neighbour, not ours
        to judge.

        Args:
            span: the serialized Span.
            resource: the serialized Resource that it belongs to.
            duplicate_of: trace id and span id of another span, which has the cost of this call.
            as_call: price an aggregate, because nothing else tells of its calls.
        """
        try:
            lens = parse_span(span)
        except DecodeError:
            return NOT_LLM
        attributes = lens.attributes
        plan = self._plans.of(attributes)
        present = attributes if plan.has_own else _NOTHING  # of what may be added
        if "genops.pricing.version" in present:
            has_cost = "genops.cost.total" in present
            if not has_cost:
                return Outcome(Status.ALREADY_ENRICHED)
            return Outcome(
                Status.ALREADY_ENRICHED,
                position=SpanPosition.of(lens),
                response_id=plan.response_id(attributes)[0],
                is_call=True,
            )

        place = self._places.of(plan, attributes)
        kind = place.identity.kind
        if kind is Kind.OTHER or kind is Kind.TOOL:
            return NOT_LLM
        response_id, is_part_of_call = plan.response_id(attributes)
        if is_part_of_call:
            kind = Kind.AGGREGATE
        if kind is Kind.UNSTATED and not (place.model and plan.states_usage):
            return NOT_LLM
        if kind is Kind.AGGREGATE and not plan.states_usage:
            return NOT_LLM

        common = place.named.missing_from(present)
        if self._attribution:
            common += attributed(self._attribution, attributes, resource)
        if duplicate_of:
            common += text_attribute("genops.cost.duplicate_of", _ids(duplicate_of))
            return self._without_price("duplicate", attributes, common)
        is_call = kind is not Kind.AGGREGATE
        if not (is_call or as_call):
            outcome = self._without_price("aggregate", attributes, common)
            return outcome._replace(position=SpanPosition.of(lens))

        usage, report, tells_output = plan.read(attributes, place.identity, place.market)
        if "genops.cost.total" in present:
            outcome = self._without_price("foreign_cost", attributes, common, usage)
            return outcome._replace(position=SpanPosition.of(lens), is_call=is_call)

        at_ns = lens.end_time_unix_nano or lens.start_time_unix_nano
        price = self._places.price(place, at_ns)
        if report is not None and report.total == 0 and not price.is_free:
            price = self._places.asked_for_free(place, price, at_ns)
        charge = _charge(price, usage, tells_output=tells_output)
        unknown_in = None
        if isinstance(price.found, Miss) and price.found.reason == "unknown_model":
            unknown_in = place.market or ""

        computed = charge.total / charge.divisor if isinstance(charge, Charge) else None
        drift = False
        if report is not None and report.total == 0 and not price.is_free:
            failed = any(status.code == _STATUS_CODE_ERROR for status in lens.status)
            early = failed or plan.ended_early(attributes, kind)
            drift = not _may_cost_nothing(usage, ended_early=early)
        elif report is not None and report.may_be_fee and computed:
            drift = _FEE_LOW < report.total / computed < _FEE_HIGH
        if drift:
            report = None
        if report is None and isinstance(usage, Usage) and not (usage.input or usage.output):
            # What emitters write where they know of no counts: every call consumes something.
            usage = charge = "no_usage"
            computed, drift = None, False

        reported = None if report is None else report.total
        total = computed if reported is None else reported
        if total is None:
            outcome = self._without_price(str(charge), attributes, common, usage)
            return outcome._replace(
                unknown_in=unknown_in,
                drift=drift,
                position=SpanPosition.of(lens),
                response_id=response_id if is_call else "",
                is_call=is_call,
            )
        source = "computed" if reported is None else "reported"
        status = Status.FREE if price.is_free and total == 0 else Status.PRICED
        block = price.block(source, status, used=computed is not None)
        numbers = [("genops.cost.total", total)]
        if isinstance(charge, Charge):
            numbers += _split(charge)
        if computed is not None and reported is not None:
            numbers.append(("genops.cost.estimated", computed))
        audit = None
        if computed is not None and report is not None and isinstance(price.found, Offer):
            audit = Audit(price.found.market, price.found.model, report.comparable, computed)
        texts = common + block.missing_from(present)
        counts = usage if isinstance(usage, Usage) else None
        addition = texts + _missing_tokens(present, counts) + _doubles(present, numbers)
        return Outcome(
            status,
            "",
            addition + self._in_other_words(attributes, addition, counts),
            len(texts),
            self._label_values(attributes),
            counts,
            total,
            unknown_in=unknown_in,
            drift=drift,
            position=SpanPosition.of(lens),
            response_id=response_id if is_call else "",
            is_call=is_call,
            is_reported=reported is not None,
            audit=audit,
        )

    def _without_price(
        self,
        reason: str,
        attributes: Mapping[str, bytes],
        common: bytes,
        usage: Usage | str | None = None,
    ) -> Outcome:
        block = self._unpriced.get(reason)
        if block is None:
            block = self._unpriced[reason] = Block(
                [
                    ("genops.cost.status", Status.UNPRICED),
                    ("genops.cost.unpriced_reason", reason),
                    ("genops.pricing.version", self._catalog.version),
                ]
            )
        texts = common + block.missing_from(attributes)
        counts = usage if isinstance(usage, Usage) else None
        addition = texts + _missing_tokens(attributes, counts)
        return Outcome(
            Status.UNPRICED,
            reason,
            addition + self._in_other_words(attributes, addition, counts),
            len(texts),
            self._label_values(attributes),
            counts,
        )

    def _in_other_words(
        self, attributes: Mapping[str, bytes], addition: bytes, counts: Usage | None
    ) -> bytes:
        if not self.aliases:
            return b""
        return vocabulary_attributes(self.aliases, attributes, addition, counts)

    def _label_values(self, attributes: Mapping[str, bytes]) -> tuple[bytes | None, ...]:
        # `in` and `[]` are C here, `.get` is a Python method of the mapping: half the time.
        return tuple([attributes[n] if n in attributes else None for n in self._labels])  # noqa: SIM401


def _ids(span: bytes) -> str:
    return f"{span[:16].hex()}:{span[16:].hex()}"


def _charge(price: Price, usage: Usage | str, *, tells_output: bool) -> Charge | str:
    """What the usage costs, or the reason why that is not known."""
    if isinstance(price.found, Miss):
        return price.found.reason
    if isinstance(usage, str):
        return usage
    if price.found.mixed_output and usage.output and not tells_output:
        return "suspect_price"
    if price.found.always_searches and not usage.web_searches:
        return "suspect_price"
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


def _missing_tokens(attributes: Mapping[str, bytes], usage: Usage | None) -> bytes:
    if usage is None:
        return b""
    counts = (
        ("genops.tokens.input", usage.input),
        ("genops.tokens.output", usage.output),
        ("genops.tokens.total", usage.input + usage.output),
    )
    return b"".join([int_attribute(n, v) for n, v in counts if n not in attributes])
