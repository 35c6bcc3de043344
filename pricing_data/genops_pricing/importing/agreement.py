"""Whether statements of prices agree, and what they state jointly. Pure: no I/O, no clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from genops_pricing.units import UNITS

from .observation import ConditionalPrice, Observation

__all__ = [
    "ROOTS",
    "ROUNDING",
    "STEEP",
    "Prices",
    "agree",
    "also",
    "close",
    "is_rounded",
    "joint",
    "pair",
    "times",
]

STEEP: Final = Decimal(5)
ROOTS: Final = ("input", "output")
# Sources round: prices this close (USD per million tokens) are one price.
ROUNDING: Final = Decimal("0.0001")
_HALF_A_CENT: Final = Decimal("0.005")
Prices = Mapping[str, Decimal]


def agree(observations: Sequence[Observation]) -> list[Observation]:
    """The observations that state the price of most sources that do not copy from each other.

    Ties go to the newest. Which sources agree is decided by input and output price.
    """
    groups: list[list[Observation]] = []
    for seen in observations:
        group = next((group for group in groups if close(group[0].prices, seen.prices)), None)
        if group is None:
            groups.append([seen])
        else:
            group.append(seen)
    return max(
        groups,
        key=lambda group: (
            len({seen.source.family for seen in group}),
            max(seen.seen_at for seen in group),
        ),
        default=[],
    )


def joint(observations: Sequence[Observation]) -> tuple[dict[str, Decimal], list[ConditionalPrice]]:
    """The prices of observations that agree on input and output, unit by unit.

    A unit or condition counts if two families state it alike, or no other states it otherwise.
    """
    prices = _joint_prices([(seen.source.family, seen.prices) for seen in observations], 1)
    stated: dict[tuple[tuple[str, Any], ...], list[tuple[str, Prices]]] = defaultdict(list)
    whens: dict[tuple[tuple[str, Any], ...], Mapping[str, Any]] = {}
    for seen in observations:
        for condition in seen.conditions:
            key = tuple(sorted(condition.when.items()))
            stated[key].append((seen.source.family, condition.prices))
            whens[key] = condition.when
    conditions = []
    for key, statements in stated.items():
        # Hours of the day are stated by few; none who gives one price contradicts them.
        agreed = _joint_prices(statements, 1 if "utc" in whens[key] else 2)
        if set(ROOTS) & agreed.keys():
            # A unit that a condition leaves out would keep its base price: the cached tokens of a
            # long prompt that of a short one. So one is believed, if none says otherwise.
            undisputed = _joint_prices(statements, 1)
            agreed |= {
                unit.key: undisputed[unit.key]
                for unit in UNITS
                if unit.table == "usd_per_mtok" and unit.key not in ROOTS
                if unit.key in prices and unit.key in undisputed
            }
            conditions.append(ConditionalPrice(whens[key], agreed))
    conditions.sort(key=lambda c: (len(c.when) > 1, _size(c) == 0, _size(c), sorted(c.when)))
    return prices, conditions


def _size(condition: ConditionalPrice) -> int:
    return int(str(condition.when.get("prompt_over", condition.when.get("prompt_from", 0))))


def _joint_prices(statements: Sequence[tuple[str, Prices]], needed: int) -> dict[str, Decimal]:
    prices = {}
    for unit in UNITS:
        votes: dict[Decimal, set[str]] = defaultdict(set)
        for family, stated in statements:
            if unit.key in stated:
                votes[stated[unit.key]].add(family)
        if not votes:
            continue
        price, families = max(votes.items(), key=lambda vote: len(vote[1]))
        if len(families) >= 2 or (len(votes) == 1 and needed == 1):
            prices[unit.key] = price
    return prices


def close(first: Prices, second: Prices) -> bool:
    """Whether two prices are one, but for rounding, in input and output."""
    # Some state 0 for the output of a model that puts out no tokens, others nothing.
    return all(
        abs(first.get(key, Decimal(0)) - second.get(key, Decimal(0))) <= ROUNDING for key in ROOTS
    )


def is_rounded(price: Decimal, exact: Decimal) -> bool:
    """Whether a price is another one, rounded to cents."""
    return abs(price - exact) <= (_HALF_A_CENT if price == round(price, 2) else ROUNDING)


def times(new: Prices, old: Prices) -> Decimal:
    """How many times apart two prices are, up or down, in input or output."""
    both = [key for key in ROOTS if new.get(key) and old.get(key)]
    ratios = (max(new[key] / old[key], old[key] / new[key]) for key in both)
    return max(ratios, default=Decimal(1))


def also(name: str, group: Iterable[Observation]) -> list[str]:
    """The other sources that state a price, one of each family: who copied does not count."""
    families = {seen.source.family: seen.source.name for seen in group}
    own = {seen.source.family for seen in group if seen.source.name == name}
    return sorted(other for family, other in families.items() if family not in own)


def pair(prices: Prices) -> str:
    """Input and output price, as in 2.5/10."""
    return "/".join(format(prices[key].normalize(), "f") for key in ROOTS if key in prices)
