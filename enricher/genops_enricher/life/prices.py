"""Tells which price catalog is in use and how old it is, in metrics, in the log and in health."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from genops_enricher.telemetry import Telemetry
from genops_pricing import Catalog

__all__ = ["Prices"]

_log = logging.getLogger(__name__)

_DAY_S = 86400
_OLD_S = 60 * _DAY_S
"""Model prices on OpenRouter change within weeks; two months without a release is old."""


class Prices:
    """The catalog in use, as people see it."""

    def __init__(
        self, telemetry: Telemetry, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """There is none before `use`."""
        self._telemetry = telemetry
        self._now = now
        self._catalog: Catalog | None = None
        self._max_age_s: float | None = None

    def use(self, catalog: Catalog, max_age_s: float | None) -> None:
        """This catalog is in use from now on; it may be `max_age_s` seconds old, if that is set."""
        self._catalog, self._max_age_s = catalog, max_age_s
        self._telemetry.clear("genops_catalog_info")
        self._telemetry.set("genops_catalog_info", 1, version=catalog.version)
        self._telemetry.watch("genops_catalog_age_seconds", self._age_s)
        if self._age_s() > _OLD_S:
            _log.warning(
                "the price catalog %s is %d days old: prices may have changed; update genops-ai",
                catalog.version,
                self._age_s() // _DAY_S,
            )

    def degraded(self) -> list[str]:
        """What a person should know, if anything."""
        catalog, max_age_s, age_s = self._catalog, self._max_age_s, self._age_s()
        if catalog is None or max_age_s is None or age_s <= max_age_s:
            return []
        return [
            f"catalog: {catalog.version} is {age_s / _DAY_S:.1f} days old, and "
            f"enrichment.catalog.max_age is {max_age_s / _DAY_S:.1f} days: prices may be others by "
            "now. Install a later genops-ai and restart, or allow a longer max_age"
        ]

    def _age_s(self) -> float:
        return (self._now() - self._catalog.released).total_seconds() if self._catalog else 0.0
