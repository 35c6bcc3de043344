"""Runs several workers as one service: one set of ports, one data folder, one page.

    start   data folder, ports, health pages, workers; once all are ready: ready
    apply   one worker after the other, so that the others go on; if one can't, all go back
    stop    all workers at once, then health pages, ports, data folder

Spans never pass through here. When this process ends, its workers do too: see `worker`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version

from genops_enricher.config.model import Config
from genops_enricher.errors import EnricherError, StartError
from genops_enricher.host.data_dir import DataDir
from genops_enricher.life.changes import Part, changed_parts
from genops_enricher.life.health import Health
from genops_enricher.life.health_pages import HealthServer
from genops_enricher.telemetry import Telemetry
from genops_enricher.workers.folders import folder_of, left_behind
from genops_enricher.workers.numbers import Numbers
from genops_enricher.workers.orders import Sources
from genops_enricher.workers.ports import Ports
from genops_enricher.workers.slot import Slot
from genops_pricing import Catalog

__all__ = ["Supervisor", "is_needed"]

_log = logging.getLogger(__name__)

_GRPC = "receivers.otlp.protocols.grpc.endpoint"
_HTTP = "receivers.otlp.protocols.http.endpoint"
# A connection stays with its worker for as long as it lasts. So, unless the configuration says
# otherwise, they are ended now and then in the way that HTTP/2 has for it, and spread anew; else
# all would stay away from a worker that was started again.
_CONNECTION_AGE_S = 300.0
_EMPTY_S = 0.5  # how often it is looked whether what was left behind is delivered


def is_needed(config: Config) -> bool:
    """Whether it takes more than one process: for the workers, or for what earlier ones left."""
    service = config.service
    try:
        return service.workers > 1 or bool(left_behind(service.data_dir, service.workers))
    except OSError:
        return False  # the service says what is wrong with the folder


class Supervisor:
    """One enricher of several processes, used as a `Service` is."""

    def __init__(self, config: Config, catalog: Catalog) -> None:
        """Touches no disk, opens no port and starts no process."""
        self._config = config
        self._catalog = catalog
        self.telemetry = Telemetry()
        self.health = Health(self._degraded)
        self.reasons: list[Callable[[], list[str]]] = []
        """What else gives a sentence for everything that a person should act on."""
        self._data_dir = DataDir(config.service.data_dir)
        self._ports = Ports()
        self._slots: list[Slot] = []  # the workers
        self._adopting: list[Slot] = []  # those that only deliver what is in folders of others
        self._numbers = Numbers(self.telemetry, lambda: [*self._slots, *self._adopting])
        self._health_server: HealthServer | None = None
        self._lock = threading.Lock()  # held while workers are started, changed or stopped
        self._started = False
        self._stopping = threading.Event()
        self._adoption = threading.Thread(target=self._adopt, name="adoption", daemon=True)

    def start(self) -> None:
        """Start everything, or nothing.

        Raises:
            StartError: a port is taken, the data folder is in use or can't be written, a worker
                can't be started.
        """
        config = self._config
        workers = config.service.workers
        with self._lock, ExitStack() as started:
            self._data_dir.open()
            started.callback(self._data_dir.close)
            self._ports.keep(_addresses(config))
            started.callback(self._ports.keep_only, {})
            self._health_server = self._serve_health(config)
            started.callback(self._health_server.stop)
            inherited = [self._data_dir.descriptor]
            self._slots = [Slot(n, inherited, self._follow) for n in range(1, workers + 1)]
            self._adopting = [
                Slot(number, inherited) for number in left_behind(self._data_dir.path, workers)
            ]
            started.callback(self._stop_workers, "not started", 0)
            self._begin()
            started.pop_all()
            self.telemetry.set("genops_process_start_time_seconds", time.time())
            self.telemetry.set("genops_build_info", 1, version=version("genops-ai"))
            self._started = True
            self._follow()
            self._adoption.start()
        _log.info(
            "ready: %d workers on %s, health and metrics on port %d, catalog %s, data in %s",
            workers,
            ", ".join(self._ports.keep(_addresses(config)).values()),
            self._health_server.port,
            self._catalog.version,
            self._data_dir.path,
        )

    def apply(self, config: Config, catalog: Catalog) -> frozenset[Part]:
        """Let all workers run with another configuration and catalog, or none.

        Returns:
            The parts that were replaced.

        Raises:
            StartError: a part can't be started with it; those of before run again.
        """
        with self._lock:
            if self._stopping.is_set():
                return frozenset()
            parts = changed_parts(self._config, config)
            with ExitStack() as undo:
                undo.callback(lambda: self._ports.keep_only(_addresses(self._config)))
                self._ports.keep(_addresses(config))
                health = self._health_server
                if Part.HEALTH in parts and health is not None:
                    health.stop()  # before: the new one may want the same port of another host
                    undo.callback(health.start)
                    health = self._serve_health(config)
                    undo.callback(health.stop)
                for slot in [*self._slots, *self._adopting]:
                    if slot.finished or self._stopping.is_set():
                        continue
                    slot.apply(self._sources(slot, config, catalog))
                    undo.callback(self._go_back, slot)
                undo.pop_all()
            self._config, self._catalog = config, catalog
            self._ports.keep_only(_addresses(config))
            self._health_server = health
            return parts

    def stop(self, why: str) -> None:
        """Stop in order within `service.shutdown_timeout`. What is not delivered stays on disk.

        Raises:
            EnricherError: a worker did not end by itself, or not well.
        """
        self._stopping.set()
        self.health.draining()
        timeout_s = self._config.service.shutdown_timeout_s
        _log.info("%s: stopping; what is queued is delivered for up to %g s", why, timeout_s)
        with self._lock:
            troubles = self._stop_workers(why, timeout_s)
            if self._health_server is not None:
                self._health_server.stop()
            self._ports.keep_only({})
            self._data_dir.close()
        if troubles:
            raise EnricherError(
                f"stopped, but not in order: {'; '.join(troubles)}. What was acknowledged is on "
                "disk"
            )
        _log.info("stopped")

    def _begin(self) -> None:
        """Start all workers at once; StartError if one can't be."""
        slots = [*self._slots, *self._adopting]
        for slot in self._adopting:
            _log.info(
                "%s holds requests of a worker that is no more; they are delivered from there",
                folder_of(self._data_dir.path, slot.number),
            )
        with ThreadPoolExecutor(len(slots)) as pool:
            begun = [
                pool.submit(slot.begin, self._sources(slot, self._config, self._catalog))
                for slot in slots
            ]
        for each in begun:
            each.result()

    def _stop_workers(self, why: str, timeout_s: float) -> list[str]:
        slots = [slot for slot in [*self._slots, *self._adopting] if not slot.finished]
        with ThreadPoolExecutor(max(len(slots), 1)) as pool:
            return [
                trouble for trouble in pool.map(lambda s: s.stop(why, timeout_s), slots) if trouble
            ]

    def _adopt(self) -> None:
        """End each worker that only delivers, once it has nothing left."""
        while not self._stopping.wait(_EMPTY_S):
            waiting = [slot for slot in self._adopting if not slot.finished]
            if not waiting:
                return
            for slot in waiting:
                slot.look()
                with self._lock:
                    if self._stopping.is_set() or not slot.is_empty():
                        continue
                    trouble = slot.stop("delivered", self._config.service.shutdown_timeout_s)
                    slot.finished = True
                    self._say_what_is_left(slot, trouble)

    def _say_what_is_left(self, slot: Slot, trouble: str) -> None:
        where = folder_of(self._data_dir.path, slot.number)
        if slot.number in left_behind(self._data_dir.path, len(self._slots)):
            _log.warning(
                "%s holds requests of signals that have no pipeline, or no durable queue, any "
                "more. Give them one and restart to deliver them, or remove the folder",
                where,
            )
        else:
            _log.info("what was in %s is delivered%s", where, trouble and f"; {trouble}")

    def _go_back(self, slot: Slot) -> None:
        try:
            slot.apply(self._sources(slot, self._config, self._catalog))
        except StartError as error:
            _log.error("worker %d can't go back to what ran before: %s", slot.number, error)

    def _sources(self, slot: Slot, config: Config, catalog: Catalog) -> Sources:
        receives = slot in self._slots
        own = _config_of(config, slot.number, self._ports.keep(_addresses(config)), receives)
        return Sources(own, catalog.overlays)

    def _serve_health(self, config: Config) -> HealthServer:
        server = HealthServer(config.service.health_endpoint, self.health, self._numbers)
        server.start()
        return server

    def _follow(self) -> None:
        """Ready while one worker is: the others are a reason to look, not to take it out."""
        if not self._started or self._stopping.is_set():
            return
        if any(slot.is_ready for slot in self._slots):
            self.health.ready()
        else:
            self.health.restarting()

    def _degraded(self) -> list[str]:
        return _merged_reasons(
            {slot.number: slot.degraded() for slot in [*self._slots, *self._adopting]},
            len(self._slots),
        ) + [reason for more in self.reasons for reason in more()]


def _merged_reasons(reasons: dict[int, Sequence[str]], workers: int) -> list[str]:
    """Each reason once, with the numbers of the workers that give it, unless all do."""
    by_text: dict[str, list[int]] = defaultdict(list)
    for number, texts in reasons.items():
        for text in texts:
            by_text[text].append(number)
    return [
        text
        if len(numbers) == workers > 1
        else f"worker{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}: {text}"
        for text, numbers in by_text.items()
    ]


def _addresses(config: Config) -> dict[str, str]:
    addresses = {}
    if config.receiver is not None:
        addresses[_GRPC] = config.receiver.grpc_endpoint
    if config.http_receiver is not None:
        addresses[_HTTP] = config.http_receiver.endpoint
    return addresses


def _config_of(config: Config, number: int, addresses: dict[str, str], receives: bool) -> Config:
    """The configuration of one worker. What is of the supervisor alone is the same for ever."""
    receiver, http_receiver = config.receiver, config.http_receiver
    if receiver is not None:
        age_s = receiver.max_connection_age_s or _CONNECTION_AGE_S
        receiver = replace(receiver, grpc_endpoint=addresses[_GRPC], max_connection_age_s=age_s)
    if http_receiver is not None:
        http_receiver = replace(
            http_receiver, endpoint=addresses[_HTTP], max_connection_age_s=_CONNECTION_AGE_S
        )
    return replace(
        config,
        receiver=receiver if receives else None,
        http_receiver=http_receiver if receives else None,
        service=replace(
            config.service,
            data_dir=folder_of(config.service.data_dir, number),
            health_endpoint="",
            workers=1,
        ),
    )
