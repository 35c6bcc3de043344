"""Standard streams that a command can rely on, however it was started.

Schedulers, cron and containers start programs with streams closed, or in the C locale, in which
text is ASCII. Each command prepares them before anything else.
"""

from __future__ import annotations

import io
import os
import sys

__all__ = ["prepare_streams"]


def prepare_streams() -> None:
    """Open what is closed on nothing, and let every text be printed.

    A closed stream leaves its number to the next file that is opened. If that is number 2, what
    libraries write to standard error would go into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            os.set_inheritable(number, True)
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream.encoding.lower() in ("ascii", "us-ascii", "ansi_x3.4-1968", "646"):
            # It only says that no encoding was set (PEP 540). Terminals and files are UTF-8 then.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
        else:
            stream.reconfigure(errors="backslashreplace")
