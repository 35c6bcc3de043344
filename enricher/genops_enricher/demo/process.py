"""The parts of the demo as processes: what a child does at its edges, and how a parent holds it.

A child says on the first line of its stdout, as a JSON object, where it listens; it binds free
ports itself, so no port is ever guessed. It ends on SIGTERM.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping

__all__ = ["announce", "hold_stop_signals", "wait_for_stop_signal"]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def hold_stop_signals() -> None:
    """Keep SIGINT and SIGTERM for `wait_for_stop_signal`. Call before the first thread starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def wait_for_stop_signal() -> None:
    """Return when SIGINT or SIGTERM arrives."""
    signal.sigwait(STOP_SIGNALS)


def announce(where: Mapping[str, str]) -> None:
    """Say on stdout where this process listens."""
    sys.stdout.write(json.dumps(where) + "\n")
    sys.stdout.flush()
