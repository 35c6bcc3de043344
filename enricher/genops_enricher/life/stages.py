"""Makes the stages between the receivers and the destinations, and starts and stops them as one.

Built from the end of the pipeline to its beginning, because each stage gets its next one in its
constructor, and started in that order too, so that nothing is received that can't be kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from genops_enricher.config.model import Config, Storage
from genops_enricher.decode.pass_through import PassThrough
from genops_enricher.enrich.enricher import Enricher
from genops_enricher.enrich.stage import EnrichStage
from genops_enricher.export import (
    AttemptTracer,
    DirectExporter,
    Exporter,
    build_direct_exporter,
    build_exporter,
    build_sender,
)
from genops_enricher.life.kept import Kept
from genops_enricher.pipeline import Consumer, Intake, Signal
from genops_enricher.queue import SignalQueue, give_up, lose_memory, warn_if_left
from genops_enricher.redact import Redactor, redacting
from genops_enricher.telemetry import Telemetry
from genops_pricing import Catalog

if TYPE_CHECKING:  # loads the OpenTelemetry SDK
    from genops_enricher.tracing.around import Tracing

__all__ = ["Stages"]

_log = logging.getLogger(__name__)

# A queue takes the last report of costs in milliseconds.
_REPORT_S_MIN, _REPORT_S_MAX = 0.5, 2.0


class Stages:
    """The pipelines of one configuration, from `start` to `stop`. Each is called once."""

    def __init__(
        self,
        config: Config,
        catalog: Catalog,
        kept: Kept,
        telemetry: Telemetry,
        tracing: Tracing | None = None,
    ) -> None:
        """Read the TLS files; no queue is touched. With `tracing` it is put around the stages.

        Raises:
            StartError: a TLS file can't be used.
        """
        self._tracing = tracing
        self._config = config
        self._kept = kept
        self._telemetry = telemetry
        self._queues = {
            signal: SignalQueue(
                config.service.data_dir / signal,
                signal,
                {name: config.exporters[name].queue for name in exporters},
                telemetry,
                memory=kept.memory(signal),
            )
            for signal, exporters in config.pipelines.items()
            if not self._is_direct(signal)
        }
        self._direct = {  # of signals without a queue
            signal: build_direct_exporter(
                config.exporters[exporters[0]],
                signal,
                telemetry,
                self._attempt_tracer(exporters[0], signal),
            )
            for signal, exporters in config.pipelines.items()
            if self._is_direct(signal)
        }
        self._senders = {  # to what has a queue
            (name, signal): build_sender(config.exporters[name], signal, telemetry)
            for signal in self._queues
            for name in config.pipelines[signal]
        }
        # Those of an opened queue, which `start` makes, and the direct ones.
        self._exporters: list[tuple[str, Exporter | DirectExporter]] = []
        self._redactor = Redactor.of(config.enrichment.redaction)
        self._enriching: EnrichStage | None = None
        self.intakes: Mapping[Signal, Intake] = {
            signal: self._traced_intake(signal, catalog) for signal in config.pipelines
        }
        """The first stage of each signal that has a pipeline."""
        self._to_stop = ExitStack()  # what was started, to be stopped last first
        self._deadline_s = 0.0  # monotonic clock; set when stopping begins
        self._may_drain = False

    def start(self) -> None:
        """Start everything, or nothing.

        Raises:
            StartError: a queue folder can't be used.
        """
        data_dir = self._config.service.data_dir
        with ExitStack() as started:
            for queue in self._queues.values():
                queue.open()
                started.callback(self._close, queue)
            started.callback(self._stop_exporters)
            for signal in set(Signal) - set(self._queues):
                warn_if_left(data_dir / signal, signal)
            for signal, direct in self._direct.items():
                name = self._config.pipelines[signal][0]
                lose_memory(self._kept.memory(signal), name, signal, self._telemetry)
                give_up(name, signal, self._telemetry)
                self._exporters.append((f"{name} ({signal})", direct))
            for signal, queue in self._queues.items():
                for name in self._config.pipelines[signal]:
                    exporter = build_exporter(
                        self._config.exporters[name],
                        signal,
                        queue.reader(name),
                        data_dir,
                        self._telemetry,
                        self._attempt_tracer(name, signal),
                        self._senders[name, signal],
                    )
                    self._exporters.append((f"{name} ({signal})", exporter))
            for _, each in self._exporters:
                each.start()
            started.callback(self._drain)
            enrichment = self._config.enrichment
            if enrichment.metrics.export_interval_s is not None:
                reporter = self._kept.reporter(enrichment, self._next(Signal.METRICS))
                reporter.start()
                started.callback(lambda: reporter.stop(self._report_s()))
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
                if items := give_up(name, signal, self._telemetry):
                    _log.warning(
                        "%s (%s) is no longer configured; %d items that it had not delivered are "
                        "given up",
                        name,
                        signal,
                        items,
                    )
                self._kept.memory(signal).lose(name)

    def degraded(self) -> list[str]:
        """A sentence for each exporter whose destination refuses us, and each queue in trouble."""
        states = [(name, exporter.status()) for name, exporter in self._exporters]
        reasons = [f"{name}: {reason}" for name, (well, reason) in states if not well]
        for queue in self._queues.values():
            reasons += queue.troubles()
        return reasons

    def _is_direct(self, signal: Signal) -> bool:
        """Whether there is no queue; then there is one exporter."""
        exporters = self._config.exporters
        names = self._config.pipelines[signal]
        return any(exporters[name].queue.storage is Storage.NONE for name in names)

    def _next(self, signal: Signal) -> Consumer:
        """What takes the requests that have passed the intake."""
        return self._direct.get(signal) or self._queues[signal]

    def _attempt_tracer(self, exporter: str, signal: Signal) -> AttemptTracer | None:
        if self._tracing is None:
            return None
        return self._tracing.attempts(self._config.exporters[exporter], signal)

    def _traced_intake(self, signal: Signal, catalog: Catalog) -> Intake:
        intake = self._intake(signal, catalog)
        return self._tracing.around_intake(intake, signal) if self._tracing else intake

    def _intake(self, signal: Signal, catalog: Catalog) -> Intake:
        last = self._next(signal)
        if self._tracing is not None and signal in self._queues:
            last = self._tracing.around_queue(last)
        queue = redacting(last, self._redactor, self._telemetry)
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

    def _close(self, queue: SignalQueue) -> None:
        """What is in memory is lost at the end of the process, and not at a reload."""
        queue.close(lose_memory=self._may_drain)

    def _stop_exporters(self) -> None:
        self._at_once(lambda exporter: exporter.stop(self._remaining_s()))

    def _at_once(self, work: Callable[[Exporter | DirectExporter], object]) -> None:
        """Do it with all exporters: one that hangs must not use up the time of the others."""
        threads = [
            threading.Thread(target=work, args=(exporter,)) for _, exporter in self._exporters
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _drain(self) -> None:
        """Wait until everything is delivered, as long as there is time, and say what is left."""
        if not self._may_drain:
            return
        self._at_once(lambda exporter: exporter.flush(self._remaining_s()))
        for signal, queue in self._queues.items():
            for name in self._config.pipelines[signal]:
                reader = queue.reader(name)
                if (items := reader.queued_items) and reader.keeps:
                    _log.warning(
                        "%s (%s): %d items are not delivered yet; they are kept in %s and go out "
                        "after the next start",
                        name,
                        signal,
                        items,
                        self._config.service.data_dir,
                    )

    def _report_s(self) -> float:
        """For the last report: a destination without a queue must not use up the time of all."""
        return max(min(self._remaining_s(), _REPORT_S_MAX), _REPORT_S_MIN)

    def _remaining_s(self) -> float:
        return max(self._deadline_s - time.monotonic(), 0.0)


def _enricher(config: Config, catalog: Catalog) -> Enricher:
    enrichment = config.enrichment
    return Enricher(
        catalog, enrichment.attribution, enrichment.vocabularies, enrichment.metrics.labels
    )
