"""Price the units of a call in exact integers.

A row's prices are held as integers at the row's own power of ten, so that a cost is a sum of
integer products and one division makes the dollars. Decides how prompt sizes choose a price;
knows nothing of time, models or files.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from itertools import accumulate, compress, pairwise
from typing import Final, NamedTuple

from .units import PROMPT_ORDER, UNITS, UNITS_BY_KEY, Unit, Usage, count_units

__all__ = ["EXACT", "Charge", "Rates", "UnknownPrice", "make_rates"]

# Arithmetic on prices is exact or an error: 12 digits times a few multipliers stay far below 100.
EXACT: Final = Context(prec=100, traps=[Inexact])

_UNITS: Final = range(len(UNITS))
_KEYS: Final = tuple(unit.key for unit in UNITS)
_PARTS: Final = tuple(unit.part for unit in UNITS)
_IS_TOKEN: Final = tuple(unit.table == "usd_per_mtok" for unit in UNITS)

# A plain call is one request that has input, output, cache reads and reasoning, the first four
# fields of its usage, and nothing of the others.
_PLAIN: Final = Usage()[4:]


class Charge(NamedTuple):
    """What a call costs, exactly: USD = value / divisor, the divisor a power of ten.

    `parts` holds (name, value) in the order of `units.PARTS`, for what was used and has a price;
    they sum to `total`.
    """

    total: int
    parts: tuple[tuple[str, int], ...]
    divisor: int

    def usd(self, value: int) -> Decimal:
        """The total or a part of this charge in USD, exactly."""
        return Decimal(value).scaleb(1 - len(str(self.divisor)), EXACT)


class UnknownPrice(str):
    """Says which units of a call have a price that nobody told."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Rates:
    """The prices of one row for one set of conditions, by size of the prompt.

    `bands[i]` holds the price of each unit, as an integer, for prompts of at least `starts[i]`
    tokens. With `marginal`, a band prices only the input tokens that stand at or beyond its start
    (counted from 1), not the whole prompt.
    """

    starts: tuple[int, ...]
    bands: tuple[tuple[int | None, ...], ...]
    marginal: bool
    divisor: int
    # By band, the prices of all that a plain call has; None where they aren't all of its price.
    plain: tuple[tuple[int, int, int], ...] | None
    unknown: frozenset[str] = frozenset()  # keys of units that have a price which nobody told

    def charge(self, usage: Usage) -> Charge | str:
        """The cost of `usage`, or what is wrong with it."""
        # This runs for every span, and most calls are plain: these take a third of the time so.
        if self.plain is None or usage[4:] != _PLAIN:
            return self._charge_units(usage)
        prompt, completion, cached, reasoning = usage[:4]
        if not (0 <= cached <= prompt and 0 <= reasoning <= completion):
            return self._charge_units(usage)
        if len(self.plain) == 1:
            input_rate, output_rate, cache_rate = self.plain[0]
        else:
            input_rate, output_rate, cache_rate = self.plain[self._band_of(prompt)]
        total = 0
        parts: list[tuple[str, int]] = []
        if text := prompt - cached:
            total = text * input_rate
            parts.append(("input", total))
        if completion:
            amount = completion * output_rate
            total += amount
            parts.append(("output", amount))
        if cached:
            amount = cached * cache_rate
            total += amount
            parts.append(("cache_read", amount))
        return Charge(total, tuple(parts), self.divisor)

    def _band_of(self, prompt: int) -> int:
        return bisect_right(self.starts, prompt) - 1

    def _charge_units(self, usage: Usage) -> Charge | str:
        """Charge each kind of unit that was used."""
        counts = count_units(usage)
        if isinstance(counts, str):
            return counts
        band = self.bands[0 if self.marginal else self._band_of(usage.input)]
        amounts: dict[str, int] = {}
        for unit in compress(_UNITS, counts):
            count, rate, part = counts[unit], band[unit], _PARTS[unit]
            if rate is not None:
                amounts[part] = amounts.get(part, 0) + count * rate
            elif _KEYS[unit] in self.unknown:
                return UnknownPrice(f"no source of the price tells that of {part} tokens")
            elif _IS_TOKEN[unit]:
                return f"{count} {part} tokens, but the model has no price for them"
        if self.marginal:
            self._add_marginal(amounts, usage.input, counts)
        return Charge(sum(amounts.values()), tuple(amounts.items()), self.divisor)

    def _add_marginal(self, amounts: dict[str, int], prompt: int, counts: tuple[int, ...]) -> None:
        """Add what each prompt token costs more, or less, in its band than in the first."""
        edges = [*(start - 1 for start in self.starts[1:]), prompt]
        ends = list(accumulate(counts[unit] for unit in PROMPT_ORDER))
        for unit, end in zip(PROMPT_ORDER, ends, strict=True):
            start = end - counts[unit]
            base = self.bands[0][unit]
            for band, (lower, upper) in zip(self.bands[1:], pairwise(edges), strict=True):
                inside = min(end, upper) - max(start, lower)
                rate = band[unit]
                if inside > 0 and rate is not None and base is not None:
                    amounts[_PARTS[unit]] += inside * (rate - base)


def make_rates(
    bands: Sequence[tuple[int, Mapping[str, Decimal]]],
    *,
    marginal: bool = False,
    unknown: Iterable[str] = (),
) -> Rates:
    """Turn prices in USD (per 1,000,000 tokens, or each) into integers of one power of ten.

    Args:
        bands: (first prompt size, prices by unit key), by rising size; the first starts at 0. A
            unit without a price takes its parent's.
        marginal: whether a band prices only the tokens beyond its start.
        unknown: keys of units with a price of their own that is not known. A band that states none
            has none for them, nor for units that would take theirs.
    """
    untold = frozenset(unknown)
    stated = [price for _, prices in bands for price in prices.values()]
    places = 6 + max([0, *(-_exponent(price) for price in stated)])
    integers = tuple(_integers(prices, places, untold) for _, prices in bands)
    plain = tuple(prices for prices in map(_plain, integers) if prices is not None)
    return Rates(
        starts=tuple(start for start, _ in bands),
        bands=integers,
        marginal=marginal,
        divisor=10**places,
        plain=plain if len(plain) == len(bands) and not marginal else None,
        unknown=untold | {unit.key for unit in UNITS if unit.parent in untold},
    )


def _plain(band: Sequence[int | None]) -> tuple[int, int, int] | None:
    """The prices of uncached input, output and cache reads, if a plain call has no others."""
    rate = dict(zip(UNITS_BY_KEY, band, strict=True))
    text, output, cached = rate["input"], rate["output"], rate["cache_read"]
    if text is None or output is None or cached is None:
        return None
    if rate["request"] is not None or rate["reasoning"] != output:
        return None
    return text, output, cached


def _exponent(price: Decimal) -> int:
    return int(price.normalize(EXACT).as_tuple().exponent)


def _integers(
    prices: Mapping[str, Decimal], places: int, unknown: frozenset[str]
) -> tuple[int | None, ...]:
    """The price of each unit as an integer at 10**-places USD; None where none is known."""
    integers: list[int | None] = []
    for unit in UNITS:
        holder: Unit | None = unit
        while holder and holder.key not in prices:
            parent = holder.parent if holder.key not in unknown else None
            holder = UNITS_BY_KEY[parent] if parent else None
        if holder is None:
            integers.append(None)
        else:
            exponent = places - (6 if holder.table == "usd_per_mtok" else 0)
            integers.append(int(prices[holder.key].scaleb(exponent, EXACT)))
    return tuple(integers)
