"""Read the YAML files of a catalog or of overlays.

All problems of all files are reported at once: `schema` says what is wrong within a file, `fit`
between files, `frozen` since the last release. Needs PyYAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import frozen
from .errors import CatalogError
from .fit import Fit
from .model import owners, row_id
from .schema import FILES
from .schema_version import newer_schema
from .shapes import KeyPath
from .shelf import Shelf

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
        problems += Fit(content, Shelf({}, b"")).check(price_files)
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
            for owner, rows, at in owners(document.content["market"], raw, path):
                for number, row in enumerate(rows):
                    yield row_id(owner, row, None), row, document.at((*at, number))


def _kind_of(path: Path, directory: Path) -> str:
    return _SINGLE.get(str(path.relative_to(directory)), "prices")


def _name_sources(files: Sequence[Content], sources: Content) -> None:
    """Put name and link of a source in place of its short name: rows stand by themselves."""
    for file in files:
        for raw in file["models"]:
            for _, rows, _ in owners(file["market"], raw, ()):
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
        problems += Fit(base, models).check(overlays)
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
