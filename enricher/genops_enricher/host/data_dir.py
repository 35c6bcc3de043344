"""The folder that the service writes to, and its lock: one process a folder.

Two processes on one queue would deliver each other's records and delete each other's files.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from genops_enricher.errors import StartError
from genops_enricher.host.folders import make_folder

__all__ = ["DataDir"]

# Workers end by themselves when the process that started them has died. That takes milliseconds, or
# seconds where they have only just been started.
_ORPHANS_S, _LOOK_S = 15.0, 0.05


class DataDir:
    """A data folder held by this process from `open` to `close`.

    The lock is the kernel's and goes with the process, however that ends. The file stays: removing
    it would let two processes hold locks on two files of the same name.
    """

    def __init__(self, path: Path, *, lock: bool = True) -> None:
        """Without `lock` the process that started this one holds the lock for it."""
        self.path = path
        self._lock = lock
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """What holds the lock: as long as a process has it open, nobody else gets the folder."""
        if self._descriptor is None:
            raise ValueError(f"{self.path} is not open")
        return self._descriptor

    def open(self) -> None:
        """Make the folder if need be, and lock it.

        Raises:
            StartError: it can't be written, or another process holds it.
        """
        try:
            make_folder(self.path)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        if not self._lock:
            os.close(descriptor)
            return
        if not _take(descriptor):
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StartError(
                f"service.data_dir: {self.path} is in use by process {holder}. "
                "Stop it, or give this enricher a folder of its own."
            )
        holder_line = f"{os.getpid()}\n".encode()
        try:
            # In place of what is there: a full disk may have no room for the same once more.
            os.pwrite(descriptor, holder_line, 0)
            os.ftruncate(descriptor, len(holder_line))
        except OSError as error:
            os.close(descriptor)
            raise self._unwritable(error) from error
        self._descriptor = descriptor

    def close(self) -> None:
        """Let the folder go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _unwritable(self, error: OSError) -> StartError:
        return StartError(
            f"service.data_dir: can't write to {self.path}: {error.strerror}. "
            "Make room there, or give a folder that this user may write."
        )


def _take(descriptor: int) -> bool:
    """Take the lock; where its holder has died, also after the workers of that have ended."""
    deadline_s = time.monotonic() + _ORPHANS_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _is_alive(os.pread(descriptor, 32, 0)) or time.monotonic() > deadline_s:
                return False
            time.sleep(_LOOK_S)
        else:
            return True


def _is_alive(holder: bytes) -> bool:
    try:
        os.kill(int(holder), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:
        return True
    return True
