"""Parts of the machine that a test needs: where one is missing it skips, but never in CI."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def require(program: str, *, reason: str) -> str:
    """The path of a program that a heavy test needs."""
    path = shutil.which(program)
    if path is None:
        missing(f"{program} is not installed: {reason}")
    return path


def missing(message: str) -> NoReturn:
    """Skip the test because a part is not to be had; in CI, fail it."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
