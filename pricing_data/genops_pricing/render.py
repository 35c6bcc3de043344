"""What the command prints: records for machines, lines for people.

Money is a decimal string, without an exponent or trailing zeros. A record's keys are always there;
what is absent is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from .answers import Miss, Offer, Quote
from .catalog import Catalog
from .instants import parse_instant
from .model import Endpoint, Model, Override, Row
from .plot import plot
from .units import PARTS, UNITS, UNITS_BY_KEY

__all__ = [
    "check_lines",
    "check_record",
    "cost_lines",
    "cost_record",
    "describe_row",
    "list_lines",
    "list_record",
    "money",
    "show_lines",
    "show_records",
]

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def money(amount: Decimal | None) -> str | None:
    """A decimal as plain text."""
    if amount is None:
        return None
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


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
        yield _line(part, money(amount))
    yield _line("price", quote.entry)
    yield _line("family", quote.family or "-")
    yield _line("tier", quote.tier or "-")
    if quote.removed:
        yield _line("removed", f"{quote.removed}: {quote.market} no longer offers this model")
    yield _line("catalog", quote.version)


def list_record(catalog: Catalog, model: Model, at_ns: int) -> dict[str, Any]:
    """The record of one model in `list`: its price in force."""
    offer = catalog.find(model.id, market=model.market, at_ns=at_ns)
    row = _row_of(model, offer)
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
    yield from _columns(
        [head, *(tuple(_cell(record, name) for name in head) for record in records)]
    )


def _columns(table: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        yield "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()


def _cell(record: Mapping[str, Any], name: str) -> str:
    if record[name] is None and name == "input" and record["reason"]:
        return str(record["reason"])
    return "-" if record[name] is None else str(record[name])


def show_records(catalog: Catalog, model: Model, at_ns: int) -> list[dict[str, Any]]:
    """The records of `show`: one for each price row."""
    in_force = catalog.find(model.id, market=model.market, at_ns=at_ns)
    return [
        {
            "model": model.id,
            "market": model.market,
            "endpoint": endpoint and endpoint.slug,
            "quantization": endpoint and endpoint.quantization,
            "family": model.family,
            "removed": model.removed,
            "entry": row.entry,
            "in_force": row is _row_of(model, in_force),
            "effective_from": row.effective_from,
            "status": row.status,
            "reason": row.reason,
            "prices": {key: money(price) for key, price in row.prices.items()},
            "overrides": [_describe(override) for override in row.overrides],
            "corrects": row.corrects,
            "source": row.provenance and row.provenance.source,
            "url": row.provenance and row.provenance.url,
            "seen_at": row.provenance and row.provenance.seen_at,
            "basis": row.provenance and row.provenance.basis,
            "not_before": row.provenance and row.provenance.not_before,
            "version": catalog.version,
        }
        for endpoint, row in _rows(model)
    ]


def show_lines(catalog: Catalog, model: Model, at_ns: int, width: int = 80) -> Iterator[str]:
    """A model and its prices, for people: facts, a table of rows, a plot, and where they are from.

    Args:
        catalog: that the model is of.
        model: what to show.
        at_ns: the instant whose row is marked.
        width: columns of the terminal.
    """
    offer = catalog.find(model.id, market=model.market, at_ns=at_ns)
    yield model.id
    facts = {
        "market": model.market,
        "name": model.name,
        "author": model.author,
        "family": model.family,
        "tier": offer.tier if isinstance(offer, Offer) else None,
        "aliases": ", ".join(model.aliases),
        "created": model.created,
        "removed": model.removed,
        "context": model.context_length,
        "modality": model.modality,
        "catalog": catalog.version,
    }
    for name, fact in facts.items():
        if fact:
            yield _line(name, fact)
    if model.tier_reason:
        yield _line("tier reason", model.tier_reason)
    yield ""
    yield from _history(model, _row_of(model, offer))
    until = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)
    for key in ("input", "output"):
        lines = list(
            plot(f"{key}, USD per million tokens", _steps(model, key), until=until, width=width - 2)
        )
        yield from ("", *(f"  {line}" for line in lines)) if lines else ()


def _history(model: Model, in_force: Row | None) -> Iterator[str]:
    """The rows as a table, oldest first, those of upstream providers last; USD per million tokens.

    Below a row stands what does not fit in it: unit prices, conditional prices, reasons.
    """
    units = [
        unit.key
        for unit in UNITS
        if unit.table == "usd_per_mtok" and any(unit.key in row.prices for _, row in _rows(model))
    ]
    table: list[tuple[str, ...]] = [("from", "provider", *units, "basis", "seen", "source")]
    notes: list[list[str]] = [[]]
    for endpoint, row in _rows(model):
        kind = endpoint.quantization if endpoint else None
        provider = endpoint.slug if endpoint else "-"
        known = row.provenance
        table.append(
            (
                row.effective_from.removesuffix("T00:00:00Z"),
                f"{provider} ({kind})" if kind else provider,
                *(money(row.prices.get(key)) or "-" for key in units),
                known.basis if known else "-",
                known.seen_at if known else "-",
                f"{known.source if known else '-'}{'  <- in force' if row is in_force else ''}",
            )
        )
        notes.append(list(_notes(row)))
    for line, below in zip(_columns(table), notes, strict=True):
        yield f"  {line}"
        yield from (f"      {note}" for note in below)


def _notes(row: Row) -> Iterator[str]:
    if row.status:
        yield f"{row.status}: {row.reason}"
    if each := {
        key: price for key, price in row.prices.items() if UNITS_BY_KEY[key].table != "usd_per_mtok"
    }:
        yield _prices(each)
    for override in row.overrides:
        yield _describe(override)
    if row.corrects:
        yield f"corrects {row.corrects}: {row.reason}"


def _steps(model: Model, key: str) -> list[tuple[datetime, Decimal]]:
    """The model's own price of a unit over time: rows that no other corrects."""
    corrected = {row.corrects for row in model.rows}
    rows = sorted(
        (row for row in model.rows if row.entry not in corrected), key=lambda row: row.start_ns
    )
    return [
        (parse_instant(row.effective_from), row.prices[key]) for row in rows if key in row.prices
    ]


def describe_row(row: Row) -> str:
    """What a row states, in one line."""
    parts = [_prices(row.prices) or f"{row.status}: {row.reason}"]
    parts += [_describe(override) for override in row.overrides]
    return " | ".join(parts)


def check_record(catalogs: Sequence[Catalog], problems: Sequence[str]) -> dict[str, Any]:
    """The record of `check`."""
    models = [model for catalog in catalogs for model in catalog.models()]
    return {
        "versions": [catalog.version for catalog in catalogs],
        "models": len(models),
        "rows": sum(1 for model in models for _ in _rows(model)),
        "problems": list(problems),
    }


def check_lines(catalogs: Sequence[Catalog], problems: Sequence[str]) -> Iterator[str]:
    """What `check` found, for people."""
    for catalog in catalogs:
        record = check_record([catalog], ())
        counts = f"{record['models']} models, {record['rows']} price rows"
        yield f"{catalog.version}: {counts}, all sound"
    if problems:
        yield f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"


def _line(name: str, value: object) -> str:
    return f"  {name:<12}{value}"


def _rows(model: Model) -> Iterator[tuple[Endpoint | None, Row]]:
    for row in model.rows:
        yield None, row
    for endpoint in model.endpoints.values():
        for row in endpoint.rows:
            yield endpoint, row


def _row_of(model: Model, offer: Offer | Miss) -> Row | None:
    """The model's row that an offer was made from."""
    if isinstance(offer, Miss):
        return None
    # A discounted offer adds "~overlay" to the row's id.
    return next((row for row in model.rows if f"{offer.entry}~".startswith(f"{row.entry}~")), None)


def _prices(prices: Mapping[str, Decimal]) -> str:
    """Prices as people say them: "input 2.5, output 10 USD per million tokens"."""
    tokens = [key for key in prices if UNITS_BY_KEY[key].table == "usd_per_mtok"]
    each = [key for key in prices if key not in tokens]
    texts = []
    if tokens:
        listed = ", ".join(f"{key} {money(prices[key])}" for key in tokens)
        texts.append(f"{listed} USD per million tokens")
    texts += [f"{money(prices[key])} USD a {key.replace('_', ' ')}" for key in each]
    return "; ".join(texts)


def _describe(override: Override) -> str:
    """An override as people say it: "prompt of 200001 tokens or more: input 6, output 22.5 …"."""
    when: list[str] = []
    if override.prompt_start:
        scope = " (beyond that only)" if override.marginal else ""
        when.append(f"prompt of {override.prompt_start} tokens or more{scope}")
    if override.window:
        start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in override.window)
        when.append(f"{start}-{end} UTC")
    if override.days:
        when.append(" ".join(_WEEKDAYS[day] for day in sorted(override.days)))
    when += [f"{name} {value}" for name, value in override.variants]
    what = [_prices(override.prices)] if override.prices else []
    if override.multiply is not None:
        what.append(f"token prices times {money(override.multiply)}")
    return f"{', '.join(when)}: {'; '.join(what)}"
