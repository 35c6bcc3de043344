"""Takes over a changed configuration or catalog: at a signal, or when files have changed.

All or nothing: what can't be read, checked or started leaves everything as it was, and says so in
the log, in the metrics and as a reason on the health pages. What a change means for the parts of
the service is the service's business, how files are read together that of `sources`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from genops_enricher.config.model import Config
from genops_enricher.errors import ConfigError, StartError
from genops_enricher.life.changes import Part, check_changeable
from genops_enricher.life.sources import Candidate, Stamp, read_sources, stamp_of
from genops_enricher.telemetry import Telemetry
from genops_enricher.telemetry.logs import set_up_logging
from genops_pricing import Catalog, CatalogError
from genops_pricing.apart import CancelledError, load_catalog_apart

__all__ = ["Reloader"]

_log = logging.getLogger(__name__)

# Files that have changed are taken once they have been left alone for so long: an editor or a copy
# may still be writing.
_SETTLED_S = 1.0
_POLL_S_MIN = 0.1


class Reloadable(Protocol):
    """The service of this process, or those of several as one."""

    telemetry: Telemetry
    reasons: list[Callable[[], list[str]]]

    def apply(self, config: Config, catalog: Catalog) -> frozenset[Part]:
        """Run with another configuration and catalog, or raise and go on as before.

        What needs a restart is the same in `config`.
        """


class Reloader:
    """Keeps a service with its files, in a thread of its own from `start` to `stop`."""

    def __init__(
        self, service: Reloadable, path: Path | None, env: Mapping[str, str], running: Candidate
    ) -> None:
        """`running` is what the service was made of, `path` and `env` where that came from."""
        self._service = service
        self._path = path
        self._env = env
        self._running = running
        self._seen: dict[Path, tuple[int, ...] | None] = dict(running.stamp)
        self._failure = ""
        self._asked = False
        self._stopping = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)
        service.reasons.append(self._reasons)
        self._record("")
        for outcome in ("applied", "unchanged", "failed"):
            service.telemetry.add("genops_config_reloads_total", 0, outcome=outcome)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def request(self) -> None:
        """Read everything again, soon. Requests that come meanwhile are one."""
        with self._wake:
            self._asked = True
            self._wake.notify()

    def stop(self) -> None:
        """Begin nothing new. What is being read is given up; what is being applied is finished."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def _run(self) -> None:
        while True:
            interval_s = self._interval_s()
            with self._wake:
                self._wake.wait_for(lambda: self._stopping or self._asked, interval_s)
                if self._stopping:
                    return
                asked, self._asked = self._asked, False
            try:
                if asked:
                    self._reload(self._watched())
                elif changed := self._settled(self._polled()):
                    self._reload(changed)
            except CancelledError:
                return
            except Exception:  # noqa: BLE001 - a thread that ends would end all reloads
                _log.exception("the reload failed in an unforeseen way")
                self._record("internal error; the log says more")
                self._service.telemetry.add("genops_config_reloads_total", outcome="failed")

    def _interval_s(self) -> float | None:
        config = self._running.loaded.config
        intervals = (config.service.reload_interval_s, config.enrichment.catalog.reload_interval_s)
        return min((max(each, _POLL_S_MIN) for each in intervals if each is not None), default=None)

    def _watched(self) -> list[Path]:
        overlays = self._running.loaded.config.enrichment.overlays
        return [*overlays] if self._path is None else [self._path, *overlays]

    def _polled(self) -> list[Path]:
        """The files that are looked at without being asked."""
        config = self._running.loaded.config
        if config.service.reload_interval_s is not None:
            return self._watched()
        return [*config.enrichment.overlays]

    def _settled(self, paths: Sequence[Path]) -> list[Path]:
        """The files that are not as they were when they were last read, once they stay so."""
        now = stamp_of(paths)
        while changed := [path for path in paths if now[path] != self._seen.get(path)]:
            with self._wake:
                if self._wake.wait_for(lambda: self._stopping or self._asked, _SETTLED_S):
                    return []
            before, now = now, stamp_of(paths)
            if before == now:
                return changed
        return []

    def _reload(self, changed: Sequence[Path]) -> None:
        """Read and apply; with the configuration file among `changed`, that too."""
        self._seen |= self._stamp()
        telemetry = self._service.telemetry
        only_overlays = self._path is not None and self._path not in changed
        try:
            candidate = read_sources(
                self._path,
                self._env,
                running=self._running.loaded if only_overlays else None,
                load=self._load,
            )
            outcome = self._apply(candidate)
        except (ConfigError, CatalogError, StartError) as error:
            problems = getattr(error, "problems", (str(error),))
            self._record(problems[0] + (f" (and {len(problems) - 1} more)" * (len(problems) > 1)))
            telemetry.add("genops_config_reloads_total", outcome="failed")
            # In one line of the log: it leaves lines out where many of a kind come together.
            _log.error("not reloaded, what ran before goes on:\n%s", "\n".join(problems))
            return
        self._seen |= candidate.stamp
        self._running = candidate
        self._record("")
        telemetry.add("genops_config_reloads_total", outcome=outcome)

    def _apply(self, candidate: Candidate) -> str:
        before, config = self._running, candidate.loaded.config
        same_catalog = candidate.catalog.digest == before.catalog.digest
        if same_catalog and config == before.loaded.config:
            _log.info("reloaded: nothing has changed")
            return "unchanged"
        check_changeable(before.loaded.config, config)
        parts = self._service.apply(config, candidate.catalog)
        logs = config.service.log_level, config.service.log_encoding
        old = before.loaded.config.service
        if logs != (old.log_level, old.log_encoding):
            set_up_logging(*logs)
        if candidate.loaded.warnings and candidate.loaded is not before.loaded:
            _log.warning("%s", "\n".join(candidate.loaded.warnings))
        _log.info(
            "reloaded: catalog %s; replaced: %s",
            candidate.catalog.version,
            ", ".join(sorted(part.name.lower() for part in parts)) or "nothing but what prices",
        )
        return "applied"

    def _load(self, overlays: Sequence[Path]) -> Catalog:
        return load_catalog_apart(overlays, lambda: self._stopping)

    def _stamp(self) -> Stamp:
        return stamp_of(self._watched())

    def _record(self, failure: str) -> None:
        """Say how the last reload went: an empty failure is none."""
        telemetry = self._service.telemetry
        now_s = time.time()
        telemetry.set("genops_config_last_reload_successful", 0 if failure else 1)
        if failure:
            at = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            failure = (
                f"reload: failed at {at}, and what ran before goes on: {failure}. Correct that, "
                "and send SIGHUP"
            )
        else:
            telemetry.set("genops_config_last_reload_success_timestamp_seconds", now_s)
        self._failure = failure

    def _reasons(self) -> list[str]:
        return [self._failure] if self._failure else []
