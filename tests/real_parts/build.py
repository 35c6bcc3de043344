"""Builds the Go programs that heavy tests run: the Collector, telemetrygen, an app with Go's SDK.

`python -m real_parts.build`, run in `tests/`, builds what is missing and says how long it took; the
tests do the same when they need a program. What is built is kept outside the tree, in
$GENOPS_TOOLS_CACHE (`~/.cache/genops-tools`), under the digest of what it is built from: a change
builds anew, and a program of that name is always whole. Processes that want the same one wait for
the first of them.

`--update` resolves the versions that a manifest or go.mod asks for anew, and writes go.mod and
go.sum.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import heavy

BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.165.0"
# The newest version that could be fetched with all that it needs.
TELEMETRYGEN = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@v0.161.0"

BUILD_TIMEOUT_S = 3600  # of one command; a cold build takes minutes on two cores

_HERE = Path(__file__).parent
_REASON = "the Collector and its tools are built from their sources, with Go 1.26 or newer"
_COMPILE = ("build", "-trimpath", "-ldflags=-s -w")


class BuildError(Exception):
    """A command failed; the message has its output."""


@dataclass(frozen=True, slots=True)
class Part:
    """A program. `make` puts it into a folder under its name; `recipe` is all that decides it."""

    name: str
    recipe: str
    make: Callable[[Path], None]


def otelcol() -> Path:
    """The Collector."""
    return _needed("otelcol")


def telemetrygen() -> Path:
    """The official load generator."""
    return _needed("telemetrygen")


def go_app() -> Path:
    """An application with the OpenTelemetry SDK for Go."""
    return _needed("go_app")


def build(part: Part) -> Path:
    """The program of a part, built if it is not there.

    Raises:
        BuildError: it can't be built.
    """
    recipe = "\n".join([part.name, platform.system(), platform.machine(), part.recipe])
    folder = _cache() / f"{part.name}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    program = folder / part.name
    if program.exists():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock"):
        # Another process may have built it meanwhile, or have been killed while it did.
        if not program.exists():
            for left in folder.glob("work*"):
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(prefix="work", dir=folder) as work:
                part.make(Path(work))
                (Path(work) / part.name).replace(program)
    return program


@cache
def _needed(name: str) -> Path:
    heavy.require("go", reason=_REASON)
    try:
        return build(PARTS[name])
    except BuildError as error:
        heavy.missing(f"{name} can't be built here: {error}")


def _cache() -> Path:
    chosen = os.environ.get("GENOPS_TOOLS_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genops-tools"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait for the lock of a file. The system gives it up for a process that dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _go(arguments: Sequence[str], folder: Path, **environ: str) -> None:
    # Lowest priority: tests of other programs may be under way on the same cores.
    command = ["nice", "go", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{' '.join(command)} took longer than {BUILD_TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)}\n{done.stderr[-3000:]}")


def _make_otelcol(work: Path) -> None:
    sources = _generate_otelcol(work)
    _go([*_COMPILE, "-o", str(work / "otelcol"), "."], sources)


def _generate_otelcol(work: Path) -> Path:
    """The sources that the builder makes of the manifest, with the versions that are pinned.

    The builder would run `go mod tidy`, which fetches what the tests of every module need as well,
    and drops the pins; so it only generates.
    """
    shutil.copy(_HERE / "otelcol" / "manifest.yaml", work)
    only_generate = ["--skip-get-modules", "--skip-compilation"]
    _go(["run", BUILDER, "--config", "manifest.yaml", *only_generate], work)
    for pins in ("go.mod", "go.sum"):
        shutil.copy(_HERE / "otelcol" / pins, work / "sources")
    return work / "sources"


def _make_telemetrygen(work: Path) -> None:
    _go(["install", "-trimpath", "-ldflags=-s -w", TELEMETRYGEN], work, GOBIN=str(work))


def _make_go_app(work: Path) -> None:
    _go([*_COMPILE, "-o", str(work / "go_app"), "."], _HERE / "go_app")


def _files(folder: str) -> str:
    return "\n".join(
        f"{path.name}\n{path.read_text(encoding='utf-8')}"
        for path in sorted((_HERE / folder).iterdir())
    )


PARTS = {
    part.name: part
    for part in (
        Part("otelcol", f"{BUILDER}\n{_files('otelcol')}", _make_otelcol),
        Part("telemetrygen", TELEMETRYGEN, _make_telemetrygen),
        Part("go_app", _files("go_app"), _make_go_app),
    )
}


def _update() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sources = _generate_otelcol(work)
        modules = [
            line.partition("gomod: ")[2].split()
            for line in (_HERE / "otelcol" / "manifest.yaml").read_text().splitlines()
            if "gomod: " in line
        ]
        required = [f"-require={module}@{version}" for module, version, *_ in modules]
        _go(["mod", "edit", *required], sources)
        _go(["list", "-mod=mod", "-deps", "."], sources)
        for pins in ("go.mod", "go.sum"):
            shutil.copy(sources / pins, _HERE / "otelcol")
    _go(["mod", "tidy"], _HERE / "go_app")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m real_parts.build", description=__doc__)
    parser.add_argument("--update", action="store_true", help="resolve versions anew first")
    if parser.parse_args().update:
        _update()
    for part in PARTS.values():
        start_s = time.monotonic()
        program = build(part)
        print(f"{part.name:<13} {time.monotonic() - start_s:6.1f} s  {program}", flush=True)


if __name__ == "__main__":
    main()
