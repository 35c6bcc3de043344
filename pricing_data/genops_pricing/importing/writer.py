"""Add models, endpoints and price rows to the YAML files of a data directory.

Only adds: what is there, comments and layout included, stays byte for byte. Each file is replaced
whole or not at all.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from genops_pricing.errors import CatalogError
from genops_pricing.importing.authors import MAKERS
from genops_pricing.importing.decision import Addition, NewModel, NewRow, Removal

from .price_file import LOADER, PriceFile, with_models

__all__ = ["plan", "write"]


def write(data: Path, additions: Iterable[Addition]) -> list[Path]:
    """Add to the price files of `data`.

    Returns:
        The files that changed or are new.

    Raises:
        CatalogError: an addition is for a model that no file holds.
        OSError: a file can't be written.
    """
    changed = plan(data, additions)
    for path, text in changed.items():
        _replace(path, text)
    return sorted(changed)


def plan(data: Path, additions: Iterable[Addition]) -> dict[Path, str]:
    """The new text of each file that the additions change.

    Raises:
        CatalogError: as `write`.
    """
    index = _Index(data)
    short = _short_names(data)
    additions = [_abbreviated(addition, short) for addition in additions]
    files: dict[Path, PriceFile] = {}
    problems: list[str] = []

    def file_at(path: Path) -> PriceFile:
        return files.setdefault(path, PriceFile(path.read_text(encoding="utf-8")))

    fresh: dict[Path, list[NewModel]] = defaultdict(list)
    for addition in additions:
        if isinstance(addition, NewModel):
            fresh[index.path_for(addition.market, addition.author)].append(addition)
            continue
        subject = addition.subject
        path = index.models.get((subject.market, subject.model))
        if path is None:
            problems.append(f"{data}: no file holds {subject.owner}. Add the model first")
        elif isinstance(addition, Removal):
            file_at(path).add_removed(subject.model, addition.day)
        elif isinstance(addition, NewRow):
            if not file_at(path).add_row(subject.model, subject.endpoint, addition.raw):
                problems.append(f"{path}: {subject.owner} has no `prices`. Add them first")
        else:
            file_at(path).add_endpoint(addition)
    if problems:
        raise CatalogError(problems)
    texts = {path: file.text() for path, file in files.items()}
    for path, models in fresh.items():
        before = texts.get(path)
        if before is None:
            before = path.read_text(encoding="utf-8") if path.exists() else ""
        texts[path] = with_models(before, models)
    return texts


def _short_names(data: Path) -> dict[tuple[str, str], str]:
    """The short names of sources by name and url, as `sources.yaml` gives them."""
    path = data / "sources.yaml"
    if not path.exists():
        return {}
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 -- reads no types at all
    return {(raw["name"], raw.get("url", "")): slug for slug, raw in content["sources"].items()}


def _abbreviated(addition: Addition, short: Mapping[tuple[str, str], str]) -> Addition:
    """The addition with short names of sources in place of names and links."""

    def row(raw: Mapping[str, Any]) -> dict[str, Any]:
        provenance = dict(raw.get("provenance", {}))
        slug = short.get((provenance.get("source", ""), provenance.get("url", "")))
        if slug is None or provenance["basis"] == "documented":
            return dict(raw)
        provenance.pop("url", None)
        return {**raw, "provenance": {**provenance, "source": slug}}

    def rows(raw: Mapping[str, Any]) -> dict[str, Any]:
        return (
            {**raw, "prices": [row(item) for item in raw["prices"]]} if "prices" in raw else {**raw}
        )

    if isinstance(addition, Removal):
        return addition
    if isinstance(addition, NewRow):
        return replace(addition, raw=row(addition.raw))
    raw = rows(addition.raw)
    if "endpoints" in raw:
        raw["endpoints"] = {slug: rows(item) for slug, item in raw["endpoints"].items()}
    return replace(addition, raw=raw)


class _Index:
    """Which file holds which model, and where a new one belongs."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.models: dict[tuple[str, str], Path] = {}
        self._files: dict[tuple[str, str], Path] = {}
        self._markets: dict[str, set[str]] = defaultdict(set)
        for path in sorted(data.rglob("*.yaml")):
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 -- reads no types at all
            if isinstance(content, dict) and "models" in content:
                market, author = content["market"], content["author"]
                self._files[market, author] = path
                self._markets[market].add(author)
                for raw in content["models"]:
                    self.models[market, raw["id"]] = path

    def path_for(self, market: str, author: str) -> Path:
        """The file for models of an author in a market.

        openrouter/AUTHOR.yaml; direct/PROVIDER.yaml for a maker, direct/PROVIDER/AUTHOR.yaml for
        one who sells the models of several.
        """
        if path := self._files.get((market, author)):
            return path
        if market == "openrouter":
            path = self._data / market / f"{author}.yaml"
        elif MAKERS.get(market) == author:
            path = self._data / "direct" / f"{market}.yaml"
        else:
            path = self._data / "direct" / market / f"{author}.yaml"
        self._files[market, author] = path
        return path


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
