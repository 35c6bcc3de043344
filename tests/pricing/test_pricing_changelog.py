"""What a version of the prices has over an older one, as a section of the changelog."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_pricing.changelog import changelog_lines
from genops_pricing.load import load_directory

BUNDLED = Path(__file__).parents[2] / "pricing_data" / "genops_pricing" / "data"
HEAD = "market: openrouter\nauthor: acme\nmodels:\n"


def directory(path: Path, prices: str) -> Path:
    path.mkdir()
    for name in ("catalog.yaml", "markets.yaml", "tiers.yaml"):
        (path / name).write_bytes((BUNDLED / name).read_bytes())
    (path / "acme.yaml").write_text(HEAD + prices)
    return path


def model(name: str, *rows: tuple[str, str]) -> str:
    lines = [f"  - id: {name}", "    prices:"]
    for day, price in rows:
        lines += [f"      - effective_from: {day}", f'        usd_per_mtok: {{input: "{price}"}}']
    return "\n".join([*lines, ""])


def test_new_models_and_prices_have_their_lines(tmp_path: Path) -> None:
    old = directory(tmp_path / "old", model("acme/one", ("2026-01-01", "1")))
    new = directory(
        tmp_path / "new",
        model("acme/one", ("2026-01-01", "1"), ("2026-02-01", "2"))
        + model("acme/two", ("2026-02-01", "3")),
    )

    text = "\n".join(changelog_lines(load_directory(old), load_directory(new)))

    assert "2 models, 3 price rows." in text
    assert "### New models: 1\n\n- `openrouter/acme/two`: 1 price row, input 3" in text
    assert "### New prices of known models\n\n- `openrouter/acme/one@2026-02-01T00:00:00Z`" in text


@pytest.mark.parametrize(("count", "is_named"), [(40, True), (41, False)])
def test_many_new_models_are_counted_by_market(tmp_path: Path, count: int, is_named: bool) -> None:
    rows = [model(f"acme/m{number}", ("2026-02-01", "3")) for number in range(count)]
    old = directory(tmp_path / "old", model("acme/one", ("2026-01-01", "1")))
    new = directory(tmp_path / "new", model("acme/one", ("2026-01-01", "1")) + "".join(rows))

    lines = list(changelog_lines(load_directory(old), load_directory(new)))

    assert (f"- openrouter: {count}" in lines) is not is_named
