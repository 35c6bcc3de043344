"""What runs in the process of a worker: a whole service, told what to do over a pipe.

`python -m genops_enricher.workers.worker ORDERS SIGHT` with the numbers of two open sockets. When
the supervisor ends, however that happens, the sockets close, and the worker ends at once: what it
has acknowledged is on disk, and no port or queue may stay with a process that nobody knows.
Signals mean nothing to it; a group of processes gets them together, and the supervisor decides.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from genops_enricher.errors import StartError
from genops_enricher.life.service import Service
from genops_enricher.telemetry.logs import set_up_logging
from genops_enricher.workers.merge import page_of
from genops_enricher.workers.orders import Answer, Apply, Order, Sight, Sources, Start, Stop
from genops_pricing import CatalogError
from genops_pricing.apart import catalog_laid_out

__all__ = ["main"]

_log = logging.getLogger(__name__)

_ORPHAN = 3  # the exit code when the supervisor is gone; nobody is left to read it


def main(arguments: Sequence[str]) -> None:
    """Carry out orders until the one to stop."""
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    orders, sight = (_Pipe(int(each)) for each in arguments)
    worker = _Worker(orders.receive())
    # Before the start, which may take long: a supervisor that ends meanwhile is noticed here.
    threading.Thread(target=worker.show, args=(sight,), name="sight", daemon=True).start()
    orders.send(worker.start())
    while True:
        order = orders.receive()
        orders.send(worker.carry_out(order))
        if isinstance(order, Stop):
            return


class _Pipe:
    """One of the sockets; the process ends with it."""

    def __init__(self, descriptor: int) -> None:
        self._connection = Connection(descriptor)

    def receive(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            os._exit(_ORPHAN)  # not exit: threads would be waited for

    def send(self, value: Answer | Sight) -> None:
        try:
            self._connection.send(value)
        except OSError:
            os._exit(_ORPHAN)


class _Worker:
    """The service of this process."""

    def __init__(self, start: Order) -> None:
        if not isinstance(start, Start):
            raise TypeError(f"the first order is {start}")
        self._number = start.number
        self._sources = start.sources
        self._set_up_logging(start.sources)
        self._service: Service | None = None

    def carry_out(self, order: Order) -> Answer:
        """What becomes of an order after the first."""
        service = self._service
        match order:
            case Apply() if service:
                return self._apply(service, order.sources)
            case Stop() if service:
                service.stop(order.why)
                return Answer(last=page_of(service.telemetry.registry.collect()))
            case _:
                return Answer()

    def show(self, sight: _Pipe) -> None:
        """Let the supervisor look, for as long as it is there."""
        while True:
            number = sight.receive()
            service = self._service
            if service is None:  # it asks too early, and will again
                continue
            try:
                seen = Sight(
                    number,
                    service.health.state,
                    tuple(service.health.degraded()),
                    page_of(service.telemetry.registry.collect()),
                )
            except Exception:  # noqa: BLE001 - a thread that ends would look like a worker that hangs
                _log.exception("can't tell how this worker is")
            else:
                sight.send(seen)

    def start(self) -> Answer:
        """Start the service."""
        sources = self._sources
        try:
            service = Service(sources.config, catalog_laid_out(sources.overlays), supervised=True)
            service.start()
        except (StartError, CatalogError) as error:
            return Answer(str(error))
        self._service = service
        return Answer()

    def _apply(self, service: Service, sources: Sources) -> Answer:
        try:
            service.apply(sources.config, catalog_laid_out(sources.overlays))
        except (StartError, CatalogError) as error:
            return Answer(str(error))
        except Exception as error:  # noqa: BLE001 - the service goes on as before, and so do all
            _log.exception("the reload failed in an unforeseen way")
            return Answer(f"internal error: {type(error).__name__}; the log says more")
        self._set_up_logging(sources)
        self._sources = sources
        return Answer()

    def _set_up_logging(self, sources: Sources) -> None:
        service = sources.config.service
        set_up_logging(service.log_level, service.log_encoding, worker=self._number)


if __name__ == "__main__":
    main(sys.argv[1:])
