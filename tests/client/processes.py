"""Runs code in a fresh interpreter, for tests of what a process has only one of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping


def python(
    code: str,
    *arguments: str,
    command: tuple[str, ...] = (),
    timeout_s: float = 60,
    environ: Mapping[str, str] = {},
    **more: str,
) -> subprocess.CompletedProcess[str]:
    """Run code with warnings as errors; the time limit only keeps a hang from lasting.

    `command` is what runs the interpreter, if it is not the shell. The environment is the outer one
    without OpenTelemetry's, gRPC's and our settings, and `environ`, and more as keywords.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "GENOPS_", "GRPC_"))}
    return subprocess.run(
        [*command, sys.executable, "-W", "error", "-c", code, *arguments],
        env={**clean, **environ, **more},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
