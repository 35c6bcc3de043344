"""Names of the upstream providers behind OpenRouter: one key for all that mean the same.

Responses give a provider's name ("Google"), requests and Broadcast its slug ("google-vertex"), an
endpoint's tag has more behind it ("google-vertex/europe"). Price files have the name, in lower case
with dashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["upstream_key"]

# The slugs that are not the name, from the endpoints API of 2026-05-18 (`provider_name`, `tag`).
_BY_SLUG: Final[Mapping[str, str]] = {
    "aion-labs": "aionlabs",
    "atlas-cloud": "atlascloud",
    "google-vertex": "google",
    "mancer": "mancer-2",
    "moonshotai": "moonshot-ai",
    "z-ai": "z.ai",
}


def upstream_key(name: str) -> str:
    """The key of an upstream provider, given its name, slug or an endpoint's tag."""
    key = "-".join(name.partition("/")[0].lower().split())
    return _BY_SLUG.get(key, key)
