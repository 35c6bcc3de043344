"""The errors of genops_pricing.

PricingError
└── CatalogError    a catalog or overlay can't be read; carries every problem found

An unknown model is no error: lookups answer with a `Miss`.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["CatalogError", "PricingError"]


class PricingError(Exception):
    """Any error that genops_pricing raises on purpose."""


class CatalogError(PricingError):
    """A catalog or an overlay is wrong. `problems` holds one line each: "file:line: what. fix"."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
