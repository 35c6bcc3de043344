"""Read a folder of price facts in CSV: what was gathered of many sources before the importer was.

Its files: `price_history.csv` (dated steps of OpenRouter's models API, and of makers' own prices),
`openrouter_prices.csv` (one row a source, model and condition), `openrouter_consensus.csv` (last
day on OpenRouter and doubts), `openrouter_endpoints.csv`, `openrouter_aliases.csv`,
`model_families.csv` and `direct_prices.csv`.
Token prices are USD per 1,000,000 tokens; an empty cell states nothing.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final

from genops_pricing.importing.authors import MAKERS
from genops_pricing.importing.observation import ConditionalPrice, Observation, Source, Subject
from genops_pricing.importing.pasts import Pasts, Stood

__all__ = ["API", "ARCHIVE", "read_facts", "read_pasts"]

Line = Mapping[str, str]

_URL: Final = "https://openrouter.ai/api/v1/models"
API: Final = Source("OpenRouter models API", "openrouter", _URL)
ARCHIVE: Final = Source(
    "OpenRouter models API, archived", "openrouter", f"https://web.archive.org/web/*/{_URL}"
)

# The archived snapshot of this day repeats that of 2025-11-18: what it shows dates nothing.
_STALE: Final = date(2026, 2, 27)
_REPEATED: Final = date(2025, 11, 18)

# Sources by the name that they have in the files. Sources of one family copy from each other, as
# they say, or as shared numbers tell: veqen-pricebook states the price of LiteLLM for 98% of 1,028
# ids that both have, TrueFoundry lists ids that LiteLLM made up (together-ai-up-to-4b).
_SOURCES: Final = {
    "openrouter-api": API,
    "openrouter-api:llm_db": API,
    "openrouter-api:ModelGraveyard": API,
    "model-price-radar": ARCHIVE,
    "genai-prices": Source(
        "genai-prices 0.2.3", "genai-prices", "https://github.com/pydantic/genai-prices"
    ),
    "pi-ai": Source("pi-ai 1.5.2", "models.dev"),
    "models.dev": Source("models.dev", "models.dev", "https://github.com/sst/models.dev"),
    "tokenlens": Source("tokenlens 1.3.0", "models.dev"),
    "litellm": Source("LiteLLM", "litellm", "https://github.com/BerriAI/litellm"),
    "tokencost": Source("tokencost 0.1.26", "litellm", "https://github.com/AgentOps-AI/tokencost"),
    "tokencostauto": Source("tokencostauto 0.1.717", "litellm"),
    "metergraph": Source("metergraph 0.7.4", "metergraph"),
    "portkey-models": Source("Portkey models", "portkey", "https://github.com/Portkey-AI/models"),
    "truefoundry-models": Source(
        "TrueFoundry models", "litellm", "https://github.com/truefoundry/models"
    ),
    "veqen-pricebook": Source("veqen-pricebook 2026.10.23", "litellm"),
    "model-prices": Source("model-prices 0.0.5", "model-prices"),
    "langfuse": Source("Langfuse", "langfuse", "https://github.com/langfuse/langfuse"),
    "llm-prices": Source("llm-prices", "llm-prices", "https://github.com/simonw/llm-prices"),
}

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
_SIZE: Final = re.compile(r"prompt_tokens(>=?)(\d+)|rate=(standard|batch|flex|priority)>(\d+)")

_DYNAMIC: Final = (
    "Routed to a model that differs from call to call; price the model that served it."
)

_WINDOW: Final = re.compile(r"utc (\d\d:\d\d):00\+00:00-(\d\d:\d\d):00\+00:00")

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


def read_facts(folder: Path) -> Iterator[Observation]:
    """All observations of a folder, those of one subject not necessarily together.

    Raises:
        OSError: a file can't be read.
        KeyError: a file lacks a column.
    """
    history = _lines(folder, "price_history")
    prices = _lines(folder, "openrouter_prices")
    snapshots = _snapshot_days(history)
    yield from _history(history, snapshots)
    yield from _catalogs(prices)
    yield from _doubts(_lines(folder, "openrouter_consensus"), snapshots, _archived(prices))
    yield from _endpoints(_lines(folder, "openrouter_endpoints"))
    yield from _aliases(_lines(folder, "openrouter_aliases"))
    yield from _families(_lines(folder, "model_families"))
    yield from _direct(_lines(folder, "direct_prices"))


def read_pasts(folder: Path) -> Pasts:
    """The dated statements of makers' own prices: one history a source and model."""
    groups: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in _lines(folder, "price_history"):
        market = _SPELT.get(line["provider"].removesuffix("-api"))
        model = _plain_id(line["model_id"])
        if line["namespace"] == "direct" and not line["condition"] and market and model:
            groups[market, model, line["source"]].append(line)
    pasts = Pasts()
    for (market, model, name), group in groups.items():
        past = [
            Stood(
                start=_instant(line["effective_from"]),
                prices=_prices(line, zero_is_absent=True),
                source=_SOURCES[name].name,
            )
            for line in sorted(group, key=lambda line: line["effective_from"])
        ]
        pasts.add(market, model, past)
    return pasts


def _lines(folder: Path, name: str) -> list[Line]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _snapshot_days(lines: Iterable[Line]) -> list[date]:
    """The days of which there is a snapshot of the models API."""
    days = {
        date.fromisoformat(line["effective_from"][:10])
        for line in lines
        if line["source"] in ("openrouter-api", "model-price-radar") and line["effective_from"]
    }
    return sorted(days - {_STALE})


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
        source = _SOURCES[line["source"]]
        if line["note"].startswith("removed"):
            yield Observation(subject, source, day, gone=True)
            continue
        if not line["input"] or day == _STALE:
            continue
        not_before = _day(line["not_before"])
        if not_before == _STALE:
            not_before = max((shot for shot in snapshots if shot < _STALE), default=None)
        yield Observation(
            subject,
            source,
            day,
            prices=_prices(line),
            conditions=_tiers(line["tiers"]),
            starts=_midnight(day),
            not_before=not_before,
        )


def _catalogs(lines: Iterable[Line]) -> Iterator[Observation]:
    """What each source last stated of each OpenRouter model."""
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line["source"] in _SOURCES and "/" in line["model_id"]:
            groups[line["model_id"], line["source"]].append(line)
    for (model, name), group in groups.items():
        bases = [line for line in group if not line["condition"]]
        line = max(bases or group, key=lambda line: (_seen(line), line["start_date"]))
        yield from _superseded(model, _SOURCES[name], bases)
        dynamic = "-1 sentinel" in line["note"]
        is_documented = line["start_date_basis"] == "documented"
        start = _day(line["start_date"]) if is_documented else None
        yield Observation(
            Subject("openrouter", model),
            _SOURCES[name],
            max(_seen(line), start or date.min),
            prices={} if dynamic or not bases else _prices(line, zero_is_absent=name == "pi-ai"),
            conditions=() if dynamic else tuple(_conditions(group)),
            status="dynamic" if dynamic else None,
            reason=_DYNAMIC if dynamic else None,
            starts=_midnight(start) if start else None,
            basis="documented" if start else "snapshot",
            author=model.partition("/")[0],
            name=line["name"].partition(": ")[2] or line["name"] or None,
            context_length=_count(line["context_length"]),
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
        prices = _prices(line, zero_is_absent=True)
        if start < end and prices:
            yield Observation(
                Subject("openrouter", model),
                source,
                end - timedelta(days=1),
                prices=prices,
                starts=_midnight(start),
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
        last = _day(line["last_seen_on_openrouter"])
        if last == _STALE:
            last = max(_REPEATED, archived.get(line["model_id"], _REPEATED))
        removed = None
        if line["status"] == "retired" and last:
            removed = next((day for day in snapshots if day > last), None)
        doubt = None
        if line["suspect"] == "yes":
            doubt = "The newest price stated is far from that of others."
        source = _SOURCES.get(line["price_source"], API)
        newest = date(2026, 11, 10) if source is _SOURCES["pi-ai"] else date(2026, 11, 3)
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
        stated = {tuple(_prices(line).items()) for line in group}
        if len(stated) > 1 or not group[0]["input"]:
            continue
        kinds = {line["quantization"] for line in group} - {"", "unknown"}
        url = f"{_URL}/{model}/endpoints"
        seen = date.fromisoformat(group[0]["last_seen"])
        yield Observation(
            Subject("openrouter", model, slug),
            Source("OpenRouter endpoints API", "openrouter", url),
            seen,
            prices=dict(stated.pop()),
            starts=_midnight(seen),
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
            _SOURCES["models.dev"],
            date(2026, 8, 18),
            author=line["author"] or None,
            family=line["family"] or None,
            name=line["name"].partition(": ")[2] or line["name"] or None,
            canonical_slug=line["canonical_slug"] or None,
        )


def _direct(lines: Iterable[Line]) -> Iterator[Observation]:
    """What catalogs state of the prices of direct providers."""
    groups: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line["provider"] in _MARKETS and line["mode"] not in ("rerank", "completion"):
            model = _plain_id(line["model_id"])
            if model and line["provider"] == "bedrock":
                model = _bedrock_id(model, line["region"])
            elif line["region"] not in ("", "global", "global-standard"):
                continue  # a region of its own price; ids do not tell it
            if model:
                groups[_MARKETS[line["provider"]], model, line["source"]].append(line)
    for (market, model, name), group in groups.items():
        bases = [line for line in group if not line["condition"]]
        # LiteLLM states the price of the peak and beside it that of the longer rest of the day.
        bases = [line for line in group if line["condition"] == "off_peak"] or bases
        line = max(bases, key=lambda line: (_seen(line), line["start_date"]), default={})
        if not line.get("input"):
            continue
        source = _SOURCES[name]
        if line["condition"] == "off_peak":
            reason = "priced by the hour, and no source of the price states the hours"
            doubted = Subject(market, model)
            yield Observation(doubted, source, _seen(line), status="suspect", reason=reason)
        if name == "model-prices" and line["start_date_basis"] == "models.dev commit":
            source = Source(source.name, "models.dev", source.url)
        start = _day(line["start_date"])
        is_start = start is not None and line["start_date_basis"] in (
            "documented",
            "first observed",
        )
        yield Observation(
            Subject(market, model),
            source,
            _seen(line),
            prices=_prices(line, zero_is_absent=True),
            conditions=tuple(_conditions(group)),
            starts=_midnight(start) if start and is_start else None,
            basis="derived" if is_start else "snapshot",
            name=line["name"] or None,
            context_length=_count(line["context_length"]),
        )


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


def _conditions(group: Iterable[Line]) -> Iterator[ConditionalPrice]:
    """Conditional prices: by size first, then by variant, then by both, so that the last wins."""
    found: dict[str, tuple[tuple[bool, bool, int], dict[str, int | str], dict[str, Decimal]]] = {}
    for line in sorted(group, key=lambda line: line["start_date"]):
        when = _when(line["condition"]) if line["condition"] else None
        prices = _prices(line, zero_is_absent=True)
        if when and prices:
            size = int(when.get("prompt_over", when.get("prompt_from", 0)))
            found[str(when)] = ((len(when) > 1, "prompt_over" not in when, size), when, prices)
    for _, when, prices in sorted(found.values(), key=lambda item: item[0]):
        yield ConditionalPrice(when, prices)


def _when(text: str) -> dict[str, int | str] | None:
    when: dict[str, int | str] = {}
    for term in text.split(" & "):
        if word := _WORDS.get(term):
            when[word[0]] = word[1]
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


def _tiers(text: str) -> tuple[ConditionalPrice, ...]:
    if not text:
        return ()
    tiers = []
    for raw in json.loads(text):
        prices = {
            unit: _decimal(str(Decimal(raw[key]) * 1_000_000))
            for key, unit in _TIER_KEYS.items()
            if key in raw
        }
        if "min_prompt_tokens" not in raw or not prices:
            return ()
        tiers.append(ConditionalPrice({"prompt_over": int(raw["min_prompt_tokens"])}, prices))
    return tuple(tiers)


def _prices(line: Line, *, zero_is_absent: bool = False) -> dict[str, Decimal]:
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
    for unit, parent in (
        ("reasoning", "output"),
        ("input_audio", "input"),
        ("input_image", "input"),
    ):
        if unit in prices and prices[unit] == prices.get(parent):
            del prices[unit]
    if prices.get("cache_read") == prices.get("input"):
        prices.pop("cache_read", None)
    return prices


def _decimal(text: str) -> Decimal:
    """A price without the noise of binary floats."""
    price = Decimal(text)
    rounded = price.quantize(Decimal("0.000001"))
    noise = abs(price - rounded) < Decimal("0.00000001")
    return (rounded if rounded and noise else price).normalize()


def _seen(line: Line) -> date:
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
    return _REPEATED if day == _STALE else day


def _count(text: str) -> int | None:
    return int(Decimal(text)) or None if text else None


def _day(text: str) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def _instant(text: str) -> datetime | None:
    """A day, or the instant of a commit: the day counts, as that of any other source."""
    return _midnight(date.fromisoformat(text[:10])) if text else None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
