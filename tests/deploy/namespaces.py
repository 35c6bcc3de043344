"""Runs a command in a stack of layers, by what the kernel has for that: mounts and name spaces.

For the base image stands this machine: its /usr and /etc, and its Python in /usr/local, where the
image has its own. Nothing else of the machine is there: no checkout, no home. Needs root.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["enter"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Place in the image -> folder here. In /opt may be packages that pip is set up to find.
_BASE = {"/usr": "/usr", "/etc": "/etc", "/opt": "/opt", "/usr/local": sys.base_prefix}

# Run in new mount and process name spaces. The shell becomes the program, which so is process 1.
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
exec chroot --userspec="$AS_USER" --groups="" "$ROOT" /usr/bin/env -i -C "$IN" "$@"
"""


def enter(
    layers: Sequence[Path],
    command: Sequence[str],
    *,
    user: str,
    folder: str = "/",
    env: Mapping[str, str] = {},
    volumes: Mapping[str, Path] = {},
    read_only: bool = True,
) -> tuple[list[str], dict[str, str]]:
    """A command line and its environment, which run `command` in the image made of `layers`.

    Args:
        layers: lowest first; of those below the last one, the folders count. What is written goes
            to the last.
        command: what to run; it is process 1.
        user: its user and group, `0:0`.
        folder: where it starts.
        env: its environment, besides PATH.
        volumes: folders of this machine by the place where they are mounted, writable.
        read_only: nothing but the volumes can be written.
    """
    *lower, upper = layers
    work = upper.with_name(f"{upper.name}-mounts")
    (work / "root").mkdir(parents=True, exist_ok=True)
    below = {place: [here] for place, here in _BASE.items() if Path(here).is_dir()}
    for layer in lower:
        for top in layer.iterdir():
            if top.is_dir() and not top.is_symlink() and top.name not in ("proc", "dev"):
                below.setdefault(f"/{top.name}", [])
    for place, folders in below.items():
        of_layers = [f"{layer}{place}" for layer in reversed(lower)]
        folders[:0] = [each for each in of_layers if Path(each).is_dir()]
    variables = {
        "PATH": os.environ["PATH"],
        "ROOT": str(work / "root"),
        "UPPER": str(upper),
        "SCRATCH": tempfile.mkdtemp(dir=work),
        "OVERLAYS": " ".join(f"{place}={':'.join(folders)}" for place, folders in below.items()),
        "VOLUMES": " ".join(f"{place}={here}" for place, here in volumes.items()),
        "READ_ONLY": "yes" if read_only else "",
        "AS_USER": user,
        "IN": folder,
    }
    # The Python of this machine may look for its library where it was built.
    inside = {"PATH": PATH, "LD_LIBRARY_PATH": "/usr/local/lib", **env}
    settings = [f"{name}={text}" for name, text in inside.items()]
    name_spaces = ["unshare", "--mount", "--pid", "--fork"]
    return [*name_spaces, "/bin/sh", "-c", _ENTER, "enter", *settings, *command], variables
