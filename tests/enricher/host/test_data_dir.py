"""The lock of the data folder, when its holder has died and others still hold it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from genops_enricher.errors import StartError
from genops_enricher.host.data_dir import DataDir

HOLD = """
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(descriptor, fcntl.LOCK_EX)
os.pwrite(descriptor, (sys.argv[2] + "\\n").encode(), 0)
print("held", flush=True)
time.sleep(float(sys.argv[3]))
"""


def hold(folder: Path, holder: int, seconds: float) -> subprocess.Popen[str]:
    """A process that holds the lock for a while, written down as held by `holder`."""
    (folder / "lock").touch()
    command = [sys.executable, "-c", HOLD, str(folder / "lock"), str(holder), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_workers_of_a_dead_holder_are_waited_for(tmp_path: Path, dead: int) -> None:
    with hold(tmp_path, dead, 1.0) as workers:
        folder = DataDir(tmp_path)
        folder.open()

        assert workers.wait() == 0
    folder.close()


def test_a_living_holder_is_an_error_at_once(tmp_path: Path) -> None:
    with hold(tmp_path, 1, 60.0) as holder:  # the first process of the system is always there
        with pytest.raises(StartError, match="is in use by process 1"):
            DataDir(tmp_path).open()
        holder.kill()


def test_a_folder_that_another_process_has_locked_for_this_one_is_not_locked_again(
    tmp_path: Path,
) -> None:
    outer, inner = DataDir(tmp_path), DataDir(tmp_path, lock=False)
    outer.open()
    inner.open()
    inner.close()

    with pytest.raises(StartError, match="is in use by process"):
        DataDir(tmp_path).open()
    outer.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_the_names_of_folders_that_are_made_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a worker, whose folder is in the data folder: else a power failure may lose it."""
    synced: list[Path] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    path = tmp_path / "data" / "worker-2"

    DataDir(path, lock=False).open()

    assert synced == [tmp_path, tmp_path / "data"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
