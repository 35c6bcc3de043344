"""What the tests of containers share: a folder in which images are built once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import heavy


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built stages. Skips where the kernel or the user has no name spaces."""
    for program in ("unshare", "nsenter", "ip"):
        heavy.require(program, reason="containers are made with it")
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if os.geteuid() != 0 or tried.returncode != 0:
        message = f"name spaces need root and a kernel that allows them: {tried.stderr}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return tmp_path_factory.mktemp("image")
