"""What the files say of the prices of direct providers, and of those of makers over time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from genops_pricing.importing.authors import MAKERS
from genops_pricing.importing.observation import Observation, Source, Subject
from genops_pricing.importing.pasts import Pasts, Stood
from genops_pricing.instants import midnight

from .cells import (
    Line,
    conditions_in,
    count_in,
    day_in,
    instant_in,
    is_base,
    lines_of,
    prices_in,
    seen_in,
)
from .names import SOURCES

__all__ = ["read_direct", "read_pasts"]

_MARKETS: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "vertex": "google-vertex",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "xai": "xai",
    "groq": "groq",
    "together": "together",
    "fireworks": "fireworks",
    "cohere": "cohere",
    "perplexity": "perplexity",
    "bedrock": "bedrock",
    "azure": "azure",
    "moonshot": "moonshot",
    "alibaba": "alibaba",
    "zai": "zai",
}
# Makers, as the dated statements of their own prices spell them.
_SPELT: Final = {
    **{market: market for market in MAKERS},
    "x-ai": "xai",
    "moonshotai": "moonshot",
}
# What LiteLLM and others write before an id to name its provider.
_PREFIX: Final = re.compile(
    r"(azure_ai|azure|vertex_ai|gemini|groq|together_ai|fireworks_ai|cohere_chat|cohere|perplexity"
    r"|bedrock_converse|bedrock|mistral|deepseek|xai|moonshot|dashscope|zai|openai|anthropic)/"
)


def read_direct(folder: Path) -> Iterator[Observation]:
    """What catalogs state of the prices of direct providers."""
    groups: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines_of(folder, "direct_prices"):
        if line["provider"] in _MARKETS and line["mode"] not in ("rerank", "completion"):
            model = _plain_id(line["model_id"])
            if model and line["provider"] == "bedrock":
                model = _bedrock_id(model, line["region"])
            elif line["region"] not in ("", "global", "global-standard"):
                continue  # a region of its own price; ids do not tell it
            if model:
                groups[_MARKETS[line["provider"]], model, line["source"]].append(line)
    for (market, model, name), group in groups.items():
        bases = [line for line in group if is_base(line) and line["input"]]
        # LiteLLM states the price of the peak and beside it that of the longer rest of the day.
        bases = [line for line in group if line["condition"] == "off_peak"] or bases
        line = max(bases, key=lambda line: (seen_in(line), line["start_date"]), default={})
        if not line.get("input"):
            continue
        source = SOURCES[name]
        if line["condition"] == "off_peak":
            reason = "priced by the hour, and no source of the price states the hours"
            doubted = Subject(market, model)
            yield Observation(doubted, source, seen_in(line), status="suspect", reason=reason)
        if name == "model-prices" and line["start_date_basis"] == "models.dev commit":
            source = Source(source.name, "models.dev", source.url)
        start = day_in(line["start_date"])
        is_start = start is not None and line["start_date_basis"] in (
            "documented",
            "first observed",
        )
        yield Observation(
            Subject(market, model),
            source,
            seen_in(line),
            prices=prices_in(line, zero_is_absent=True),
            conditions=tuple(conditions_in(group)),
            starts=midnight(start) if start and is_start else None,
            basis="derived" if is_start else "snapshot",
            name=line["name"] or None,
            context_length=count_in(line["context_length"]),
        )


def read_pasts(folder: Path) -> Pasts:
    """The dated statements of makers' own prices: one history a source and model."""
    groups: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines_of(folder, "price_history"):
        market = _SPELT.get(line["provider"].removesuffix("-api"))
        model = _plain_id(line["model_id"])
        if line["namespace"] == "direct" and not line["condition"] and market and model:
            groups[market, model, line["source"]].append(line)
    pasts = Pasts()
    for (market, model, name), group in groups.items():
        past = [
            Stood(
                start=instant_in(line["effective_from"]),
                prices=prices_in(line, zero_is_absent=True),
                source=SOURCES[name].name,
            )
            for line in sorted(group, key=lambda line: line["effective_from"])
        ]
        pasts.add(market, model, past)
    return pasts


def _plain_id(model: str) -> str | None:
    """An id as its provider spells it; None for what is no model but a pattern or an offer."""
    model = model.strip()
    while match := _PREFIX.match(model):
        model = model[match.end() :]
    if re.search(r"[\s*()$^|]|\.ft-|^ft:|-$|ft-|/1024|quality", model) or not model:
        return None
    return model


def _bedrock_id(model: str, region: str) -> str | None:
    """Bedrock states geography in the id; a price of one region has no id of its own."""
    if "/" in model or re.match(r"[a-z]{2}(-gov)?-[a-z]+-\d", model):
        return None
    geographies = ("global", "us", "eu", "apac", "jp", "au", "us-gov", "ca")
    prefix = model.partition(".")[0]
    if not region or prefix == region:
        return model
    return f"{region}.{model}" if region in geographies and prefix not in geographies else None
