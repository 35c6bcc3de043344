"""Which schema of price files this release reads. Apart from `schema`, which few processes need."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["SCHEMA", "newer_schema"]

SCHEMA: Final = 1  # the newest that this release reads


def newer_schema(content: Any) -> str | None:
    """What to say of content whose schema this release can't read; None if it can."""
    schema = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(schema, int) or schema <= SCHEMA:
        return None
    release = content.get("needs_release", "a newer release")
    return (
        f"schema {schema} is newer than this release reads ({SCHEMA}). "
        f"Install genops-ai {release} or newer"
    )
