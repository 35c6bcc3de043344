"""Heavy real parts: where one is missing a test skips with the reason, but never in CI."""

from __future__ import annotations

import os
import shutil

import pytest


def require(program: str, *, reason: str) -> str:
    """The path of a program that a heavy test needs."""
    path = shutil.which(program)
    if path is not None:
        return path
    message = f"{program} is not installed: {reason}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
