"""Load catalogs: the bundled one, and an operator's overlays on top of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from .catalog import Catalog
from .compiled import canonical, digest_of, load_bundled

__all__ = ["bundled_catalog", "load_catalog"]


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
    version = f"{bundled.content['version']}+{bundled.digest[:8]}"
    if not overlays:
        return Catalog(bundled.content, version=version, digest=bundled.digest)
    from .sources import read_overlays

    contents = read_overlays(overlays, bundled.content)
    on_top = digest_of(canonical(contents))
    return Catalog(
        bundled.content,
        contents,
        version=f"{version}.overlay.{on_top[:8]}",
        digest=digest_of(f"{bundled.digest}\n{on_top}"),
    )
