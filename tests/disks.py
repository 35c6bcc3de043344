"""File systems of a size of their own, for tests of disks that are full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heavy import missing


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A file system of a size of its own."""
    folder.mkdir()
    if not (shutil.which("mount") and os.geteuid() == 0):
        missing("needs root and mount")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "genops-test", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        missing(f"can't mount: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
