"""Ports for servers that a test starts later, by number.

A server that the test itself opens binds port 0 and needs none of this.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

# Linux's own default, where the file does not exist.
_DEFAULT_LOWEST_EPHEMERAL = 32768
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10000
_RESERVATIONS = Path(tempfile.gettempdir()) / f"genops-test-ports-{os.getuid()}"

# pytest-randomly seeds the common generator before each test, with the same seed in all processes.
_chance = random.SystemRandom()
_given: set[int] = set()
_reservations: IO[bytes] | None = None


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that nobody else is given.

    The system takes the local ends of connections, and what it answers to port 0, from the
    ephemeral range: a port of that range that is free now may be taken when the server starts.
    So this is one from below the range. Other runs of the tests choose too: each keeps what it
    has chosen until it ends.
    """
    ports = range(_LOWEST, max(_lowest_ephemeral(), _LOWEST + 1000))
    for port in _chance.sample(ports, len(ports)):
        if port not in _given and _is_free(port) and _reserve(port):
            _given.add(port)
            return port
    raise RuntimeError(f"no port from {ports.start} to {ports.stop - 1} is free")


def _lowest_ephemeral() -> int:
    try:
        return int(_EPHEMERAL.read_text().split()[0])
    except OSError:
        return _DEFAULT_LOWEST_EPHEMERAL


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _reserve(port: int) -> bool:
    """Lock the byte of this number in a file that all runs share, until this process ends."""
    global _reservations
    if _reservations is None:
        _reservations = _RESERVATIONS.open("ab")
    try:
        fcntl.lockf(_reservations, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True
