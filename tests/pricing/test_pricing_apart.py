"""A catalog that another process reads is the same catalog, with the same complaints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from genops_pricing import CatalogError, Offer, load_catalog
from genops_pricing.apart import CancelledError, catalog_laid_out, load_catalog_apart
from pricing_files import ns

OVERLAY = """\
overlay: acme
market: openrouter
author: acme
models:
  - id: acme/own
    family: acme
    prices:
      - effective_from: 2026-01-01
        usd_per_mtok: {input: "1", output: "2"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "acme.yaml"
    path.write_text(OVERLAY)
    return path


def test_it_is_the_same_catalog(file: Path) -> None:
    here, apart = load_catalog([file]), load_catalog_apart([file])

    assert (apart.version, apart.digest) == (here.version, here.digest)
    offer = apart.find("acme/own", market=None, at_ns=ns("2026-06-01"))
    assert isinstance(offer, Offer)
    assert offer.entry == "openrouter/acme/own@2026-01-01T00:00:00Z+acme"


def test_what_the_overlays_say_makes_the_same_catalog_elsewhere(file: Path) -> None:
    here = load_catalog([file])
    there = catalog_laid_out(here.overlays)

    assert (there.version, there.digest) == (here.version, here.digest)
    assert catalog_laid_out(load_catalog().overlays).digest == load_catalog().digest


def test_without_overlays_it_is_the_bundled_one() -> None:
    assert load_catalog_apart([]).version == load_catalog().version


def test_every_problem_is_told_as_if_it_were_read_here(file: Path) -> None:
    file.write_text(OVERLAY.replace('"1"', "1.5").replace("family:", "famly:"))
    missing = file.with_name("missing.yaml")

    with pytest.raises(CatalogError) as here:
        load_catalog([file, missing])
    with pytest.raises(CatalogError) as apart:
        load_catalog_apart([file, missing])

    assert len(apart.value.problems) >= 3
    assert apart.value.problems == here.value.problems


def test_who_needs_it_no_more_does_not_wait(file: Path) -> None:
    with pytest.raises(CancelledError):
        load_catalog_apart([file], lambda: True)


def test_a_process_that_fails_is_a_problem_with_its_last_words(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CatalogError, match="ended with 1"):
        load_catalog_apart([file])

    monkeypatch.setattr(sys, "executable", str(file.parent / "no-python"))
    with pytest.raises(CatalogError, match="can't start a process"):
        load_catalog_apart([file])
