"""Which folder of the data folder belongs to which worker.

The first worker has the data folder itself, laid out as for a process alone, so that one worker or
many find what the other left. Each further one has a folder of its own in it. A worker that is not
there any more may have left requests: its folder gets a worker that only delivers, until it is
empty.
"""

from __future__ import annotations

import re
from pathlib import Path

from genops_enricher.pipeline import Signal
from genops_enricher.queue.segment import list_segments

__all__ = ["folder_of", "left_behind"]

_NAME = re.compile(r"worker-([1-9][0-9]{0,8})")


def folder_of(data_dir: Path, number: int) -> Path:
    """The folder of the worker with this number; the first is 1."""
    return data_dir if number == 1 else data_dir / f"worker-{number}"


def left_behind(data_dir: Path, workers: int) -> list[int]:
    """The numbers of workers above `workers` in whose folders requests wait.

    Raises:
        OSError: the data folder can't be read.
    """
    if not data_dir.is_dir():
        return []
    names = [_NAME.fullmatch(path.name) for path in data_dir.iterdir() if path.is_dir()]
    numbers = sorted(int(name[1]) for name in names if name)
    return [
        number
        for number in numbers
        if number > workers
        and any(list_segments(folder_of(data_dir, number) / signal) for signal in Signal)
    ]
