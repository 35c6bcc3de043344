"""The process needs no root, and writes to its data folder and nowhere else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from enricher_process import running, write_config
from genops_enricher.demo.sink import Sink
from heavy import require
from otlp import chat, request, span

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
NOBODY = 65534


def as_nobody() -> list[str]:
    """What runs a command without root, where the tests have it."""
    if os.geteuid() != 0:
        return []
    under = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    under += ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    probe = [*under, sys.executable, "-c", "import genops_enricher.life.service"]
    if shutil.which("setpriv") is None or subprocess.run(probe, check=False).returncode != 0:
        message = "needs setpriv, and a Python and a checkout that another user may read"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return under


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Not below pytest's own, which only their owner may enter. Only `data` may be written to."""
    path = Path(tempfile.mkdtemp(prefix="genops-test-"))
    for name in ("data", "home", "tmp"):
        (path / name).mkdir()
        if os.geteuid() == 0:
            os.chown(path / name, NOBODY, NOBODY)
    (path / "data").chmod(0o700)
    path.chmod(0o755)
    monkeypatch.setenv("HOME", str(path / "home"))
    monkeypatch.setenv("TMPDIR", str(path / "tmp"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    yield path
    shutil.rmtree(path)


def use(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        for number in range(5):
            channel.unary_unary(TRACES, None, None)(
                request(span(chat(), number=number)), timeout=60, wait_for_ready=True
            )


def test_without_root_it_delivers_and_leaves_files_in_its_data_folder_only(folder: Path) -> None:
    under = as_nobody()
    with Sink() as backend:
        config = write_config(folder, backend.grpc_endpoint)
        with running(config, under=under) as enricher:
            use(enricher.grpc)
            backend.wait_for_spans(5, timeout_s=60)
            if under:
                status = Path(f"/proc/{enricher.pid}/status").read_text()
                assert f"Uid:\t{NOBODY}" in status
                assert "CapEff:\t0000000000000000" in status

    assert [*(folder / "home").iterdir(), *(folder / "tmp").iterdir()] == []
    assert {path.name for path in folder.iterdir()} == {
        "data", "home", "tmp", "enricher.yaml", "enricher.log"
    }  # fmt: skip
    modes = {path: path.stat().st_mode & 0o777 for path in (folder / "data").rglob("*")}
    assert modes
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


@pytest.mark.heavy
def test_no_system_call_changes_a_file_outside_the_data_folder(folder: Path) -> None:
    require("strace", reason="traces system calls; on Debian: apt install strace")
    trace = folder / "strace.txt"
    under = ["strace", "-DD", "-f", "-e", "trace=%file", "-s", "400", "-o", str(trace)]
    with Sink() as backend:
        config = write_config(folder, backend.grpc_endpoint)
        with running(config, under=[*under, *as_nobody()]) as enricher:
            use(enricher.grpc)
            backend.wait_for_spans(5, timeout_s=60)
    deadline_s = time.monotonic() + 60
    while "+++ exited with" not in trace.read_text().splitlines()[-1]:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)

    changed = changed_paths(trace.read_text())
    assert any(path.startswith(f"{folder}/data/") for path in changed), "the trace shows nothing"
    assert {
        path
        for path in changed
        if not path.startswith((f"{folder}/data", "/dev/null", "/proc/self/"))
    } == set()


_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) = (\d+)", re.MULTILINE)
_WRITERS = {
    "creat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir",
    "link", "linkat", "symlink", "symlinkat", "truncate", "mknod", "mknodat", "chmod", "fchmodat",
    "chown", "fchownat", "utimensat", "setxattr",
}  # fmt: skip


def changed_paths(trace: str) -> set[str]:
    """The paths of all calls that succeeded and may have changed a file."""
    paths: set[str] = set()
    for name, arguments, _ in _CALL.findall(trace):
        opens = name in ("open", "openat") and re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", arguments)
        if opens or name in _WRITERS:
            paths |= {path for path in re.findall(r'"([^"]*)"', arguments) if path}
    return paths


def test_the_reader_of_traces_sees_what_changes_files_and_only_that() -> None:
    trace = (
        '1 openat(AT_FDCWD, "/a", O_WRONLY|O_CREAT, 0600) = 3\n'
        '1 openat(AT_FDCWD, "/b", O_RDONLY|O_CLOEXEC) = 3\n'
        '1 openat(AT_FDCWD, "/c", O_RDWR) = -1 EACCES (Permission denied)\n'
        '1 rename("/d", "/e") = 0\n'
        '1 stat("/f", {st_mode=S_IFREG}) = 0\n'
    )

    assert changed_paths(trace) == {"/a", "/d", "/e"}
