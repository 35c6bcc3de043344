"""What a line of the files states: prices, conditions, days."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from genops_pricing.importing.observation import ConditionalPrice
from genops_pricing.instants import midnight

from .names import REPEATED, STALE

__all__ = [
    "Line",
    "conditions_in",
    "count_in",
    "day_in",
    "instant_in",
    "is_base",
    "lines_of",
    "prices_in",
    "seen_in",
    "tiers_in",
]

Line = Mapping[str, str]
# Sources whose last day of a price is its end, be it to come.
_STATES_ENDS: Final = frozenset({"metergraph"})
_COLUMNS: Final = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "cache_write_1h": "cache_write_1h",
    "reasoning": "internal_reasoning",
    "input_audio": "audio_input",
    "output_audio": "audio_output",
    "input_image": "image_token_input",
    "output_image": "image_token_output",
    "web_search": "web_search_usd",
    "request": "request_usd",
}
# OpenRouter's `image` was the price of an image in 2025 and is that of an image token since 2026:
# no image costs less than this, and no token more.
_PER_IMAGE: Final = Decimal("0.0005")
# Of the price of input: no cache read asks more.
_DEAREST_CACHE: Final = 2
_IMAGE_TOKENS: Final = {"input_image": "image_input_usd", "output_image": "image_output_usd"}
# OpenRouter's keys of a conditional price, in USD per token.
_TIER_KEYS: Final = {
    "prompt": "input",
    "completion": "output",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
    "input_cache_write_1h": "cache_write_1h",
    "audio": "input_audio",
}
# Spellings of conditions, by what they mean. What is not here is not read.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(
        ("processing=batch", "mode=batch", "rate=batch", "service_tier=batches"),
        ("processing", "batch"),
    ),
    **dict.fromkeys(("service_tier=flex", "rate=flex", "mode=flex"), ("service_tier", "flex")),
    **dict.fromkeys(("service_tier=priority", "rate=priority"), ("service_tier", "priority")),
}
# Langfuse has a label, and behind it in JSON what it looks at, of which this is the size and tier.
_LABELLED: Final = re.compile(r"(?:Flex|Fast mode|Large context)\b[^:]*: \[", re.IGNORECASE)
_LABELLED_TIERS: Final[Mapping[str, tuple[str, str]]] = {
    '"key": "service_tier", "operator": "in", "values": ["flex"]': ("service_tier", "flex"),
    '"key": "service_tier", "operator": "in", "values": ["fast", "priority"]': (
        "service_tier",
        "priority",
    ),
}
_LABELLED_SIZE: Final = re.compile(r"\(>(\d+)K\)")
_SIZE: Final = re.compile(r"prompt_tokens(>=?)(\d+)|rate=(standard|batch|flex|priority)>(\d+)")
# LiteLLM states a model that is priced by size as ranges alone, without a base price.
_RANGE: Final = re.compile(r"prompt_tokens in \((\d+),\d+\]")
_WINDOW: Final = re.compile(r"utc (\d\d:\d\d):00\+00:00-(\d\d:\d\d):00\+00:00")


def lines_of(folder: Path, name: str) -> list[Line]:
    """The lines of one of the files."""
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def prices_in(line: Line, *, zero_is_absent: bool = False) -> dict[str, Decimal]:
    """The prices that a line states. A free unit beside a priced one is an absent price."""
    stated = {
        unit: _decimal(line[column])
        for unit, column in _COLUMNS.items()
        if line.get(column) and not line[column].startswith("-")
    }
    for unit, column in _IMAGE_TOKENS.items():
        price = Decimal(line.get(column) or 0)
        if unit not in stated and 0 < price < _PER_IMAGE:
            stated[unit] = _decimal(str(price * 1_000_000))
    is_free = not any(stated.get(unit) for unit in ("input", "output"))
    if is_free and (zero_is_absent and not line["model_id"].endswith(":free")):
        return {}
    roots = ("input", "output")
    prices = {unit: price for unit, price in stated.items() if price or unit in roots}
    if all(prices.get(f"{side}_audio") == prices.get(side) for side in roots):
        prices.pop("output_audio", None)  # no price of audio, but a cell filled from the text
    for unit, parent in (
        ("reasoning", "output"),
        ("input_audio", "input"),
        ("input_image", "input"),
    ):
        if unit in prices and prices[unit] == prices.get(parent):
            del prices[unit]
    if prices.get("cache_read") == prices.get("input"):
        prices.pop("cache_read", None)
    if "input" in prices and prices.get("cache_read", 0) > _DEAREST_CACHE * prices["input"]:
        for unit in ("cache_read", "cache_write", "cache_write_1h"):
            prices.pop(unit, None)  # a mix-up of columns
    return prices


def is_base(line: Line) -> bool:
    """Whether a line states the price without conditions: that of the smallest prompts is it."""
    match = _RANGE.fullmatch(line["condition"])
    return not line["condition"] or (match is not None and match.group(1) == "0")


def conditions_in(group: Iterable[Line]) -> Iterator[ConditionalPrice]:
    """Conditional prices: by size first, then by variant, then by both, so that the last wins."""
    found: dict[str, tuple[tuple[bool, bool, int], dict[str, int | str], dict[str, Decimal]]] = {}
    for line in sorted(group, key=lambda line: line["start_date"]):
        when = None if is_base(line) else _when(line["condition"])
        prices = prices_in(line, zero_is_absent=True)
        if when and prices:
            size = int(when.get("prompt_over", when.get("prompt_from", 0)))
            found[str(when)] = ((len(when) > 1, "prompt_over" not in when, size), when, prices)
    for _, when, prices in sorted(found.values(), key=lambda item: item[0]):
        yield ConditionalPrice(when, prices)


def _when(text: str) -> dict[str, int | str] | None:
    if _LABELLED.match(text):
        return _labelled(text) or None
    when: dict[str, int | str] = {}
    for term in text.split(" & "):
        if word := _WORDS.get(term):
            when[word[0]] = word[1]
        elif match := _RANGE.fullmatch(term):
            when["prompt_over"] = int(match.group(1))
        elif match := _WINDOW.fullmatch(term):
            when["utc"] = "-".join(match.groups())
        elif match := _SIZE.fullmatch(term):
            sign, size, rate, rate_size = match.groups()
            if rate not in (None, "standard"):
                key, value = _WORDS[f"rate={rate}"]
                when[key] = value
            when["prompt_from" if sign == ">=" else "prompt_over"] = int(size or rate_size)
        else:
            return None
    return when


def _labelled(text: str) -> dict[str, int | str]:
    """What a condition of Langfuse says; nothing if it looks at something else."""
    label, _, looked_at = text.partition(": ")
    tiers = [tier for key, tier in _LABELLED_TIERS.items() if key in looked_at]
    size = _LABELLED_SIZE.search(label)
    if len(tiers) != (0 if label.lower().startswith("large") else 1):
        return {}
    when: dict[str, int | str] = dict(tiers)
    if size:
        when["prompt_over"] = int(size.group(1)) * 1000
    return when


def tiers_in(text: str, base: Mapping[str, Decimal]) -> tuple[ConditionalPrice, ...]:
    """Prices by size or hour as OpenRouter states them, in JSON; none if one depends on more.

    Args:
        text: the JSON.
        base: the unconditional prices; an hour at which they hold needs no word.
    """
    if not text:
        return ()
    tiers = []
    for raw in json.loads(text):
        prices = {
            unit: _decimal(str(Decimal(raw[key]) * 1_000_000))
            for key, unit in _TIER_KEYS.items()
            if key in raw
        }
        conditions = raw.keys() - _TIER_KEYS.keys()
        if conditions == {"utc_start", "utc_end"} and prices:
            window = "-".join(_clock(raw[edge]) for edge in ("utc_start", "utc_end"))
            if any(base.get(key) != price for key, price in prices.items()):
                tiers.append(ConditionalPrice({"utc": window}, prices))
        elif "min_prompt_tokens" in raw and prices:
            tiers.append(ConditionalPrice({"prompt_over": int(raw["min_prompt_tokens"])}, prices))
        else:
            return ()
    return tuple(tiers)


def _clock(time: int | str) -> str:
    """A time of day that is written as a number: 100 for 01:00."""
    hours, minutes = divmod(int(time), 100)
    return f"{hours:02}:{minutes:02}"


def _decimal(text: str) -> Decimal:
    """A price without the noise of binary floats."""
    price = Decimal(text)
    rounded = price.quantize(Decimal("0.000001"))
    noise = abs(price - rounded) < Decimal("0.00000001")
    return (rounded if rounded and noise else price).normalize()


def seen_in(line: Line) -> date:
    """The day on which a source was read: of its own, or of the month or version it names."""
    days = [
        date.fromisoformat(match.group() if match.group(1) else f"{match.group()}-01")
        for text in (line["last_seen"], line["source_version"])
        if (match := re.search(r"20\d\d-\d\d(-\d\d)?", text))
    ]
    if not days:
        return date(2026, 1, 1)  # LiteLLM 1.80.17
    # A source may state a price until a day to come: it said so when it was read.
    day = min(days) if line["source"] in _STATES_ENDS else days[0]
    return REPEATED if day == STALE else day


def count_in(text: str) -> int | None:
    """A number of tokens."""
    return int(Decimal(text)) or None if text else None


def day_in(text: str) -> date | None:
    """The day of a day or instant."""
    return date.fromisoformat(text[:10]) if text else None


def instant_in(text: str) -> datetime | None:
    """A day, or the instant of a commit: the day counts, as that of any other source."""
    return midnight(date.fromisoformat(text[:10])) if text else None
