"""What `cost`, `list` and `check` print: records for machines, lines for people.

Money is a decimal string, without an exponent or trailing zeros. A record's keys are always there;
what is absent is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .answers import Miss, Offer, Quote
from .catalog import Catalog
from .model import Model
from .table import columns, fact
from .units import PARTS
from .unstated import unstated
from .wording import money

__all__ = [
    "check_lines",
    "check_record",
    "cost_lines",
    "cost_record",
    "list_lines",
    "list_record",
]


def cost_record(quote: Quote) -> dict[str, Any]:
    """The record of `cost`."""
    priced = quote.status != "unpriced"
    return {
        "model": quote.model or quote.asked,
        "market": quote.market,
        "total": money(quote.total),
        **{part: money(quote.parts.get(part)) for part in PARTS},
        "currency": quote.currency if priced else None,
        "status": quote.status,
        "reason": quote.reason,
        "entry": quote.entry,
        "effective_from": quote.effective_from,
        "removed": quote.removed,
        "tier": quote.tier,
        "family": quote.family,
        "version": quote.version,
    }


def cost_lines(quote: Quote) -> Iterator[str]:
    """A priced call, for people."""
    total = money(quote.total)
    free = " (free)" if quote.status == "free" else ""
    yield f"{quote.model}: {total} {quote.currency}{free}"
    for part, amount in quote.parts.items():
        yield from fact(part, money(amount))
    yield from fact("price", quote.entry)
    yield from fact("family", quote.family or "-")
    yield from fact("tier", quote.tier or "-")
    if quote.removed:
        yield from fact("removed", f"{quote.removed}: {quote.market} no longer offers this model")
    yield from fact("catalog", quote.version)


def list_record(catalog: Catalog, model: Model, at_ns: int) -> dict[str, Any]:
    """The record of one model in `list`: its price in force."""
    offer = catalog.find(model.id, market=model.market, at_ns=at_ns)
    row = model.row_of(offer.entry) if isinstance(offer, Offer) else None
    return {
        "model": model.id,
        "market": model.market,
        "author": model.author,
        "family": model.family,
        "tier": offer.tier if isinstance(offer, Offer) else None,
        "status": offer.status if isinstance(offer, Offer) else "unpriced",
        "reason": offer.reason if isinstance(offer, Miss) else None,
        "input": money(row.prices.get("input")) if row else None,
        "output": money(row.prices.get("output")) if row else None,
        "entry": offer.entry if isinstance(offer, Offer) else None,
        "effective_from": offer.effective_from if isinstance(offer, Offer) else None,
        "removed": model.removed,
        "version": catalog.version,
    }


def list_lines(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table of models, for people; prices in USD per 1,000,000 tokens."""
    head = ("model", "market", "input", "output", "tier", "family", "removed")
    yield from columns([head, *(tuple(_cell(record, name) for name in head) for record in records)])


def _cell(record: Mapping[str, Any], name: str) -> str:
    if record[name] is None and name == "input" and record["reason"]:
        return str(record["reason"])
    return "-" if record[name] is None else str(record[name])


def check_record(catalogs: Sequence[Catalog], problems: Sequence[str]) -> dict[str, Any]:
    """The record of `check`."""
    models = [model for catalog in catalogs for model in catalog.models()]
    return {
        "versions": [catalog.version for catalog in catalogs],
        "models": len(models),
        "rows": sum(1 for model in models for _ in model.every_row()),
        "problems": list(problems),
        "notes": [note for catalog in catalogs for note in unstated(catalog)],
    }


def check_lines(catalogs: Sequence[Catalog], problems: Sequence[str]) -> Iterator[str]:
    """What `check` found, for people."""
    for catalog in catalogs:
        record = check_record([catalog], ())
        counts = f"{record['models']} models, {record['rows']} price rows"
        yield f"{catalog.version}: {counts}, all sound"
        yield from (f"note: {note}" for note in record["notes"])
    if problems:
        yield f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
