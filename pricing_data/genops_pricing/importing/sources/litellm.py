"""Read LiteLLM's `model_prices_and_context_window.json`: one object by model, USD per token.

Its keys hold conditions: `input_cost_per_token_above_200k_tokens_priority`. What is not in the
tables below is not read (https://docs.litellm.ai/docs/provider_registration/add_model_pricing).
"""

from __future__ import annotations

import re
from collections import defaultdict
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
    is_price,
    parse_json,
    per_mtok,
    plain_id,
    without_repeats,
)

__all__ = ["read"]

_SOURCE: Final = Source("LiteLLM", "litellm", "https://github.com/BerriAI/litellm")
_MODES: Final = ("chat", "completion", "embedding", "responses")
_UNITS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
}
_KEY: Final = re.compile(
    rf"({'|'.join(_UNITS)})(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?"
)
_VARIANTS: Final = {
    "batches": ("processing", "batch"),
    "flex": ("service_tier", "flex"),
    "priority": ("service_tier", "priority"),
}

When = tuple[tuple[str, int | str], ...]


def read(data: bytes, seen_at: date) -> Found:
    """What LiteLLM states of the models of the markets that we know.

    Raises:
        ValueError: the file is not of this shape.
    """
    content = parse_json(data)
    if not isinstance(content, dict) or not all(isinstance(raw, dict) for raw in content.values()):
        raise ValueError("it is no object of models: the file is of another shape")
    yield from without_repeats(_read(content, seen_at))


def _read(content: Mapping[str, Any], seen_at: date) -> Found:
    for key, raw in content.items():
        # vertex_ai-anthropic_models and the like are one market
        provider = str(raw.get("litellm_provider")).partition("-")[0]
        market = MARKETS.get(provider)
        if market is None or raw.get("mode") not in _MODES:
            continue
        model = plain_id(key, market)
        if model is None:
            continue
        subject = Subject(market, model)
        try:
            stated = _stated(raw)
        except ValueError as error:
            yield Refused(subject, f"can't be read: {error}")
            continue
        base = stated.pop((), {})
        if base.get("input"):  # 0 stands for a price that is not known
            yield Observation(
                subject,
                _SOURCE,
                seen_at,
                prices=base,
                conditions=tuple(
                    ConditionalPrice(dict(when), stated[when])
                    for when in sorted(stated, key=lambda when: (len(when), when))
                ),
                context_length=count(raw.get("max_input_tokens")),
            )


def _stated(raw: Mapping[str, Any]) -> dict[When, dict[str, Decimal]]:
    """Prices by the conditions on which they hold; none is ()."""
    stated: dict[When, dict[str, Decimal]] = defaultdict(dict)
    for key, value in raw.items():
        match = _KEY.fullmatch(key)
        if match is None or not is_price(value) or not (price := per_mtok(value)):
            continue
        unit, size, variant = match.groups()
        when: list[tuple[str, int | str]] = []
        if size:
            when.append(("prompt_over", int(size) * 1000))
        if variant:
            when.append(_VARIANTS[variant])
        stated[tuple(when)][_UNITS[unit]] = price
    return stated
