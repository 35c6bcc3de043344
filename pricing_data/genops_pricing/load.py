"""Load catalogs: the bundled one, and an operator's overlays on top of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from .catalog import Catalog
from .compiled import (
    Compiled,
    compile_directory,
    digest_of,
    load_bundled,
    read_compiled,
)
from .errors import CatalogError
from .shelf import canonical

__all__ = [
    "bundled_catalog",
    "catalog_with",
    "load_any",
    "load_catalog",
    "load_directory",
    "overlay_text",
]


_IN_WHEEL: Final = "genops_pricing/catalog.json"


@cache
def bundled_catalog() -> Catalog:
    """The catalog that came with this installation; loaded once a process.

    Raises:
        CatalogError: it can't be read; in a source checkout also if the YAML is wrong.
    """
    return load_catalog()


def load_catalog(overlays: Sequence[Path] = ()) -> Catalog:
    """The bundled catalog with an operator's YAML files on top, in order.

    Raises:
        CatalogError: something is wrong with a file, or reading it needs PyYAML; `problems` holds
            every problem as "file:line: what. fix".
    """
    if not overlays:
        return _catalog(load_bundled())
    return catalog_with(overlay_text(overlays))


def overlay_text(overlays: Sequence[Path]) -> str:
    """What an operator's YAML files say, checked against the bundled catalog, for `catalog_with`.

    Raises:
        CatalogError: as `load_catalog`.
    """
    from .sources import read_overlays

    bundled = load_bundled()
    return canonical(read_overlays(overlays, bundled.content, bundled.models))


def catalog_with(text: str) -> Catalog:
    """The bundled catalog with overlays on top, as `overlay_text` gave them.

    Raises:
        CatalogError: the bundled catalog can't be read.
    """
    bundled = load_bundled()
    on_top = digest_of(text)
    return Catalog(
        bundled.content,
        bundled.models,
        json.loads(text),
        version=f"{_version(bundled)}.overlay.{on_top[:8]}",
        digest=digest_of(f"{bundled.digest}\n{on_top}"),
    )


def load_directory(directory: Path) -> Catalog:
    """The catalog of a data directory of YAML files.

    Raises:
        CatalogError: as `load_catalog`.
    """
    return _catalog(compile_directory(directory))


def load_any(path: Path) -> Catalog:
    """The catalog of a data directory, of a wheel, or of a compiled file.

    Raises:
        CatalogError: as `load_catalog`.
    """
    if not path.exists():
        fix = "Give a data directory, a compiled catalog or a wheel"
        raise CatalogError([f"{path}: no such file. {fix}"])
    if path.is_dir():
        return load_directory(path)
    if path.suffix != ".whl":
        return _catalog(read_compiled(path))
    # Other commands need neither of these.
    import tempfile
    import zipfile

    try:
        with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(path) as wheel:
            return _catalog(read_compiled(Path(wheel.extract(_IN_WHEEL, scratch))))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        fix = "Give a wheel of genops-ai"
        raise CatalogError([f"{path}: no price catalog in it: {error}. {fix}"]) from error


def _catalog(compiled: Compiled) -> Catalog:
    return Catalog(
        compiled.content, compiled.models, version=_version(compiled), digest=compiled.digest
    )


def _version(compiled: Compiled) -> str:
    return f"{compiled.content['version']}+{compiled.digest[:8]}"
