"""The oracle report: on which prices genai-prices agrees with the catalog, and every exception.

`PYTHONPATH=tests python tests/pricing/oracles/report.py` prints it, and exits 1 if an exception has
no reason; with `--write` the table of exceptions beside this file is renewed, for review. An
exception cites the source of our price, the day on which that source stated it, a reason of the
closed list in `reasons`, and what shows it. A reason that does not follow from the catalog is
written into the table by hand, and kept as long as both prices stay.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from importlib.metadata import version
from pathlib import Path

from genops_pricing import Catalog, bundled_catalog
from pricing.oracles.genai_rows import Comparison, compare_prices
from pricing.oracles.reasons import DERIVED, REASONS, Reason, derive

TABLE = Path(__file__).with_name("exceptions.csv")
NO_REASON = Reason("", "")

Exceptions = Mapping[Comparison, Reason]


def read_table() -> Exceptions:
    with TABLE.open(encoding="utf-8", newline="") as file:
        lines = [list(line.values()) for line in csv.DictReader(file)]
    return {Comparison(*line[:-2]): Reason(*line[-2:]) for line in lines}


def write_table(exceptions: Exceptions) -> None:
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(field.name for field in fields(Comparison)), "reason", "evidence"])
        for one, reason in sorted(exceptions.items()):
            writer.writerow([*astuple(one), *reason])


def explain(catalog: Catalog, compared: Iterable[Comparison], table: Exceptions) -> Exceptions:
    """Every exception with its reason: derived, or by hand from the table, or none."""
    by_hand = {
        (one.market, one.model, one.unit, one.ours, one.theirs): reason
        for one, reason in table.items()
        if reason.name not in DERIVED
    }
    models: defaultdict[tuple[str, str], list[Comparison]] = defaultdict(list)
    for one in compared:
        models[one.market, one.model].append(one)
    return {
        one: derive(catalog, told) or by_hand.get((*key, one.unit, one.ours, one.theirs), NO_REASON)
        for key, told in models.items()
        for one in told
        if not one.agrees
    }


def report(compared: Sequence[Comparison], exceptions: Exceptions) -> Iterator[str]:
    """How many prices and models were compared by market, how many agree, and why others do not."""
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
    yield ""
    yield f"{'exception':<16}{'prices':>8}{'rows':>8}"
    for name in [*REASONS, NO_REASON.name]:
        because = [one for one, reason in exceptions.items() if reason.name == name]
        if name or because:
            rows = len({(one.market, one.model) for one in because})
            meaning = REASONS.get(name, "NO REASON: add one to the table")
            yield f"{name:<16}{len(because):>8}{rows:>8}  {meaning}"
    yield f"{len(exceptions)} exceptions, listed in {TABLE.name}"


def main() -> int:
    catalog = bundled_catalog()
    compared = list(compare_prices(catalog))
    exceptions = explain(catalog, compared, read_table())
    print(f"genai-prices {version('genai-prices')} against {catalog.version}")
    for line in report(compared, exceptions):
        print(line)
    if "--write" in sys.argv:
        write_table(exceptions)
    return 1 if NO_REASON in exceptions.values() else 0


if __name__ == "__main__":
    sys.exit(main())
