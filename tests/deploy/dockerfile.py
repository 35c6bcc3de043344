"""Reads a Dockerfile and carries out its steps without an engine.

A stage is a stack of layers, as in an engine: below the base image, above it what the stage wrote,
joined by the kernel's overlay file system in a mount name space of its own. For the base image
stands this machine's /usr and /etc with its Python, and nothing else of it: no checkout, no home.
What a step writes ends in the layer of its stage, and nowhere else.

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
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Stage", "build", "enter", "parse"]

STEP_TIMEOUT_S = 600
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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


# The base image: programs, libraries and settings of this machine, and its Python in /usr/local,
# where the image has it. In /opt may be packages that pip is set up to find. Place -> folder here.
_BASE = {"/usr": "/usr", "/etc": "/etc", "/opt": "/opt", "/usr/local": sys.base_prefix}

# Run as root in new mount and process name spaces. The shell becomes the program, so that the
# program is process 1, as in a container.
_ENTER = """
set -e
mount --bind "$UPPER" "$ROOT"
for link in bin sbin lib lib64; do [ -L "$ROOT/$link" ] || ln -s "usr/$link" "$ROOT/$link"; done
number=0
for each in $OVERLAYS; do
  number=$((number + 1))
  at="${each%%=*}"
  mkdir -p "$UPPER$at" "$ROOT$at" "$SCRATCH/$number"
  mount -t overlay overlay "$ROOT$at" \\
    -o "lowerdir=${each##*=},upperdir=$UPPER$at,workdir=$SCRATCH/$number"
done
mkdir -p "$ROOT/proc" "$ROOT/dev" "$ROOT/tmp"
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
for each in $VOLUMES; do
  mkdir -p "$ROOT${each%%=*}"
  mount --bind "${each##*=}" "$ROOT${each%%=*}"
done
if [ -n "$READ_ONLY" ]; then
  for each in $OVERLAYS; do mount -o remount,ro "$ROOT${each%%=*}"; done
  mount -o remount,bind,ro "$ROOT"
else
  mount -t tmpfs tmpfs "$ROOT/tmp"
fi
exec chroot --userspec="$AS_USER" --groups="" "$ROOT" /usr/bin/env -C "$IN" "$@"
"""


def enter(
    layers: Sequence[Path],
    stage: Stage,
    command: Sequence[str],
    *,
    as_user: str | None = None,
    env: Mapping[str, str] = {},
    volumes: Mapping[str, Path] = {},
    read_only: bool = True,
) -> tuple[list[str], dict[str, str]]:
    """A command line and an environment that run `command` in the image made of `layers`.

    What it writes goes to the last layer, if it may write. `volumes` are folders by their place.
    """
    upper = layers[-1]
    work = upper.with_name(f"{upper.name}-mounts")
    (work / "root").mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=work))
    below = {place: [folder] for place, folder in _BASE.items() if Path(folder).is_dir()}
    for layer in layers[:-1]:
        for top in layer.iterdir():
            if top.is_dir() and not top.is_symlink() and top.name not in ("proc", "dev"):
                below.setdefault(f"/{top.name}", [])
    for place, lower in below.items():
        lower[:0] = [
            str(layer) + place
            for layer in reversed(layers[:-1])
            if Path(str(layer) + place).is_dir()
        ]
    variables = {
        "ROOT": str(work / "root"),
        "UPPER": str(upper),
        "SCRATCH": str(scratch),
        "OVERLAYS": " ".join(f"{place}={':'.join(lower)}" for place, lower in below.items()),
        "VOLUMES": " ".join(f"{place}={folder}" for place, folder in volumes.items()),
        "READ_ONLY": "yes" if read_only else "",
        "AS_USER": as_user or stage.user,
        "IN": stage.workdir if as_user else "/",
    }
    # The Python of this machine may look for its library where it was built.
    inside = {"PATH": BASE_PATH, "LD_LIBRARY_PATH": "/usr/local/lib", **stage.env, **env}
    settings = [f"{name}={value}" for name, value in inside.items()]
    outside = {name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "SSL_"))}
    names = ["unshare", "--mount", "--pid", "--fork"]
    return (
        [*names, "/bin/sh", "-c", _ENTER, "enter", *settings, *command],
        {"PATH": os.environ["PATH"], **(outside if not read_only else {}), **variables},
    )


def _run(layers: Sequence[Path], stage: Stage, script: str) -> None:
    (layers[-1] / stage.workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
    command, env = enter(layers, stage, ["/bin/sh", "-c", script], as_user="0:0", read_only=False)
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=STEP_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"RUN {script}\n{done.stdout}{done.stderr}"
