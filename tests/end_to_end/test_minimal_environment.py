"""Commands work in environments as schedulers and containers have them: no HOME, no place for
temporary files, the C locale, streams that are closed, a data folder in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest

from destinations import grpc_destination
from enricher_process import EnricherProcess, running, write_config
from life import EXPORT, WAIT_S, edit, wait_until
from otlp import chat, request, span

# Nobody, root neither, can write to /proc. LC_ALL keeps Python from choosing UTF-8 by itself.
C_LOCALE = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LOCALES = [{"LANG": "C", "PYTHONUTF8": "0"}, C_LOCALE]
MINIMAL = {"PATH": "/usr/bin:/bin", "TMPDIR": "/proc", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder on tmpfs where there is one."""
    shm = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="genops-", dir=shm if os.access(shm, os.W_OK) else None))
    yield path
    shutil.rmtree(path)


def command(
    *arguments: str, env: dict[str, str], closed: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run it with these streams closed, as a shell does it: `<&-`, `>&-`, `2>&-`."""
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", *arguments]
    return subprocess.run(
        shell, env=MINIMAL | env, capture_output=True, timeout=120, check=False, cwd=cwd
    )


def closing(streams: str, env: dict[str, str]) -> Sequence[str]:
    """What runs a command in the minimal environment and with these streams closed."""
    pairs = [f"{name}={value}" for name, value in (MINIMAL | env).items()]
    return ["env", "-i", *pairs, "sh", "-c", f'exec "$@" {streams}', "sh"]


def deliver(enricher: EnricherProcess) -> None:
    with grpc.insecure_channel(enricher.grpc) as channel:
        channel.unary_unary(EXPORT, None, None)(
            request(span(chat())), timeout=WAIT_S, wait_for_ready=True
        )


@pytest.mark.parametrize("env", LOCALES)
@pytest.mark.parametrize("streams", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_it_runs_and_keeps_its_files_clean_with_streams_closed(
    env: dict[str, str], streams: str, in_memory: Path
) -> None:
    with grpc_destination() as backend:
        config = write_config(in_memory, f"127.0.0.1:{backend.port}")
        edit(
            config,
            lambda settings: settings.update(
                enrichment={"attribution": {"genops.team": ["équipe"]}}
            ),
        )
        with running(config, under=closing(streams, env)) as enricher:
            for number in (0, 1, 2):
                opened = str(Path(f"/proc/{enricher.pid}/fd/{number}").readlink())
                assert opened == "/dev/null" or opened.endswith("enricher.log"), opened
            deliver(enricher)
            wait_until(lambda: len(backend.payloads) == 1, "nothing was delivered")
            assert enricher.stop() == 0

    if "2>" not in streams:
        log = (in_memory / "enricher.log").read_text()
        assert log.splitlines()[-1].endswith("stopped")
        assert "Traceback" not in log


@pytest.mark.parametrize("env", LOCALES)
@pytest.mark.parametrize(
    "arguments",
    [
        ("genops_pricing", "show", "openai/gpt-4o"),
        ("genops_pricing", "list", "--json"),
        ("genops_enricher", "print-config", "--config", "enricher.yaml"),
        ("genops_enricher", "validate", "--config", "enricher.yaml"),
        ("genops_enricher", "dead-letters", "list", "--config", "enricher.yaml"),
    ],
    ids=" ".join,
)
def test_commands_print_every_character_in_the_c_locale(
    env: dict[str, str], arguments: Sequence[str], tmp_path: Path
) -> None:
    config = write_config(tmp_path, "127.0.0.1:9")
    edit(
        config,
        lambda settings: settings.update(enrichment={"attribution": {"genops.team": ["équipe"]}}),
    )

    done = command(*arguments, env=env, closed="<&-", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    if "print-config" in arguments:
        assert "équipe" in done.stdout.decode()
    closed = command(*arguments, env=env, closed="<&- >&-", cwd=tmp_path)
    assert (closed.returncode, closed.stdout) == (0, b"")
    assert b"Traceback" not in closed.stderr


def test_names_of_files_that_the_locale_has_not_are_a_mistake_that_says_so(tmp_path: Path) -> None:
    config = write_config(tmp_path, "127.0.0.1:9")

    def change(settings: dict[str, dict[str, object]]) -> None:
        settings["service"]["data_dir"] = "données"
        settings["enrichment"] = {"overlays": ["été.yaml"]}

    edit(config, change)

    for verb in ("validate", "run"):
        done = command("genops_enricher", verb, "--config", str(config), env=C_LOCALE)

        said = done.stderr.decode()
        assert done.returncode == 2, said
        assert "Traceback" not in said
        for key, name in (("service.data_dir", "données"), ("enrichment.overlays", "été.yaml")):
            assert (
                f"{key}: `{name}` can't be the name of a file in this environment, whose names "
                "are ascii; set LC_ALL=C.UTF-8, or PYTHONUTF8=1"
            ) in said
