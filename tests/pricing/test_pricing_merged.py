"""An id that turned out to be only another name of a model."""

from __future__ import annotations

from pathlib import Path

from genops_pricing import bundled_catalog
from genops_pricing.compare import compare
from genops_pricing.compiled import compile_directory
from genops_pricing.fit import Fit
from genops_pricing.matching import Names
from genops_pricing.yaml_source import read_yaml
from pricing_files import catalog_of, model_file, quote, write_directory

BASE = """\
id: acme/one
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "1", output: "2"}
"""
DATED = """\
id: acme/one-20240101
prices:
  - {effective_from: 2024-06-01, status: suspect, reason: one family states it}
"""
MERGED = DATED.replace("prices:", "merged_into: acme/one\nprices:")


def test_a_merged_id_means_the_model_and_its_rows_stay(tmp_path: Path) -> None:
    old = catalog_of(tmp_path / "old", BASE, DATED)
    new = catalog_of(tmp_path / "new", BASE, MERGED)

    assert quote(old, "acme/one-20240101", input=10).reason == "suspect_price"
    assert quote(new, "acme/one-20240101", input=10).model == "acme/one"
    assert [model.id for model in new.models()] == ["acme/one"]
    (change,) = compare(old, new)
    assert (change["change"], change["new"]) == ("model_merged", "acme/one")


def test_an_overlay_can_not_price_a_merged_id(tmp_path: Path) -> None:
    """Its rows would have no effect: it has to name the model."""

    compiled = compile_directory(write_directory(tmp_path, acme=model_file(BASE, MERGED)))
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("overlay: mine\n" + model_file(DATED))
    document = read_yaml(overlay, [])
    assert document is not None

    (problem,) = Fit(compiled.content, compiled.models).check([document])
    assert '"acme/one-20240101" already means acme/one' in problem


def test_no_model_that_no_list_shows_is_another_ones_name() -> None:
    """Of the bundled catalog: a call under that name would miss the price of the model."""
    models = {model.id: model for model in bundled_catalog().models("openrouter")}
    aliases = {alias: model.id for model in models.values() for alias in model.aliases}
    doubled = []
    for model in models.values():
        if any(row.provenance and "OpenRouter" in row.provenance.source for row in model.rows):
            continue
        own = {alias: name for alias, name in aliases.items() if name != model.id}
        names = Names([name for name in models if name != model.id], own)
        if isinstance(meant := names.resolve(model.id), str):
            doubled.append((model.id, meant))
    assert not doubled
