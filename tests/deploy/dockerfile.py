"""Reads a Dockerfile and carries out its steps without an engine.

A stage is a stack of layers, as in an engine; deploy/namespaces.py runs commands in one. What a
step writes ends in the layer of its stage, and nowhere else.

Only the instructions and forms that our Dockerfile has are understood; any other is an error.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.namespaces import enter

__all__ = ["Stage", "build", "context", "parse"]

STEP_TIMEOUT_S = 600


@dataclass(slots=True)
class Stage:
    """One stage: its steps, and what the image made of it is run with."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health_check: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    stop_signal: str = "SIGTERM"


def parse(text: str) -> dict[str, Stage]:
    """The stages by name, in the order of the file."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for word, rest in _instructions(text):
        if word == "ARG" and stage is None:
            name, _, default = rest.partition("=")
            arguments[name] = default
        elif word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()  # type: ignore[union-attr]
            for argument, value in arguments.items():
                base = base.replace(f"${{{argument}}}", value)
            stage = stages[name] = Stage(name, base)
            if base in stages:
                stage.env.update(stages[base].env)
                stage.workdir = stages[base].workdir
        else:
            assert stage is not None, f"{word} before FROM"
            _READ[word](stage, rest)
    return stages


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, re.sub(r"\s+", " ", rest.strip())


def _pairs(rest: str) -> dict[str, str]:
    return dict(item.split("=", 1) for item in shlex.split(rest))


def _read_health(stage: Stage, rest: str) -> None:
    stage.health_check = json.loads(rest.partition("CMD ")[2])


# Exec form only: a shell between the engine and the process would swallow the stop signal.
_READ = {
    "COPY": lambda stage, rest: stage.steps.append(("COPY", rest)),
    "RUN": lambda stage, rest: stage.steps.append(("RUN", rest)),
    "ENV": lambda stage, rest: stage.env.update(_pairs(rest)),
    "LABEL": lambda stage, rest: _pairs(rest),
    "WORKDIR": lambda stage, rest: setattr(stage, "workdir", rest),
    "USER": lambda stage, rest: setattr(stage, "user", rest),
    "VOLUME": lambda stage, rest: setattr(stage, "volumes", json.loads(rest)),
    "EXPOSE": lambda stage, rest: setattr(stage, "ports", [int(p) for p in rest.split()]),
    "STOPSIGNAL": lambda stage, rest: setattr(stage, "stop_signal", rest),
    "ENTRYPOINT": lambda stage, rest: setattr(stage, "entrypoint", json.loads(rest)),
    "CMD": lambda stage, rest: setattr(stage, "command", json.loads(rest)),
    "HEALTHCHECK": _read_health,
}


def context(root: Path, ignore: str) -> list[Path]:
    """The files of the build context, relative to `root`; `ignore` is of the "only these" form."""
    rules = [line for line in ignore.splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*", "the ignore file lists what is taken, not what is left out"
    taken = [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")]
    left_out = [rule for rule in rules[1:] if not rule.startswith("!")]
    files = []
    for path in taken:
        found = [root / path] if (root / path).is_file() else [*(root / path).rglob("*")]
        files += [file.relative_to(root) for file in found if file.is_file()]
    return sorted(file for file in files if not any(_ignored(file, rule) for rule in left_out))


def _ignored(file: Path, rule: str) -> bool:
    whole = [file, *file.parents]
    if rule.startswith("**/"):
        return any(fnmatch.fnmatch(part.name, rule[3:]) for part in whole)
    return any(fnmatch.fnmatch(str(part), rule) for part in whole)


def build(stages: Mapping[str, Stage], target: str, root: Path, folder: Path) -> list[Path]:
    """Carry out the steps of `target` and of what it needs.

    Returns:
        The layers of the image, lowest first; the last is what the stage itself wrote.
    """
    sent = folder / "context"
    if not sent.exists():
        for file in context(root, (root / ".dockerignore").read_text(encoding="utf-8")):
            (sent / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / file, sent / file)
    stage = stages[target]
    layer = folder / target
    layers = build(stages, stage.base, root, folder) if stage.base in stages else []
    if layer.exists():
        return [*layers, layer]
    layer.mkdir()
    layers = [*layers, layer]
    for word, rest in stage.steps:
        if word == "RUN":
            _run(layers, stage, rest)
        else:
            _copy(stages, layer, rest, sent, root, folder, stage.workdir)
    return layers


def _copy(
    stages: Mapping[str, Stage],
    layer: Path,
    rest: str,
    sent: Path,
    root: Path,
    folder: Path,
    workdir: str,
) -> None:
    words = rest.split()
    sources = [sent]
    if words[0].startswith("--from="):
        sources = build(stages, words.pop(0).removeprefix("--from="), root, folder)
    *names, to = words
    # Lowest layer first. What an upper one removed is a device there, and copying that fails.
    for found in (source / name.lstrip("/") for name in names for source in sources):
        goal = layer / os.path.join(workdir, to).lstrip("/")  # noqa: PTH118 - `to` may be absolute
        if not found.exists() and sources != [sent]:
            continue
        if found.is_dir():
            shutil.copytree(found, goal, symlinks=True, dirs_exist_ok=True)
        else:
            goal = goal / found.name if to.endswith("/") else goal
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, goal)


def _run(layers: Sequence[Path], stage: Stage, script: str) -> None:
    (layers[-1] / stage.workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
    # Where pip finds packages on this machine, which an engine would take from its build settings.
    pip = {name: text for name, text in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    command, variables = enter(
        layers,
        ["/bin/sh", "-c", script],
        user="0:0",
        folder=stage.workdir,
        env={**pip, **stage.env},
        read_only=False,
    )
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=STEP_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"RUN {script}\n{done.stdout}{done.stderr}"
