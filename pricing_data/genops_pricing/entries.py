"""A model laid out in time: what the catalog and its overlays state of it, joined.

Decides which row is in force, and whether an upstream provider's own row or the model's counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .model import Endpoint, Model, Row, build_rows
from .timeline import Timeline, make_timeline
from .upstream import upstream_key

__all__ = ["Entry", "InForce", "Stated", "build_entry"]


@dataclass(frozen=True, slots=True)
class Stated:
    """What one file states of a model."""

    layer: int  # 0: the bundled catalog; 1, 2 …: overlays, in order
    overlay: str | None
    author: str | None
    raw: Mapping[str, Any]


class InForce(NamedTuple):
    """The row in force at an instant, and the interval [from, until) in which it is."""

    row: Row | None
    model_row: Row | None  # the model's own row, whichever counts
    endpoint: str | None  # set if the row is that of an upstream provider
    from_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A model and the timelines of its prices."""

    model: Model
    timeline: Timeline
    endpoints: Mapping[str, Timeline]

    def at(self, at_ns: int, endpoint: str | None) -> InForce:
        """The row in force for a call that `endpoint` (a key of `upstream`) served.

        Its own row counts if it was seen no earlier than the model's row came into force: an older
        one may be out of date. A row of a later overlay outranks both. What a request, an image or
        a search costs holds for all providers of a model unless one states its own: OpenRouter's
        endpoints API leaves the price of a search out even where its models API has one.
        """
        row, start, end = self.timeline.at(at_ns)
        own = self.endpoints.get(endpoint) if endpoint else None
        if own is None:
            return InForce(row, row, None, start, end)
        own_row, own_start, own_end = own.at(at_ns)
        bounds = max(start, own_start), min(end, own_end)
        if own_row is not None and (row is None or _outranks(own_row, row)):
            return InForce(own_row.with_unit_prices_of(row), row, endpoint, *bounds)
        return InForce(row, row, None, *bounds)


def _outranks(own: Row, row: Row) -> bool:
    if own.layer != row.layer:
        return own.layer > row.layer
    return own.seen_ns >= row.start_ns


def build_entry(market: str, stated: Sequence[Stated]) -> Entry:
    """Join what files state of one model, the bundled catalog first, overlays in order.

    Later files add rows and aliases, and replace what else they state.
    """
    merged: dict[str, Any] = {}
    for file in stated:
        merged |= file.raw
    owner = f"{market}/{merged['id']}"
    endpoints: dict[str, Endpoint] = {}
    for file in stated:
        for slug, raw in file.raw.get("endpoints", {}).items():
            rows = build_rows(
                f"{owner}/{slug}", raw.get("prices", ()), layer=file.layer, overlay=file.overlay
            )
            key = upstream_key(slug)
            below = endpoints.get(key)
            endpoints[key] = Endpoint(
                slug=key,
                quantization=raw.get("quantization", below and below.quantization),
                rows=(*(below.rows if below else ()), *rows),
            )
    model = Model(
        market=market,
        id=merged["id"],
        author=next((file.author for file in stated if file.author), None),
        name=merged.get("name"),
        family=merged.get("family"),
        aliases=tuple(alias for file in stated for alias in file.raw.get("aliases", ())),
        created=merged.get("created"),
        removed=merged.get("removed"),
        context_length=merged.get("context_length"),
        modality=merged.get("modality"),
        tier=merged.get("tier"),
        tier_reason=merged.get("tier_reason"),
        rows=tuple(
            row
            for file in stated
            for row in build_rows(
                owner, file.raw.get("prices", ()), layer=file.layer, overlay=file.overlay
            )
        ),
        endpoints=endpoints,
        merged_into=merged.get("merged_into"),
    )
    return Entry(
        model,
        make_timeline(model.rows),
        {slug: make_timeline(endpoint.rows) for slug, endpoint in endpoints.items()},
    )
