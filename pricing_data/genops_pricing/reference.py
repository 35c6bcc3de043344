"""Write the reference of price files from the table of their keys.

`python -m genops_pricing.reference docs/pricing.md` renews the part between the two marks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .schema import FILES, records
from .shapes import ListOf, MapOf, Record, Shape

__all__ = ["main", "renew"]

_BEGIN: Final = "<!-- from genops_pricing.schema: begin -->\n"
_END: Final = "<!-- from genops_pricing.schema: end -->\n"


def renew(page: str) -> str:
    """The page with its reference as the table makes it."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    reference = "\n".join(_reference())
    return f"{before}{_BEGIN}{reference}\n{_END}{after}"


def main(path: str) -> None:
    """Renew the page at `path` in place."""
    page = Path(path)
    page.write_text(renew(page.read_text(encoding="utf-8")), encoding="utf-8")


def _reference() -> Iterator[str]:
    for record in records():
        kind = "file" if record in FILES.values() else "mapping"
        yield ""
        yield f"### {record.title}"
        yield ""
        yield f"| key of this {kind} | value | |"
        yield "|---|---|---|"
        for key in record.keys:
            required = " Required." if key.required else ""
            meaning = key.meaning[0].upper() + key.meaning[1:]
            yield f"| `{key.name}` | {_link(key.shape)} | {meaning}.{required} |"
    yield ""


def _link(shape: Shape) -> str:
    if isinstance(shape, ListOf):
        return f"list of {_link(shape.item)}"
    if isinstance(shape, MapOf):
        return f"{shape.key.title}: {_link(shape.item)}"
    if isinstance(shape, Record):
        return f"[{shape.title}](#{shape.title.replace(' ', '-')})"
    return shape.title


if __name__ == "__main__":
    main(sys.argv[1])
