"""What outlives a change of the configuration: what was seen, summed, and waits in memory.

A reload must not price a call twice, nor let a sum go back. What can go on under the new settings
goes on; sums by other labels are other sums, and begin anew with a start time of their own. So do
they where other labels are redacted: what was summed before may name whom no page may name now.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from importlib.metadata import version

from genops_enricher.config.model import DedupeConfig, EnrichmentConfig, RedactionConfig
from genops_enricher.pipeline import Consumer, Signal
from genops_enricher.queue import MemoryStore
from genops_enricher.seen.duplicates import Duplicates
from genops_enricher.seen.orphans import Orphans
from genops_enricher.spend import Ledger, Reporter, SpendCollector
from genops_enricher.spend.drift import Drift
from genops_enricher.telemetry import Telemetry

__all__ = ["Kept"]


class Kept:
    """Gives each configuration what the one before it knew. Used by one thread at a time."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._duplicates: Duplicates | None = None
        self._orphans: Orphans | None = None
        self._drift: Drift | None = None
        self._memory: dict[Signal, MemoryStore] = {}
        self._sums: dict[_By, _Sums] = {}
        self._shown: _Sums | None = None
        self.resource = {
            "service.name": "genops-enricher",
            "service.version": version("genops-ai"),
            # Without it the sums of two replicas would be taken for one that jumps.
            "service.instance.id": str(uuid.uuid4()),
        }
        """Who this process is, in metrics and spans."""

    def memory(self, signal: Signal) -> MemoryStore:
        """What waits in memory for the exporters of a signal."""
        return self._memory.setdefault(signal, MemoryStore())

    def duplicates(self, config: DedupeConfig) -> Duplicates | None:
        """Which calls have a cost already; None where nobody wants to know."""
        if not config.enabled:
            return None
        if self._duplicates is None:
            self._duplicates = Duplicates(config.window_s, config.max_ids)
        self._duplicates.limit(config.window_s, config.max_ids)
        return self._duplicates

    def orphans(self, config: EnrichmentConfig) -> Orphans | None:
        """Which traces have calls; None where nobody wants to know."""
        if not config.price_orphan_aggregates:
            return None
        dedupe = config.dedupe
        if self._orphans is None:
            self._orphans = Orphans(dedupe.window_s, dedupe.max_ids)
        self._orphans.limit(dedupe.window_s, dedupe.max_ids)
        return self._orphans

    def drift(self, tolerance: float) -> Drift:
        """What compares bills with the catalog."""
        if self._drift is None:
            self._drift = Drift(tolerance, self._telemetry)
        self._drift.tolerance = tolerance
        return self._drift

    def ledger(self, config: EnrichmentConfig) -> Ledger:
        """The sums by these labels, which are then on the metrics page as well."""
        sums = self._sums_by(config)
        if sums is not self._shown:
            if self._shown is not None:
                self._telemetry.registry.unregister(self._shown.page)
            self._telemetry.registry.register(sums.page)
            self._shown = sums
        sums.ledger.max_series = config.metrics.max_series
        return sums.ledger

    def reporter(self, config: EnrichmentConfig, next_consumer: Consumer) -> Reporter:
        """What sends the sums on, from where the last one ended."""
        metrics = config.metrics
        if metrics.export_interval_s is None:
            raise ValueError("no interval is set")
        sums = self._sums_by(config)
        sums.reporter = Reporter(
            sums.ledger,
            next_consumer,
            interval_s=metrics.export_interval_s,
            delta=metrics.delta,
            resource=self.resource,
            start_ns=sums.start_ns,
            after=sums.reporter,
        )
        return sums.reporter

    def _sums_by(self, config: EnrichmentConfig) -> _Sums:
        by = config.metrics.labels, config.redaction
        if by not in self._sums:
            ledger = Ledger(config.metrics.labels, 2)
            self._sums[by] = _Sums(ledger, SpendCollector(ledger), time.time_ns())
        return self._sums[by]


_By = tuple[tuple[str, ...], RedactionConfig]
"""The labels, and what is redacted of their values."""


@dataclass(slots=True)
class _Sums:
    """The sums by some labels. They are kept for the case that these labels come back."""

    ledger: Ledger
    page: SpendCollector
    start_ns: int
    reporter: Reporter | None = None
