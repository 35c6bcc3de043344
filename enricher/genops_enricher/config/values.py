"""The kinds of value that a key can have: how each is written, and how its text becomes a value.

A kind reads the text of one YAML scalar, never a value that YAML guessed a type for: in YAML 1.1
`on` is a boolean and `3:00` is 180. Messages never repeat the text, since it may be a secret; the
caller decides whether it may be shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from genops_enricher.config.groups import GROUPS
from genops_enricher.config.patterns import GROUP

__all__ = [
    "ADDRESS",
    "BOOLEAN",
    "HEADERS",
    "HEADER_NAME",
    "LISTS_BY_NAME",
    "NAMES",
    "PATH",
    "PATHS",
    "PATTERNS",
    "SECRET",
    "SECRETS",
    "TEXT",
    "Kind",
    "Shape",
    "choice",
    "choices",
    "duration",
    "integer",
    "number",
    "size",
    "split_address",
]


class Shape(Enum):
    """How the value is laid out in YAML."""

    SCALAR = auto()
    LIST = auto()
    MAP = auto()
    MAP_OF_LISTS = auto()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value. `read` makes a value of a scalar, or raises ValueError with the reason."""

    name: str  # for the reference page
    read: Callable[[str], object]
    shape: Shape = Shape.SCALAR
    secret: bool = False  # values are never shown


# https://www.rfc-editor.org/rfc/rfc9110#name-tokens, less what gRPC metadata can't carry.
HEADER_NAME = re.compile(r"[A-Za-z0-9_.-]+")

# Go's duration syntax, which the Collector uses. A day has no unit there, and none here.
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION_HINT = "write a number and a unit: 500ms, 30s or 1m30s"
_SECRET_CHARACTERS_MIN = 16
_YEAR_S = 366 * 86400.0
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(r"(\d+) ?([A-Za-z]*)")


def _read_text(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _read_path(text: str) -> str:
    if text.startswith("~"):
        raise ValueError("starts with ~, which only a shell expands; write ${env:HOME} instead")
    return _read_text(text)


def _read_header(text: str) -> str:
    # RFC 9110 field values, and what gRPC takes as ASCII metadata. A line break at the end is what
    # a secret read from a file often carries, and would end as an obscure error at the first send.
    if not text:
        raise ValueError("is empty")
    if text != text.strip():
        raise ValueError("starts or ends with a space or line break; trim the value")
    if not all(" " <= char <= "~" for char in text):
        raise ValueError("has a character that a header can't carry; use printable ASCII")
    return text


def _read_secret(text: str) -> str:
    # As a header, and so long that nobody finds it by trying.
    if len(_read_header(text)) < _SECRET_CHARACTERS_MIN:
        raise ValueError(
            f"is too short for a secret; use {_SECRET_CHARACTERS_MIN} characters or more, such as "
            "`openssl rand -hex 32` prints"
        )
    return text


def _read_pattern(text: str) -> str:
    group = text.removeprefix(GROUP)
    if group != text and group not in GROUPS:
        raise ValueError(f"is no group; the groups are {', '.join(GROUPS)}")
    return _read_text(text)


def _read_boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("is not a boolean; write true or false")
    return text == "true"


def split_address(text: str) -> tuple[str, int]:
    """`host:port` as its two parts; an IPv6 host stands in brackets. The port is 0 to 65535.

    Raises:
        ValueError: not an address.
    """
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or "/" in host or (":" in bare) != host.startswith("["):
        raise ValueError("is not an address; write host:port, such as 127.0.0.1:4317 or [::1]:4317")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("has no valid port; write host:port with a port from 0 to 65535")
    return bare, int(port)


def _read_address(text: str) -> str:
    split_address(text)
    return text


def choice(*options: str) -> Kind:
    """One of a few words."""
    listed = ", ".join(options)

    def read(text: str) -> str:
        if text not in options:
            raise ValueError(f"is not one of {listed}")
        return text

    return Kind(" or ".join(f"`{option}`" for option in options), read)


def choices(*options: str) -> Kind:
    """A list of some of a few words."""
    one = choice(*options)
    return Kind(f"list of {one.name}", one.read, Shape.LIST)


def integer(minimum: int, maximum: int) -> Kind:
    """A whole number within bounds, both included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
            raise ValueError(f"is not a whole number; write one from {minimum} to {maximum}")
        if not minimum <= int(text) <= maximum:
            raise ValueError(f"is out of range; use {minimum} to {maximum}")
        return int(text)

    return Kind(f"integer {minimum} to {maximum}", read)


def number(minimum: float, maximum: float) -> Kind:
    """A number within bounds, both included."""

    def read(text: str) -> float:
        if not re.fullmatch(r"-?\d{1,18}(\.\d{1,18})?", text, re.ASCII):
            raise ValueError("is not a number")
        if not minimum <= float(text) <= maximum:
            raise ValueError(f"is out of range; use {minimum:g} to {maximum:g}")
        return float(text)

    return Kind(f"number {minimum:g} to {maximum:g}", read)


def duration(*, zero: str = "") -> Kind:
    """A time span in Go's syntax, as seconds. `zero` says what 0 means, where 0 is allowed."""

    def read(text: str) -> float:
        parts = _DURATION_PART.findall(text)
        if text == "0":
            seconds = 0.0
        elif parts and "".join(amount + unit for amount, unit in parts) == text:
            seconds = sum(float(amount) * _SECONDS[unit] for amount, unit in parts)
        else:
            raise ValueError(f"is not a duration; {_DURATION_HINT}")
        if seconds > _YEAR_S:  # and the system's timers take no number of any size
            raise ValueError(f"is longer than a year; {_DURATION_HINT}")
        if not seconds and not zero:
            raise ValueError("must be more than 0")
        return seconds

    return Kind(f"duration, 0: {zero}" if zero else "duration", read)


def size(minimum: str) -> Kind:
    """A number of bytes, alone or with a binary unit; at least `minimum`."""

    def read(text: str) -> int:
        match = _SIZE.fullmatch(text)
        if match is None or match[2] not in _BYTES:
            raise ValueError("is not a size; write bytes or a unit: 536870912, 512MiB or 1GiB")
        return int(match[1]) * _BYTES[match[2]]

    least = read(minimum)

    def read_bounded(text: str) -> int:
        value = read(text)
        if value < least:
            raise ValueError(f"is less than {minimum}; sizes are in bytes, such as 512MiB or 1GiB")
        return value

    return Kind(f"size in bytes, from {minimum}", read_bounded)


TEXT = Kind("text", _read_text)
BOOLEAN = Kind("boolean", _read_boolean)
ADDRESS = Kind("host:port", _read_address)
PATH = Kind("path", _read_path)
PATHS = Kind("list of paths", _read_path, Shape.LIST)
NAMES = Kind("list of names", _read_text, Shape.LIST)
PATTERNS = Kind("list of patterns", _read_pattern, Shape.LIST)
SECRET = Kind("text, secret", _read_secret, secret=True)
HEADERS = Kind("map of name to text, secret", _read_header, Shape.MAP, secret=True)
SECRETS = Kind("list of text, secret", _read_header, Shape.LIST, secret=True)
LISTS_BY_NAME = Kind("map of name to list of names", _read_text, Shape.MAP_OF_LISTS)
