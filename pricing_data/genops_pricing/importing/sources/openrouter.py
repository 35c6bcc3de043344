"""Read OpenRouter's JSON: `/api/v1/models`, and `/api/v1/models/{id}/endpoints`.

Prices are text in USD per token, image or request, already net of `discount`; -1 says that there
is no fixed price (https://openrouter.ai/docs/api-reference/list-available-models).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from genops_pricing.importing.decision import Refused
from genops_pricing.importing.observation import ConditionalPrice, Observation, Source, Subject

from .reading import (
    Found,
    count,
    decimal,
    is_price,
    objects,
    parse_json,
    per_mtok,
    text,
    without_repeats,
)

__all__ = ["read"]

_URL: Final = "https://openrouter.ai/api/v1/models"
_MODELS: Final = Source("OpenRouter models API", "openrouter", _URL)

_PER_TOKEN: Final = {
    "prompt": "input",
    "completion": "output",
    "internal_reasoning": "reasoning",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
    "input_cache_write_1h": "cache_write_1h",
    "audio": "input_audio",
    "audio_output": "output_audio",
    "image": "input_image",
    "image_token": "input_image",
    "image_output": "output_image",
}
_PER_UNIT: Final = {"request": "request", "web_search": "web_search"}
# What stands beside prices; cached audio tokens cost what cached tokens do.
_NO_UNITS: Final = frozenset({"discount", "overrides", "input_audio_cache"})
_NONE: Final[Mapping[str, Decimal]] = MappingProxyType({})
_ROOTS: Final = ("input", "output")
# A price of these that is their parent's says nothing of its own.
_PARENTS: Final = {"reasoning": "output", "input_audio": "input", "input_image": "input"}
# `image` was a price per image until 2025 and is one per token now. No image costs as little as a
# token, and no token as much as an image.
_AN_IMAGE: Final = Decimal("0.0005")
_CONDITIONS: Final = frozenset({"min_prompt_tokens", "utc_start", "utc_end", "utc_days"})
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ID: Final = re.compile(r"~?[a-z0-9][\w.-]*/[a-z0-9][\w.+-]*(:[\w.-]+)?", re.ASCII | re.IGNORECASE)
_ID_CHARACTERS_MAX: Final = 200
_PROVIDER: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_NO_ID: Final = "no id of a model: author/model, as in openai/gpt-4o"
# OpenRouter began in 2023; what was created before, or is yet to be, is a mistake.
_FIRST_DAY: Final = date(2023, 1, 1)
_NOT_FIXED: Final = Decimal(-1)
_DYNAMIC: Final = (
    "Routed to a model that differs from call to call; price the model that served it."
)


def read(data: bytes, seen_at: date) -> Found:
    """What OpenRouter states of its models, or of the endpoints of one.

    Raises:
        ValueError: the file is not of this shape.
    """
    content = parse_json(data)
    stated = content.get("data") if isinstance(content, dict) else content
    if isinstance(stated, dict):
        yield from _read_endpoints(stated, seen_at)
        return
    yield from without_repeats(
        found
        for raw in objects(stated, "`data`")
        for found in (
            _read_endpoints(raw, seen_at) if "endpoints" in raw else (_read_model(raw, seen_at),)
        )
    )


def _read_model(raw: Mapping[str, Any], seen_at: date) -> Observation | Refused:
    subject = Subject("openrouter", _shown(raw.get("id")))
    if not _is_id(raw.get("id")):
        return Refused(subject, _NO_ID)
    try:
        return _observe(subject, _MODELS, seen_at, raw["pricing"], _facts(raw, seen_at))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return Refused(subject, f"can't be read: {error!r}")


def _read_endpoints(raw: Mapping[str, Any], seen_at: date) -> Found:
    """One price for each upstream provider, where all its endpoints have the same."""
    model = _shown(raw.get("id"))
    if not _is_id(raw.get("id")):
        yield Refused(Subject("openrouter", model), _NO_ID)
        return
    source = Source("OpenRouter endpoints API", "openrouter", f"{_URL}/{model}/endpoints")
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for endpoint in objects(raw.get("endpoints"), "`endpoints`"):
        provider = endpoint.get("provider_name")
        name = provider if isinstance(provider, str) else ""
        groups[name.lower().replace(" ", "-")].append(endpoint)
    for slug, group in groups.items():
        subject = Subject("openrouter", model, _shown(slug))
        if not _PROVIDER.fullmatch(slug):
            yield Refused(subject, "no name of a provider: letters, digits, dots and dashes")
            continue
        kinds = {text(endpoint.get("quantization")) for endpoint in group} - {None, "unknown"}
        facts = {"quantization": kinds.pop() if len(kinds) == 1 else None}
        try:
            seen = [_observe(subject, source, seen_at, raw["pricing"], facts) for raw in group]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            yield Refused(subject, f"can't be read: {error!r}")
            continue
        if all(
            (one.prices, one.conditions) == (seen[0].prices, seen[0].conditions) for one in seen
        ):
            yield seen[0]
        else:
            reason = f"{len(group)} endpoints of this provider, and not one price"
            yield Refused(subject, reason)


def _facts(raw: Mapping[str, Any], seen_at: date) -> dict[str, Any]:
    model, name = str(raw["id"]), text(raw.get("name")) or ""
    slug = raw.get("canonical_slug")
    return {
        "author": model.lstrip("~").partition("/")[0],
        "name": name.partition(": ")[2] or name or None,
        "context_length": count(raw.get("context_length")),
        "modality": text((raw.get("architecture") or {}).get("modality")),
        "created": _created(raw.get("created"), seen_at),
        "canonical_slug": slug if _is_id(slug) and slug != model else None,
    }


def _created(seconds: Any, seen_at: date) -> date | None:
    """The day of a Unix time, unless it can't be right."""
    try:
        day = datetime.fromtimestamp(int(seconds or 0), UTC).date()
    except (OverflowError, OSError):
        return None
    return day if _FIRST_DAY <= day <= seen_at else None


def _is_id(value: Any) -> bool:
    return (
        isinstance(value, str) and len(value) <= _ID_CHARACTERS_MAX and bool(_ID.fullmatch(value))
    )


def _shown(value: Any) -> str:
    """A name that may be none, to be printed."""
    return value if isinstance(value, str) and text(value) else ascii(value)


def _observe(
    subject: Subject,
    source: Source,
    seen_at: date,
    pricing: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> Observation:
    roots = [decimal(pricing[key]) for key in ("prompt", "completion")]
    if any(price < 0 for price in roots):
        if _NOT_FIXED not in roots:
            raise ValueError("a price is negative")
        return Observation(subject, source, seen_at, status="dynamic", reason=_DYNAMIC, **facts)
    prices = _prices(pricing)
    return Observation(
        subject,
        source,
        seen_at,
        prices=prices,
        conditions=tuple(_conditions(pricing.get("overrides") or (), prices)),
        starts=datetime(seen_at.year, seen_at.month, seen_at.day, tzinfo=UTC),
        **facts,
    )


def _prices(pricing: Mapping[str, Any], base: Mapping[str, Decimal] = _NONE) -> dict[str, Decimal]:
    """Prices by unit. A 0 beside the prices of input and output states nothing.

    Args:
        pricing: as the API states it, of a model or an override.
        base: the prices that an override is of.
    """
    prices: dict[str, Decimal] = {}
    _refuse_units(pricing)
    for key, unit in _PER_TOKEN.items():
        if is_price(pricing.get(key)):
            price = decimal(pricing[key])
            if key == "image" and price >= _AN_IMAGE:
                prices["image"] = price
            elif price or unit in _ROOTS:
                prices[unit] = per_mtok(price)
    for key, unit in _PER_UNIT.items():
        if is_price(pricing.get(key)) and (price := decimal(pricing[key])):
            prices[unit] = price
    return {
        unit: price
        for unit, price in prices.items()
        if unit not in _PARENTS or unit in base or price != prices.get(_PARENTS[unit])
    }


def _refuse_units(pricing: Mapping[str, Any]) -> None:
    """A price of a unit that is not known would be left out of costs without a word."""
    known = _PER_TOKEN.keys() | _PER_UNIT.keys() | _NO_UNITS | _CONDITIONS
    for key in sorted(pricing.keys() - known):
        if is_price(pricing[key]) and decimal(pricing[key]):
            raise ValueError(f"{key} is no unit that is known")


def _conditions(raws: Any, base: Mapping[str, Decimal]) -> Iterator[ConditionalPrice]:
    for raw in objects(raws, "`overrides`") if raws else ():
        when: dict[str, int | str | tuple[str, ...]] = {}
        if "min_prompt_tokens" in raw:
            when["prompt_over"] = int(raw["min_prompt_tokens"])
        if "utc_start" in raw or "utc_end" in raw:
            start, end = _time(raw.get("utc_start", 0)), _time(raw.get("utc_end", 0))
            if start != end:  # else it is the whole day
                when["utc"] = f"{start}-{end}"
        if raw.get("utc_days"):
            when["days"] = tuple(_day(day) for day in raw["utc_days"])
        unknown = raw.keys() - _CONDITIONS - _PER_TOKEN.keys() - _PER_UNIT.keys() - _NO_UNITS
        if unknown:
            raise ValueError(f"an override depends on {', '.join(sorted(unknown))}")
        yield ConditionalPrice(when, _prices(raw, base))


def _time(clock: Any) -> str:
    """400 is 04:00, 1030 is 10:30, and 2400 the midnight after."""
    hour, minute = divmod(int(clock), 100)
    return f"{hour % 24:02}:{minute:02}"


def _day(day: Any) -> str:
    """A weekday by its English name; numbers do not say which day they count from."""
    short = str(day).lower()[:3]
    if short not in _WEEKDAYS:
        raise ValueError(f"an override holds on day {day!r}")
    return short
