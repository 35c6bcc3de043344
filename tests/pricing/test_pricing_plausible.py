"""Mix-ups of units are problems with a file and line, unless a row says that it is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_pricing import CatalogError
from pricing_files import catalog_of


def row(prices: str, more: str = "", day: str = "2024-01-01") -> str:
    return f"  - {{effective_from: {day}, {prices}{more}}}\n"


def problems(directory: Path, *rows: str) -> tuple[str, ...]:
    try:
        catalog_of(directory, "id: acme/one\nprices:\n" + "".join(rows))
    except CatalogError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("prices", "problem"),
    [
        ('usd_per_mtok: {input: "0.0000025"}', "looks like a price per token"),
        ('usd_per_mtok: {input: "2500"}', "looks like cents"),
        ('usd_per_mtok: {input: "1"}, usd_per_unit: {image: "0.000002"}', "per image token"),
        ('usd_per_mtok: {input: "1"}, usd_per_unit: {web_search: "10"}', "one per 1,000"),
        ('usd_per_mtok: {cache_read: "1", output: "2"}', "and input has none. State that of input"),
        ('usd_per_mtok: {input: "1", output_audio: "2"}', "and output has none"),
        ('usd_per_mtok: {input: "1", cache_write_1h: "2"}', "and cache_write has none"),
    ],
)
def test_a_price_in_the_wrong_unit_is_told(tmp_path: Path, prices: str, problem: str) -> None:
    (found,) = problems(tmp_path, row(prices))

    assert found.startswith(f"{tmp_path}/acme.yaml:6: ")
    assert problem in found


@pytest.mark.parametrize("price", ["0", "0.005", "150", "600"])
def test_prices_as_they_occur_are_sound(tmp_path: Path, price: str) -> None:
    assert problems(tmp_path, row(f'usd_per_mtok: {{input: "{price}"}}')) == ()


def test_a_change_by_a_unit_is_told(tmp_path: Path) -> None:
    first, second = 'usd_per_mtok: {input: "2.5"}', 'usd_per_mtok: {input: "250"}'
    (found,) = problems(tmp_path, row(first), row(second, day="2024-02-01"))

    assert "input goes from 2.5 to 250, as if one were cents" in found


def test_a_row_with_a_reason_is_taken_as_it_is(tmp_path: Path) -> None:
    first, second = 'usd_per_mtok: {input: "2.5"}', 'usd_per_mtok: {input: "2500"}'

    assert (
        problems(tmp_path, row(first), row(second, ", reason: as announced", day="2024-02-01"))
        == ()
    )
