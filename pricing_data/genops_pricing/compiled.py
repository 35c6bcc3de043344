"""The catalog as one JSON file, read with the standard library alone.

The wheel holds it; a source checkout makes it from the YAML and makes it anew when a file changed.
Its digest is that of the content's bytes: what the digest names is exactly what is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .errors import CatalogError
from .schema_version import newer_schema

__all__ = [
    "Compiled",
    "canonical",
    "compile_directory",
    "digest_of",
    "load_bundled",
    "read_compiled",
    "write_compiled",
]

_PACKAGE: Final = Path(__file__).parent
_DATA: Final = _PACKAGE / "data"
_FILE: Final = _PACKAGE / "catalog.json"

# Content stands last, so that its bytes can be cut out without parsing them first.
_CONTENT: Final = ',"content":'


@dataclass(frozen=True, slots=True)
class Compiled:
    """A catalog's content and what it was made from."""

    content: Mapping[str, Any]
    digest: str  # sha256 of the canonical content
    sources: str  # sha256 of the YAML files


def compile_directory(directory: Path) -> Compiled:
    """Compile the YAML files of a data directory.

    Raises:
        CatalogError: something is wrong with the files, or PyYAML is missing.
    """
    from .sources import read_directory

    content = read_directory(directory)
    return Compiled(content, digest_of(canonical(content)), _digest_files(directory))


def write_compiled(compiled: Compiled, path: Path) -> None:
    """Write the JSON form, whole or not at all, over what is there.

    Raises:
        OSError: the file can't be written.
    """
    import tempfile  # slow to import, and an installation never writes

    head = json.dumps({"digest": compiled.digest, "sources": compiled.sources})
    text = f"{head[:-1]}{_CONTENT}{canonical(compiled.content)}}}\n"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_compiled(path: Path) -> Compiled:
    """Read the JSON form and check it against its digest.

    Raises:
        CatalogError: the file is missing, damaged, or of a newer schema.
    """
    try:
        compiled = _parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "Install genops-ai again"
        raise CatalogError([f"{path}: the price catalog can't be read: {error}. {fix}"]) from error
    if newer := newer_schema(compiled.content):
        raise CatalogError([f"{path}: {newer}"])
    return compiled


def load_bundled(data: Path = _DATA, file: Path = _FILE) -> Compiled:
    """The catalog of this installation; in a source checkout, that of the YAML as it is now.

    Args:
        data: the YAML files; not there in an installation.
        file: the compiled catalog.

    Raises:
        CatalogError: the catalog can't be read or made.
    """
    if not data.is_dir():
        return read_compiled(file)
    # A file that is missing, or that another release made, is made anew.
    with contextlib.suppress(CatalogError):
        compiled = read_compiled(file)
        if compiled.sources == _digest_files(data):
            return compiled
    compiled = compile_directory(data)
    # A checkout that can't be written to compiles at every start.
    with contextlib.suppress(OSError):
        write_compiled(compiled, file)
    return compiled


def _parse(text: str) -> Compiled:
    head, separator, rest = text.partition(_CONTENT)
    body = rest.removesuffix("}\n")
    header = json.loads(head + "}")
    if not separator or digest_of(body) != header["digest"]:
        raise ValueError("its digest is not that of its content")
    return Compiled(json.loads(body), header["digest"], header["sources"])


def canonical(content: Any) -> str:
    """The one JSON text of a content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(text: str) -> str:
    """The sha256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_files(directory: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*.yaml")):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(directory)}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()
