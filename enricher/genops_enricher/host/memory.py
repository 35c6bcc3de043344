"""The bound on the memory of the process: above it, requests are refused before they are read.

What counts is the resident set, which is what a container is killed for. The C library keeps freed
memory for later, so where there is a limit it is told to keep little, and above it to give back
what it has; else the process could refuse for ever although it needs no more than before.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from genops_enricher.errors import RetryableError
from genops_enricher.telemetry import Telemetry

__all__ = ["MemoryGuard", "resident_bytes"]

_log = logging.getLogger(__name__)

_KEY = "service.memory_limit_mib"
_READ_S = 0.1  # a reading holds for so long; it takes microseconds
_RETRY_AFTER_S = 1.0
# To give memory back stops all threads for some tens of milliseconds.
_RELIEF_S, _RELIEF_MAX_S = 0.5, 10.0
# For mallopt(3) of glibc. By itself it takes ever larger blocks, up to 32 MiB, from the arenas of
# threads, and lets each arena keep twice as much. With eight threads and requests of 8 MiB 100 MiB
# stayed, which malloc_trim does not give back. To set a threshold ends that.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 20
_STATM = Path("/proc/self/statm")
_MIB = 1 << 20


def resident_bytes() -> int | None:
    """The resident set of this process; None where the system has no /proc."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


class MemoryGuard:
    """Refuses requests above the limit. Thread safe."""

    def __init__(
        self, telemetry: Telemetry, read: Callable[[], int | None] = resident_bytes
    ) -> None:
        """There is no limit before `set_limit`. `read` gives the resident set in bytes."""
        self._telemetry = telemetry
        self._read = read
        self._limit: int | None = None
        self._lock = threading.Lock()
        self._resident = 0
        self._read_s = -_READ_S  # monotonic clock
        self._relieving = False

    def set_limit(self, limit_bytes: int | None) -> None:
        """Hold another limit from now on; None: hold none."""
        self._telemetry.clear("genops_memory_limit_bytes")
        if limit_bytes is not None:
            if self._read() is None:
                _log.warning("%s: this system has no %s; there is no limit", _KEY, _STATM)
                limit_bytes = None
            else:
                _keep_little()
                self._telemetry.set("genops_memory_limit_bytes", limit_bytes)
                self._telemetry.add("genops_memory_refused_requests_total", 0)
        self._limit = limit_bytes

    def admit(self) -> None:
        """Return if there is room for another request.

        Raises:
            RetryableError: the process is above its limit.
        """
        if self._limit is None or not self._is_over(self._limit):
            return
        self._telemetry.add("genops_memory_refused_requests_total")
        raise RetryableError(
            f"the enricher is above its memory limit ({_KEY})", retry_after_s=_RETRY_AFTER_S
        )

    def degraded(self) -> list[str]:
        """What a person should know, if anything."""
        limit = self._limit
        if limit is None or not self._is_over(limit):
            return []
        return [
            f"memory: {self._resident // _MIB} MiB are in use, more than {_KEY} "
            f"({limit // _MIB}): senders are told to try again. Raise the limit, let senders send "
            "smaller or fewer requests at a time, or add replicas"
        ]

    def _is_over(self, limit: int) -> bool:
        now_s = time.monotonic()
        with self._lock:
            if now_s - self._read_s >= _READ_S:
                self._resident, self._read_s = self._read() or 0, now_s
            over = self._resident > limit
            if over and not self._relieving:
                self._relieving = True
                threading.Thread(target=self._relieve, name="memory", daemon=True).start()
        return over

    def _relieve(self) -> None:
        """Give memory back until that is enough, ever more rarely."""
        wait_s = _RELIEF_S
        _log.warning(
            "memory: %d MiB are in use, above the limit; senders are told to try again",
            self._resident // _MIB,
        )
        while True:
            _give_back()
            resident, limit = self._read() or 0, self._limit
            if limit is None or resident <= limit:
                break
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, _RELIEF_MAX_S)
        _log.info("memory: %d MiB are in use, within the limit again", resident // _MIB)
        with self._lock:
            self._relieving = False


def _keep_little() -> None:
    """Let the C library give large blocks back as soon as they are free, where it can (glibc)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _give_back() -> None:
    """Free what nobody needs, and give free memory to the system where libc can, as glibc."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
