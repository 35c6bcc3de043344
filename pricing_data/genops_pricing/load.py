"""Load catalogs: the bundled one, and an operator's overlays on top of it."""

from __future__ import annotations

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

__all__ = ["bundled_catalog", "load_any", "load_catalog", "load_directory"]


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
    bundled = load_bundled()
    if not overlays:
        return _catalog(bundled)
    from .sources import read_overlays

    contents = read_overlays(overlays, bundled.content, bundled.models)
    on_top = digest_of(canonical(contents))
    return Catalog(
        bundled.content,
        bundled.models,
        contents,
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
