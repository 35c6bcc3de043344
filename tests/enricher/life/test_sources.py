"""Configuration and overlays are read as of one moment, whatever happens to the files meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from genops_enricher.errors import ConfigError
from genops_enricher.life.sources import read_sources, stamp_of
from genops_pricing import Catalog, CatalogError, load_catalog
from life import overlay

CONFIG = """\
exporters: {{otlp_grpc: {{endpoint: 'http://backend:4317'}}}}
enrichment: {{overlays: [prices.yaml]}}
service: {{data_dir: {}}}
"""


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """A folder as Kubernetes mounts a ConfigMap, at its first version."""
    for version, price in (("..one", "10"), ("..two", "20")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "enricher.yaml").write_text(CONFIG.format(f"/{version}"))
        (tmp_path / version / "prices.yaml").write_text(overlay(price))
    (tmp_path / "..data").symlink_to("..one")
    for name in ("enricher.yaml", "prices.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    return tmp_path


def switch(mount: Path) -> None:
    (mount / "..next").symlink_to("..two")
    (mount / "..next").replace(mount / "..data")


def test_files_that_are_switched_while_they_are_read_are_read_again(mount: Path) -> None:
    versions: list[str] = []

    def load(overlays: Sequence[Path]) -> Catalog:
        if not versions:
            switch(mount)  # after the configuration was read, before the prices are
        catalog = load_catalog(overlays)
        versions.append(catalog.version)
        return catalog

    candidate = read_sources(mount / "enricher.yaml", {}, load=load)

    assert len(versions) == 2
    assert candidate.loaded.config.service.data_dir == Path("/..two")
    assert candidate.catalog.version == versions[1] == load_catalog([mount / "prices.yaml"]).version
    assert candidate.stamp == stamp_of([mount / "enricher.yaml", mount / "prices.yaml"])


def test_a_mistake_of_half_a_change_is_not_reported(mount: Path) -> None:
    tries = []

    def load(overlays: Sequence[Path]) -> Catalog:
        tries.append(overlays)
        if len(tries) == 1:
            switch(mount)
            raise CatalogError(["half of it"])
        return load_catalog(overlays)

    read_sources(mount / "enricher.yaml", {}, load=load)

    assert len(tries) == 2


def test_files_that_never_stay_as_they_are_are_refused(mount: Path) -> None:
    def load(overlays: Sequence[Path]) -> Catalog:
        (mount / "..one" / "prices.yaml").write_text(overlay("1") + "# longer\n" * len(tries))
        tries.append(overlays)
        return load_catalog(overlays)

    tries: list[Sequence[Path]] = []
    with pytest.raises(ConfigError, match="changes while it is read"):
        read_sources(mount / "enricher.yaml", {}, load=load)


def test_with_a_configuration_to_keep_only_its_overlays_are_read(mount: Path) -> None:
    running = read_sources(mount / "enricher.yaml", {})
    (mount / "enricher.yaml").unlink()
    (mount / "..one" / "prices.yaml").write_text(overlay("30"))

    candidate = read_sources(mount / "enricher.yaml", {}, running=running.loaded)

    assert candidate.loaded is running.loaded
    assert candidate.catalog.version != running.catalog.version
