"""What a dialect is: the names under which one family of emitters writes about LLM calls.

A dialect is data. Adding one is adding a few lines to the table in `dialects`; how the table is
read is decided in `plan`.

Counts are fields of `Usage`, and some that are told apart only here because they are written beside
the whole instead of inside it: `cache_read_apart` and `cache_write_apart` are no part of the stated
input, `reasoning_apart` is none of the stated output, and `cache_write_5m` and `cache_write_1h`
make up the tokens written where nothing else says how many these were. `total` tells whether parts
are really apart. `input_besides` and `output_besides` are of work that the stated counts leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from genops_enricher.decode.call import Kind

__all__ = ["Cost", "Dialect", "Document", "KindRule"]


@dataclass(frozen=True, slots=True)
class KindRule:
    """An attribute whose value says what the span is.

    Attributes:
        name: of the attribute.
        kinds: what its values mean; in lower case.
        default: what every other value means.
        last_word: compare only what stands behind the last dot.
    """

    name: str
    kinds: Mapping[str, Kind]
    default: Kind = Kind.OTHER
    last_word: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """Where the cost stands that the provider reported: an attribute, or a path in a document.

    Attributes:
        amount: USD.
        upstream: USD that the upstream provider bills; with a key of one's own it comes on top.
        byok: whether a key of one's own was used.
        only_if: an attribute and the value that it must have for the amount to be the provider's.
        currency: the attribute that says in which currency it is; in USD if it is absent.
        unless: an attribute whose presence says that the emitter reckoned the amount itself.
        only_on: the market for which the amount is the provider's; for others it is an estimate.
    """

    amount: str
    upstream: str = ""
    byok: str = ""
    only_if: tuple[str, str] | None = None
    currency: str = ""
    unless: str = ""
    only_on: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes or paths that it is made of."""
        condition = self.only_if[0] if self.only_if else ""
        return tuple(
            name
            for name in (
                self.amount,
                self.upstream,
                self.byok,
                condition,
                self.currency,
                self.unless,
            )
            if name
        )


@dataclass(frozen=True, slots=True)
class Document:
    """An attribute that holds a JSON object as text.

    Attributes:
        name: of the attribute.
        counts: path in the object, its keys joined by `/`, and the count that stands there.
        cost: where in the object the reported cost is.
        service_tier: paths to the tier that served the call; the first counts that says other than
            that it was an ordinary one.
        region: path to the region that the call was bound to.
        python: the text is Python's notation of a dictionary.
    """

    name: str
    counts: Mapping[str, str] = field(default_factory=dict)
    cost: Cost | None = None
    service_tier: tuple[str, ...] = ()
    region: str = ""
    python: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one family of emitters writes. Of several names for one thing the first counts.

    Attributes:
        title: who writes so.
        source: where that is documented, or which code was read.
        marks: attributes of which one must be there for the dialect to apply; none: it always does.
        kinds: what says whether the span is a call.
        kind: what the span is if one of the marks is there.
        provider: who was called.
        provider_is: who was called whenever the dialect applies, whatever else is said.
        provider_prefix: attributes whose text up to the first `/` says who was called.
        asked: the model that was asked for.
        served: the model that answered.
        host: the host called, or its URL.
        endpoint: who served the call behind a router.
        service_tier: as served.
        counts: attribute and the count that it states.
        documents: attributes to be taken apart.
        costs: where a cost stands that the provider reported.
        estimates: where the emitter writes a cost of its own reckoning. These are never read.
        ids: the id of the response.
        exclusive_for: the provider for which cached tokens come beside the input.
        note: what else a user should know.
    """

    title: str
    source: str
    marks: tuple[str, ...] = ()
    kinds: tuple[KindRule, ...] = ()
    kind: Kind | None = None
    provider: tuple[str, ...] = ()
    provider_is: str = ""
    provider_prefix: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    served: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()
    service_tier: tuple[str, ...] = ()
    counts: Mapping[str, str] = field(default_factory=dict)
    documents: tuple[Document, ...] = ()
    costs: tuple[Cost, ...] = ()
    estimates: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    exclusive_for: str = ""
    note: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Every attribute that is looked at."""
        return frozenset(
            (
                *self.marks, *(rule.name for rule in self.kinds), *self.provider,
                *self.provider_prefix, *self.asked, *self.served, *self.host, *self.endpoint,
                *self.service_tier, *self.counts, *(d.name for d in self.documents),
                *(name for cost in self.costs for name in cost.names), *self.ids,
            )
        )  # fmt: skip
