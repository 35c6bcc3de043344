"""Small catalogs for tests, written as the YAML files that an author would write."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from genops_pricing import Catalog, Offer, Quote, Usage
from genops_pricing.instants import instant_of
from genops_pricing.load import load_directory

CATALOG = 'schema: 1\nneeds_release: "0.1.0"\nversion: 2026.11.22\nreleased: 2026-11-22\n'
MARKETS = """\
vendor_prefixed: openrouter
markets:
  - id: openrouter
    hosts: [openrouter.ai, "*.openrouter.ai"]
    providers: [openrouter]
  - id: openai
    hosts: [api.openai.com]
    providers: [openai]
    service_tiers: {flex: flex, priority: priority, fast: priority}
    regional:
      - {hosts: ["*.api.openai.com"], multiply: "1.1"}
"""
TIERS = """\
tiers:
  - {name: economy, below: "0.001"}
  - {name: balanced, below: "0.01"}
  - {name: premium, below: "0.05"}
  - {name: flagship}
"""


def write_directory(directory: Path, **prices: str) -> Path:
    """A data directory with the given price files, by name."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "catalog.yaml").write_text(CATALOG)
    (directory / "markets.yaml").write_text(MARKETS)
    (directory / "tiers.yaml").write_text(TIERS)
    for name, text in prices.items():
        (directory / f"{name}.yaml").write_text(text)
    return directory


def model_file(*models: str, market: str = "openrouter", author: str = "acme") -> str:
    """A price file with the given model blocks, each at the margin."""
    blocks = [
        "\n".join(f"    {line}" if line else "" for line in block.strip("\n").splitlines())
        for block in models
    ]
    items = "\n".join("  - " + block.lstrip() for block in blocks)
    return f"market: {market}\nauthor: {author}\nmodels:\n{items}\n"


def catalog_of(directory: Path, *models: str) -> Catalog:
    """A catalog whose only price file holds the given model blocks."""
    return load_directory(write_directory(directory, acme=model_file(*models)))


def at(text: str) -> datetime:
    """An instant in UTC: "2024-07-15" or "2024-07-15T12:00:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def quote(catalog: Catalog, model: str, when: str = "2026-11-22", **counts: int) -> Quote:
    """The cost of a call."""
    return catalog.quote(model, Usage(**counts), at=at(when))


def offer_at(catalog: Catalog, model: str, at_ns: int, **more: str) -> Offer:
    """The price in force; fails the test if there is none."""
    offer = catalog.find(model, market=None, at_ns=at_ns, endpoint=more.get("endpoint"))
    assert isinstance(offer, Offer), offer
    return offer


def ns(text: str) -> int:
    """An instant in Unix nanoseconds."""
    return instant_of(at(text))
