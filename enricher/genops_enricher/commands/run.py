"""`genops-enricher run`: the service, from start to a signal to stop.

| signal | |
|---|---|
| SIGTERM, SIGINT | drain and stop; during the start as soon as it has started |
| the second one | end the process at once; acknowledged requests are on disk |
| SIGHUP | read configuration and overlays again |
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path

from genops_enricher.commands.signals import SIGNALS, hold_signals, release_stop_signals
from genops_enricher.life.reload import Reloader
from genops_enricher.life.service import Service
from genops_enricher.life.sources import read_sources
from genops_enricher.telemetry.logs import set_up_logging
from genops_enricher.workers.supervisor import Supervisor, is_needed

__all__ = ["run"]

_log = logging.getLogger(__name__)


def run(path: Path | None) -> None:
    """Run until SIGTERM or SIGINT.

    Args:
        path: the configuration file; None: the OTEL_EXPORTER_OTLP_* variables.

    Raises:
        ConfigError: the configuration is wrong.
        CatalogError: an overlay is wrong.
        StartError: the service can't run here.
    """
    hold_signals()
    running = _Running(path)
    running.start()
    while (number := signal.sigwait(SIGNALS)) == signal.SIGHUP:
        running.reload()
    release_stop_signals()
    running.stop(signal.Signals(number).name)


class _Running:
    """The service, started in a thread, so that signals are heard meanwhile."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._reloader: Reloader | None = None
        self._service: Service | Supervisor | None = None
        self._error: BaseException | None = None
        self._asked = False
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._start, name="start", daemon=True)

    def start(self) -> None:
        """Begin to start. If that fails, a SIGTERM of our own ends the wait for one."""
        self._thread.start()

    def reload(self) -> None:
        """Read the files again, once the service has started."""
        with self._lock:
            self._asked = True
            if self._reloader is not None:
                self._reloader.request()

    def stop(self, why: str) -> None:
        """Drain and stop, or raise why the service did not start."""
        self._stopping.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._service is None or self._reloader is None:
            _log.info("%s: stopped before the start", why)
            return
        self._reloader.stop()
        self._service.stop(why)

    def _start(self) -> None:
        try:
            candidate = read_sources(self._path, os.environ)
            config = candidate.loaded.config
            set_up_logging(config.service.log_level, config.service.log_encoding)
            if candidate.loaded.warnings:
                _log.warning("%s", "\n".join(candidate.loaded.warnings))
            if self._stopping.is_set():
                return
            service: Service | Supervisor
            if is_needed(config):
                service = Supervisor(config, candidate.catalog)
            else:
                service = Service(config, candidate.catalog)
            reloader = Reloader(service, self._path, os.environ, candidate)
            service.start()
            reloader.start()
            self._service = service
            with self._lock:
                self._reloader = reloader
                if self._asked:
                    reloader.request()
        except BaseException as error:  # noqa: BLE001 - raised again by `stop`
            self._error = error
            if not self._stopping.is_set():
                os.kill(os.getpid(), signal.SIGTERM)
