"""What the readers of the configuration share: the settings, and where they note what they find."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from genops_enricher.config.check import Settings
from genops_enricher.config.model import Protocol
from genops_enricher.config.nodes import KeyPath, Problem

__all__ = ["Reading"]


@dataclass(slots=True)
class Reading:
    """One configuration on its way from settings to values."""

    settings: Settings
    folder: Path  # relative paths start here
    env: Mapping[str, str]
    problems: list[Problem]
    warnings: list[Problem] = field(default_factory=list)
    default_protocol: Protocol | None = None  # of exporters that leave it open

    def note(self, path: KeyPath, text: str) -> None:
        """Note a mistake, at the place of the key."""
        self.problems.append(Problem(self.settings.place(*path), path, text))

    def warn(self, path: KeyPath, text: str) -> None:
        """Note what is valid but should be known."""
        self.warnings.append(Problem(self.settings.place(*path), path, text))

    def file(self, path: KeyPath) -> Path | None:
        """The file that the key names, if it is set. It is a mistake if it can't be read."""
        name = self.settings.find(str, *path)
        return None if name is None else self.readable(path, name)

    def named(self, path: KeyPath, name: str) -> Path:
        """The place called `name` by the key. It is a mistake if no file can be called so here."""
        file = self.folder / name
        if not _fits(file):
            self.note(
                path,
                f"{self.shown(path, name)} can't be the name of a file in this environment, whose "
                f"names are {sys.getfilesystemencoding()}; set LC_ALL=C.UTF-8, or PYTHONUTF8=1",
            )
        return file

    def readable(self, path: KeyPath, name: str) -> Path:
        """The file called `name` by the key. It is a mistake if it can't be read."""
        file = self.named(path, name)
        if _fits(file) and not (file.is_file() and os.access(file, os.R_OK)):
            self.note(
                path,
                f"there is no file {self.shown(path, str(file))} that can be read; check the path",
            )
        return file

    def shown(self, path: KeyPath, text: str) -> str:
        """A value of the key as messages may show it."""
        return "of that name" if path in self.settings.private else f"`{text}`"


def _fits(file: Path) -> bool:
    try:
        os.fsencode(file)
    except UnicodeEncodeError:
        return False
    return True
