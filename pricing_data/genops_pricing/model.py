"""What a price file means: models, their price rows, and the conditions of a price.

Built from content that `schema` has found sound. Immutable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from .answers import ALWAYS_NS, Conditions
from .instants import DAY_NS, format_instant, instant_of, parse_instant
from .rates import EXACT, Rates, make_rates
from .units import UNITS, UNITS_BY_KEY

if TYPE_CHECKING:
    from .shapes import KeyPath

__all__ = [
    "Endpoint",
    "Model",
    "Override",
    "Provenance",
    "Row",
    "build_rows",
    "owners",
    "row_id",
]

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTE_NS: Final = 60 * 10**9
_VARIANTS: Final = ("service_tier", "processing", "region", "route")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who states a price, and how its instant is known."""

    source: str
    seen_at: str
    basis: str
    url: str | None = None
    not_before: str | None = None
    also: Sequence[str] = ()  # further sources that state the same


@dataclass(frozen=True, slots=True)
class Override:
    """Prices that replace those before them while conditions hold."""

    prompt_start: int  # first prompt size (tokens) that it applies to; 0: any
    marginal: bool
    window: tuple[int, int] | None  # UTC minutes of the day, end excluded; start > end passes 24:00
    days: frozenset[int]  # UTC weekdays, Monday 0; empty: any
    variants: tuple[tuple[str, str], ...]  # what `Conditions` must say
    prices: Mapping[str, Decimal]
    multiply: Decimal | None

    def suits(self, conditions: Conditions) -> bool:
        """Whether the call is of the variant that this is for."""
        return all(
            (getattr(conditions, name) or "").lower() == value for name, value in self.variants
        )

    def is_open(self, at_ns: int) -> bool:
        """Whether its UTC window and weekdays hold at an instant."""
        day, within = divmod(at_ns, DAY_NS)
        if self.days and (day + 3) % 7 not in self.days:  # 1970-01-01 was a Thursday
            return False
        if self.window is None:
            return True
        start, end = self.window
        minute = within // _MINUTE_NS
        return start <= minute < end if start <= end else minute >= start or minute < end

    def edges(self) -> Iterator[int]:
        """The times of day, in nanoseconds, at which `is_open` may change."""
        if self.days:
            yield 0
        for minute in self.window or ():
            yield minute * _MINUTE_NS


@dataclass(frozen=True, slots=True)
class Row:
    """One price of a model or endpoint, and the time from which it holds."""

    entry: str  # its id: market/model[/endpoint]@instant
    effective_from: str
    start_ns: int
    end_ns: int | None  # only promotions and contracts state their end
    layer: int  # 0: the bundled catalog; 1, 2 …: overlays, in order
    status: Literal["dynamic", "suspect"] | None
    reason: str | None
    prices: Mapping[str, Decimal]  # by unit key
    overrides: tuple[Override, ...]
    corrects: str | None
    provenance: Provenance | None
    unknown: tuple[str, ...] = ()  # keys of units that have a price of their own nobody tells

    @property
    def seen_ns(self) -> int:
        """The end of the day on which the price was last seen; without provenance its start."""
        if self.provenance is None:
            return self.start_ns
        return instant_of(parse_instant(self.provenance.seen_at)) + DAY_NS

    def prices_apart(self, condition: str, value: str) -> bool:
        """Whether it states prices for calls of a service tier, a region and so on."""
        variant = (condition, value.lower())
        return any(variant in override.variants for override in self.overrides)

    def multiplied(self, factor: Decimal) -> Row:
        """This row with all prices of tokens times a factor."""
        times = Override(0, False, None, frozenset(), (), {}, factor)
        return replace(self, overrides=(*self.overrides, times))

    def with_unit_prices_of(self, other: Row | None) -> Row:
        """This row with the prices of a request, an image or a search that only `other` states."""
        inherited = {
            key: price
            for key, price in (other.prices if other else {}).items()
            if UNITS_BY_KEY[key].table == "usd_per_unit" and key not in self.prices
        }
        return replace(self, prices={**self.prices, **inherited}) if inherited else self

    def rates_at(
        self, at_ns: int, conditions: Conditions, factor: Decimal
    ) -> tuple[Rates, int, int]:
        """The rates under conditions at an instant, each price times `factor`.

        Returns:
            The rates and the interval (Unix nanoseconds, end excluded) around `at_ns` in which the
            row's time windows leave them as they are.
        """
        suited = [override for override in self.overrides if override.suits(conditions)]
        active = [override for override in suited if override.is_open(at_ns)]
        starts = sorted({0, *(override.prompt_start for override in active)})
        bands = [(start, self._band(active, start, factor)) for start in starts]
        marginal = any(override.marginal for override in active)
        rates = make_rates(bands, marginal=marginal, unknown=self.unknown)
        return rates, *_between_edges(suited, at_ns)

    def _band(self, active: Sequence[Override], start: int, factor: Decimal) -> dict[str, Decimal]:
        """The prices for prompts of `start` tokens and more, up to the next override."""
        prices = dict(self.prices)
        for override in active:
            if override.prompt_start > start:
                continue
            prices.update(override.prices)
            if override.multiply is not None:
                for key, price in prices.items():
                    if UNITS_BY_KEY[key].table == "usd_per_mtok":
                        prices[key] = EXACT.multiply(price, override.multiply)
        return {key: EXACT.multiply(price, factor) for key, price in prices.items()}


def _between_edges(overrides: Sequence[Override], at_ns: int) -> tuple[int, int]:
    times = {edge for override in overrides for edge in override.edges()}
    if not times:
        return ALWAYS_NS
    midnight = at_ns - at_ns % DAY_NS
    edges = [midnight + shift + time for shift in (-DAY_NS, 0, DAY_NS) for time in times]
    return max(edge for edge in edges if edge <= at_ns), min(edge for edge in edges if edge > at_ns)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What one upstream provider asks for a model."""

    slug: str
    quantization: str | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A model as one market offers it."""

    market: str
    id: str
    author: str | None
    name: str | None
    family: str | None
    aliases: tuple[str, ...]
    created: str | None
    removed: str | None  # day on which the market no longer offered it
    context_length: int | None
    modality: str | None
    tier: str | None  # stated in place of the tier that follows from the price
    tier_reason: str | None
    rows: tuple[Row, ...]
    endpoints: Mapping[str, Endpoint]
    merged_into: str | None = None  # id of the model that its name means since

    def every_row(self) -> Iterator[tuple[Endpoint | None, Row]]:
        """Its own rows, then those of its upstream providers, each with whose it is."""
        for row in self.rows:
            yield None, row
        for endpoint in self.endpoints.values():
            for row in endpoint.rows:
                yield endpoint, row

    def row_of(self, entry: str) -> Row | None:
        """The row that an offer names, its own or an upstream provider's, discounted or not."""
        # A discounted offer adds "~overlay" to the row's id.
        named = (row for _, row in self.every_row() if f"{entry}~".startswith(f"{row.entry}~"))
        return next(named, None)


def owners(
    market: str, raw: Mapping[str, Any], path: KeyPath
) -> Iterator[tuple[str, Sequence[Mapping[str, Any]], KeyPath]]:
    """Who owns price rows in a model: itself and its endpoints, with their rows and where.

    Args:
        market: of the model.
        raw: the model as a file states it.
        path: where in the file it stands.
    """
    owner = f"{market}/{raw['id']}"
    yield owner, raw.get("prices", ()), (*path, "prices")
    for slug, endpoint in raw.get("endpoints", {}).items():
        yield f"{owner}/{slug}", endpoint.get("prices", ()), (*path, "endpoints", slug, "prices")


def row_id(owner: str, raw: Mapping[str, Any], overlay: str | None) -> str:
    """The id of a row: `market/model[/endpoint]@instant`, `#2` for a revision, `+overlay`."""
    instant = format_instant(parse_instant(raw["effective_from"]))
    revision = f"#{raw['revision']}" if "revision" in raw else ""
    return f"{owner}@{instant}{revision}{f'+{overlay}' if overlay else ''}"


def build_rows(
    owner: str, raws: Sequence[Mapping[str, Any]], *, layer: int, overlay: str | None
) -> tuple[Row, ...]:
    """The rows of one model or endpoint as one file states them."""
    return tuple(_build_row(owner, raw, layer, overlay) for raw in raws)


def _build_row(owner: str, raw: Mapping[str, Any], layer: int, overlay: str | None) -> Row:
    start = parse_instant(raw["effective_from"])
    provenance = raw.get("provenance")
    return Row(
        entry=row_id(owner, raw, overlay),
        effective_from=format_instant(start),
        start_ns=instant_of(start),
        end_ns=instant_of(parse_instant(raw["effective_to"])) if "effective_to" in raw else None,
        layer=layer,
        status=raw.get("status"),
        reason=raw.get("reason"),
        prices=_prices(raw),
        overrides=tuple(_build_override(override) for override in raw.get("overrides", ())),
        corrects=raw.get("corrects"),
        provenance=Provenance(**provenance) if provenance else None,
        unknown=tuple(raw.get("unknown", ())),
    )


def _prices(raw: Mapping[str, Any]) -> dict[str, Decimal]:
    stated = raw.get("usd_per_mtok", {}) | raw.get("usd_per_unit", {})
    return {unit.key: Decimal(stated[unit.key]) for unit in UNITS if unit.key in stated}


def _build_override(raw: Mapping[str, Any]) -> Override:
    when = raw["when"]
    return Override(
        prompt_start=when["prompt_over"] + 1
        if "prompt_over" in when
        else when.get("prompt_from", 0),
        marginal=raw.get("mode") == "marginal",
        window=_window(when["utc"]) if "utc" in when else None,
        days=frozenset(_WEEKDAYS.index(day) for day in when.get("days", ())),
        variants=tuple((name, when[name].lower()) for name in _VARIANTS if name in when),
        prices=_prices(raw),
        multiply=Decimal(raw["multiply"]) if "multiply" in raw else None,
    )


def _window(text: str) -> tuple[int, int]:
    start, end = (int(time[:2]) * 60 + int(time[3:]) for time in text.split("-"))
    return start, end
