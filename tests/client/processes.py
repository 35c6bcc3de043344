"""Runs code in a fresh interpreter, for tests of what a process has only one of."""

from __future__ import annotations

import os
import subprocess
import sys


def python(
    code: str,
    *arguments: str,
    command: tuple[str, ...] = (),
    timeout_s: float = 60,
    **environ: str,
) -> subprocess.CompletedProcess[str]:
    """Run code with warnings as errors; the time limit only keeps a hang from lasting.

    `command` is what runs the interpreter, if it is not the shell.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "GENOPS_", "GRPC_"))}
    return subprocess.run(
        [*command, sys.executable, "-W", "error", "-c", code, *arguments],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
