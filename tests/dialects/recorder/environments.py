"""One environment for each set of pinned packages: a venv or an npm folder, made once and kept.

They live outside the tree, in $XDG_CACHE_HOME/genops-recorder (~/.cache without the variable).
Packages come from wherever pip and npm are set up to look.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from dialects.recorder.emitters import Emitter

__all__ = ["DRIVERS", "command"]

DRIVERS = Path(__file__).parent / "drivers"
INSTALL_TIMEOUT_S = 600


def command(emitter: Emitter) -> list[str]:
    """The command that runs the emitter's driver. Its environment is made if there is none.

    Raises:
        subprocess.SubprocessError: a package can't be installed; pip or npm has said why.
    """
    driver, *arguments = emitter.driver
    if not emitter.packages:
        return [sys.executable, str(DRIVERS / driver), *arguments]
    folder = _folder(emitter)
    done = folder / "complete"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _INSTALL[emitter.language](folder, emitter.packages)
        done.touch()
    if emitter.language == "python":
        return [str(folder / "bin" / "python"), str(DRIVERS / driver), *arguments]
    # Node looks for packages from the folder of the importing file on.
    shutil.copy(DRIVERS / driver, folder)
    return ["node", str(folder / driver), *arguments]


def _folder(emitter: Emitter) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    recipe = "\n".join([emitter.language, version, *emitter.packages])
    return cache / "genops-recorder" / hashlib.sha256(recipe.encode()).hexdigest()[:16]


def _install_python(folder: Path, packages: Sequence[str]) -> None:
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])


def _install_node(folder: Path, packages: Sequence[str]) -> None:
    (folder / "package.json").write_text("{}")
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    _run(["npm", "install", "--prefix", str(folder), *quiet, *packages])


def _run(install: Sequence[str]) -> None:
    subprocess.run(install, check=True, timeout=INSTALL_TIMEOUT_S)


_INSTALL = {"python": _install_python, "node": _install_node}
