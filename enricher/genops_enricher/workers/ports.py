"""Keeps the ports of the receivers for the workers, and others away from them.

Workers listen on one port each with SO_REUSEPORT, and the kernel spreads connections over them. By
that alone a second enricher, started by mistake, would get its share in silence. So the supervisor
binds each address first, without SO_REUSEPORT, which fails if anyone else has it; and only then,
on the socket that is bound, it allows others of the same user that ask for it by SO_REUSEPORT. It
never listens, so it gets no connections; and while it lives, nobody else gets the port, even if no
worker runs.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from contextlib import ExitStack

from genops_enricher.config.values import split_address
from genops_enricher.errors import StartError

__all__ = ["Ports"]


_Wish = tuple[str, str]
"""The key of the configuration, and the address there."""


class Ports:
    """The addresses that are kept. Used by one thread at a time."""

    def __init__(self) -> None:
        """None yet."""
        self._kept: dict[_Wish, tuple[str, list[socket.socket]]] = {}

    def keep(self, addresses: Mapping[str, str]) -> dict[str, str]:
        """Keep these too.

        Args:
            addresses: host:port by the key of the configuration that names it.

        Returns:
            The same with the port that was found where it is 0.

        Raises:
            StartError: one is taken; then none is kept that was not before.
        """
        with ExitStack() as undo:
            for wish in addresses.items():
                if wish not in self._kept:
                    self._kept[wish] = _bind(*wish)
                    undo.callback(self._let_go, wish)
            undo.pop_all()
        return {wish[0]: self._kept[wish][0] for wish in addresses.items()}

    def keep_only(self, addresses: Mapping[str, str]) -> None:
        """Let all others go."""
        for wish in set(self._kept) - set(addresses.items()):
            self._let_go(wish)

    def _let_go(self, wish: _Wish) -> None:
        for each in self._kept.pop(wish)[1]:
            each.close()


def _bind(key: str, address: str) -> tuple[str, list[socket.socket]]:
    """Bind what a name stands for; `localhost` may be two addresses, of which one may be absent."""
    host, port = split_address(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(f"{key}: can't listen on {address}: {error.strerror}") from error
    bound: list[socket.socket] = []
    absent: OSError | None = None
    with ExitStack() as undo:
        for family, _, _, _, place in found:
            try:
                bound.append(_bind_one(family, (place[0], port, *place[2:])))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise _taken(key, address, error) from error
                absent = error
            else:
                undo.callback(bound[-1].close)
                port = port or int(bound[-1].getsockname()[1])
        undo.pop_all()
    if not bound and absent is not None:
        raise _taken(key, address, absent) from absent
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}", bound


def _bind_one(family: int, place: tuple[object, ...]) -> socket.socket:
    each = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:  # beside 0.0.0.0, which may be kept as well
            each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Connections of the process before may linger on the port.
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(place)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # From now on a process that does not ask for SO_REUSEPORT is refused.
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except BaseException:
        each.close()
        raise
    return each


def _taken(key: str, address: str, error: OSError) -> StartError:
    return StartError(
        f"{key}: can't listen on {address}: {error.strerror}. Stop what uses the port, or choose "
        "another: 14317 and 14318 beside an OpenTelemetry Collector"
    )
