"""What is read of a process is what it used, with its children."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from bench.peers.meter import metered

# Works for a while in a child, and waits to be ended.
PARENT = """
import subprocess, sys, time
work = "x = bytearray(50 << 20); import time\\nwhile time.process_time() < 0.5: pass\\n"
child = subprocess.Popen([sys.executable, "-c", work + "print(flush=True); input()"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(flush=True)
input()
"""


def started(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def test_the_work_and_the_memory_of_children_count() -> None:
    with started(PARENT) as process:
        assert process.stdout
        with metered(process.pid) as meter:
            process.stdout.readline()
        process.kill()

    assert meter.cpu_s >= 0.4
    assert 0 <= meter.system_share <= 1
    assert meter.rss_max_bytes > 50 << 20


def test_a_server_that_ends_is_an_error() -> None:
    with (
        started("input()") as process,
        pytest.raises(RuntimeError, match="ended while it was measured"),
        metered(process.pid),
    ):
        process.kill()
        time.sleep(0.3)
