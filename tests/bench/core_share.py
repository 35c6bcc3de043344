"""Give each of some processes the same share of a core, so that few cores show how many would do.

Needs Linux, root, and a control group for CPU time that can be divided: version 2, or version 1.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["limited"]

_PERIOD_US = 10_000  # short, so that what is held back does not wait for long
_VERSION_2, _VERSION_1 = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/cpu")
_numbers = itertools.count()


@contextmanager
def limited(pids: Iterable[int], percent: float) -> Iterator[None]:
    """Each of these processes gets so much of one core at most, until the end.

    Raises:
        OSError: there is no such group, or it may not be divided.
    """
    with ExitStack() as stack:
        for pid in pids:
            stack.enter_context(_limited(pid, round(_PERIOD_US * percent / 100)))
        yield


@contextmanager
def _limited(pid: int, quota_us: int) -> Iterator[None]:
    is_2 = (_VERSION_2 / "cgroup.controllers").exists()
    root = _VERSION_2 if is_2 else _VERSION_1
    group = root / f"genops-bench-{os.getpid()}-{next(_numbers)}"
    if is_2:
        (root / "cgroup.subtree_control").write_text("+cpu")
    group.mkdir()
    try:
        if is_2:
            (group / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        members = (group / "cgroup.procs").read_text().split()
        for member in members:
            (root / "cgroup.procs").write_text(member)
        group.rmdir()
