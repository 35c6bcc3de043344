"""No two runs of the tests are given one port, whatever they do with the common generator."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

import free_ports

OTHER = """
import random, sys
import free_ports
free_ports._DEFAULT_LOWEST_EPHEMERAL = 0
free_ports._EPHEMERAL = free_ports.Path("/no/such/file")
free_ports._LOWEST = int(sys.argv[1])
random.seed(1)
print(*(free_ports.free_port() for _ in range(100)), flush=True)
sys.stdin.read()
"""


def test_what_another_run_was_given_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lowest = 8000  # a thousand ports, which other tests do not take
    monkeypatch.setattr(free_ports, "_LOWEST", lowest)
    monkeypatch.setattr(free_ports, "_lowest_ephemeral", lambda: 0)
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(lowest)],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        random.seed(1)
        ours = {free_ports.free_port() for _ in range(100)}
        other.communicate("")

    assert len(theirs) == 100
    assert len(ours) == 100
    assert ours & theirs == set()
