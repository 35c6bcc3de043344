"""Read models.dev's `api.json`: providers with their models, USD per 1,000,000 tokens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
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

_SOURCE: Final = Source("models.dev", "models.dev", "https://models.dev/api.json")
_UNITS: Final = {
    "input": "input",
    "output": "output",
    "reasoning": "reasoning",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "input_audio": "input_audio",
    "output_audio": "output_audio",
}


def read(data: bytes, seen_at: date) -> Found:
    """What models.dev states of the models of the markets that we know.

    Raises:
        ValueError: the file is not of this shape.
    """
    content = parse_json(data)
    if not isinstance(content, dict) or not all(
        isinstance(provider, dict) and isinstance(provider.get("models"), dict)
        for provider in content.values()
    ):
        raise ValueError("it is no object of providers: the file is of another shape")
    for provider in content.values():
        objects(list(provider["models"].values()), "`models`")
    yield from without_repeats(_read(content, seen_at))


def _read(content: Mapping[str, Any], seen_at: date) -> Found:
    for name, provider in content.items():
        if (market := MARKETS.get(name)) is None:
            continue
        for key, raw in provider["models"].items():
            model = plain_id(key, market)
            cost = raw.get("cost")
            if not cost or model is None:
                continue
            subject = Subject(market, model)
            try:
                prices = _prices(cost)
                conditions = tuple(_sizes(cost))
                context = count((raw.get("limit") or {}).get("context"))
                modality = _modality(raw.get("modalities") or {})
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                yield Refused(subject, f"can't be read: {error!r}")
                continue
            if not prices.get("input"):
                continue  # 0 stands for a price that is not known
            yield Observation(
                subject,
                _SOURCE,
                seen_at,
                prices=prices,
                conditions=conditions,
                name=text(raw.get("name")),
                family=text(raw.get("family")),
                context_length=context,
                modality=modality,
            )


def _prices(cost: Mapping[str, Any]) -> dict[str, Decimal]:
    prices = {_UNITS[key]: decimal(value) for key, value in cost.items() if key in _UNITS}
    return {unit: price for unit, price in prices.items() if price or unit in ("input", "output")}


def _sizes(cost: Mapping[str, Any]) -> list[ConditionalPrice]:
    sizes = {
        int(tier["tier"]["size"]): tier
        for tier in cost.get("tiers") or ()
        if tier["tier"].get("type", "context") == "context"
    }
    if "context_over_200k" in cost:
        sizes.setdefault(200_000, cost["context_over_200k"])
    return [ConditionalPrice({"prompt_over": size}, _prices(sizes[size])) for size in sorted(sizes)]


def _modality(raw: Mapping[str, Any]) -> str | None:
    sides = ["+".join(raw.get(side) or ()) for side in ("input", "output")]
    return "->".join(sides) if all(sides) else None
