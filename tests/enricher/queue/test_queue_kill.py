"""SIGKILL at random moments: what was acknowledged is delivered, whatever the process was doing."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path

from queues import drain, opened

KILLS = 25

# Two threads consume and print "acked N" after each; two deliver and print "delivered N" before
# they tell the queue. A line is one write, so it is there whole or not at all.
VICTIM = """
import os, sys, threading
from pathlib import Path
from queues import ONE, batch, opened

first = int(sys.argv[2])
with opened(Path(sys.argv[1]), ONE, segment_bytes=20_000, sync=os.fdatasync) as queue:
    reader = queue.reader("otlp_grpc/a")

    def consume(start):
        for n in range(start, 1 << 40, 2):
            queue.consume(batch(b"%d " % n + b"x" * (n % 3_000)))
            os.write(1, b"acked %d\\n" % n)

    def deliver():
        while True:
            entry = reader.take(60)
            os.write(1, b"delivered %d\\n" % int(entry.payload.split()[0]))
            reader.finish(Ended(entry))

    for n in (0, 1):
        threading.Thread(target=consume, args=(first + n,), daemon=True).start()
        threading.Thread(target=deliver, daemon=True).start()
    threading.Event().wait()
"""


def run_and_kill(folder: Path, first: int, lines: int) -> list[tuple[str, int]]:
    """Let the victim print so many lines, kill it, and give all that it said."""
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(folder), str(first)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as victim:
        assert victim.stdout is not None
        said = b""
        while said.count(b"\n") < lines:
            readable, _, _ = select.select([victim.stdout], [], [], 30)
            assert readable, "the victim is silent"
            chunk = os.read(victim.stdout.fileno(), 1 << 16)
            assert chunk, "the victim ended by itself"
            said += chunk
        victim.send_signal(signal.SIGKILL)
        said += victim.stdout.read()
    return [(word, int(n)) for word, n in (line.split() for line in said.decode().splitlines())]


def test_every_acknowledged_record_is_delivered_across_sigkill(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    with opened(folder):  # from here on the exporter is known, and gets everything
        pass
    chance = random.Random(20)  # where the kills fall is up to the scheduler anyway
    acked: set[int] = set()
    delivered: set[int] = set()
    for kill in range(KILLS):
        for word, number in run_and_kill(folder, kill * 1_000_000, chance.randint(1, 300)):
            (acked if word == "acked" else delivered).add(number)

    with opened(folder) as queue:
        rest = drain(queue.reader("otlp_grpc/a"))
    for payload in rest:
        name, filling = payload.split(b" ")
        delivered.add(int(name))
        assert filling == b"x" * (int(name) % 3_000)

    assert len(acked) >= KILLS
    assert acked - delivered == set()
