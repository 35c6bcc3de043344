"""What is installed beside this package: the name's other owner, and requirements that are not met.

Reads the metadata of distributions and nothing else: no package is imported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from typing import Final

__all__ = ["Requirement", "problems", "unmet", "version_of"]

_DISTRIBUTION: Final = "genops-ai"

# Another product on the package index, whose import package has the same name as ours.
_OTHER: Final = "genops"

# The form in which this distribution states what it needs.
_REQUIREMENT: Final = re.compile(
    r"(?P<name>[\w.-]+)\s*>=\s*(?P<floor>[\d.]+)(?:\s*;\s*extra\s*==\s*['\"](?P<extra>[\w-]+)['\"])?"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A distribution that is needed."""

    name: str
    floor: str  # the oldest version that will do
    installed: str | None  # the version that is there


def problems() -> tuple[str, ...]:
    """What is wrong with the installation, each with its fix; takes well under a millisecond."""
    # packages_distributions() would answer for any name, and read every distribution: 100 ms.
    version = version_of(_OTHER)
    if version is None:
        return ()
    return (
        f'the distribution "{_OTHER}" {version} is installed too. It is another product, and its '
        f"files and those of {_DISTRIBUTION} overwrite each other. "
        f"hint: pip uninstall {_OTHER} {_DISTRIBUTION}, then pip install {_DISTRIBUTION}",
    )


def unmet(*extras: str) -> tuple[Requirement, ...]:
    """The requirements of this distribution, and of these extras, that are not met.

    A source tree that is not installed states none.
    """
    try:
        lines = metadata.requires(_DISTRIBUTION) or ()
    except metadata.PackageNotFoundError:
        return ()
    stated = [match for match in map(_REQUIREMENT.fullmatch, lines) if match]
    needed = [
        Requirement(match["name"], match["floor"], version_of(match["name"]))
        for match in stated
        if match["extra"] in (None, *extras)
    ]
    return tuple(
        item
        for item in needed
        if item.installed is None or _release(item.installed) < _release(item.floor)
    )


def version_of(name: str) -> str | None:
    """The version of an installed distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version, without the marks of pre-releases and builds."""
    numbers = re.match(r"[\d.]*", version)
    return tuple(int(part) for part in (numbers[0] if numbers else "").split(".") if part)
