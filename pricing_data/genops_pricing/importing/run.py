"""Import prices: read a source, review it against the catalog, and add what is new to the files.

The one place of the importer that reads files and the clock's day given to it; what is decided is
decided in `review` and `policy`.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from genops_pricing.errors import PricingError
from genops_pricing.load import load_directory

from .decision import Refused
from .fetch import fetch
from .review import Review, review
from .sources import genai_prices, litellm, models_dev, openrouter
from .sources.reading import Found, Statement
from .writer import write

__all__ = ["SOURCES", "import_prices", "write_review"]

SOURCES: Final[Mapping[str, Callable[[bytes, date], Found]]] = {
    "openrouter": openrouter.read,
    "litellm": litellm.read,
    "genai-prices": genai_prices.read,
    "models.dev": models_dev.read,
}
# Sources that are the market itself: only these know what it no longer lists.
_MARKETS: Final = frozenset({"openrouter"})


def import_prices(
    data: Path,
    source: str,
    places: Sequence[str],
    *,
    seen_at: date,
    backed_by: Sequence[tuple[str, str]] = (),
    complete: bool = False,
) -> Review:
    """What a source states that the catalog of a data directory lacks.

    Args:
        data: the price files.
        source: a key of SOURCES.
        places: files or URLs of the source.
        seen_at: day on which the source stated it (UTC).
        backed_by: (source, file or URL) of other sources, which confirm prices and add none.
        complete: whether the places hold all that the market lists, so that other models are gone.

    Raises:
        PricingError: a file can't be read, is not of the source, or is not complete.
    """
    if complete and source not in _MARKETS:
        raise PricingError(f"{source} does not list all of a market. Leave out --complete")
    statements = [found for place in places for found in _read(source, place, seen_at)]
    backing = [found for name, place in backed_by for found in _read(name, place, seen_at)]
    return review(
        load_directory(data), statements, backing, complete_on=seen_at if complete else None
    )


def write_review(data: Path, found: Review, *, day: date) -> list[Path]:
    """Add what a review found to the price files, and date the catalog; all or nothing.

    Returns:
        The files that changed.

    Raises:
        CatalogError: the files would not be sound; nothing was changed.
        OSError: a file can't be written.
    """
    if not found.additions:
        return []
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "data"
        shutil.copytree(data, copy)
        write(copy, found.additions)
        load_directory(copy)
    return [*write(data, found.additions), _date_catalog(data / "catalog.yaml", day)]


def _read(source: str, place: str, seen_at: date) -> Iterator[Statement]:
    data = fetch(place)
    try:
        found = list(SOURCES[source](data, seen_at))
    except ValueError as error:
        raise PricingError(f"{place}: is not {source}'s file: {error}. Give that one") from error
    refused = [one for one in found if isinstance(one, Refused)]
    if len(refused) == len(found):
        first = f" {refused[0].subject.owner}: {refused[0].reason}." if refused else ""
        raise PricingError(f"{place}: states no price that can be read.{first} Is it {source}'s?")
    yield from found


def _date_catalog(path: Path, day: date) -> Path:
    """Set the version and release day; a second release of a day is numbered."""
    text = path.read_text(encoding="utf-8")
    version = f"{day:%Y.%m.%d}"
    if match := re.search(rf"^version: {version}(?:\.(\d+))?$", text, re.MULTILINE):
        version = f"{version}.{int(match.group(1) or 0) + 1}"
    text = re.sub(r"(?m)^version: .*$", f"version: {version}", text)
    text = re.sub(r"(?m)^released: .*$", f"released: {day.isoformat()}", text)
    path.write_text(text, encoding="utf-8")
    return path
