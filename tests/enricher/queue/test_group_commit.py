from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from genops_enricher.queue.group_commit import GroupCommit


class Gate:
    """A write that stands still until it is let through."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.let_through = threading.Semaphore(0)
        self.failing: set[int] = set()

    def write(self, members: Sequence[int]) -> None:
        self.entered.release()
        assert self.let_through.acquire(timeout=60)
        self.groups.append(list(members))
        if self.failing & set(members):
            raise OSError(errno.ENOSPC, "No space left on device")


def gather(commits: GroupCommit[int], count: int) -> None:
    """Wait until so many members are in the gathering group."""
    while len(commits._gathering.members) < count:
        threading.Event().wait(0.001)


def test_those_who_come_during_a_write_share_the_next_one() -> None:
    gate = Gate()
    commits = GroupCommit(gate.write)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(commits.submit, 0)
        assert gate.entered.acquire(timeout=60)
        others = [pool.submit(commits.submit, n) for n in range(1, 9)]
        gather(commits, 8)
        assert not first.done()
        gate.let_through.release()
        gate.let_through.release()
        for future in [first, *others]:
            future.result(timeout=60)

    assert gate.groups[0] == [0]
    assert sorted(gate.groups[1]) == list(range(1, 9))
    assert len(gate.groups) == 2


def test_a_failed_write_fails_every_member_and_not_the_next_group() -> None:
    gate = Gate()
    gate.failing = {0}
    commits = GroupCommit(gate.write)
    with ThreadPoolExecutor(4) as pool:
        blocker = pool.submit(commits.submit, 9)
        assert gate.entered.acquire(timeout=60)
        failing = [pool.submit(commits.submit, n) for n in range(3)]
        gather(commits, 3)
        gate.let_through.release(2)
        blocker.result(timeout=60)
        for future in failing:
            with pytest.raises(OSError, match="No space left") as caught:
                future.result(timeout=60)
            assert caught.value.errno == errno.ENOSPC
    gate.let_through.release()

    commits.submit(4)

    assert gate.groups[-1] == [4]


def test_an_interrupted_write_is_a_failure_for_those_who_wait_for_it() -> None:
    def interrupt(members: Sequence[int]) -> None:
        raise KeyboardInterrupt

    commits = GroupCommit(interrupt)
    with pytest.raises(KeyboardInterrupt):
        commits.submit(1)
    with pytest.raises(KeyboardInterrupt):  # and it does not block those who come later
        commits.submit(2)
