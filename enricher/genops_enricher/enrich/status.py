"""What becomes of a span: the values of genops.cost.status, and of the books."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Status"]


class Status(StrEnum):
    """What became of a span; the sum over these is the number of spans received."""

    PRICED = "priced"
    FREE = "free"
    UNPRICED = "unpriced"
    NOT_LLM = "not_llm"
    ALREADY_ENRICHED = "already_enriched"
