"""What the files say of models of OpenRouter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from genops_pricing.importing.observation import Observation, Source, Subject
from genops_pricing.instants import midnight

from .cells import (
    Line,
    conditions_in,
    count_in,
    day_in,
    lines_of,
    prices_in,
    seen_in,
    tiers_in,
)
from .names import API, REPEATED, SOURCES, STALE, URL

__all__ = ["read_routed"]

_DYNAMIC: Final = (
    "Routed to a model that differs from call to call; price the model that served it."
)


def read_routed(folder: Path) -> Iterator[Observation]:
    """What the market and catalogs say, those of one subject not necessarily together.

    Raises:
        OSError: a file can't be read.
        KeyError: a file lacks a column.
    """
    history = lines_of(folder, "price_history")
    prices = lines_of(folder, "openrouter_prices")
    snapshots = _snapshot_days(history)
    yield from _history(history, snapshots)
    yield from _catalogs(prices)
    yield from _doubts(lines_of(folder, "openrouter_consensus"), snapshots, _archived(prices))
    yield from _endpoints(lines_of(folder, "openrouter_endpoints"))
    yield from _aliases(lines_of(folder, "openrouter_aliases"))
    yield from _families(lines_of(folder, "model_families"))


def _snapshot_days(lines: Iterable[Line]) -> list[date]:
    """The days of which there is a snapshot of the models API."""
    days = {
        date.fromisoformat(line["effective_from"][:10])
        for line in lines
        if line["source"] in ("openrouter-api", "model-price-radar") and line["effective_from"]
    }
    return sorted(days - {STALE})


def _archived(lines: Iterable[Line]) -> dict[str, date]:
    """The last day on which the monthly archive shows a model."""
    return {
        line["model_id"]: date.fromisoformat(line["last_seen"])
        for line in lines
        if line["source"] == "model-price-radar" and len(line["last_seen"]) == 10
    }


def _history(lines: Iterable[Line], snapshots: Sequence[date]) -> Iterator[Observation]:
    """The dated steps of OpenRouter's models API."""
    for line in lines:
        is_api = line["source"] in ("openrouter-api", "model-price-radar")
        if (
            "/" not in line["model_id"]
            or not is_api
            or line["namespace"] != "openrouter"
            or line["condition"]
        ):
            continue
        day = date.fromisoformat(line["effective_from"][:10])
        subject = Subject("openrouter", line["model_id"])
        source = SOURCES[line["source"]]
        if line["note"].startswith("removed"):
            yield Observation(subject, source, day, gone=True)
            continue
        if not line["input"] or day == STALE:
            continue
        not_before = day_in(line["not_before"])
        if not_before == STALE:
            not_before = max((shot for shot in snapshots if shot < STALE), default=None)
        prices = prices_in(line)
        yield Observation(
            subject,
            source,
            day,
            prices=prices,
            conditions=tiers_in(line["tiers"], prices),
            starts=midnight(day),
            not_before=not_before,
        )


def _catalogs(lines: Iterable[Line]) -> Iterator[Observation]:
    """What each source last stated of each OpenRouter model."""
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line["source"] in SOURCES and "/" in line["model_id"]:
            groups[line["model_id"], line["source"]].append(line)
    for (model, name), group in groups.items():
        bases = [line for line in group if not line["condition"]]
        line = max(bases or group, key=lambda line: (seen_in(line), line["start_date"]))
        yield from _superseded(model, SOURCES[name], bases)
        dynamic = "-1 sentinel" in line["note"]
        is_documented = line["start_date_basis"] == "documented"
        start = day_in(line["start_date"]) if is_documented else None
        yield Observation(
            Subject("openrouter", model),
            SOURCES[name],
            max(seen_in(line), start or date.min),
            prices={} if dynamic or not bases else prices_in(line, zero_is_absent=name == "pi-ai"),
            conditions=() if dynamic else tuple(conditions_in(group)),
            status="dynamic" if dynamic else None,
            reason=_DYNAMIC if dynamic else None,
            starts=midnight(start) if start else None,
            basis="documented" if start else "snapshot",
            author=model.partition("/")[0],
            name=line["name"].partition(": ")[2] or line["name"] or None,
            context_length=count_in(line["context_length"]),
            modality=line["modality"] or _image_modality(line),
            created=datetime.fromtimestamp(int(line["created"]), UTC).date()
            if line["created"]
            else None,
            canonical_slug=line["canonical_slug"] or None,
        )


def _superseded(model: str, source: Source, bases: Iterable[Line]) -> Iterator[Observation]:
    """What a source that dates its prices stated before its last one, up to the eve of the next."""
    dated = [line for line in bases if line["start_date_basis"] == "documented"]
    for line, following in pairwise(sorted(dated, key=lambda line: line["start_date"])):
        start, end = (date.fromisoformat(one["start_date"]) for one in (line, following))
        prices = prices_in(line, zero_is_absent=True)
        if start < end and prices:
            yield Observation(
                Subject("openrouter", model),
                source,
                end - timedelta(days=1),
                prices=prices,
                starts=midnight(start),
                basis="documented",
            )


def _image_modality(line: Line) -> str | None:
    return "text+image->image" if "api=openrouter-images" in line["note"] else None


def _doubts(
    lines: Iterable[Line], snapshots: Sequence[date], archived: Mapping[str, date]
) -> Iterator[Observation]:
    """Which models left OpenRouter, and which prices were marked as doubtful."""
    for line in lines:
        if "/" not in line["model_id"]:
            continue  # a catalog's short form of an id
        last = day_in(line["last_seen_on_openrouter"])
        if last == STALE:
            last = max(REPEATED, archived.get(line["model_id"], REPEATED))
        removed = None
        if line["status"] == "retired" and last:
            removed = next((day for day in snapshots if day > last), None)
        doubt = None
        if line["suspect"] == "yes":
            doubt = "The newest price stated is far from that of others."
        source = SOURCES.get(line["price_source"], API)
        newest = date(2026, 11, 10) if source is SOURCES["pi-ai"] else date(2026, 11, 3)
        yield Observation(
            Subject("openrouter", line["model_id"]),
            source,
            last if last and removed else newest,
            status="suspect" if doubt else None,
            reason=doubt,
            removed=removed,
        )


def _endpoints(lines: Iterable[Line]) -> Iterator[Observation]:
    """Prices of upstream providers, where a provider has one price for the model."""
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        slug = line["upstream_provider"].lower().replace(" ", "-")
        groups[line["model_id"], slug].append(line)
    for (model, slug), group in groups.items():
        stated = {tuple(prices_in(line).items()) for line in group}
        if len(stated) > 1 or not group[0]["input"]:
            continue
        kinds = {line["quantization"] for line in group} - {"", "unknown"}
        url = f"{URL}/{model}/endpoints"
        seen = date.fromisoformat(group[0]["last_seen"])
        yield Observation(
            Subject("openrouter", model, slug),
            Source("OpenRouter endpoints API", "openrouter", url),
            seen,
            prices=dict(stated.pop()),
            starts=midnight(seen),
            quantization=kinds.pop() if len(kinds) == 1 else None,
        )


def _aliases(lines: Iterable[Line]) -> Iterator[Observation]:
    """Other spellings; not the patterns of a catalog, which may move to another model."""
    for line in lines:
        if "/" not in line["model_id"]:
            continue
        if line["confidence"] == "exact" and line["kind"] != "genai-prices match clause":
            subject = Subject("openrouter", line["model_id"])
            yield Observation(subject, API, date(2026, 8, 22), aliases=(line["alias"],))


def _families(lines: Iterable[Line]) -> Iterator[Observation]:
    for line in lines:
        if "/" not in line["model_id"]:
            continue
        yield Observation(
            Subject("openrouter", line["model_id"]),
            SOURCES["models.dev"],
            date(2026, 8, 18),
            author=line["author"] or None,
            family=line["family"] or None,
            name=line["name"].partition(": ")[2] or line["name"] or None,
            canonical_slug=line["canonical_slug"] or None,
        )
