"""`genops-enricher run`: the service, from start to a signal to stop."""

from __future__ import annotations

import logging
import signal

from genops_enricher.config.load import Loaded
from genops_enricher.logs import set_up_logging
from genops_enricher.service import Service
from genops_pricing import load_catalog

__all__ = ["run"]

_log = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(loaded: Loaded) -> None:
    """Run until SIGTERM or SIGINT, then drain and stop. A second signal ends the process at once.

    Raises:
        CatalogError: an overlay is wrong.
        StartError: the service can't run here.
    """
    config = loaded.config
    set_up_logging(config.service.log_level, config.service.log_encoding)
    if loaded.warnings:
        _log.warning("%s", "\n".join(loaded.warnings))

    # Blocked in every thread and waited for, not handled: Python runs handlers in the main thread,
    # and a signal that the kernel gives to another thread does not wake it from a wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    service = Service(config, load_catalog(config.enrichment.overlays))
    service.start()
    number = signal.sigwait(_STOP_SIGNALS)
    for each in _STOP_SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    _log.info(
        "%s: stopping; what is queued is delivered for up to %g s",
        signal.Signals(number).name,
        config.service.shutdown_timeout_s,
    )
    service.stop()
