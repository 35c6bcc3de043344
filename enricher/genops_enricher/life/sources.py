"""Reads everything that the service runs by, as of one moment: the configuration and the catalog.

Several files that belong together may be replaced while they are read, as a Kubernetes ConfigMap
is by a link that is switched. So it is noted what the files were before and after, and if that is
not the same they are read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genops_enricher.config.load import Loaded, load_config
from genops_enricher.errors import ConfigError
from genops_pricing import Catalog, CatalogError, load_catalog

__all__ = ["Candidate", "Stamp", "read_sources", "stamp_of"]

_TRIES = 5
_PAUSE_S = 0.2

Stamp = Mapping[Path, tuple[int, ...] | None]
"""What tells one state of a file from another, by path; None for a file that is not there."""

LoadCatalog = Callable[[Sequence[Path]], Catalog]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the files said, and what they were then."""

    loaded: Loaded
    catalog: Catalog
    stamp: Stamp


def stamp_of(paths: Iterable[Path]) -> Stamp:
    """The state of files. Links are followed, so that switching one is a change."""
    return {path: _state(path) for path in paths}


def read_sources(
    path: Path | None,
    env: Mapping[str, str],
    *,
    running: Loaded | None = None,
    load: LoadCatalog = load_catalog,
) -> Candidate:
    """Read the configuration and the overlays that it names.

    Args:
        path: the configuration file; None: `env` is all there is.
        env: the environment variables.
        running: a configuration to keep; only its overlays are read then.
        load: loads the catalog.

    Raises:
        ConfigError: the configuration is wrong, or the files never stay as they are.
        CatalogError: an overlay is wrong.
    """
    file = () if path is None else (path,)
    for _ in range(_TRIES):
        before = dict(stamp_of(file))
        failure: ConfigError | CatalogError
        try:
            loaded = running or load_config(path, env)
            before |= stamp_of(loaded.config.enrichment.overlays)
            candidate = Candidate(loaded, load(loaded.config.enrichment.overlays), before)
        except (ConfigError, CatalogError) as error:
            if before == stamp_of(before):
                raise
            failure = error
        else:
            if before == stamp_of(before):
                return candidate
            failure = ConfigError([f"{path}: changes while it is read, or its overlays do"])
        time.sleep(_PAUSE_S)
    raise failure


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
