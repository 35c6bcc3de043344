"""What the calls of one request cost and consumed, by the values of the labels.

Values stay as they are on the wire until the end, and are read as text once for many requests: to
read the same bytes again for every span would take a quarter of the time of pricing it.
"""

from __future__ import annotations

from collections.abc import Callable

from genops_enricher.decode.lens import parse_span
from genops_enricher.decode.values import as_label
from genops_enricher.enrich.enricher import Outcome
from genops_enricher.spend.ledger import FEMTODOLLARS, Amounts, Labels

__all__ = ["LabelTexts", "RedactLabel", "Tally"]

RedactLabel = Callable[[str, str], str]
"""From the name and the text of a label to the text that may be told."""

# Spans whose tokens stand on another span as well.
_REPEATED = frozenset({"duplicate", "aggregate"})

# Label values are named by callers. 256 characters are more than any model or team has.
_VALUE_CHARACTERS_MAX = 256

# A reported cost may be any double, and 1e300 USD would be infinitely many femtodollars.
_COST_MAX_USD = 1e12


# What is remembered of what callers name: 16 MiB at most.
_KEPT_MAX = 4096
_KEPT_BYTES_MAX = 4096

_Key = tuple[bytes, tuple[bytes | None, ...]]
"""What was added to a span, up to its numbers, and what the span has of the labels by itself."""


class LabelTexts:
    """Reads labels as text, and remembers the latest. Safe for use by several threads."""

    def __init__(self, names: tuple[str, ...], redact: RedactLabel | None = None) -> None:
        """Read labels.

        Args:
            names: the labels of the enricher.
            redact: makes of the text of a label what may be told of it.
        """
        self._names = names
        self._redact = redact
        self._known: dict[_Key, Labels] = {}

    def of(self, key: _Key) -> Labels:
        """The labels of a span."""
        labels = self._known.get(key)
        if labels is None:
            texts, values = key
            added = parse_span(texts).attributes
            labels = tuple(
                [
                    self._text(name, added.get(name) if value is None else value)
                    for name, value in zip(self._names, values, strict=True)
                ]
            )
            if len(texts) + sum(len(value or b"") for value in values) <= _KEPT_BYTES_MAX:
                if len(self._known) >= _KEPT_MAX:
                    self._known.clear()  # simpler than an order of use, and read again in no time
                self._known[key] = labels
        return labels

    def _text(self, name: str, raw: bytes | None) -> str:
        text = as_label(raw)
        if self._redact is not None:  # before it is cut: hashes are of whole values
            text = self._redact(name, text)
        return text[:_VALUE_CHARACTERS_MAX]


class Tally:
    """Sums over the spans of one request. Used by one thread."""

    __slots__ = ("_rows", "_texts")

    def __init__(self, texts: LabelTexts) -> None:
        """Sums by the labels that `texts` reads."""
        self._texts = texts
        self._rows: dict[_Key, list[int]] = {}

    def add(self, outcome: Outcome) -> None:
        """Add a call; spans that are none, and those that repeat another's tokens, are left out."""
        usage, total = outcome.usage, outcome.total
        if (usage is None and total is None) or outcome.reason in _REPEATED:
            return
        key = outcome.addition[: outcome.texts_size], outcome.labels
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = [0, 0, 0, 0, 0, 0, 0]
        if total is not None:
            row[0] += 1
            row[1] += round(min(total, _COST_MAX_USD) * FEMTODOLLARS)
        if usage is not None:
            row[2] += usage.input
            row[3] += usage.output
            row[4] += usage.cache_read
            row[5] += usage.cache_write
            row[6] += usage.reasoning

    def amounts(self) -> dict[Labels, Amounts]:
        """The sums, by label values as text."""
        out: dict[Labels, Amounts] = {}
        for key, (with_cost, cost, *tokens) in self._rows.items():
            labels = self._texts.of(key)
            sums = Amounts(cost if with_cost else None, *tokens)
            out[labels] = out[labels].plus(sums) if labels in out else sums
        return out
