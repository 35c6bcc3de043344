"""The life of the service: from start to stop, with the configurations in between.

    start   data folder, then all parts; then: ready
    apply   what a new configuration changes is made, and takes the place of what runs; if it can't,
            that runs again; the rest goes on
    stop    draining, then all parts, data folder

What the parts are, and in which order they start and stop, is decided in `parts`, how stages are
joined in `stages`, which settings concern which part in `changes`, and when there is something to
apply in `reload`.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version

from google.protobuf.internal import api_implementation

from genops_enricher.config.model import Config
from genops_enricher.errors import StartError
from genops_enricher.host.data_dir import DataDir
from genops_enricher.host.memory import MemoryGuard
from genops_enricher.life.changes import Part, changed_parts
from genops_enricher.life.health import Health
from genops_enricher.life.parts import GRACE_S, Parts
from genops_enricher.life.prices import Prices
from genops_enricher.telemetry import Telemetry
from genops_pricing import Catalog

__all__ = ["Service"]

_log = logging.getLogger(__name__)

_AGAIN_S = 1.0


class Service:
    """One enricher. `start` and `stop` are called once each; `apply` may come from any thread."""

    def __init__(self, config: Config, catalog: Catalog, *, supervised: bool = False) -> None:
        """Touches no disk and opens no port.

        Args:
            config: what to run.
            catalog: the prices.
            supervised: one of several, see `workers`: others listen on the same ports, the folder
                is locked by whoever started them all, and that one serves the health pages.
        """
        self._config = config
        self._catalog = catalog
        self.telemetry = Telemetry()
        self.health = Health(self._degraded)
        self.reasons: list[Callable[[], list[str]]] = []
        """What else gives a sentence for everything that a person should act on."""
        self._memory = MemoryGuard(self.telemetry)
        self._prices = Prices(self.telemetry)
        self._data_dir = DataDir(config.service.data_dir, lock=not supervised)
        self._parts = Parts(self.telemetry, self.health, self._memory.admit, supervised=supervised)
        self._lock = threading.Lock()  # held while parts are started, replaced or stopped
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start everything, or nothing.

        Raises:
            StartError: a port is taken, the data folder is in use or can't be written, a TLS file
                can't be used.
        """
        with self._lock, ExitStack() as started:
            self._data_dir.open()
            started.callback(self._data_dir.close)
            self._parts.start(self._parts.make(frozenset(Part), self._config, self._catalog))
            started.pop_all()
            self.telemetry.set("genops_process_start_time_seconds", time.time())
            self._describe()
            self.health.ready()
        _log.info(
            "ready: %s, catalog %s, data in %s",
            self._parts.listening(),
            self._catalog.version,
            self._data_dir.path,
        )

    def apply(self, config: Config, catalog: Catalog) -> frozenset[Part]:
        """Run with another configuration and catalog, or go on as before.

        Returns:
            The parts that were replaced.

        Raises:
            StartError: a part can't be made or started with it; those of before go on.
        """
        with self._lock:
            if self._stopping.is_set():
                return frozenset()
            if parts := changed_parts(self._config, config):
                self._replace(parts, config, catalog)
            if self._parts.stages is not None and Part.PIPELINES not in parts:
                self._parts.stages.swap(config, catalog)
            self._config, self._catalog = config, catalog
            self._describe()
            return parts

    def stop(self, why: str) -> None:
        """Stop in order within `service.shutdown_timeout`. What is not delivered stays on disk."""
        self._stopping.set()
        self.health.draining()
        timeout_s = self._config.service.shutdown_timeout_s
        deadline_s = time.monotonic() + timeout_s
        _log.info("%s: stopping; what is queued is delivered for up to %g s", why, timeout_s)
        with self._lock, ExitStack() as last:
            last.callback(self._data_dir.close)
            left_s = max(deadline_s - time.monotonic(), 0.0)
            self._parts.stop(frozenset(Part), left_s, drain=True)
        _log.info("stopped")

    def _replace(self, parts: frozenset[Part], config: Config, catalog: Catalog) -> None:
        made = self._parts.make(parts, config, catalog)
        before = self._parts.stages
        self.health.reloading()
        try:
            try:
                receivers = parts & {Part.RECEIVERS}
                with ExitStack() as then:  # also where the receivers do not stop in order
                    then.callback(self._parts.stop, parts - receivers, GRACE_S)
                    self._parts.stop(receivers, GRACE_S)
                # Parts and their threads hold each other: they would stay until Python happens to
                # look. It takes some tens of milliseconds, and senders wait anyway.
                gc.collect()
                self._parts.start(made)
            except Exception:
                self._start_again(parts)
                raise
            if before is not None and Part.PIPELINES in parts:
                before.retire(config)
            _log.info("listening: %s", self._parts.listening())
        finally:
            if not self._stopping.is_set():
                self.health.ready()

    def _start_again(self, parts: frozenset[Part]) -> None:
        """Start the parts as they were, however long what they need stays taken."""
        while not self._stopping.is_set():
            try:
                self._parts.start(self._parts.make(parts, self._config, self._catalog))
            except Exception as error:  # noqa: BLE001 - whatever it was, nothing runs without them
                _log.error(
                    "what ran before the reload can't start: %s; trying again",
                    error,
                    exc_info=not isinstance(error, StartError),
                )
                self._stopping.wait(_AGAIN_S)
            else:
                return

    def _degraded(self) -> list[str]:
        stages = self._parts.stages
        reasons = (stages.degraded() if stages else []) + self._memory.degraded()
        reasons += self._prices.degraded()
        return reasons + [reason for more in self.reasons for reason in more()]

    def _describe(self) -> None:
        """Record what runs, and warn of what should not be."""
        self._memory.set_limit(self._config.service.memory_limit_bytes)
        self._prices.use(self._catalog, self._config.enrichment.catalog.max_age_s)
        self.telemetry.set("genops_build_info", 1, version=version("genops-ai"))
        if api_implementation.Type() != "upb":
            _log.warning(
                "protobuf runs on its %r implementation, many times slower than upb; "
                "install a protobuf wheel for this platform",
                api_implementation.Type(),
            )
