"""The keys of price files, as one table: what validation and the reference page read.

Decides what a file may say; `model` decides what it means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from .instants import parse_instant
from .shapes import Key, ListOf, MapOf, Record, Scalar, Shape, matching, one_of
from .units import UNITS

__all__ = ["FILES", "records"]


def _wrong_price(value: Any) -> str | None:
    if not isinstance(value, str):
        return f'{value} is not text. Quote it, so that it stays exact: "{value}"'
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,15})?", value):
        return f'"{value}" is no price. Write plain decimals, not negative: "2.50"'
    return None


def _wrong_multiplier(value: Any) -> str | None:
    return _wrong_price(value) or (None if Decimal(value) > 0 else '"0" clears. Use a price of "0"')


def _wrong_percent(value: Any) -> str | None:
    if problem := _wrong_price(value):
        return problem
    return None if Decimal(value) <= 100 else f'{value} percent off is too much. Write "0" to "100"'


def _wrong_rate(value: Any) -> str | None:
    if problem := _wrong_price(value):
        return problem
    return (
        None if Decimal(value) <= 1 else f'{value} is no discount. Write "0.85" for 15 percent off'
    )


def _wrong_instant(value: Any) -> str | None:
    try:
        parse_instant(str(value))
    except ValueError as error:
        return str(error)
    return None


def _wrong_day(value: Any) -> str | None:
    problem = matching(r"\d{4}-\d{2}-\d{2}", "Write a day: 2024-05-13")(value)
    return problem or _wrong_instant(value)


def _wrong_count(value: Any) -> str | None:
    return None if isinstance(value, int) and value > 0 else f"{value} is no count. Write 200000"


def _wrong_window(value: Any) -> str | None:
    time = r"([01]\d|2[0-3]):[0-5]\d"
    if problem := matching(f"{time}-{time}", 'Write UTC times: "16:30-00:30"')(value):
        return problem
    start, end = value.split("-")
    return f'"{value}" is empty. Write an end other than the start' if start == end else None


TEXT = Scalar("text", matching(r"(?s)\S.*", "Write some text"))
DAY = Scalar("day", _wrong_day)
INSTANT = Scalar("instant", _wrong_instant)
PRICE = Scalar("decimal", _wrong_price)
COUNT = Scalar("count", _wrong_count)
SLUG = Scalar("slug", matching(r"[a-z0-9][a-z0-9._/-]*", "Write lower case, `-` for spaces"))
MODEL_ID = Scalar("model id", matching(r"\S+", "Write it without spaces"))
WINDOW = Scalar("window", _wrong_window)
WEEKDAY = one_of("mon", "tue", "wed", "thu", "fri", "sat", "sun")
VERSION = Scalar("CalVer", matching(r"\d{4}\.\d{2}\.\d{2}(\.\d+)?", 'Write "2026.11.22"'))
RELEASE = Scalar("release", matching(r"\d+\.\d+(\.\d+)?", 'Write "0.1.0"'))


def _prices(table: str) -> Record:
    return Record(
        table,
        tuple(Key(unit.key, PRICE, unit.meaning) for unit in UNITS if unit.table == table),
    )


MTOK = _prices("usd_per_mtok")
EACH = _prices("usd_per_unit")
_TOKEN_PRICES = Key("usd_per_mtok", MTOK, "prices in USD per 1,000,000 tokens")
_UNIT_PRICES = Key("usd_per_unit", EACH, "prices in USD each")


def _provenance_rules(value: Mapping[str, Any]) -> Iterator[str]:
    if value["basis"] == "documented" and "url" not in value:
        yield "a documented price needs the `url` of its documentation. Add it"


PROVENANCE = Record(
    "provenance",
    (
        Key("source", TEXT, "who states the price", required=True),
        Key("url", TEXT, "where it is stated"),
        Key("seen_at", DAY, "day on which it was last seen there", required=True),
        Key(
            "basis",
            one_of("documented", "snapshot", "derived"),
            "how `effective_from` is known: stated by the source, first snapshot that shows the "
            "price, or concluded",
            required=True,
        ),
        Key("not_before", DAY, "last day on which the older price was seen"),
        Key(
            "also",
            ListOf(TEXT),
            "other sources that state the same and copy neither it nor another",
        ),
    ),
    _provenance_rules,
)


def _when_rules(value: Mapping[str, Any]) -> Iterator[str]:
    if not value:
        yield "`when` states no condition. Name one, or write the prices into the row"
    if "prompt_over" in value and "prompt_from" in value:
        yield "`prompt_over` and `prompt_from` exclude each other. Keep one"


WHEN = Record(
    "when",
    (
        Key("prompt_over", COUNT, "the prompt has more tokens than this"),
        Key("prompt_from", COUNT, "the prompt has at least this many tokens"),
        Key("utc", WINDOW, "daily window of UTC time, end excluded, may pass midnight"),
        Key("days", ListOf(WEEKDAY), "UTC weekdays of the instant"),
        Key("service_tier", TEXT, "the tier that served the call: flex, priority …"),
        Key("processing", TEXT, "batch …"),
        Key("region", TEXT, "region or residency that the call was bound to"),
        Key("route", TEXT, "route that the call took"),
    ),
    _when_rules,
)


def _override_rules(value: Mapping[str, Any]) -> Iterator[str]:
    if not {"usd_per_mtok", "usd_per_unit", "multiply"} & value.keys():
        yield "an override changes nothing. Give `usd_per_mtok`, `usd_per_unit` or `multiply`"
    if value.get("mode") == "marginal":
        if not {"prompt_over", "prompt_from"} & value["when"].keys():
            yield "mode marginal needs `prompt_over` or `prompt_from`. Add it or drop the mode"
        other = [key for key in value.get("usd_per_mtok", {}) if not _is_input_side(key)]
        if other or "usd_per_unit" in value or "multiply" in value:
            yield "mode marginal can price only tokens of the prompt. Give it input-side prices"


def _is_input_side(key: str) -> bool:
    return key not in ("output", "reasoning", "output_audio", "output_image")


OVERRIDE = Record(
    "override",
    (
        Key("when", WHEN, "conditions, all of which must hold", required=True),
        Key(
            "mode",
            one_of("cliff", "marginal"),
            "whether a prompt size prices the whole call (cliff, the default) or only the prompt "
            "tokens beyond it (marginal)",
        ),
        _TOKEN_PRICES,
        _UNIT_PRICES,
        Key("multiply", Scalar("decimal", _wrong_multiplier), "factor on every token price so far"),
    ),
    _override_rules,
)


def _price_rules(value: Mapping[str, Any]) -> Iterator[str]:
    priced = {"usd_per_mtok", "usd_per_unit"} & value.keys()
    if "status" in value:
        if priced or "overrides" in value:
            yield f"a {value['status']} row can't state prices. Drop the prices or the status"
        if "reason" not in value:
            yield f"a {value['status']} row needs a `reason`. Add one"
        if "unknown" in value:
            yield f"a {value['status']} row knows no price at all. Drop `unknown` or the status"
    elif not any(value[table] for table in priced):
        yield "the row states no price. Give `usd_per_mtok`, `usd_per_unit` or a `status`"
    stated = value.get("usd_per_mtok", {})
    for key in value.get("unknown", ()):
        if key in stated:
            yield f"{key} is both priced and unknown. Keep one"
    if "effective_to" in value:
        if "reason" not in value:
            yield "only a promotion or contract states its end, with a `reason`. Add one"
        if parse_instant(value["effective_to"]) <= parse_instant(value["effective_from"]):
            yield "`effective_to` is not after `effective_from`. Swap or correct them"
    if "corrects" in value and "reason" not in value:
        yield "a correction needs a `reason`. Add one"
    if value.get("revision") == 1:
        yield "revisions count from 2. Leave `revision` out of the first row"
    modes = {
        override.get("mode", "cliff")
        for override in value.get("overrides", ())
        if {"prompt_over", "prompt_from"} & override["when"].keys()
    }
    if len(modes) > 1:
        yield "a row can't mix cliff and marginal prompt sizes. Choose one mode for its overrides"


PRICE_ROW = Record(
    "price",
    (
        Key("effective_from", INSTANT, "instant from which the price holds, UTC", required=True),
        Key("effective_to", INSTANT, "first instant after a promotion or contract; else absent"),
        Key("revision", COUNT, "2, 3 … for a further row of the same instant"),
        Key("status", one_of("dynamic", "suspect"), "why there are no prices"),
        Key("reason", TEXT, "of a status, correction, promotion or contract"),
        _TOKEN_PRICES,
        _UNIT_PRICES,
        Key(
            "unknown",
            ListOf(one_of(*(unit.key for unit in UNITS if unit.parent))),
            "tokens whose own price no source tells: a call that has any is unpriced",
        ),
        Key("overrides", ListOf(OVERRIDE), "conditional prices; later ones win, per unit"),
        Key("corrects", TEXT, "id of the row before it that this one replaces"),
        Key("provenance", PROVENANCE, "who says so"),
    ),
    _price_rules,
)

ENDPOINT = Record(
    "endpoint",
    (
        Key("quantization", TEXT, "of the weights that it serves"),
        Key("prices", ListOf(PRICE_ROW), "as those of a model; absent where it asks the same"),
    ),
    lambda value: iter(() if value else ["it says nothing. Give `quantization` or `prices`"]),
)


def _model_rules(value: Mapping[str, Any]) -> Iterator[str]:
    if ("tier" in value) != ("tier_reason" in value):
        yield "`tier` and `tier_reason` belong together: a tier is stated only with a reason"


MODEL = Record(
    "model",
    (
        Key("id", MODEL_ID, "as the market spells it", required=True),
        Key("name", TEXT, "for people"),
        Key("family", TEXT, "for grouping: claude-3, gpt-4o"),
        Key("aliases", ListOf(MODEL_ID), "other spellings, canonical dated slugs"),
        Key("created", DAY, "day on which the market first offered it"),
        Key("removed", DAY, "day on which it had left the market; its prices stay"),
        Key("context_length", COUNT, "tokens"),
        Key("modality", TEXT, "as text+image->text"),
        Key("tier", SLUG, "in place of the tier that follows from the price"),
        Key("tier_reason", TEXT, "why"),
        Key(
            "merged_into",
            MODEL_ID,
            "model of which this is only another name: calls cost what that one costs, and the "
            "rows here, once published, are of no effect",
        ),
        Key("prices", ListOf(PRICE_ROW), "price rows, oldest first"),
        Key("endpoints", MapOf(SLUG, ENDPOINT), "prices of single upstream providers"),
    ),
    _model_rules,
)


def _discount_rules(value: Mapping[str, Any]) -> Iterator[str]:
    if ("percent" in value) == ("rate" in value):
        yield 'a discount states either `percent` ("15" off) or `rate` ("0.85" is paid). Give one'
    if len({"model", "provider", "author"} & value.keys()) > 1:
        yield "a discount is for one of `model`, `provider`, `author`. Split it"
    if "effective_to" in value and (
        parse_instant(value["effective_to"]) <= parse_instant(value["effective_from"])
    ):
        yield "`effective_to` is not after `effective_from`. Swap or correct them"


DISCOUNT = Record(
    "discount",
    (
        Key("market", SLUG, "whose prices it lowers", required=True),
        Key("model", MODEL_ID, "only this model"),
        Key("provider", SLUG, "only calls served by this upstream provider"),
        Key("author", SLUG, "only models of this author"),
        Key("percent", Scalar("decimal", _wrong_percent), "off every price"),
        Key("rate", Scalar("decimal", _wrong_rate), "of every price that is paid: 0.85"),
        Key("effective_from", INSTANT, "start, UTC", required=True),
        Key("effective_to", INSTANT, "first instant without it"),
    ),
    _discount_rules,
)

REGIONAL = Record(
    "regional",
    (
        Key(
            "hosts", ListOf(TEXT), "hosts of calls bound to a region: what `*` stands for names it"
        ),
        Key("regions", ListOf(SLUG), "the regions that this is for; if not set, all"),
        Key("models", ListOf(TEXT), "models by id that this is for, as shell patterns; else all"),
        Key(
            "multiply",
            Scalar("decimal", _wrong_multiplier),
            "of token prices; if not set, there is no price, because no source tells it",
        ),
    ),
)

MARKET = Record(
    "market",
    (
        Key("id", SLUG, "the name that price files use", required=True),
        Key("hosts", ListOf(TEXT), "server hosts; `*` stands for any characters"),
        Key("providers", ListOf(TEXT), "values of `gen_ai.provider.name` and common spellings"),
        Key(
            "service_tiers",
            MapOf(SLUG, SLUG),
            "tiers that cost other than the list price, each with its name in price rows. A call "
            "that one of them served has no price where its row states none for it",
        ),
        Key(
            "mixed_output",
            ListOf(TEXT),
            "models by id, as shell patterns, that put out text and what costs more than text: "
            "a call of one has no price if nothing says how many tokens were of which kind",
        ),
        Key(
            "always_searches",
            ListOf(TEXT),
            "models by id, as shell patterns, that search the web for every call: one has no price "
            "if the row has a price of a search, none of a request, and nothing says how often",
        ),
        Key(
            "regional",
            ListOf(REGIONAL),
            "what calls bound to a region cost, unless the row states it; what an overlay's row "
            "states holds for all regions that it does not name",
        ),
    ),
)


def _markets_rules(value: Mapping[str, Any]) -> Iterator[str]:
    markets = value["markets"]
    names = [
        *(f"market {raw['id']}" for raw in markets),
        *(f"host {host}" for raw in markets for host in raw.get("hosts", ())),
        *(f"provider {name}" for raw in markets for name in raw.get("providers", ())),
    ]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"{name} stands twice. Keep one"
    if value["vendor_prefixed"] not in {raw["id"] for raw in markets}:
        yield f'vendor_prefixed: no market "{value["vendor_prefixed"]}". Name one of `markets`'


def _tiers_rules(value: Mapping[str, Any]) -> Iterator[str]:
    *bounded, last = value["tiers"]
    bounds = [Decimal(raw["below"]) for raw in bounded if "below" in raw]
    if "below" in last or len(bounds) < len(bounded) or bounds != sorted(set(bounds)):
        yield "tiers go from the cheapest, each with a higher `below`, to one without. Sort them"


TIER = Record(
    "tier",
    (
        Key("name", SLUG, "of the tier", required=True),
        Key("below", PRICE, "output price, USD per 1,000 tokens; absent in the last"),
    ),
)

SOURCE = Record(
    "source",
    (
        Key("name", TEXT, "as provenance gives it", required=True),
        Key("url", TEXT, "where it is found, if it has a page"),
    ),
)

_SCHEMA = Key("schema", COUNT, "number of the schema that the file is written in")
_NEEDS = Key("needs_release", RELEASE, "first genops-ai release that reads this schema")

FILES: Final = {
    "catalog": Record(
        "catalog",
        (
            Key("schema", COUNT, _SCHEMA.meaning, required=True),
            Key("needs_release", RELEASE, _NEEDS.meaning, required=True),
            Key("version", VERSION, "date of the catalog", required=True),
            Key("released", INSTANT, "from which its age counts", required=True),
        ),
    ),
    "markets": Record(
        "markets file",
        (
            Key("markets", ListOf(MARKET), "who can bill a call", required=True),
            Key(
                "vendor_prefixed",
                SLUG,
                "market whose model ids are written author/model",
                required=True,
            ),
        ),
        _markets_rules,
    ),
    "tiers": Record(
        "tiers file",
        (Key("tiers", ListOf(TIER), "cheapest first", required=True),),
        _tiers_rules,
    ),
    "sources": Record(
        "sources file",
        (
            Key(
                "sources",
                MapOf(SLUG, SOURCE),
                "by short name, which provenance may give as its `source` in place of name and url",
                required=True,
            ),
        ),
    ),
    "prices": Record(
        "price file",
        (
            Key("market", SLUG, "who bills these models", required=True),
            Key("author", SLUG, "who made these models", required=True),
            Key("models", ListOf(MODEL), "one block a model", required=True),
        ),
    ),
    "overlay": Record(
        "overlay",
        (
            Key("overlay", SLUG, "its name, for versions and row ids", required=True),
            _SCHEMA,
            _NEEDS,
            Key("market", SLUG, "who bills these models"),
            Key("author", SLUG, "who made these models"),
            Key("models", ListOf(MODEL), "models and price rows to add"),
            Key("discounts", ListOf(DISCOUNT), "what is off list prices"),
        ),
        lambda value: (
            iter(["an overlay with `models` needs their `market`. Add it"])
            if "models" in value and "market" not in value
            else iter(())
        ),
    ),
}


def records() -> Iterator[Record]:
    """Every record that a file can hold, outermost first, each once."""
    seen: set[str] = set()
    pending: list[Shape] = list(FILES.values())
    while pending:
        shape = pending.pop(0)
        if isinstance(shape, ListOf | MapOf):
            pending.insert(0, shape.item)
        elif isinstance(shape, Record) and shape.title not in seen:
            seen.add(shape.title)
            yield shape
            pending[:0] = [key.shape for key in shape.keys]
