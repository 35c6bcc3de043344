"""The composition root: makes the stages, joins them, and starts and stops them in order.

The only module that knows all the others. Built from the end of the pipeline to its beginning,
because each stage gets its next one in its constructor, and started in that order too, so that
nothing is received that can't be kept:

    start   data folder, queues, exporters, health pages, receivers; then: ready
    stop    draining, receivers, what is queued, exporters, queues, health pages, data folder
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version

from google.protobuf.internal import api_implementation

from genops_enricher.config.model import Config
from genops_enricher.data_dir import DataDir
from genops_enricher.decode.pass_through import PassThrough
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import EnrichStage
from genops_enricher.export import Exporter, build_exporter
from genops_enricher.health import Health, HealthServer, grpc_health
from genops_enricher.pipeline import Intake, Signal
from genops_enricher.queue import DurableQueue
from genops_enricher.receive.grpc_server import GrpcReceiver
from genops_enricher.receive.http_server import HttpReceiver
from genops_enricher.seen.duplicates import Duplicates
from genops_enricher.seen.orphans import Orphans
from genops_enricher.spend import Ledger, Reporter, SpendCollector
from genops_enricher.spend.drift import Drift
from genops_enricher.telemetry import Telemetry
from genops_pricing import Catalog

__all__ = ["Service"]

_log = logging.getLogger(__name__)


class Service:
    """One enricher. `start` and `stop` are called once each, by one thread."""

    def __init__(self, config: Config, catalog: Catalog) -> None:
        """Makes the stages; touches no disk and opens no port."""
        self._config = config
        self._catalog = catalog
        self.telemetry = Telemetry()
        self._ledger = Ledger(
            config.enrichment.metrics.labels, config.enrichment.metrics.max_series
        )
        self.telemetry.registry.register(SpendCollector(self._ledger))
        self.health = Health(self._degraded)
        self._data_dir = DataDir(config.service.data_dir)
        self._queues = {
            signal: DurableQueue(
                config.service.data_dir / signal,
                signal,
                {name: config.exporters[name].queue for name in exporters},
                self.telemetry,
            )
            for signal, exporters in config.pipelines.items()
        }
        self._exporters: list[tuple[str, Exporter]] = []  # of an opened queue, so made by `start`
        intakes = {signal: self._intake(signal) for signal in self._queues}
        self._receivers: dict[str, GrpcReceiver | HttpReceiver] = {}
        if config.receiver is not None:
            self._receivers["OTLP/gRPC"] = GrpcReceiver(
                config.receiver, intakes, self.telemetry, grpc_health(self.health)
            )
        if config.http_receiver is not None:
            self._receivers["OTLP/HTTP"] = HttpReceiver(
                config.http_receiver, intakes, self.telemetry
            )
        self._health_server = HealthServer(
            config.service.health_endpoint, self.health, self.telemetry
        )
        self._to_stop = ExitStack()  # what was started, to be stopped last first
        self._deadline_s = 0.0  # monotonic clock; set when stopping begins

    def start(self) -> None:
        """Start everything, or nothing.

        Raises:
            StartError: a port is taken, the data folder is in use or can't be written, a TLS file
                can't be used.
        """
        with ExitStack() as started:
            self._data_dir.open()
            started.callback(self._data_dir.close)
            self._health_server.start()
            started.callback(self._health_server.stop)
            for queue in self._queues.values():
                queue.open()
                started.callback(queue.close)
            for signal, names in self._config.pipelines.items():
                for name in names:
                    exporter = build_exporter(
                        self._config.exporters[name],
                        signal,
                        self._queues[signal].reader(name),
                        self._data_dir.path,
                        self.telemetry,
                    )
                    self._exporters.append((f"{name} ({signal})", exporter))
            started.callback(self._stop_exporters)
            for _, exporter in self._exporters:
                exporter.start()
            started.callback(self._drain)
            if reporter := self._reporter():
                reporter.start()
                started.callback(reporter.stop)
            started.callback(self._stop_receivers)
            for receiver in self._receivers.values():
                receiver.start()
            self._to_stop = started.pop_all()
        self._describe()
        self.health.ready()
        _log.info(
            "ready: %s, health and metrics on port %d, catalog %s, data in %s",
            ", ".join(f"{name} on port {r.port}" for name, r in self._receivers.items()),
            self._health_server.port,
            self._catalog.version,
            self._data_dir.path,
        )

    def stop(self) -> None:
        """Stop in order within `service.shutdown_timeout`. What is not delivered stays on disk."""
        self.health.draining()
        self._deadline_s = time.monotonic() + self._config.service.shutdown_timeout_s
        self._to_stop.close()
        _log.info("stopped")

    def _intake(self, signal: Signal) -> Intake:
        queue = self._queues[signal]
        if signal is not Signal.TRACES:
            return PassThrough(signal, queue, self.telemetry)
        enrichment = self._config.enrichment
        enricher = Enricher(
            self._catalog,
            enrichment.attribution,
            enrichment.vocabularies,
            enrichment.metrics.labels,
        )
        dedupe = enrichment.dedupe
        return EnrichStage(
            enricher,
            queue,
            self.telemetry,
            self._ledger,
            duplicates=Duplicates(dedupe.window_s, dedupe.max_ids) if dedupe.enabled else None,
            orphans=(
                Orphans(dedupe.window_s, dedupe.max_ids)
                if enrichment.price_orphan_aggregates
                else None
            ),
            drift=Drift(enrichment.drift_tolerance, self.telemetry),
        )

    def _reporter(self) -> Reporter | None:
        metrics = self._config.enrichment.metrics
        if metrics.export_interval_s is None:
            return None
        return Reporter(
            self._ledger,
            self._queues[Signal.METRICS],
            interval_s=metrics.export_interval_s,
            delta=metrics.delta,
            resource={
                "service.name": "genops-enricher",
                "service.version": version("genops-ai"),
                # Without it the sums of two replicas would be taken for one that jumps.
                "service.instance.id": str(uuid.uuid4()),
            },
        )

    def _stop_receivers(self) -> None:
        for receiver in self._receivers.values():
            receiver.stop(self._remaining_s())

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
                        self._data_dir.path,
                    )

    def _remaining_s(self) -> float:
        return max(self._deadline_s - time.monotonic(), 0.0)

    def _degraded(self) -> list[str]:
        states = [(name, exporter.status()) for name, exporter in self._exporters]
        return [f"{name}: {reason}" for name, (well, reason) in states if not well]

    def _describe(self) -> None:
        """Record what stays the same, and warn of what should not be."""
        telemetry, catalog = self.telemetry, self._catalog
        telemetry.set("genops_catalog_info", 1, version=catalog.version)
        telemetry.set("genops_build_info", 1, version=version("genops-ai"))
        telemetry.set("genops_process_start_time_seconds", time.time())

        def age_s() -> float:
            return (datetime.now(UTC) - catalog.released).total_seconds()

        telemetry.watch("genops_catalog_age_seconds", age_s)
        if age_s() > _OLD_CATALOG_S:
            _log.warning(
                "the price catalog %s is %d days old: prices may have changed; update genops-ai",
                catalog.version,
                age_s() // 86400,
            )
        if api_implementation.Type() != "upb":
            _log.warning(
                "protobuf runs on its %r implementation, many times slower than upb; "
                "install a protobuf wheel for this platform",
                api_implementation.Type(),
            )


_OLD_CATALOG_S = 60 * 86400
"""Model prices on OpenRouter change within weeks; two months without a release is old."""
