"""The requests of a benchmark: spans as applications send them, fresh each time.

A request is made once and then stamped: every call gets a response id of its own, or the server
would take it for one that it has seen, and the first span the time at which it is sent, by which
the sink knows how long it was under way.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from genops_pricing import Miss, bundled_catalog
from genops_pricing.answers import Offer
from otlp import OCT_2026_NS, Value, chat, request, span

__all__ = [
    "STAMP",
    "PlainPrice",
    "Stamper",
    "Workload",
    "known_prices",
    "plain_prices",
    "stamps",
    "template",
    "traffic",
]

STAMP = b"\xc5genops\xa7"
"""Begins the trace id of the span whose trace id ends in the time when it was sent."""

_ID_DIGITS = 12
_ID_MARK = "#" * _ID_DIGITS
_FIRST_TRACE = struct.pack(">QQ", 7, 1)  # of span number 1, as `otlp.span` writes it
# Six digits of an id, of their own for each stamper: by chance some would have the same after a few
# hundred, and their calls would be taken for one. Another process begins elsewhere.
_PREFIXES = itertools.count(int.from_bytes(os.urandom(3), "big"))
_UNITS = {"input", "output", "cache_read"}


@dataclass(frozen=True, slots=True)
class PlainPrice:
    """A model, and what a token of it costs in USD, by unit."""

    model: str
    usd: Mapping[str, float]
    family: str
    offer: Offer


@dataclass(frozen=True, slots=True)
class Workload:
    """What is sent: requests of `spans` spans, one of `llm_every` an LLM call."""

    spans: int = 100
    llm_every: int = 10
    attributes: int = 20
    prompt_bytes: int = 0
    models: int = 60  # different ones in the traffic
    catalog_models: int = 0  # that servers know; 0: what they bring, or need for the traffic

    @property
    def llm_spans(self) -> int:
        """How many of a request's spans are LLM calls."""
        return -(-self.spans // self.llm_every)


@cache
def template(workload: Workload) -> bytes:
    """A request of it, with marks where it is to be stamped."""
    names = traffic(workload.models)
    made = []
    for number in range(workload.spans):
        values: dict[str, Value] = {}
        if number % workload.llm_every == 0:
            values = chat(
                names[number // workload.llm_every % len(names)],
                {
                    "gen_ai.response.id": f"gen-{_ID_MARK}",
                    "gen_ai.usage.cache_read.input_tokens": 100,
                    "genops.team": "search",
                    "genops.project": "assistant",
                },
                input_tokens=1000 + number,
            )
            if workload.prompt_bytes:
                text = "What does this call cost? "
                whole = text * (workload.prompt_bytes // len(text) + 1)
                values["gen_ai.input.messages"] = whole[: workload.prompt_bytes]
        for filler in range(workload.attributes - len(values)):
            values[f"app.attribute.number.{filler}"] = f"some value of usual length {filler}"
        made.append(span(values, number=number + 1))  # an id of 0 is none
    return request(*made)


class Stamper:
    """Makes requests of a template. One for each thread that sends."""

    def __init__(self, template: bytes) -> None:
        head, self._rest = template.split(_FIRST_TRACE, 1)
        self._head = head
        self._pieces = self._rest.split(_ID_MARK.encode())
        self._prefix = f"{next(_PREFIXES) & 0xFFFFFF:06x}"
        self._count = 0

    def request(self, sent_ns: int) -> bytes:
        """A request that says when it was sent, in nanoseconds of the monotonic clock."""
        parts = [self._head, STAMP, sent_ns.to_bytes(8, "big"), self._pieces[0]]
        for piece in self._pieces[1:]:
            self._count += 1
            parts += (f"{self._prefix}{self._count:06x}".encode(), piece)
        return b"".join(parts)


def traffic(count: int) -> list[str]:
    """So many priced models, those first that all servers of a comparison can price."""
    names = [price.model for price in plain_prices(count)]
    known = set(names)
    catalog = bundled_catalog()
    for model in catalog.models("openrouter"):
        if len(names) >= count:
            break
        if model.id not in known and not isinstance(
            catalog.find(model.id, market="openrouter", at_ns=OCT_2026_NS), Miss
        ):
            names.append(model.id)
    return names


def plain_prices(count: int) -> list[PlainPrice]:
    """Models on OpenRouter that cost nothing but plain token prices at the time of the spans.

    So that what others compute in their configuration languages is the same work.
    """
    catalog = bundled_catalog()
    found: list[PlainPrice] = []
    for model in catalog.models("openrouter"):
        offer = catalog.find(model.id, market="openrouter", at_ns=OCT_2026_NS)
        if isinstance(offer, Miss) or not model.family or offer.tier is None:
            continue
        row = next(row for row in model.rows if row.entry == offer.entry)
        if not row.overrides and not row.unknown and set(row.prices) == _UNITS:
            prices = {unit: float(price) / 1e6 for unit, price in row.prices.items()}
            if all(prices.values()):
                found.append(PlainPrice(model.id, prices, model.family, offer))
        if len(found) == count:
            break
    return found


def known_prices(workload: Workload) -> list[PlainPrice]:
    """What servers without a catalog have to be told."""
    prices = plain_prices(workload.models)
    more = range(workload.catalog_models - len(prices))
    return [*prices, *(replace(prices[0], model=f"acme/model-{number}") for number in more)]


def stamps(payload: bytes) -> Iterator[int]:
    """The times at which the stamped spans of a request were sent, in nanoseconds."""
    at = payload.find(STAMP)
    while at >= 0:
        yield int.from_bytes(payload[at + len(STAMP) : at + len(STAMP) + 8], "big")
        at = payload.find(STAMP, at + 1)
