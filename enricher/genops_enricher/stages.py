"""Makes the stages between the receivers and the destinations, and starts and stops them as one.

Built from the end of the pipeline to its beginning, because each stage gets its next one in its
constructor, and started in that order too, so that nothing is received that can't be kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack

from genops_enricher.config.model import Config
from genops_enricher.decode.pass_through import PassThrough
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import EnrichStage
from genops_enricher.export import Exporter, build_exporter
from genops_enricher.kept import Kept
from genops_enricher.pipeline import Intake, Signal
from genops_enricher.queue import DurableQueue
from genops_enricher.redact import Redactor, redacting
from genops_enricher.telemetry import Telemetry
from genops_pricing import Catalog

__all__ = ["Stages"]

_log = logging.getLogger(__name__)


class Stages:
    """The pipelines of one configuration, from `start` to `stop`. Each is called once."""

    def __init__(self, config: Config, catalog: Catalog, kept: Kept, telemetry: Telemetry) -> None:
        """Touches no disk."""
        self._config = config
        self._kept = kept
        self._telemetry = telemetry
        self._queues = {
            signal: DurableQueue(
                config.service.data_dir / signal,
                signal,
                {name: config.exporters[name].queue for name in exporters},
                telemetry,
            )
            for signal, exporters in config.pipelines.items()
        }
        self._exporters: list[tuple[str, Exporter]] = []  # of an opened queue, so made by `start`
        self._redactor = Redactor.of(config.enrichment.redaction)
        self._enriching: EnrichStage | None = None
        self.intakes: Mapping[Signal, Intake] = {
            signal: self._intake(signal, catalog) for signal in self._queues
        }
        """The first stage of each signal that has a pipeline."""
        self._to_stop = ExitStack()  # what was started, to be stopped last first
        self._deadline_s = 0.0  # monotonic clock; set when stopping begins
        self._may_drain = True

    def start(self) -> None:
        """Start everything, or nothing.

        Raises:
            StartError: a queue folder or a TLS file can't be used.
        """
        data_dir = self._config.service.data_dir
        with ExitStack() as started:
            for queue in self._queues.values():
                queue.open()
                started.callback(queue.close)
            started.callback(self._stop_exporters)
            for signal, names in self._config.pipelines.items():
                for name in names:
                    exporter = build_exporter(
                        self._config.exporters[name],
                        signal,
                        self._queues[signal].reader(name),
                        data_dir,
                        self._telemetry,
                    )
                    self._exporters.append((f"{name} ({signal})", exporter))
            for _, exporter in self._exporters:
                exporter.start()
            started.callback(self._drain)
            enrichment = self._config.enrichment
            if enrichment.metrics.export_interval_s is not None:
                reporter = self._kept.reporter(enrichment, self._queues[Signal.METRICS])
                reporter.start()
                started.callback(reporter.stop)
            self._to_stop = started.pop_all()

    def swap(self, config: Config, catalog: Catalog) -> None:
        """Price from the next request on as `config` says; nothing else of it may be different."""
        if self._enriching is not None:
            enrichment = config.enrichment
            self._kept.drift(enrichment.drift_tolerance)
            self._enriching.swap(
                _enricher(config, catalog),
                duplicates=self._kept.duplicates(enrichment.dedupe),
                orphans=self._kept.orphans(enrichment),
            )

    def stop(self, timeout_s: float, *, drain: bool) -> None:
        """Stop within `timeout_s` seconds; what is not delivered then stays on disk.

        Args:
            timeout_s: for everything together.
            drain: deliver what is queued first, as far as there is time for it. Else only attempts
                under way are waited for.
        """
        self._may_drain = drain
        self._deadline_s = time.monotonic() + timeout_s
        self._to_stop.close()

    def retire(self, config: Config) -> None:
        """Close the books of exporters that `config` has no more. Called after `stop`."""
        for signal, names in self._config.pipelines.items():
            for name in names:
                if name in config.pipelines.get(signal, ()):
                    continue
                labels = {"exporter": name, "signal": signal.value}
                if items := self._queues[signal].reader(name).queued_items:
                    _log.warning(
                        "%s (%s) is no longer configured; %d items that it had not delivered are "
                        "given up",
                        name,
                        signal,
                        items,
                    )
                    self._telemetry.add(
                        "genops_exporter_dropped_items_total",
                        items,
                        reason="exporter_removed",
                        **labels,
                    )
                for gauge in _QUEUE_GAUGES:
                    self._telemetry.unwatch(gauge, **labels)

    def degraded(self) -> list[str]:
        """A sentence for each exporter whose destination refuses us."""
        states = [(name, exporter.status()) for name, exporter in self._exporters]
        return [
            f"{name}: {reason}. Correct that, or the endpoint, headers or TLS settings of this "
            "exporter; what waits is kept"
            for name, (well, reason) in states
            if not well
        ]

    def _intake(self, signal: Signal, catalog: Catalog) -> Intake:
        queue = redacting(self._queues[signal], self._redactor, self._telemetry)
        if signal is not Signal.TRACES:
            return PassThrough(signal, queue, self._telemetry)
        enrichment = self._config.enrichment
        self._enriching = EnrichStage(
            _enricher(self._config, catalog),
            queue,
            self._telemetry,
            self._kept.ledger(enrichment),
            duplicates=self._kept.duplicates(enrichment.dedupe),
            orphans=self._kept.orphans(enrichment),
            drift=self._kept.drift(enrichment.drift_tolerance),
            redact_label=self._redactor.label if self._redactor is not None else None,
        )
        return self._enriching

    def _stop_exporters(self) -> None:
        """Stop all at once: a destination that hangs must not use up the time of the others."""
        stops = [
            threading.Thread(target=exporter.stop, args=(self._remaining_s(),))
            for _, exporter in self._exporters
        ]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()

    def _drain(self) -> None:
        """Wait until everything is delivered, as long as there is time, and say what is left."""
        if not self._may_drain:
            return
        for _, exporter in self._exporters:
            exporter.flush(self._remaining_s())
        for signal, queue in self._queues.items():
            for name in self._config.pipelines[signal]:
                if items := queue.reader(name).queued_items:
                    _log.warning(
                        "%s (%s): %d items are not delivered yet; they are kept in %s and go out "
                        "after the next start",
                        name,
                        signal,
                        items,
                        self._config.service.data_dir,
                    )

    def _remaining_s(self) -> float:
        return max(self._deadline_s - time.monotonic(), 0.0)


_QUEUE_GAUGES = (
    "genops_exporter_queued_items",
    "genops_exporter_queue_bytes",
    "genops_exporter_queue_capacity_bytes",
)


def _enricher(config: Config, catalog: Catalog) -> Enricher:
    enrichment = config.enrichment
    return Enricher(
        catalog, enrichment.attribution, enrichment.vocabularies, enrichment.metrics.labels
    )
