"""`genops-enricher run`: the service, from start to a signal to stop."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType

from genops_enricher.config.load import Loaded
from genops_enricher.logs import set_up_logging
from genops_enricher.service import Service
from genops_pricing import load_catalog

__all__ = ["run"]

_log = logging.getLogger(__name__)


def run(loaded: Loaded) -> None:
    """Run until SIGTERM or SIGINT, then drain and stop. A second signal ends the process at once.

    Raises:
        CatalogError: an overlay is wrong.
        StartError: the service can't run here.
    """
    config = loaded.config
    set_up_logging(config.service.log_level, config.service.log_encoding)
    for warning in loaded.warnings:
        _log.warning("%s", warning)

    stop_asked = threading.Event()

    def ask_to_stop(number: int, _frame: FrameType | None) -> None:
        stop_asked.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)

    service = Service(config, load_catalog(config.enrichment.overlays))
    service.start()
    stop_asked.wait()
    _log.info(
        "stopping; delivering what is queued for up to %g s", config.service.shutdown_timeout_s
    )
    service.stop()
