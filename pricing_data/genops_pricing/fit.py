"""Check that price files fit together: names, rows, corrections, discounts.

Each file is sound by itself when it comes here; `plausible` decides which prices look mixed up,
`timeline` which rows claim the same time.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .instants import format_instant, parse_instant
from .model import Row, build_rows, owners
from .plausible import mixups
from .shapes import KeyPath
from .shelf import Shelf
from .timeline import clashes
from .upstream import upstream_key

if TYPE_CHECKING:
    from .yaml_source import Document

__all__ = ["Fit"]

Content = Mapping[str, Any]


class Fit:
    """Collects what does not fit, of files on top of a catalog or of none."""

    def __init__(self, content: Content, models: Shelf) -> None:
        self._models = models
        self._markets = {raw["id"] for raw in content.get("markets", ())}
        self._tiers = {raw["name"] for raw in content.get("tiers", ())}
        self._spellings: dict[tuple[str, str], str] = {}  # (market, lower case) -> model id
        self._rows: dict[str, list[Row]] = {}  # by owner: market/model[/endpoint]
        self._offered: dict[str, list[tuple[str | None, Content]]] = {}  # by market: author, model
        self._problems: list[str] = []
        for market in models.markets():
            for model_id in models.ids(market):
                self._spellings[market, model_id.lower()] = model_id
            for spelling, model_id in models.aliases(market).items():
                self._spellings[market, spelling.lower()] = model_id

    def check(self, documents: Sequence[Document]) -> list[str]:
        """What does not fit, as "file:line: what. fix"."""
        for layer, document in enumerate(documents, start=1):
            overlay = document.content.get("overlay")
            market = document.content.get("market")
            if market is not None and market not in self._markets:
                self._report(
                    document, ("market",), f'no market "{market}". {self._known_markets()}'
                )
            seen: set[str] = set()
            for index, raw in enumerate(document.content.get("models", ())):
                path: KeyPath = ("models", index)
                if raw["id"] in seen:
                    self._report(document, path, f'"{raw["id"]}" stands twice. Keep one block')
                    continue
                seen.add(raw["id"])
                self._check_names(document, path, market, raw, is_overlay=overlay is not None)
                self._check_rows(document, path, market, raw, layer if overlay else 0, overlay)
        for document in documents:
            for index, raw in enumerate(document.content.get("models", ())):
                self._check_merged(document, ("models", index), raw)
            for index, raw in enumerate(document.content.get("discounts", ())):
                self._check_discount(documents, document, ("discounts", index), raw)
        return self._problems

    def _check_names(
        self, document: Document, path: KeyPath, market: str, raw: Content, *, is_overlay: bool
    ) -> None:
        model_id = raw["id"]
        is_new = self._spellings.get((market, model_id.lower())) != model_id
        if is_new and not {"prices", "endpoints"} & raw.keys():
            what = f'"{model_id}" has neither prices nor endpoints. Add `prices`'
            self._report(document, path, what)
        if not is_new and not is_overlay:
            self._report(document, path, f'"{model_id}" stands in another file too. Keep one block')
        if "tier" in raw and raw["tier"] not in self._tiers:
            known = ", ".join(sorted(self._tiers))
            self._report(document, (*path, "tier"), f'no tier "{raw["tier"]}". Known: {known}')
        meant = raw.get("merged_into", model_id)
        for spelling in (model_id, *raw.get("aliases", ())):
            owner = self._spellings.setdefault((market, spelling.lower()), meant)
            if owner != meant:
                what = f'"{spelling}" already means {owner}. Drop it from one of the two'
                self._report(document, path, what)

    def _check_merged(self, document: Document, path: KeyPath, raw: Content) -> None:
        target = raw.get("merged_into")
        known = self._spellings.get((document.content["market"], (target or "").lower()))
        if target is not None and known != target:
            what = f'merged_into: no model "{target}", or it is merged itself. Name one that stands'
            self._report(document, (*path, "merged_into"), what)

    def _check_rows(
        self,
        document: Document,
        path: KeyPath,
        market: str,
        raw: Content,
        layer: int,
        overlay: str | None,
    ) -> None:
        below = self._rows_below(market, raw["id"])
        for owner, raws, at in owners(market, raw, path):
            rows = self._rows.setdefault(owner, below.get(owner, []))
            ids = {row.entry for row in rows}
            added = build_rows(owner, raws, layer=layer, overlay=overlay)
            rows += added
            for index, row in enumerate(added):
                where = (*at, index)
                if row.entry in ids:
                    fix = "Number later ones with `revision: 2`, 3 …"
                    self._report(document, where, f"row id {row.entry} is taken. {fix}")
                if row.corrects is not None and row.corrects not in ids - {row.entry}:
                    closest = difflib.get_close_matches(row.corrects, ids, n=1, cutoff=0)
                    fix = f"Did you mean {closest[0]}?" if closest else "Put it after that row"
                    self._report(
                        document, where, f"corrects no row before it: {row.corrects}. {fix}"
                    )
                ids.add(row.entry)
            for index, (row, before) in enumerate(zip(added, (None, *added), strict=False)):
                for what in mixups(row, before):
                    self._report(document, (*at, index), what)
            for first, second in clashes(added):
                where = (*at, added.index(second))
                what = f"{second.entry} claims time that {first.entry} claims too"
                fix = "Change an instant, or say `corrects:`"
                self._report(document, where, f"{what}. {fix}")

    def _rows_below(self, market: str, model_id: str) -> dict[str, list[Row]]:
        """The rows of a model in the catalog that an overlay lies on, by owner."""
        if (market, model_id) not in self._models:
            return {}
        _, raw = self._models.read(market, model_id)
        return {
            owner: list(build_rows(owner, rows, layer=0, overlay=None))
            for owner, rows, _ in owners(market, raw, ())
        }

    def _check_discount(
        self, documents: Sequence[Document], document: Document, path: KeyPath, raw: Content
    ) -> None:
        market = raw["market"]
        if market not in self._markets:
            self._report(
                document, (*path, "market"), f'no market "{market}". {self._known_markets()}'
            )
            return
        if market not in self._offered:
            self._offered[market] = [
                *(self._models.read(market, model_id) for model_id in self._models.ids(market)),
                *(
                    (each.content.get("author"), model)
                    for each in documents
                    if each.content.get("market") == market
                    for model in each.content.get("models", ())
                ),
            ]
        for key, what in _wrong_discount(raw, self._offered[market]):
            self._report(document, (*path, key), what)

    def _known_markets(self) -> str:
        return f"Known: {', '.join(sorted(self._markets))}"

    def _report(self, document: Document, path: KeyPath, what: str) -> None:
        self._problems.append(f"{document.at(path)}: {what}")


def _wrong_discount(
    raw: Content, offered: Sequence[tuple[str | None, Content]]
) -> Iterator[tuple[str, str]]:
    """Why a discount of a file can never be taken off anything: the key, and "what. fix".

    Args:
        raw: the discount as the file states it.
        offered: author and content of each model of its market.
    """
    market = raw["market"]
    if not offered:
        yield "market", f"market {market} has no models. Add them, or name another market"
        return
    known: dict[str, tuple[str, Collection[str | None]]] = {
        "model": ("model id", {model["id"] for _, model in offered}),
        "author": ("models of author", {author for author, _ in offered}),
        "provider": (
            "upstream provider",
            {upstream_key(slug) for _, model in offered for slug in model.get("endpoints", ())},
        ),
    }
    for key, (what, names) in known.items():
        stated = upstream_key(raw[key]) if key == "provider" and key in raw else raw.get(key)
        if key in raw and stated not in names:
            closest = difflib.get_close_matches(raw[key], filter(None, names), n=3)
            hint = f"Closest: {', '.join(closest)}" if closest else f"Name another, or drop `{key}`"
            yield key, f'market {market} has no {what} "{raw[key]}". {hint}'
            return
    if "effective_to" not in raw:
        return
    starts = [
        parse_instant(row["effective_from"])
        for author, model in offered
        if raw.get("model") in (None, model["id"]) and raw.get("author") in (None, author)
        for _, rows, _ in owners(market, model, ())
        for row in rows
    ]
    if starts and parse_instant(raw["effective_to"]) <= (first := min(starts)):
        what = f"ends before the first price that it could lower, of {format_instant(first)}"
        yield "effective_to", f"the discount {what}. Correct the year, or drop it"
