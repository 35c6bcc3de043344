"""All that is known of one model: records for machines, and for people facts, a table and plots."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from .answers import ALWAYS_NS, Offer
from .catalog import Catalog
from .model import Model, Row
from .plot import plot
from .table import columns, fact, fit
from .timeline import make_timeline
from .units import UNITS, UNITS_BY_KEY
from .wording import describe_override, describe_prices, money

__all__ = ["show_lines", "show_records"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def show_records(
    catalog: Catalog, model: Model, at_ns: int, chosen: Row | None = None
) -> list[dict[str, Any]]:
    """The records of `show`: one for each price row, or for the one that is chosen."""
    in_force = _in_force(catalog, model, at_ns)
    alike = _served_alike(model)
    return [
        {
            "model": model.id,
            "market": model.market,
            "endpoint": endpoint and endpoint.slug,
            "quantization": endpoint and endpoint.quantization,
            "family": model.family,
            "removed": model.removed,
            "entry": row.entry,
            "in_force": row is in_force,
            "effective_from": row.effective_from,
            "status": row.status,
            "reason": row.reason,
            "prices": {key: money(price) for key, price in row.prices.items()},
            "unknown": list(row.unknown),
            "overrides": [describe_override(override) for override in row.overrides],
            "served_alike": alike,
            "corrects": row.corrects,
            "source": row.provenance and row.provenance.source,
            "url": row.provenance and row.provenance.url,
            "seen_at": row.provenance and row.provenance.seen_at,
            "basis": row.provenance and row.provenance.basis,
            "not_before": row.provenance and row.provenance.not_before,
            "version": catalog.version,
        }
        for endpoint, row in model.every_row()
        if chosen in (None, row)
    ]


def show_lines(
    catalog: Catalog,
    model: Model,
    at_ns: int,
    width: int = 80,
    chosen: tuple[str, Row] | None = None,
) -> Iterator[str]:
    """A model and its prices, for people: facts, a table of rows, and plots.

    Args:
        catalog: that the model is of.
        model: what to show.
        at_ns: the instant whose row is marked.
        width: columns of the terminal.
        chosen: the row to mark in place of it, and what it is called.
    """
    offer = catalog.find(model.id, market=model.market, at_ns=at_ns)
    yield model.id
    facts = {
        "market": model.market,
        "name": model.name,
        "author": model.author,
        "family": model.family,
        "tier": offer.tier if isinstance(offer, Offer) else None,
        "tier reason": model.tier_reason,
        "aliases": ", ".join(model.aliases),
        "created": model.created,
        "removed": model.removed,
        "context": model.context_length,
        "modality": model.modality,
        "same price": ", ".join(
            f"{slug} ({kind})" if kind else slug for slug, kind in _served_alike(model).items()
        ),
        "catalog": catalog.version,
    }
    for name, value in facts.items():
        if value:
            yield from fact(name, value, width)
    yield ""
    if chosen:
        yield from _history(model, chosen[1], chosen[0], width)
        return
    yield from _history(model, _in_force(catalog, model, at_ns), "in force", width)
    until = _EPOCH + timedelta(microseconds=at_ns // 1000)
    for key in ("input", "output"):
        title = f"{key}, USD per million tokens"
        lines = list(plot(title, _steps(model, key), until=until, width=width - 2))
        yield from ("", *(f"  {line}" for line in lines)) if lines else ()


def _in_force(catalog: Catalog, model: Model, at_ns: int) -> Row | None:
    """The model's own row in force, if it has a price."""
    offer = catalog.find(model.id, market=model.market, at_ns=at_ns)
    return model.row_of(offer.entry) if isinstance(offer, Offer) else None


def _served_alike(model: Model) -> dict[str, str | None]:
    """Quantization of each upstream provider that has no price of its own."""
    return {slug: own.quantization for slug, own in model.endpoints.items() if not own.rows}


def _history(model: Model, marked: Row | None, mark: str, width: int) -> Iterator[str]:
    """The rows as a table, oldest first, those of upstream providers last; USD per million tokens.

    One row is marked, and below a row stands what does not fit in it: unit prices,
    conditional prices, reasons.
    """
    units = [
        unit.key
        for unit in UNITS
        if unit.table == "usd_per_mtok"
        and any(unit.key in {*row.prices, *row.unknown} for _, row in model.every_row())
    ]
    table: list[tuple[str, ...]] = [("from", "provider", *units, "basis", "seen", "source")]
    marks, notes = ["  "], [list[str]()]
    for endpoint, row in model.every_row():
        kind = endpoint.quantization if endpoint else None
        provider = endpoint.slug if endpoint else "-"
        known = row.provenance
        table.append(
            (
                row.effective_from.removesuffix("T00:00:00Z"),
                f"{provider} ({kind})" if kind else provider,
                *(_cell(row, key) for key in units),
                known.basis if known else "-",
                known.seen_at if known else "-",
                known.source if known else "-",
            )
        )
        marks.append("> " if row is marked else "  ")
        notes.append(list(_notes(row)))
    fitted, left_out = fit(
        table, width - 2, soft=("provider", "source"), spare=("seen", "basis", "source")
    )
    for line, sign, below in zip(columns(fitted), marks, notes, strict=True):
        yield sign + line
        for note in below:
            yield from textwrap.wrap(note, width, initial_indent=" " * 6, subsequent_indent=" " * 8)
    if marked:
        yield f"  > {mark}"
    if any(row.unknown for _, row in model.every_row()):
        yield "  ? a price that no source tells: calls with such tokens are unpriced"
    if left_out:
        yield f"  left out for want of room: {', '.join(left_out)}; --json has all"


def _cell(row: Row, key: str) -> str:
    """The price of a unit; a question mark where it has one that no source tells."""
    return "?" if key in row.unknown else money(row.prices.get(key)) or "-"


def _notes(row: Row) -> Iterator[str]:
    if row.status:
        yield f"{row.status}: {row.reason}"
    if each := {
        key: price for key, price in row.prices.items() if UNITS_BY_KEY[key].table != "usd_per_mtok"
    }:
        yield describe_prices(each)
    for override in row.overrides:
        yield describe_override(override)
    if row.corrects:
        yield f"corrects {row.corrects}{'' if row.status else f': {row.reason}'}"


def _steps(model: Model, key: str) -> list[tuple[datetime, Decimal | None]]:
    """The model's own price of a unit over time; None from where it is unpriced."""
    timeline = make_timeline(model.rows)
    return [
        (_EPOCH + timedelta(microseconds=start // 1000), row.prices.get(key) if row else None)
        for start, row in zip(timeline.starts, timeline.rows, strict=True)
        if ALWAYS_NS[0] < start < ALWAYS_NS[1]
    ]
