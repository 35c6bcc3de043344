"""What the price catalog costs a sidecar: time and memory to the first lookup, and each lookup.

Measured in fresh processes, on the bundled catalog and on one of 20,000 models made from it.
The bounds that a sidecar wants stand below the figures; machines differ, so nothing fails.
"""

from __future__ import annotations

# A measured process imports nothing else before it is measured: what the catalog's own modules
# need of the standard library counts.
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

MODELS = 20_000
AT_NS = 1_780_000_000 * 10**9
# Up to the first lookup, over a bare interpreter; and each lookup of a known question.
MOST_MS, MOST_MIB, MOST_US = 150.0, 25.0, 2.0


def resident_mib() -> float:
    with open("/proc/self/statm") as file:  # noqa: PTH123 -- pathlib is part of what is measured
        return int(file.read().split()[1]) * 4096 / 2**20


def measure(path: str) -> dict[str, float]:
    """In a process that has imported nothing of ours yet."""
    before_mib, started = resident_mib(), time.process_time()
    from pathlib import Path

    from genops_pricing import Miss, Offer
    from genops_pricing.load import bundled_catalog, load_any

    imported = time.process_time()
    catalog = load_any(Path(path)) if path else bundled_catalog()
    offer = catalog.find("openai/gpt-4o", market="openrouter", at_ns=AT_NS)
    found, after_mib = time.process_time(), resident_mib()
    assert isinstance(offer, Offer), offer
    first = time.process_time()
    bare = catalog.find("claude-3-sonnet", market=None, at_ns=AT_NS)
    bare_ms = (time.process_time() - first) * 1000
    assert isinstance(bare, Offer), bare
    return {
        "import_ms": (imported - started) * 1000,
        "first_ms": (found - started) * 1000,
        "mib": after_mib - before_mib,
        "bare_name_ms": bare_ms,
        "known_us": each_us(
            lambda: catalog.find("openai/gpt-4o", market="openrouter", at_ns=AT_NS)
        ),
        "known_endpoint_us": each_us(
            lambda: catalog.find(
                "openai/gpt-4o", market="openrouter", at_ns=AT_NS, endpoint="azure"
            )
        ),
        "known_miss_us": each_us(
            lambda: catalog.find("acme/none", market="openrouter", at_ns=AT_NS), Miss
        ),
    }


def each_us(work: Callable[[], object], expected: type | None = None) -> float:
    """Median CPU time of one call."""
    import gc
    import statistics

    assert expected is None or isinstance(work(), expected)
    calls = 20_000
    rounds = []
    gc.disable()
    for _ in range(7):
        started = time.process_time_ns()
        for _ in range(calls):
            work()
        rounds.append((time.process_time_ns() - started) / 1000 / calls)
    gc.enable()
    return statistics.median(rounds)


def enlarge(directory: Path) -> Path:
    """A compiled catalog of MODELS models: those of the bundled one, again and again."""
    from genops_pricing.compiled import compile_content, load_bundled, write_compiled

    bundled = load_bundled()
    known = [
        (market, *bundled.models.read(market, model_id))
        for market in bundled.models.markets()
        for model_id in bundled.models.ids(market)
    ]
    files: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for number in range(MODELS):
        copy, index = divmod(number, len(known))
        market, author, raw = known[index]
        model = dict(raw)
        if copy:
            model["id"] = f"{raw['id']}-copy{copy}"
            model["aliases"] = [f"{alias}-copy{copy}" for alias in raw.get("aliases", ())]
        files.setdefault((market, author), []).append(model)
    prices = [
        {"market": market, "author": author, "models": models}
        for (market, author), models in files.items()
    ]
    path = directory / "catalog.json"
    write_compiled(compile_content({**bundled.content, "prices": prices}, sources=""), path)
    return path


def main() -> None:
    import argparse
    import json
    import tempfile
    from pathlib import Path

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="processes to take the median of")
    parser.add_argument("--json", action="store_true", help="print one JSON object a catalog")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        catalogs = {"bundled": "", f"{MODELS:,} models": str(enlarge(Path(scratch)))}
        results = {name: run(path, options.rounds) for name, path in catalogs.items()}
    if not options.json:
        print(
            f"Price catalog, median of {options.rounds} fresh processes; CPU time, and memory over "
            "a bare interpreter\n"
        )
        print(f"{'':<16}" + "".join(f"{name:>19}" for name in next(iter(results.values()))))
    for name, result in results.items():
        if options.json:
            print(json.dumps({"catalog": name, **result}))
        else:
            print(f"{name:<16}" + "".join(f"{value:>19.2f}" for value in result.values()))
    if not options.json:
        print(f"\nbounds: first_ms {MOST_MS:g}, mib {MOST_MIB:g}, a known question {MOST_US:g} us")


def run(path: str, rounds: int) -> dict[str, float]:
    import json
    import statistics
    import subprocess

    results = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, __file__, "measure", path],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        results.append(json.loads(done.stdout))
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        figures = measure(sys.argv[2])
        import json

        print(json.dumps(figures))
    else:
        main()
