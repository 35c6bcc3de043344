"""Read the YAML files of a catalog or of overlays, and check that they fit together.

All problems of all files are reported at once. Needs PyYAML.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import frozen
from .errors import CatalogError
from .model import Row, build_rows, row_id
from .plausible import mixups
from .schema import FILES
from .schema_version import newer_schema
from .shapes import KeyPath
from .shelf import Shelf
from .timeline import clashes

if TYPE_CHECKING:
    from .yaml_source import Document

__all__ = ["publish_directory", "read_directory", "read_overlays"]

Content = Mapping[str, Any]

# Files of the data directory by their kind; all others there are price files.
_SINGLE: Final = {
    "catalog.yaml": "catalog",
    "markets.yaml": "markets",
    "tiers.yaml": "tiers",
    "sources.yaml": "sources",
}
_OPTIONAL: Final = frozenset({"sources.yaml"})


def read_directory(directory: Path) -> dict[str, Any]:
    """Read a catalog's data directory into its content, as `compiled` stores it.

    Raises:
        CatalogError: something is wrong with the files, or PyYAML is missing.
    """
    problems: list[str] = []
    content: dict[str, Any] = {"prices": []}
    price_files: list[Document] = []
    for path in sorted(directory.rglob("*.yaml")):
        kind = _kind_of(path, directory)
        document = _read(path, kind, problems)
        if document is None:
            continue
        if kind == "prices":
            price_files.append(document)
        else:
            content |= document.content
    missing = [
        name for name in _SINGLE if name not in _OPTIONAL and not (directory / name).is_file()
    ]
    problems += [f"{directory / name}: the file is missing. Restore it" for name in missing]
    if not problems:
        problems += _Fit(content, Shelf({}, b"")).check(price_files)
    if not problems:
        problems += frozen.changes(directory, _rows_of(price_files))
    if problems:
        raise CatalogError(problems)
    content["prices"] = [document.content for document in price_files]
    _name_sources(content["prices"], content.pop("sources", {}))
    return content


def publish_directory(directory: Path) -> int:
    """Publish the rows of a data directory: from now on they stand as they are.

    Returns:
        How many rows are newly published.

    Raises:
        CatalogError: something is wrong with the files; a published row was edited, say.
        OSError: `published.txt` can't be written.
    """
    read_directory(directory)
    documents = [
        document
        for path in sorted(directory.rglob("*.yaml"))
        if (document := _read(path, _kind_of(path, directory), [])) is not None
        and "models" in document.content
    ]
    return frozen.publish(directory, ((entry, row) for entry, row, _ in _rows_of(documents)))


def _rows_of(documents: Sequence[Document]) -> Iterator[tuple[str, Content, str]]:
    """Id, content and place of each row."""
    for document in documents:
        for index, raw in enumerate(document.content["models"]):
            path: KeyPath = ("models", index)
            for owner, rows, at in _owners(document.content["market"], raw, path):
                for number, row in enumerate(rows):
                    yield row_id(owner, row, None), row, document.at((*at, number))


def _kind_of(path: Path, directory: Path) -> str:
    return _SINGLE.get(str(path.relative_to(directory)), "prices")


def _name_sources(files: Sequence[Content], sources: Content) -> None:
    """Put name and link of a source in place of its short name: rows stand by themselves."""
    for file in files:
        for raw in file["models"]:
            for _, rows, _ in _owners(file["market"], raw, ()):
                for row in rows:
                    provenance = row.get("provenance", {})
                    source = sources.get(provenance.get("source"))
                    if source is not None:
                        provenance["source"] = source["name"]
                        if "url" in source:
                            provenance.setdefault("url", source["url"])


def read_overlays(paths: Sequence[Path], base: Content, models: Shelf) -> list[dict[str, Any]]:
    """Read an operator's overlays, in order, onto the catalog below them: its content and models.

    Raises:
        CatalogError: something is wrong with the files, or PyYAML is missing.
    """
    problems: list[str] = []
    documents = [_read(path, "overlay", problems) for path in paths]
    overlays = [document for document in documents if document is not None]
    if not problems:
        problems += _Fit(base, models).check(overlays)
    if problems:
        raise CatalogError(problems)
    return [document.content for document in overlays]


def _read(path: Path, kind: str, problems: list[str]) -> Document | None:
    """Read one file and check its shape; None unless it is sound."""
    try:
        from .yaml_source import read_yaml
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise CatalogError(
            [f"{path}: reading YAML needs PyYAML. Install it: pip install 'genops-ai[pricing]'"]
        ) from error
    before = len(problems)
    document = read_yaml(path, problems)
    if document is None:
        return None
    if newer := newer_schema(document.content):
        problems.append(f"{document.at(('schema',))}: {newer}")
        return None
    FILES[kind].check(
        document.content, (), lambda at, what: problems.append(f"{document.at(at)}: {what}")
    )
    return document if len(problems) == before else None


class _Fit:
    """Checks that files fit together: names, row ids, corrections, and the time that rows claim."""

    def __init__(self, content: Content, models: Shelf) -> None:
        self._models = models
        self._markets = {raw["id"] for raw in content.get("markets", ())}
        self._tiers = {raw["name"] for raw in content.get("tiers", ())}
        self._spellings: dict[tuple[str, str], str] = {}  # (market, lower case) -> model id
        self._rows: dict[str, list[Row]] = {}  # by owner: market/model[/endpoint]
        self._problems: list[str] = []
        for market in models.markets():
            for spelling, model_id in models.aliases(market).items():
                self._spellings[market, spelling.lower()] = model_id
            for model_id in models.ids(market):
                self._spellings[market, model_id.lower()] = model_id

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
            for index, raw in enumerate(document.content.get("discounts", ())):
                self._check_discount(document, ("discounts", index), raw)
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
        for spelling in (model_id, *raw.get("aliases", ())):
            owner = self._spellings.setdefault((market, spelling.lower()), model_id)
            if owner != model_id:
                what = f'"{spelling}" already means {owner}. Drop it from one of the two'
                self._report(document, path, what)

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
        for owner, raws, at in _owners(market, raw, path):
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
            for owner, rows, _ in _owners(market, raw, ())
        }

    def _check_discount(self, document: Document, path: KeyPath, raw: Content) -> None:
        market = raw["market"]
        if market not in self._markets:
            self._report(document, path, f'no market "{market}". {self._known_markets()}')
        model = raw.get("model")
        if model is not None and self._spellings.get((market, model.lower())) != model:
            ids = {owner for (name, _), owner in self._spellings.items() if name == market}
            closest = ", ".join(difflib.get_close_matches(model, ids, n=3)) or "none"
            what = f'market {market} has no model id "{model}". Closest: {closest}'
            self._report(document, path, what)

    def _known_markets(self) -> str:
        return f"Known: {', '.join(sorted(self._markets))}"

    def _report(self, document: Document, path: KeyPath, what: str) -> None:
        self._problems.append(f"{document.at(path)}: {what}")


def _owners(
    market: str, raw: Content, path: KeyPath
) -> Iterator[tuple[str, Sequence[Content], KeyPath]]:
    """Who owns price rows in a model: itself and its endpoints, with their rows and where."""
    owner = f"{market}/{raw['id']}"
    yield owner, raw.get("prices", ()), (*path, "prices")
    for slug, endpoint in raw.get("endpoints", {}).items():
        yield f"{owner}/{slug}", endpoint["prices"], (*path, "endpoints", slug, "prices")
