"""Ports for servers that a test starts later, by number.

A server that the test itself opens binds port 0 and needs none of this.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

# Linux's own default, where the file does not exist.
_DEFAULT_LOWEST_EPHEMERAL = 32768
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10000

_given: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that the system will not give away.

    The system takes the local ends of connections, and what it answers to port 0, from the
    ephemeral range: a port of that range that is free now may be taken when the server starts.
    So this is one from below the range, by chance, because other runs of the tests choose too.
    """
    ports = range(_LOWEST, max(_lowest_ephemeral(), _LOWEST + 1000))
    for port in random.sample(ports, len(ports)):
        if port not in _given and _is_free(port):
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
