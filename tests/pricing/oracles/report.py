"""The oracle report: on which prices genai-prices agrees with the catalog, and every exception.

`PYTHONPATH=tests python tests/pricing/oracles/report.py` prints it; with `--write` the table of
exceptions beside this file is renewed, for review. An exception cites the source of our price and
the day on which that source stated it.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields
from importlib.metadata import version
from pathlib import Path

from genops_pricing import bundled_catalog
from pricing.oracles.genai_rows import Comparison, compare_prices

TABLE = Path(__file__).with_name("exceptions.csv")


def read_table() -> set[Comparison]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {Comparison(**line) for line in csv.DictReader(file)}


def write_table(exceptions: Iterable[Comparison]) -> None:
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Comparison))
        writer.writerows(astuple(one) for one in sorted(exceptions))


def report(compared: Iterable[Comparison]) -> Iterator[str]:
    """How many prices and models were compared by market, and how many agree."""
    prices: Counter[tuple[str, bool]] = Counter()
    models: dict[tuple[str, str], bool] = {}
    for one in compared:
        prices[one.market, one.agrees] += 1
        key = (one.market, one.model)
        models[key] = models.get(key, True) and one.agrees
    yield f"{'market':<16}{'prices':>8}{'agree':>8}{'rows':>8}{'agree':>8}"
    for market in sorted({market for market, _ in prices}):
        told = [agrees for (name, _), agrees in models.items() if name == market]
        yield (
            f"{market:<16}{prices[market, True] + prices[market, False]:>8}"
            f"{prices[market, True]:>8}{len(told):>8}{sum(told):>8}"
        )
    backed = sum(models.values())
    yield f"rows with two or more independent sources: {backed} of {len(models)} compared"


def main() -> None:
    compared = list(compare_prices(bundled_catalog()))
    print(f"genai-prices {version('genai-prices')} against {bundled_catalog().version}")
    for line in report(compared):
        print(line)
    exceptions = [one for one in compared if not one.agrees]
    print(f"{len(exceptions)} exceptions, listed in {TABLE.name}")
    if "--write" in sys.argv:
        write_table(exceptions)


if __name__ == "__main__":
    main()
