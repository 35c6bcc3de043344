"""Runs the enricher with small queue segments: `small_segments.py PYTHON -m genops_enricher ARG…`.

A process that is killed every few seconds would never fill a segment of the usual size. With small
ones, kills also strike while one is ended, begun or removed.
"""

from __future__ import annotations

import sys

import genops_enricher.cli
from genops_enricher.queue import SignalQueue
from genops_enricher.workers import process, worker

SEGMENT_BYTES = 256 << 10
_WORKER = "--worker"  # then the arguments of a worker follow, which is to have them too

if __name__ == "__main__":
    defaults = SignalQueue.__init__.__kwdefaults__
    assert defaults is not None
    assert "segment_bytes" in defaults
    defaults["segment_bytes"] = SEGMENT_BYTES
    process.COMMAND[:] = [sys.executable, __file__, _WORKER]
    if sys.argv[1] == _WORKER:
        worker.main(sys.argv[2:])
    else:
        sys.exit(genops_enricher.cli.main(sys.argv[4:]))
