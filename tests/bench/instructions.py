"""Instructions per span of the hot path, counted by callgrind: the same on a busy machine.

What a change costs shows here to a fraction of a percent, where times would need hours. A count is
the difference between a process that enriches many requests and one that enriches few, so that the
start is no part of it. The baseline is reviewed like code, and only holds for the versions that it
names: another Python or protobuf has other instructions.

    PYTHONPATH=tests python -m bench.instructions            # compare
    PYTHONPATH=tests python -m bench.instructions --write    # accept what is there as the baseline
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import google.protobuf

from bench.bench_hot_path import LABELS, batch
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import EnrichStage
from genops_enricher.pipeline import Batch
from genops_enricher.seen.duplicates import Duplicates
from genops_enricher.spend import Ledger
from genops_enricher.telemetry import Telemetry
from genops_pricing import bundled_catalog

__all__ = ["ATTRIBUTES", "BASELINE", "CASES", "SPANS", "TOLERANCE", "count", "stage", "versions"]

BASELINE = Path(__file__).with_name("instructions.json")
TOLERANCE = 0.03
"""By what share a count may differ from the baseline.

The smallest case has been seen to move by half of that.
"""

SPANS, ATTRIBUTES = 100, 20
_FEW, _MANY = 5, 45  # requests


@dataclass(frozen=True, slots=True)
class Case:
    """A fixed input: one span in `llm_every` is a call."""

    llm_every: int


CASES = {"all LLM": Case(1), "one in ten LLM": Case(10), "no LLM": Case(10**6)}


class _Nowhere:
    def consume(self, batch: Batch) -> None:
        pass


def stage() -> EnrichStage:
    """The stage as the service has it, with nothing behind it."""
    telemetry, ledger = Telemetry(), Ledger(LABELS, 2000)
    return EnrichStage(
        Enricher(bundled_catalog(), labels=LABELS),
        _Nowhere(),
        telemetry,
        ledger,
        duplicates=Duplicates(3600.0, 100_000),
    )


def work(case: Case, requests: int) -> None:
    """Enrich the input so many times, as the service does, but for the queue."""
    enriching = stage()
    payload = batch(SPANS, ATTRIBUTES, case.llm_every)
    for _ in range(requests):
        enriching.accept(payload)


def count(name: str) -> int:
    """Instructions for a span of the input.

    Raises:
        RuntimeError: callgrind failed.
    """
    few, many = (_collected(name, requests) for requests in (_FEW, _MANY))
    return round((many - few) / (_MANY - _FEW) / SPANS)


def _collected(name: str, requests: int) -> int:
    command = [
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
        sys.executable, "-m", "bench.instructions", "--work", name, str(requests),
    ]  # fmt: skip
    # A fixed hash seed: else sets and dictionaries are laid out anew in each process.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise RuntimeError(f"callgrind failed:\n{done.stderr[-2000:]}")
    return int(found[1])


def versions() -> dict[str, str]:
    """What a baseline holds for."""
    return {
        "python": platform.python_version(),
        "protobuf": google.protobuf.__version__,
        "machine": platform.machine(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="make the baseline anew")
    parser.add_argument("--work", nargs=2, metavar=("CASE", "REQUESTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(CASES[options.work[0]], int(options.work[1]))
        return 0
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed: apt install valgrind")
    before = json.loads(BASELINE.read_text())["instructions"] if BASELINE.exists() else {}
    counts = {name: count(name) for name in CASES}
    for name, now in counts.items():
        change = f"{now / before[name] - 1:+.1%}" if name in before else "new"
        print(f"{name:<16}{now:>10,} instructions a span  {change}")
    if options.write:
        BASELINE.write_text(
            json.dumps({"versions": versions(), "instructions": counts}, indent=1) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
