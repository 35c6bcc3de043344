"""A published row can't be edited without anybody noticing."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_pricing import CatalogError
from genops_pricing.frozen import FILE
from genops_pricing.load import load_directory
from genops_pricing.sources import publish_directory

BUNDLED = Path(__file__).parents[2] / "pricing_data" / "genops_pricing" / "data"

PRICES = """\
market: openrouter
author: acme
models:
  - id: acme/one
    prices:
      - effective_from: 2026-01-01
        usd_per_mtok: {input: "1", output: "2"}
"""
ADDED = """\
      - effective_from: 2026-02-01
        usd_per_mtok: {input: "2", output: "2"}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("catalog.yaml", "markets.yaml", "tiers.yaml"):
        (tmp_path / name).write_bytes((BUNDLED / name).read_bytes())
    (tmp_path / "acme.yaml").write_text(PRICES)
    assert publish_directory(tmp_path) == 1
    return tmp_path


def test_an_edited_row_is_named_with_its_line_and_the_right_way(data: Path) -> None:
    (data / "acme.yaml").write_text(PRICES.replace('output: "2"', 'output: "3"'))

    with pytest.raises(CatalogError) as raised:
        load_directory(data)

    assert raised.value.problems == (
        f"{data / 'acme.yaml'}:6: the published row openrouter/acme/one@2026-01-01T00:00:00Z was "
        "edited. Restore it, and add a row with `revision`, `corrects: "
        "openrouter/acme/one@2026-01-01T00:00:00Z` and a `reason`",
    )


def test_a_row_that_is_gone_is_named(data: Path) -> None:
    (data / "acme.yaml").write_text(PRICES.replace("2026-01-01", "2026-01-02"))

    with pytest.raises(CatalogError, match=r"published\.txt:3: the published row .* is gone"):
        load_directory(data)


def test_comments_layout_and_facts_of_a_model_may_change(data: Path) -> None:
    text = PRICES.replace("    prices:", "    # of 2026\n    removed: 2026-05-01\n    prices:")
    (data / "acme.yaml").write_text(
        text.replace('{input: "1", output: "2"}', '{output: "2", input: "1"}')
    )

    assert load_directory(data).model("acme/one") is not None


def test_new_rows_are_free_to_change_until_they_are_published(data: Path) -> None:
    (data / "acme.yaml").write_text(PRICES + ADDED)
    load_directory(data)
    (data / "acme.yaml").write_text(PRICES + ADDED.replace('"2"', '"3"'))

    assert publish_directory(data) == 1
    assert publish_directory(data) == 0
    assert len((data / FILE).read_text().splitlines()) == 2 + 2


def test_publishing_does_not_bless_an_edit(data: Path) -> None:
    before = (data / FILE).read_text()
    (data / "acme.yaml").write_text(PRICES.replace('output: "2"', 'output: "3"'))

    with pytest.raises(CatalogError, match="was edited"):
        publish_directory(data)
    assert (data / FILE).read_text() == before


def test_every_bundled_row_is_published() -> None:
    lines = (BUNDLED / FILE).read_text().splitlines()
    published = {line.partition(" ")[2] for line in lines if not line.startswith("#")}

    for model in load_directory(BUNDLED).models(merged=True):
        for row in (*model.rows, *(row for own in model.endpoints.values() for row in own.rows)):
            assert row.entry in published


def test_a_line_that_is_none_is_named_and_an_empty_one_is_not(data: Path) -> None:
    text = (data / FILE).read_text()
    (data / FILE).write_text(f"{text}\n")
    assert load_directory(data).model("acme/one") is not None

    (data / FILE).write_text(f"{text}<<<<<<<\n")
    with pytest.raises(CatalogError, match=r"published\.txt:4: no digest and id"):
        load_directory(data)
