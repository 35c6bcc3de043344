"""Installations of ours whose price catalog has another size than the bundled one."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import genops_pricing
from bench.peers.workload import Workload, traffic
from genops_pricing.compiled import Compiled, compile_content, load_bundled, write_compiled

__all__ = ["install"]

_MARKET = "openrouter"


def install(folder: Path, workload: Workload) -> Path:
    """Copy the pricing package with a catalog of the workload's size; a folder for PYTHONPATH.

    The YAML files stay behind: without them an installation reads the compiled catalog.
    """
    package = folder / "genops_pricing"
    leave = shutil.ignore_patterns("data", "catalog.json")
    shutil.copytree(Path(genops_pricing.__file__).parent, package, ignore=leave)
    write_compiled(_catalog(workload.models, workload.catalog_models), package / "catalog.json")
    return folder


@cache
def _catalog(used: int, count: int) -> Compiled:
    """The models of the traffic, and copies of the first of them under other names."""
    bundled = load_bundled()
    files: dict[str | None, list[dict[str, Any]]] = {}
    first: tuple[str | None, dict[str, Any]] | None = None
    for name in traffic(used):
        author, raw = bundled.models.read(_MARKET, name)
        first = first or (author, dict(raw))
        files.setdefault(author, []).append(dict(raw))
    assert first is not None
    author, raw = first
    plain = {key: value for key, value in raw.items() if key != "aliases"}
    more = [{**plain, "id": f"{raw['id']}-copy{number}"} for number in range(count - used)]
    files.setdefault(author, []).extend(more)
    prices = [
        {"market": _MARKET, "author": author, "models": models} for author, models in files.items()
    ]
    return compile_content({**bundled.content, "prices": prices}, sources="")
