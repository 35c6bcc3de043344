"""How spans of one shape are read: which of the known names to look at, and in which order.

The shape of a span is the set of known names that it has. An emitter's spans have few shapes, so
what follows from the table of dialects is worked out once for each and kept, and per span only
names that are there are touched. JSON is parsed only where it can say what nothing else says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from genops_enricher.decode.call import Call, CallIdentity, Kind, Reported
from genops_enricher.decode.counts import APART, TOLD_APART, WHOLES, inclusive, usage_of
from genops_enricher.decode.dialect import Cost, Dialect, Document
from genops_enricher.decode.dialects import DIALECTS, NO_PROVIDERS
from genops_enricher.decode.json_text import at_path, read_object
from genops_enricher.decode.values import (
    as_count,
    as_float,
    as_text,
    as_texts,
    as_true,
    to_bool,
    to_count,
    to_float,
)

__all__ = ["Plan", "Plans"]

Attributes = Mapping[str, bytes]

# Shapes are made by whoever sends spans: a flood of them may cost time, but no memory.
_PLANS_MAX = 1024

_ID_SHORTEST, _ID_LONGEST = 16, 256  # characters
# Of names, ids and hosts no more is looked at than this; what is longer is none of them.
_TEXT_LONGEST = 4096  # characters
_WORD_LONGEST = 64  # characters of the name of a tier or region
# OpenRouter Broadcast: behind the response id on the spans below that of the call.
_PART_OF_CALL = re.compile(r":(?:attempt-\d+|generation)\Z")

_ERROR = "error.type"
_FINISH = ("gen_ai.response.finish_reasons", "ai.response.finishReason", "llm.finish_reason")
_UNFINISHED = frozenset(("", "error", "[]", '["error"]'))

# A call of which a document says this is like any other.
_ORDINARY = frozenset(("", "default", "standard", "auto"))


class Plan:
    """How to read the spans of one shape."""

    __slots__ = (
        "_asked",
        "_costs",
        "_counts",
        "_dialects",
        "_documents",
        "_endpoint",
        "_exclusive_for",
        "_finish",
        "_has_error",
        "_host",
        "_ids",
        "_is_plain",
        "_prefixes",
        "_provider",
        "_provider_is",
        "_served",
        "_service_tier",
        "_telling",
        "has_own",
        "identity_names",
        "states_usage",
    )

    def __init__(self, shape: frozenset[str], own: frozenset[str]) -> None:
        """Work out what to read of spans that have these of the known names and no other.

        Args:
            shape: the names that such spans have.
            own: those that the enricher writes.
        """
        dialects = [d for d in DIALECTS if not d.marks or not shape.isdisjoint(d.marks)]

        def present(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(name for name in names if name in shape)

        self._dialects = [d for d in dialects if d.kind or any(r.name in shape for r in d.kinds)]
        self._provider_is = next((d.provider_is for d in dialects if d.provider_is), "")
        self._provider = present(n for d in dialects for n in d.provider)
        self._prefixes = present(n for d in dialects for n in d.provider_prefix)
        self._served = present(n for d in dialects for n in d.served)
        self._asked = present(n for d in dialects for n in d.asked)
        self._host = present(n for d in dialects for n in d.host)
        self._endpoint = present(n for d in dialects for n in d.endpoint)
        self._service_tier = present(n for d in dialects for n in d.service_tier)
        self.identity_names = (
            *(rule.name for d in self._dialects for rule in d.kinds if rule.name in shape),
            *self._provider, *self._prefixes, *self._served, *self._asked, *self._host,
            *self._endpoint, *self._service_tier,
        )  # fmt: skip
        """The attributes that `identity` reads whole."""
        self._telling = tuple(
            (document, _last_words((*document.service_tier, document.region)))
            for dialect in dialects
            for document in dialect.documents
            if document.name in shape and (document.service_tier or document.region)
        )

        counts = _names_of_counts(dialects, shape)
        self._counts = tuple(counts.items())
        self._is_plain = TOLD_APART.isdisjoint(counts)
        self._exclusive_for = next((d.exclusive_for for d in dialects if d.exclusive_for), "")
        self._costs = tuple(
            c for d in dialects for c in d.costs if c.amount in shape and c.unless not in shape
        )
        self._documents = tuple(
            document
            for dialect in dialects
            for document in dialect.documents
            if document.name in shape
        )
        # What a document says below a provider's name only calls of that provider have.
        fields = {
            field
            for document in self._documents
            for path, field in document.counts.items()
            if "/" not in path
        }
        self.states_usage = not {"input", "output"}.isdisjoint(fields.union(counts))
        """Whether such spans state token counts at all, right or wrong."""
        self.has_own = not shape.isdisjoint(own)
        """Whether such spans have an attribute already that the enricher writes."""
        self._has_error = _ERROR in shape
        self._ids = present(n for d in dialects for n in d.ids)
        self._finish = present(_FINISH)

    def identity_values(self, attributes: Attributes) -> tuple[bytes | str, ...]:
        """All that `identity` depends on: equal values, equal identity."""
        values = [attributes[name] for name in self.identity_names]
        return (*values, *self._told(attributes)) if self._telling else tuple(values)

    def _told(self, attributes: Attributes) -> tuple[str, str]:
        """The service tier and the region that documents tell of. Few have a word of these."""
        tier = region = ""
        for document, words in self._telling:
            raw = attributes[document.name]
            if not any(word in raw for word in words):
                continue
            content = read_object(raw, python=document.python)
            for path in document.service_tier:
                stated = _text_at(content, path)
                if not tier and stated not in _ORDINARY:
                    tier = stated
            if document.region and not region:
                region = _text_at(content, document.region)
        return tier, region

    def identity(self, attributes: Attributes) -> CallIdentity:
        """Which model was called where."""
        tier, region = self._told(attributes) if self._telling else ("", "")
        provider = self._provider_is or _first_text(attributes, self._provider).lower()
        if not provider or provider in NO_PROVIDERS:
            named, slash, _ = _first_text(attributes, self._prefixes).partition("/")
            provider = named.lower() if slash else ""
        return CallIdentity(
            kind=self._kind(attributes),
            provider=provider,
            request_model=_first_text(attributes, self._asked),
            response_model=_first_text(attributes, self._served),
            host=_host(_first_text(attributes, self._host)),
            endpoint=_first_text(attributes, self._endpoint),
            service_tier=_first_text(attributes, self._service_tier) or tier,
            region=region,
        )

    def _kind(self, attributes: Attributes) -> Kind:
        """One that says aggregate or tool is believed; else the first that knows the value."""
        kinds = [kind for d in self._dialects for kind in _kinds(d, attributes)]
        for kind in (Kind.AGGREGATE, Kind.TOOL):
            if kind in kinds:
                return kind
        kinds = [kind for kind in kinds if kind is not Kind.UNSTATED]
        return next(
            (k for k in kinds if k is not Kind.OTHER), Kind.OTHER if kinds else Kind.UNSTATED
        )

    def response_id(self, attributes: Attributes) -> tuple[str, bool]:
        """The id that the provider gave the response, and whether the span is a part of its call.

        The id is "" where there is none that tells calls apart. One of a few characters is not
        unique: Ollama numbers its responses at random, below a thousand (middleware/openai.go).
        One that is very long is no id, and not to be remembered.
        """
        text = _first_text(attributes, self._ids)
        response_id = _PART_OF_CALL.sub("", text) if ":" in text else text
        is_part = len(response_id) != len(text)
        return (response_id if _ID_SHORTEST <= len(response_id) <= _ID_LONGEST else ""), is_part

    def ended_early(self, attributes: Attributes, kind: Kind) -> bool:
        """Whether the call failed or ended without a finish reason: it may really cost 0.

        Embeddings have no finish reason.
        """
        if self._has_error or kind is Kind.EMBEDDINGS:
            return self._has_error
        values = [attributes[name] for name in self._finish]
        if any(len(value) > _TEXT_LONGEST for value in values):
            return False
        reasons = [reason for value in values for reason in as_texts(value)]
        return _UNFINISHED.issuperset(reasons)

    def read(self, attributes: Attributes, identity: CallIdentity, market: str | None) -> Call:
        """What the call consumed, and what it cost by the provider's word.

        An embedding has no output. An inference that states only one of input and output states no
        usage: what the other one cost would be a guess.
        """
        counts = {field: as_count(attributes[name]) for field, name in self._counts}
        if not self._is_plain:
            counts = inclusive(counts)
        reported = None
        for cost in self._costs:
            if reported is None and cost.only_on in ("", market):
                reported = _reported_by_attributes(cost, attributes)
        for document in self._documents:
            cost_there = document.cost if reported is None else None
            if cost_there and cost_there.only_on not in ("", market):
                cost_there = None
            if not (cost_there or document.counts):
                continue
            content = read_object(attributes[document.name], python=document.python)
            there = _counts_in(document, content)
            # A count that is the same in both has left out the same parts.
            own = {field: count for field, count in counts.items() if there.get(field) != count}
            counts = {**inclusive(there), **own}
            if cost_there:
                reported = _reported_in(cost_there, content)
        if identity.kind is Kind.EMBEDDINGS and "output" not in counts:
            counts["output"] = 0
        exclusive = self._exclusive_for and self._exclusive_for == identity.provider
        tells_output = "output_image" in counts or "output_audio" in counts
        return Call(usage_of(counts, exclusive=bool(exclusive)), reported, tells_output)


_KNOWN = frozenset().union(*(dialect.names for dialect in DIALECTS), _FINISH, (_ERROR,))


class Plans:
    """The plans for the shapes seen so far. Safe for use by several threads."""

    def __init__(self, own: frozenset[str] = frozenset()) -> None:
        """`own`: the attributes that the enricher writes."""
        self._own = own
        self._names = _KNOWN | own
        self._plans: dict[frozenset[str], Plan] = {}

    def of(self, attributes: Attributes) -> Plan:
        """The plan for the shape of a span."""
        shape = self._names.intersection(attributes)
        plan = self._plans.get(shape)
        if plan is None:
            plan = Plan(shape, self._own)
            if len(self._plans) >= _PLANS_MAX:
                self._plans.clear()
            self._plans[shape] = plan
        return plan


def _names_of_counts(dialects: Iterable[Dialect], shape: frozenset[str]) -> dict[str, str]:
    """The attribute to read each count from, by field.

    What a dialect writes apart is apart from the whole that it names itself, and taken to be part
    of one that stands on the span in the words of others.
    """
    names: dict[str, str] = {}
    parts: list[tuple[str, str, Dialect]] = []
    for dialect in dialects:
        for name, field in dialect.counts.items():
            if name in shape and names.setdefault(field, name) == name and field in APART:
                parts.append((name, field, dialect))
    for name, field, dialect in parts:
        part, whole = field.removesuffix("_apart"), WHOLES[field]
        if names.get(whole, name) not in dialect.counts:
            del names[field]
            names.setdefault(part, name)
    return names


def _kinds(dialect: Dialect, attributes: Attributes) -> Iterator[Kind]:
    if dialect.kind:
        yield dialect.kind
    for rule in dialect.kinds:
        if value := _first_text(
            attributes, (rule.name,) if rule.name in attributes else ()
        ).lower():
            yield rule.kinds.get(
                value.rpartition(".")[2] if rule.last_word else value, rule.default
            )


def _first_text(attributes: Attributes, names: tuple[str, ...]) -> str:
    for name in names:
        if text := as_text(attributes[name]):
            return text[:_TEXT_LONGEST]
    return ""


def _last_words(paths: Iterable[str]) -> tuple[bytes, ...]:
    return tuple({path.rpartition("/")[2].encode() for path in paths if path})


def _text_at(content: Mapping[str, object], path: str) -> str:
    """What a path leads to, in lower case; "" if it is no text that names something."""
    value = at_path(content, tuple(path.split("/")))
    return value.lower() if isinstance(value, str) and len(value) <= _WORD_LONGEST else ""


def _host(text: str) -> str:
    """A host in lower case, of a host or a URL."""
    if "/" not in text and ":" not in text:
        return text.lower()
    try:
        return urlsplit(text if "//" in text else f"//{text}").hostname or text.lower()
    except ValueError:
        return text.lower()


def _counts_in(document: Document, content: Mapping[str, object]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for path, field in document.counts.items():
        value = at_path(content, tuple(path.split("/")))
        if value is not None and field not in counts:
            counts[field] = to_count(value)
    return counts


def _reported_by_attributes(cost: Cost, attributes: Attributes) -> Reported | None:
    if cost.only_if:
        name, value = cost.only_if
        if as_text(attributes.get(name)).lower() != value:
            return None
    if (
        cost.currency
        and cost.currency in attributes
        and as_text(attributes[cost.currency]).upper() != "USD"
    ):
        return None
    upstream = as_float(attributes.get(cost.upstream)) if cost.upstream else None
    return _reported(
        cost,
        as_float(attributes[cost.amount]),
        upstream,
        byok=as_true(attributes[cost.byok]) if cost.byok and cost.byok in attributes else None,
    )


def _reported_in(cost: Cost, content: Mapping[str, object]) -> Reported | None:
    amount, upstream, byok = (
        at_path(content, tuple(path.split("/"))) if path else None
        for path in (cost.amount, cost.upstream, cost.byok)
    )
    return _reported(
        cost, to_float(amount), to_float(upstream), byok=None if byok is None else to_bool(byok)
    )


def _reported(
    cost: Cost, amount: float | None, upstream: float | None, *, byok: bool | None
) -> Reported | None:
    """What the call cost by the provider's word; None where it says nothing or nothing usable.

    With a key of one's own (BYOK) OpenRouter's `cost` is only its fee, and the provider's bill
    comes beside it; without one, upstream is a breakdown of the same money. Where nobody says
    which it is, the fee of 5 % tells: it is less than half of what is upstream.
    Source: OpenRouter documentation, usage accounting and BYOK.
    """
    if amount is None or amount < 0:
        return None
    if byok is None and cost.upstream and upstream is not None:
        byok = amount < upstream / 2
    if not byok:
        return Reported(amount, amount, may_be_fee=byok is None and upstream is None)
    if upstream is None or upstream < 0 or amount + upstream == float("inf"):
        return None
    return Reported(amount + upstream, upstream, may_be_fee=False)
