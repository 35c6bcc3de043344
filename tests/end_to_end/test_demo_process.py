"""The demo's processes: what they announce, how they fail, and that they always end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from genops_enricher.demo.interrupts import Interrupts
from genops_enricher.demo.process import Child, PartError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@contextmanager
def child(folder: Path, program: str) -> Iterator[Child]:
    (folder / "part.py").write_text(program)
    part = Child("the part", ["part"], os.environ, folder / "part.log")
    try:
        yield part
    finally:
        part.stop()


def test_a_child_announces_where_it_listens(folder: Path) -> None:
    with child(folder, 'print(\'{"url": "here"}\')') as part:
        assert part.read_message(timeout_s=60) == {"url": "here"}
        part.wait(timeout_s=60)
        assert part.read_line(timeout_s=60) is None


def test_a_child_that_fails_is_named_with_the_end_of_its_log(folder: Path) -> None:
    program = "import sys; print('the\\nreason', file=sys.stderr); sys.exit(3)"
    with child(folder, program) as part, pytest.raises(PartError) as caught:
        part.read_message(timeout_s=60)

    assert str(caught.value) == (
        "the part ended with exit code 3; its log ends:\n    the\n    reason"
    )


def test_a_child_that_ends_badly_is_noticed_at_its_end(folder: Path) -> None:
    with child(folder, "raise SystemExit(4)") as part, pytest.raises(PartError, match="code 4"):
        part.wait(timeout_s=60)


def test_what_a_child_logs_is_waited_for(folder: Path) -> None:
    program = "import signal, sys; print('on port 7,', file=sys.stderr, flush=True); signal.pause()"
    with child(folder, program) as part:
        assert part.wait_for_log(r"port (\d+),", timeout_s=60)[1] == "7"
        with pytest.raises(PartError, match="not ready within 0 s"):
            part.wait_for_log("never", timeout_s=0)


def test_a_child_that_ends_without_having_logged_it_is_named(folder: Path) -> None:
    with (
        child(folder, "raise SystemExit('no port')") as part,
        pytest.raises(PartError, match="code 1; its log ends:\n    no port"),
    ):
        part.wait_for_log("ready", timeout_s=60)


def test_a_silent_child_is_noticed_and_stopped(folder: Path) -> None:
    with child(folder, "import signal; signal.pause()") as part:
        with pytest.raises(PartError, match="said nothing for 0 s"):
            part.read_line(timeout_s=0)
        with pytest.raises(PartError, match="did not end within 0 s"):
            part.wait(timeout_s=0)
        assert part.is_running()

    assert not part.is_running()


def test_a_child_that_ignores_sigterm_is_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genops_enricher.demo.process.STOP_TIMEOUT_S", 0.1)
    program = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('{}', flush=True)\n"
        "while True: signal.pause()"
    )
    with child(folder, program) as part:
        part.read_message(timeout_s=60)

    assert not part.is_running()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_interrupt(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), Interrupts():
        signal.raise_signal(number)

    assert signal.getsignal(number) is before


def test_a_signal_waits_for_the_end_of_what_must_not_stop_halfway() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        with interrupts.deferred():
            with interrupts.deferred():
                signal.raise_signal(signal.SIGTERM)
            done.append("all")
        done.append("too much")

    assert done == ["all"]
