"""Read the JSON data of genai-prices: providers with their models, USD per 1,000,000 tokens.

A price without a start is its price of today and says nothing about the past
(https://github.com/pydantic/genai-prices/tree/main/prices).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from genops_pricing.importing.decision import Refused
from genops_pricing.importing.observation import ConditionalPrice, Observation, Source, Subject

from .reading import (
    MARKETS,
    Found,
    count,
    decimal,
    objects,
    parse_json,
    plain_id,
    text,
    without_repeats,
)

__all__ = ["read"]

_SOURCE: Final = Source("genai-prices", "genai-prices", "https://github.com/pydantic/genai-prices")
_UNITS: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
}
_PER_1000: Final = {"requests_kcount": "request", "web_searches_kcount": "web_search"}
_VARIANTS: Final = ("processing", "service_tier", "region", "route")

Prices = dict[str, Decimal]


def read(data: bytes, seen_at: date) -> Found:
    """What genai-prices states of the models of the markets that we know.

    Raises:
        ValueError: the file is not of this shape.
    """
    content = parse_json(data)
    providers = content.get("providers") if isinstance(content, dict) else content
    yield from without_repeats(_read(objects(providers, "the file"), seen_at))


def _read(providers: list[Mapping[str, Any]], seen_at: date) -> Found:
    for provider in providers:
        if (market := MARKETS.get(str(provider.get("id")))) is None:
            continue
        for raw in objects(provider.get("models"), "`models`"):
            model = plain_id(str(raw.get("id")), market)
            if model is None:
                continue
            subject = Subject(market, model)
            try:
                observation = _observe(subject, raw, seen_at)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                yield Refused(subject, f"can't be read: {error!r}")
                continue
            if observation.prices:
                yield observation


def _observe(subject: Subject, raw: Mapping[str, Any], seen_at: date) -> Observation:
    prices = raw.get("prices") or {}
    starts: datetime | None = None
    windows: list[ConditionalPrice] = []
    if isinstance(prices, list):
        in_force: Mapping[str, Any] = {}
        for dated in prices:
            constraint = dated.get("constraint") or {}
            if "start_time" in constraint:
                window = f"{constraint['start_time'][:5]}-{constraint['end_time'][:5]}"
                windows.append(ConditionalPrice({"utc": window}, _split(dated["prices"])[0]))
            elif "start_date" not in constraint:
                in_force, starts = dated["prices"], None
            elif (start := date.fromisoformat(constraint["start_date"])) <= seen_at:
                in_force = dated["prices"]
                starts = datetime(start.year, start.month, start.day, tzinfo=UTC)
        prices = in_force
    base, sizes = _split(prices)
    variants = [
        condition
        for variant in raw.get("price_variants") or ()
        if variant["when"].keys() <= set(_VARIANTS) and not variant.get("constraint")
        for condition in _conditions(dict(variant["when"]), variant["prices"])
    ]
    return Observation(
        subject,
        _SOURCE,
        seen_at,
        prices=base,
        conditions=(
            *(ConditionalPrice({"prompt_over": size}, sizes[size]) for size in sorted(sizes)),
            *windows,
            *variants,
        ),
        starts=starts,
        basis="documented" if starts else "snapshot",
        name=text(raw.get("name")),
        context_length=count(raw.get("context_window")),
    )


def _split(raw: Mapping[str, Any]) -> tuple[Prices, dict[int, Prices]]:
    """Base prices, and those of larger prompts by the size that they lie beyond."""
    base: Prices = {}
    sizes: dict[int, Prices] = defaultdict(dict)
    for key, value in raw.items():
        if key in _PER_1000:
            base[_PER_1000[key]] = decimal(value) / 1000
        elif key in _UNITS and isinstance(value, dict):
            base[_UNITS[key]] = decimal(value["base"])
            for tier in value["tiers"]:
                sizes[int(tier["start"])][_UNITS[key]] = decimal(tier["price"])
        elif key in _UNITS and value is not None:
            base[_UNITS[key]] = decimal(value)
    return base, sizes


def _conditions(when: Mapping[str, str], raw: Mapping[str, Any]) -> list[ConditionalPrice]:
    base, sizes = _split(raw)
    return [
        *([ConditionalPrice(when, base)] if base else []),
        *(ConditionalPrice({**when, "prompt_over": s}, sizes[s]) for s in sorted(sizes)),
    ]
