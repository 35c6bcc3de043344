"""Let threads that commit at the same time share one write and one sync.

The first thread of a group leads: it waits for the group before it, closes its own group and writes
it, while later threads gather in the next one. No thread of its own, and no wait when there is no
contention: a lone caller writes at once.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["GroupCommit"]

T = TypeVar("T")


class _Group(Generic[T]):
    __slots__ = ("done", "error", "finished", "members")

    def __init__(self, lock: threading.Lock) -> None:
        self.members: list[T] = []
        self.done = threading.Condition(lock)
        self.finished = False
        # Until the write has returned: also true when an interrupt ends it.
        self.error: OSError | None = OSError(errno.EINTR, "the write did not finish")


class GroupCommit(Generic[T]):
    """Calls `write` with the members of a group, in the order of arrival, one group at a time."""

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)  # only the leader of the gathering group waits
        self._writing = False
        self._gathering: _Group[T] = _Group(self._lock)

    def submit(self, member: T) -> None:
        """Return once the group of `member` is written.

        Raises:
            OSError: the write of the group failed; nothing of it is committed.
        """
        with self._lock:
            group = self._gathering
            group.members.append(member)
            if len(group.members) > 1:
                while not group.finished:
                    group.done.wait()
            else:
                while self._writing:
                    self._turn.wait()
                self._writing = True
                self._gathering = _Group(self._lock)
        if not group.finished:
            self._lead(group)
        if group.error is not None:
            # A fresh error for each thread: a traceback grows on an exception that threads share.
            raise OSError(group.error.errno, group.error.strerror) from group.error

    def _lead(self, group: _Group[T]) -> None:
        try:
            self._write(group.members)
            group.error = None
        except OSError as error:
            group.error = error
        finally:
            with self._lock:
                self._writing = False
                group.finished = True
                group.done.notify_all()
                self._turn.notify()
