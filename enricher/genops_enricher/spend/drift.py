"""Compare bills with the catalog: where a reported and a computed cost of one call differ.

The catalog audits itself: a price that changed, a fee it does not know or a count that an
instrumentation leaves out shows here first. What is billed stays the total in any case.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from genops_enricher.telemetry import Telemetry

__all__ = ["Audit", "Drift"]

_log = logging.getLogger(__name__)

_LEAST_USD = 1e-9  # less is rounding
_MODELS_MAX = 100
_OTHER = "other"


class Audit(NamedTuple):
    """The two costs of one call, in USD, and the model by the catalog's names."""

    market: str
    model: str
    billed: float  # for tokens and the like alone, without OpenRouter's fee on keys of one's own
    computed: float


class Drift:
    """Counts and logs what differs by more than a tolerance. Thread safe."""

    def __init__(self, tolerance: float, telemetry: Telemetry) -> None:
        """`tolerance` is a share of the larger of the two: 0.02 is 2 %."""
        self.tolerance = tolerance
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._spans: dict[tuple[str, str, str], int] = {}

    def audit(self, audits: Iterable[Audit]) -> None:
        """Count the calls of an accepted request. One that is sent again counts again."""
        for audit in audits:
            difference = audit.billed - audit.computed
            larger = max(audit.billed, audit.computed)
            if abs(difference) > max(self.tolerance * larger, _LEAST_USD):
                self._count(audit, "billed_more" if difference > 0 else "billed_less")

    def _count(self, audit: Audit, direction: str) -> None:
        key = audit.market, audit.model, direction
        with self._lock:
            if key not in self._spans and len(self._spans) >= _MODELS_MAX:
                key = _OTHER, _OTHER, direction
            spans = self._spans[key] = self._spans.get(key, 0) + 1
        labels = dict(zip(("market", "model", "direction"), key, strict=True))
        usd = abs(Decimal(audit.billed) - Decimal(audit.computed))
        self._telemetry.add("genops_pricing_drift_spans_total", **labels)
        self._telemetry.add("genops_pricing_drift_usd_total", usd, **labels)
        if str(spans).strip("0") == "1":  # the 1st, 10th, 100th…: a wrong price concerns every call
            _log.warning(
                "%s %s: a call was billed %.9g USD and is %.9g USD by the catalog; %d such calls "
                "so far. Update the catalog, or add an overlay for contract prices",
                audit.market,
                audit.model,
                audit.billed,
                audit.computed,
                spans,
            )
