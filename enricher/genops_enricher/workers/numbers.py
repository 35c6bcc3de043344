"""The metrics page of the supervisor: its own numbers and those of all workers, as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from genops_enricher.telemetry import Telemetry
from genops_enricher.workers.merge import Family, Page, merged, metrics_of, page_of
from genops_enricher.workers.slot import Slot

__all__ = ["Numbers"]


class Numbers(Collector):
    """What is asked of `Telemetry` by those who show it."""

    def __init__(self, own: Telemetry, slots: Callable[[], Iterable[Slot]]) -> None:
        """`slots` gives all workers there are or were."""
        self._own = own
        self._slots = slots
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        yield from metrics_of(self._page())

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """As `Telemetry.page`."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def read(self, names: Iterable[str]) -> dict[str, list[tuple[dict[str, str], float]]]:
        """As `Telemetry.read`."""
        page = self._page()
        families = {name: page.get(name.removesuffix("_total")) for name in names}
        return {
            name: [(dict(labels), value) for (_, labels), value in family.series.items()]
            if family
            else []
            for name, family in families.items()
        }

    def _page(self) -> Page:
        slots = [*self._slots()]
        for slot in slots:
            slot.look_if_it_answers()
        pages = [(slot, slot.page()) for slot in slots]
        page = merged([page_of(self._own.registry.collect()), *(each for _, each in pages)])
        for slot, each in pages:
            worker = (("worker", str(slot.number)),)
            _put(page, "genops_worker_ready", worker, int(slot.is_ready))
            _put(page, "genops_worker_restarts_total", worker, slot.restarts)
            for name, of in _OF_PROCESSES.items():
                if (family := each.get(of.removesuffix("_total"))) and (of, ()) in family.series:
                    _put(page, name, worker, family.series[of, ()])
        return page


_OF_PROCESSES = {
    "genops_worker_cpu_seconds_total": "process_cpu_seconds_total",
    "genops_worker_resident_memory_bytes": "process_resident_memory_bytes",
}


def _put(page: Page, sample: str, labels: tuple[tuple[str, str], ...], value: Any) -> None:
    # The family is there: its metric is in the table of the supervisor's own telemetry.
    family: Family = page[sample.removesuffix("_total")]
    family.series[sample, labels] = value
