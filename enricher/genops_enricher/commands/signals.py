"""The signals of a running service. Imports little, so that they are held early in a start."""

from __future__ import annotations

import signal

__all__ = ["SIGNALS", "STOP_SIGNALS", "hold_signals", "release_stop_signals"]

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
SIGNALS = (*STOP_SIGNALS, signal.SIGHUP)


def hold_signals() -> None:
    """Let signals wait for `signal.sigwait`, in this thread and those that it starts.

    Blocked and waited for, not handled: Python runs handlers in the main thread, and a signal that
    the kernel gives to another thread does not wake it from a wait.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def release_stop_signals() -> None:
    """Let the next signal to stop end the process at once."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
