"""The tools that only these tests need: built or installed once, kept outside the tree.

They live in $GENOPS_TOOLS_CACHE (~/.cache/genops-tools without the variable), each in a folder that
its version is part of. Where one can't be had a test skips with the reason, but never in CI.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import heavy

__all__ = ["go_module", "go_program", "python_with"]

_TIMEOUT_S = 1800  # a first build on a small machine
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def go_program(package: str, version: str, *, tags: str = "") -> str:
    """The path of a program built with Go, such as `helm.sh/helm/v3/cmd/helm`.

    `tags` are build tags, which leave out what is not needed.
    """
    *_, before, last = package.split("/")
    name = before if re.fullmatch(r"v\d+", last) else last  # .../kustomize/v5
    folder = _cache() / "-".join(filter(None, [name, version, tags]))
    if not (folder / name).exists():
        go = heavy.require("go", reason=f"{name} is built with it")
        with _locked(folder):
            if not (folder / name).exists():
                _run([go, "install", "-tags", tags, f"{package}@{version}"], GOBIN=str(folder))
    return str(folder / name)


def go_module(path: str, version: str) -> Path:
    """The folder with the files of a Go module; Go keeps it in its own cache."""
    go = heavy.require("go", reason=f"{path} is fetched with it")
    answer = _run([go, "mod", "download", "-json", f"{path}@{version}"])
    return Path(json.loads(answer)["Dir"])


def python_with(*packages: str) -> str:
    """A Python that has these packages, pinned in requirements.txt beside this file.

    They are not among the development packages of the project: some are as large as all of those
    together, and only these tests want them.
    """
    pinned = dict(line.split("==") for line in _REQUIREMENTS.read_text().split() if "==" in line)
    wanted = [f"{package}=={pinned[package]}" for package in packages]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256("\n".join([version, *wanted]).encode()).hexdigest()[:12]
    folder = _cache() / f"{packages[0]}-{digest}"
    with _locked(folder):
        if not (folder / "complete").exists():
            venv.create(folder, with_pip=True, clear=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            _run([*pip, "--disable-pip-version-check", *wanted], PIP_CONSTRAINT="")
            (folder / "complete").touch()
    return str(folder / "bin" / "python")


def _cache() -> Path:
    if own := os.environ.get("GENOPS_TOOLS_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genops-tools"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two test runs at a time must not build into one folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], **env: str) -> str:
    done = subprocess.run(
        ["nice", *command],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    message = f"{' '.join(command)}: {done.stderr[-2000:]}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
