"""Read the YAML files of a catalog or of overlays, and check that they fit together.

All problems of all files are reported at once. Needs PyYAML.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .errors import CatalogError
from .model import Row, build_rows
from .schema import FILES
from .schema_version import newer_schema
from .shapes import KeyPath
from .timeline import clashes

if TYPE_CHECKING:
    from .yaml_source import Document

__all__ = ["read_directory", "read_overlays"]

Content = Mapping[str, Any]

# Files of the data directory by their kind; all others there are price files.
_SINGLE: Final = {"catalog.yaml": "catalog", "markets.yaml": "markets", "tiers.yaml": "tiers"}


def read_directory(directory: Path) -> dict[str, Any]:
    """Read a catalog's data directory into its content, as `compiled` stores it.

    Raises:
        CatalogError: something is wrong with the files, or PyYAML is missing.
    """
    problems: list[str] = []
    content: dict[str, Any] = {"prices": []}
    price_files: list[Document] = []
    for path in sorted(directory.rglob("*.yaml")):
        relative = path.relative_to(directory)
        kind = _SINGLE.get(str(relative), "prices")
        document = _read(path, kind, problems)
        if document is None:
            continue
        if kind == "prices":
            price_files.append(document)
        else:
            content |= document.content
    missing = [name for name in _SINGLE if not (directory / name).is_file()]
    problems += [f"{directory / name}: the file is missing. Restore it" for name in missing]
    if not problems:
        problems += _Fit(content).check(price_files)
    if problems:
        raise CatalogError(problems)
    content["prices"] = [document.content for document in price_files]
    return content


def read_overlays(paths: Sequence[Path], base: Content) -> list[dict[str, Any]]:
    """Read an operator's overlays, in order, onto the content of the catalog below them.

    Raises:
        CatalogError: something is wrong with the files, or PyYAML is missing.
    """
    problems: list[str] = []
    documents = [_read(path, "overlay", problems) for path in paths]
    overlays = [document for document in documents if document is not None]
    if not problems:
        problems += _Fit(base).check(overlays)
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

    def __init__(self, content: Content) -> None:
        self._markets = {raw["id"] for raw in content.get("markets", ())}
        self._tiers = {raw["name"] for raw in content.get("tiers", ())}
        self._spellings: dict[tuple[str, str], str] = {}  # (market, lower case) -> model id
        self._rows: dict[str, list[Row]] = {}  # by owner: market/model[/endpoint]
        self._problems: list[str] = []
        for file in content["prices"]:
            for raw in file["models"]:
                for spelling in (raw["id"], *raw.get("aliases", ())):
                    self._spellings[file["market"], spelling.lower()] = raw["id"]
                for owner, rows, _ in _owners(file["market"], raw, ()):
                    self._rows[owner] = list(build_rows(owner, rows, layer=0, overlay=None))

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
        for owner, raws, at in _owners(market, raw, path):
            rows = self._rows.setdefault(owner, [])
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
            for first, second in clashes(added):
                where = (*at, added.index(second))
                what = f"{second.entry} claims time that {first.entry} claims too"
                fix = "Change an instant, or say `corrects:`"
                self._report(document, where, f"{what}. {fix}")

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
