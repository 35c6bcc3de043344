"""A page of the documentation as its reader uses it: its sections, and blocks that are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 120.0
KEY = "sk-or-v1-" + "0" * 64
PRIVATE = ("OTEL_", "GENOPS_", "OPENAI_", "OPENROUTER_", "ENVIRONMENT", "HONEYCOMB", "DATADOG")


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language in Markdown."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """A heading, and what stands between it and the next one of any level."""

    title: str
    text: str

    @property
    def slug(self) -> str:
        """The title as a part of the name of a test."""
        return re.sub(r"\W+", "_", self.title.lower()).strip("_")

    def blocks(self, language: str) -> list[str]:
        return blocks(self.text, language)

    @property
    def messages(self) -> list[str]:
        """The lines that a reader is said to see; `…` stands for anything."""
        return [line for block in self.blocks("text") for line in block.splitlines() if line]

    def unseen(self, output: str) -> list[str]:
        """The messages that are on no line of the output."""
        return [message for message in self.messages if not _seen(message, output)]


def _seen(message: str, output: str) -> bool:
    pattern = ".*?".join(re.escape(part.strip()) for part in message.split("…"))
    return re.search(pattern, output) is not None


def sections(page: Path, *, before: str = "") -> list[Section]:
    """The sections of a page, from its first heading of the second level on, up to a title."""
    text = page.read_text(encoding="utf-8")
    if before:
        text, heading, _ = text.partition(f"\n## {before}\n")
        assert heading
    parts = re.split(r"^#{2,3} (.+)$", text, flags=re.MULTILINE)
    return [Section(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]


def section(page: Path, title: str) -> Section:
    (found,) = [one for one in sections(page) if one.title == title]
    return found


def clean_environment() -> dict[str, str]:
    """The environment of these tests without what would change what a program does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PRIVATE)}
    kept = {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
    kept.pop("COLUMNS", None)  # set where tests run side by side, and tables would be narrower
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@dataclass(frozen=True)
class Ran:
    """What a block did: its exit code, and stdout and stderr together."""

    code: int
    output: str


class Reader:
    """Does what a page says, in a folder, at the addresses of the test in place of the page's."""

    def __init__(
        self, folder: Path, addresses: Mapping[str, str] = {}, /, **environment: str
    ) -> None:
        """`addresses`: what stands on the page, and what stands for it."""
        self.folder = folder
        self._addresses = addresses
        self._environment = {**clean_environment(), "OPENROUTER_API_KEY": KEY, **environment}

    def run(self, block: str, language: str = "bash", *, timeout_s: float = TIMEOUT_S) -> Ran:
        done = subprocess.run(
            [*_PROGRAMS[language], self.here(block)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Ran(done.returncode, done.stdout)

    def run_all(self, of: Section) -> Ran:
        """The blocks of a section in their order, as one; Python's after those of the shell."""
        ran = [self.run(block, language) for language in _PROGRAMS for block in of.blocks(language)]
        return Ran(ran[-1].code, "".join(one.output for one in ran))

    @contextmanager
    def terminal(self, block: str) -> Iterator[Terminal]:
        """Run a block in a terminal of its own, which is closed in the end."""
        process = subprocess.Popen(
            [*_PROGRAMS["bash"], self.here(block)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        terminal = Terminal(process)
        try:
            yield terminal
        finally:
            terminal.close()

    def here(self, block: str) -> str:
        for shown, real in self._addresses.items():
            block = block.replace(shown, real)
        return block


_PROGRAMS: Mapping[str, Sequence[str]] = {
    "bash": ("bash", "-c"),
    "python": (sys.executable, "-c"),
}


class Terminal:
    """Where a program runs that does not end by itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def wait_for(self, text: str) -> str:
        """The output so far, once this stands in it."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while text not in self.output:
            if time.monotonic() > deadline_s or self._process.poll() is not None:
                raise TimeoutError(f"no {text!r} in:\n{self.output}")
            time.sleep(0.05)
        return self.output

    def close(self) -> None:
        """SIGTERM to all that runs there, and wait."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, 15)
        self._process.wait(TIMEOUT_S)
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines.extend(self._process.stdout)
