"""The number of files that the process may have open: each connection is one.

Without a file to open, the queue could not write: so connections must never use up all of them.
"""

from __future__ import annotations

import logging
import resource

__all__ = ["allow_open_files"]

_LOG = logging.getLogger(__name__)
_OWN = 256  # segments, positions, connections to destinations and of health probes, libraries


def allow_open_files(connections: int) -> None:
    """Raise the limit of the process so far that `connections` leave enough for the rest."""
    needed = connections + _OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return
    possible = needed if hard == unlimited else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    if possible < needed:
        _LOG.warning(
            "max_connections of the receivers together with the rest need %d open files, but the "
            "system allows %d: lower max_connections, or raise the limit (ulimit -n)",
            needed,
            possible,
        )
