"""Load a catalog with overlays while the threads of this process go on.

YAML is read by one call of C, which no other thread can interrupt: an overlay of thousands of
models would stop a service for as long as that takes. So a process of its own reads and checks the
overlays, and hands over what they say as JSON, of which reading is short.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from .catalog import Catalog
from .errors import CatalogError
from .load import catalog_with, load_catalog, overlay_text

__all__ = ["CancelledError", "catalog_laid_out", "load_catalog_apart"]

_LOOK_S: Final = 0.1
_NICE: Final = 10  # reading is not urgent, and takes a core for seconds


class CancelledError(Exception):
    """The caller has no more use for the catalog."""


def load_catalog_apart(
    overlays: Sequence[Path], cancelled: Callable[[], bool] = lambda: False
) -> Catalog:
    """The same as `load_catalog`, laid out so that its first answers are quick.

    Args:
        overlays: an operator's files, in order.
        cancelled: asked now and then whether to stop.

    Raises:
        CatalogError: as `load_catalog`.
        CancelledError: `cancelled` said so.
    """
    return catalog_laid_out(_read_apart(overlays, cancelled) if overlays else "")


def catalog_laid_out(text: str) -> Catalog:
    """The catalog with overlays as `Catalog.overlays` has them, its first answers quick.

    Raises:
        CatalogError: the bundled catalog can't be read.
    """
    with _without_collection():
        catalog = catalog_with(text) if text else load_catalog()
        for market in catalog.markets:
            catalog.model("?", market=market)
    return catalog


@contextmanager
def _without_collection() -> Iterator[None]:
    """Put cyclic collection off: with many new objects it would stop all threads repeatedly."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_apart(overlays: Sequence[Path], cancelled: Callable[[], bool]) -> str:
    if cancelled():
        raise CancelledError
    command = [sys.executable, "-m", __name__, *map(str, overlays)]
    try:
        # The command is this interpreter, the arguments are files that are only read.
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        fix = "Free memory or processes, and reload again"
        raise CatalogError([f"can't start a process to read overlays: {error}. {fix}"]) from error
    with process:
        try:
            while True:
                try:
                    out, err = process.communicate(timeout=_LOOK_S)
                    break
                except subprocess.TimeoutExpired:
                    if cancelled():
                        raise CancelledError from None
        finally:
            process.kill()
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        last = err.decode(errors="replace").strip().rpartition("\n")[2]
        raise CatalogError(
            [f"the process that reads overlays ended with {process.returncode}: {last}. Try again"]
        ) from None
    if problems := answer.get("problems"):
        raise CatalogError(problems)
    text: str = answer["overlays"]
    return text


def _main(arguments: Sequence[str]) -> None:
    """Write what overlays say, or what is wrong with them, as JSON on standard output."""
    os.nice(_NICE)
    try:
        answer: dict[str, object] = {"overlays": overlay_text([Path(name) for name in arguments])}
    except CatalogError as error:
        answer = {"problems": error.problems}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    _main(sys.argv[1:])
