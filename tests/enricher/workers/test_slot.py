"""A worker whose process does not do as told: real processes, of other programs."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from genops_enricher.config.load import load_config
from genops_enricher.errors import StartError
from genops_enricher.workers import process
from genops_enricher.workers import slot as slots
from genops_enricher.workers.orders import Sources
from genops_enricher.workers.slot import Slot
from life import WAIT_S, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    file = tmp_path / "enricher.yaml"
    file.write_text("exporters: {otlp_http: {endpoint: 'http://127.0.0.1:1'}}\n")
    return Sources(load_config(file, {"HOME": str(tmp_path)}).config, "")


def test_one_that_ends_each_time_it_starts_is_an_error_that_says_how(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "starts"
    program = f"open({str(log)!r}, 'a').write('x'); import sys; sys.exit(7)"
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", program])
    slot = Slot(2, [])

    with pytest.raises(StartError, match=r"worker 2 ended with exit code 7 at .*, 3 times while"):
        slot.begin(sources)

    assert log.read_text() == "xxx"
    assert slot.stop("test", 1.0) == ""


def test_one_that_is_killed_while_it_starts_is_started_again(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    program = (
        "import os, pathlib, sys\n"
        f"first = pathlib.Path({str(first)!r})\n"
        "if not first.exists():\n"
        "    first.touch()\n"
        "    os.kill(os.getpid(), 9)\n"
        "from genops_enricher.workers.worker import main\n"
        "main(sys.argv[1:])\n"
    )
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", program])
    slot = Slot(1, [])
    slot.begin(sources)

    assert slot.is_ready
    assert slot.stop("test", 60.0) == ""
    assert not slot.is_ready


@pytest.mark.parametrize("overlay_bytes", [0, 4 << 20])  # more than lies in a pipe that is not read
def test_one_that_takes_no_new_configuration_is_killed_and_the_next_one_has_it(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overlay_bytes: int
) -> None:
    told = tmp_path / "told"
    program = (
        "import sys, threading\n"
        "from multiprocessing.connection import Connection\n"
        "from genops_enricher.workers.orders import Answer\n"
        "orders = Connection(int(sys.argv[1]))\n"
        "level = orders.recv().sources.config.service.log_level\n"
        f"open({str(told)!r}, 'a').write(level + '\\n')\n"
        "orders.send(Answer())\n"
        "threading.Event().wait()\n"
    )
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", program])
    monkeypatch.setattr(slots, "_APPLY_MAX_S", 0.1)
    monkeypatch.setattr(slots, "_END_S", 0.1)
    config = sources.config
    new = Sources(replace(config, service=replace(config.service, log_level="debug")), "")
    slot = Slot(1, [])
    slot.begin(sources)

    applying = threading.Thread(
        target=slot.apply, args=(replace(new, overlays="x" * overlay_bytes),), daemon=True
    )
    applying.start()
    applying.join(WAIT_S)
    assert not applying.is_alive()

    wait_until(lambda: told.read_text() == "info\ndebug\n", "no process has the new one")
    assert slot.restarts == 1
    slot.stop("test", 0.1)


def test_one_that_does_not_stop_is_killed_and_that_is_said(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import sys, threading\n"
        "from multiprocessing.connection import Connection\n"
        "from genops_enricher.workers.orders import Answer\n"
        "orders = Connection(int(sys.argv[1]))\n"
        "orders.recv()\n"
        "orders.send(Answer())\n"
        "threading.Event().wait()\n"
    )
    monkeypatch.setattr(process, "COMMAND", [sys.executable, "-c", program])
    monkeypatch.setattr(slots, "_END_S", 0.1)
    slot = Slot(3, [])
    slot.begin(sources)

    assert slot.stop("test", 0.1) == "worker 3: took too long, and was killed"


def patched(change: str) -> list[str]:
    """The command of a worker in which something of the service is another."""
    program = (
        "import sys\n"
        "from genops_enricher.life.service import Service\n"
        f"{change}"
        "from genops_enricher.workers.worker import main\n"
        "main(sys.argv[1:])\n"
    )
    return [sys.executable, "-c", program]


def test_one_that_fails_to_reload_in_an_unforeseen_way_says_so_and_goes_on(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = (
        "def apply(*arguments):\n    raise RuntimeError('no more threads')\nService.apply = apply\n"
    )
    monkeypatch.setattr(process, "COMMAND", patched(fails))
    slot = Slot(1, [])
    slot.begin(sources)

    with pytest.raises(StartError, match="internal error: RuntimeError; the log says more"):
        slot.apply(sources)

    slot.look()
    assert slot.is_ready
    assert slot.restarts == 0
    assert slot.stop("test", 10.0) == ""


def test_one_that_can_not_tell_once_how_it_is_is_asked_again(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = (
        "degraded = Service._degraded\n"
        "def fail(service):\n"
        "    Service._degraded = degraded\n"
        "    service.health.degraded = service._degraded\n"
        "    raise RuntimeError('dictionary changed size during iteration')\n"
        "Service._degraded = fail\n"
    )
    monkeypatch.setattr(process, "COMMAND", patched(fails))
    slot = Slot(1, [])
    slot.begin(sources)

    wait_until(lambda: slot.is_ready, "it looks as if it hung")
    assert slot.stop("test", 10.0) == ""
