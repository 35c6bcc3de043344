"""One answered request, and the ledger of all of them.

The ledger is what the fake knows to have billed: the truth that the demo and the tests hold the
enriched spans against.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from genops_enricher.demo.fake_openrouter.billing import Bill, Tokens
from genops_enricher.demo.fake_openrouter.routing import Route
from genops_enricher.demo.fake_openrouter.scenario import Scenario

__all__ = ["Generation", "Ledger"]


@dataclass(frozen=True, slots=True)
class Generation:
    """Everything that OpenRouter knows about one answered request."""

    id: str
    created: int  # Unix seconds
    api: str  # chat | completions | embeddings | responses
    route: Route
    scenario: Scenario
    tokens: Tokens
    bill: Bill
    finish_reason: str
    text: str
    tool: str | None = None  # the function that the answer calls, in place of a text
    streamed: bool = False
    user: str | None = None

    @property
    def model(self) -> str:
        """The model served, under the name that the response carries."""
        model = self.route.model
        return model.slug if self.scenario.dated else model.id

    def entry(self) -> dict[str, Any]:
        """The generation as one JSON object of GET /fake/ledger; money as decimal strings."""
        return {
            "id": self.id,
            "label": self.scenario.label,
            "api": self.api,
            "model_requested": self.route.requested,
            "model": self.model,
            "provider": self.route.provider,
            "prompt_tokens": self.tokens.prompt,
            "completion_tokens": self.tokens.completion,
            "cached_tokens": self.tokens.cached,
            "cache_write_tokens": self.tokens.cache_write,
            "audio_tokens": self.tokens.audio,
            "reasoning_tokens": self.tokens.reasoning,
            "is_byok": self.bill.is_byok,
            "cost": str(self.bill.cost),
            "upstream_cost": str(self.bill.upstream),
            "total": str(self.bill.total),
        }


class Ledger:
    """The billed generations in the order of their requests. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generations: dict[str, Generation] = {}
        self._lookups: Counter[str] = Counter()

    def add(self, generation: Generation) -> None:
        """Book one generation."""
        with self._lock:
            self._generations[generation.id] = generation

    def get(self, generation_id: str) -> Generation | None:
        """Find a generation by its id."""
        with self._lock:
            return self._generations.get(generation_id)

    def look_up(self, generation_id: str) -> Generation | None:
        """As `get`, for GET /generation: what was just made is not found at once."""
        with self._lock:
            generation = self._generations.get(generation_id)
            self._lookups[generation_id] += 1
            if generation and self._lookups[generation_id] <= generation.scenario.late_lookups:
                return None
            return generation

    def generations(self) -> tuple[Generation, ...]:
        """All generations, oldest first."""
        with self._lock:
            return tuple(self._generations.values())

    @property
    def billed(self) -> Decimal:
        """What all calls cost their caller, BYOK charges of the providers included, in USD."""
        return sum((generation.bill.total for generation in self.generations()), Decimal(0))
