"""Prices in the words of people, in one line: money, rows, conditional prices."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from .model import Override, Row
from .units import UNITS_BY_KEY

__all__ = ["describe_override", "describe_prices", "describe_row", "money"]

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def money(amount: Decimal | None) -> str | None:
    """A decimal as plain text."""
    if amount is None:
        return None
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def describe_row(row: Row) -> str:
    """What a row states, in one line."""
    parts = [describe_prices(row.prices) or f"{row.status}: {row.reason}"]
    if row.unknown:
        parts.append(f"{', '.join(row.unknown)} unknown")
    parts += [describe_override(override) for override in row.overrides]
    return " | ".join(parts)


def describe_prices(prices: Mapping[str, Decimal]) -> str:
    """Prices as people say them: "input 2.5, output 10 USD per million tokens"."""
    tokens = [key for key in prices if UNITS_BY_KEY[key].table == "usd_per_mtok"]
    each = [key for key in prices if key not in tokens]
    texts = []
    if tokens:
        listed = ", ".join(f"{key} {money(prices[key])}" for key in tokens)
        texts.append(f"{listed} USD per million tokens")
    texts += [f"{money(prices[key])} USD a {key.replace('_', ' ')}" for key in each]
    return "; ".join(texts)


def describe_override(override: Override) -> str:
    """An override as people say it: "prompt of 200001 tokens or more: input 6, output 22.5 …"."""
    when: list[str] = []
    if override.prompt_start:
        scope = " (beyond that only)" if override.marginal else ""
        when.append(f"prompt of {override.prompt_start} tokens or more{scope}")
    if override.window:
        start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in override.window)
        when.append(f"{start}-{end} UTC")
    if override.days:
        when.append(" ".join(_WEEKDAYS[day] for day in sorted(override.days)))
    when += [f"{name} {value}" for name, value in override.variants]
    what = [describe_prices(override.prices)] if override.prices else []
    if override.multiply is not None:
        what.append(f"token prices times {money(override.multiply)}")
    return f"{', '.join(when)}: {'; '.join(what)}"
