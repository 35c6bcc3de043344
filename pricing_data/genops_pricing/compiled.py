"""The catalog as one file of JSON lines, read with the standard library alone.

The wheel holds it; a source checkout makes it from the YAML and makes it anew when a file changed.
A digest, all but the models, an index of these, and one line for each. The digest is that of the
bytes after it: what the digest names is exactly what is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

from .errors import CatalogError
from .schema_version import newer_schema
from .shelf import Shelf, canonical, shelve

__all__ = [
    "Compiled",
    "compile_content",
    "compile_directory",
    "digest_of",
    "load_bundled",
    "read_compiled",
    "write_compiled",
]

_PACKAGE: Final = Path(__file__).parent
_DATA: Final = _PACKAGE / "data"
_FILE: Final = _PACKAGE / "catalog.json"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A catalog and what it was made from."""

    digest: str  # sha256 of all that follows it in the file
    sources: str  # sha256 of the YAML files
    content: Mapping[str, Any]  # all but the models
    models: Shelf = field(compare=False)
    body: bytes = field(compare=False, repr=False, default=b"")  # where it was just made


def compile_directory(directory: Path) -> Compiled:
    """Compile the YAML files of a data directory.

    Raises:
        CatalogError: something is wrong with the files, or PyYAML is missing.
    """
    from .sources import read_directory

    return compile_content(read_directory(directory), sources=_digest_files(directory))


def compile_content(content: Mapping[str, Any], *, sources: str) -> Compiled:
    """Compile a catalog's content, price files included.

    Args:
        content: as `sources.read_directory` reads it.
        sources: what names the files that it was read from.
    """
    index, lines = shelve(content["prices"])
    rest = {key: value for key, value in content.items() if key != "prices"}
    body = f"{canonical(rest)}\n{_index_text(index)}\n".encode() + lines
    digest = hashlib.sha256(body).hexdigest()
    return Compiled(digest, sources, rest, Shelf(index, lines), body)


def write_compiled(compiled: Compiled, path: Path) -> None:
    """Write the JSON form, whole or not at all, over what is there.

    Raises:
        OSError: the file can't be written.
    """
    import tempfile  # slow to import, and an installation never writes

    head = json.dumps({"digest": compiled.digest, "sources": compiled.sources})
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(f"{head}\n".encode() + compiled.body)
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
        with path.open("rb") as file:
            compiled = _read(file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
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


def _read(file: BufferedReader) -> Compiled:
    """Read all but the models, whose lines stay in the file: they are mapped, not loaded.

    A file is only ever replaced, never written over, so that what is mapped stays as it is.
    """
    header = json.loads(file.readline())
    start = file.tell()
    if hashlib.file_digest(file, "sha256").hexdigest() != header["digest"]:
        raise ValueError("its digest is not that of its content")
    file.seek(start)
    content = json.loads(file.readline())
    index = json.loads(file.readline())
    text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return Compiled(header["digest"], header["sources"], content, Shelf(index, text, file.tell()))


def _index_text(index: Any) -> str:
    """The JSON text of an index: its order is that of the lines."""
    return json.dumps(index, separators=(",", ":"), ensure_ascii=False)


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
