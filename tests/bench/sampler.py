"""In which modules the CPU time of enriching goes: which one is at work, asked every few ms.

A sample finds the Python line that runs, or that waits for C to come back to it, so that the time
of C counts for who called it. Unlike a profiler that traces calls it slows nothing down. How often
it asks is up to the system, 100 to 1000 times a second of CPU time.

    PYTHONPATH=tests python -m bench.sampler
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import genops_enricher
import genops_pricing
from bench.bench_hot_path import batch
from bench.instructions import ATTRIBUTES, CASES, SPANS, stage

__all__ = ["module_of", "sampled"]

_EVERY_S = 0.001
_OURS = tuple(Path(str(each.__file__)).parent for each in (genops_enricher, genops_pricing))


def sampled(work: Callable[[], object], seconds: float) -> dict[str, float]:
    """Do the work for so many seconds of CPU time; the share of each module, largest first.

    Only in the main thread. A module that is not ours counts for the one of ours that called it.
    """
    counts: Counter[str] = Counter()

    def take(_signal: int, frame: FrameType | None) -> None:
        counts[module_of(frame)] += 1

    before = signal.signal(signal.SIGPROF, take)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)
    try:
        end_s = time.process_time() + seconds
        while time.process_time() < end_s:
            work()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return {name: count / counts.total() for name, count in counts.most_common()}


def module_of(frame: FrameType | None) -> str:
    """The innermost module of ours, as `package/module`; empty where there is none."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        for root in _OURS:
            if path.is_relative_to(root):
                inside = path.relative_to(root).with_suffix("")
                return inside.as_posix() if root is _OURS[0] else f"{root.name}/{inside.as_posix()}"
        frame = frame.f_back
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of CPU time, for each load")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = {}
    for name, case in CASES.items():
        enriching, payload = stage(), batch(SPANS, ATTRIBUTES, case.llm_every)
        found[name] = sampled(lambda e=enriching, p=payload: e.accept(p), options.seconds)  # type: ignore[misc]
    if options.json:
        print(json.dumps(found))
        return
    for name, shares in found.items():
        print(f"\n{name}, {SPANS} spans a request")
        for module, share in shares.items():
            print(f"{share:6.1%}  {module or 'else'}")


if __name__ == "__main__":
    main()
