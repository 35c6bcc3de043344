"""One metrics page out of those of several processes, and of those that ran before them.

Counters are summed, over processes and over the life of each place: a worker that starts again
begins at 0, and what the one before it had counted is added. What a gauge means decides how it is
merged. Pure: who asks whom for which page is decided in `slot`.

The books go on across a restart. What waited when a worker died comes back as recovered by the
next one, but on the merged page it was accepted already. So of what is recovered only the rest
counts: requests that were accepted after the last look at the worker. If less comes back than
waited at that look, the difference has been delivered since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.metrics_core import Metric

__all__ = ["GAUGES", "Family", "Page", "Place", "Series", "merged", "metrics_of", "page_of"]

Series = tuple[str, tuple[tuple[str, str], ...]]
"""A series: the name of the sample, and its labels."""

_Merge = Callable[[Any, Any], Any]


def _sum(one: Any, other: Any) -> Any:
    # Decimals and floats don't add up; neither is both in one series.
    return one + other


GAUGES: dict[str, _Merge] = {
    "genops_exporter_recovered_items": _sum,
    "genops_exporter_queued_items": _sum,
    "genops_exporter_queue_bytes": _sum,
    "genops_exporter_queue_capacity_bytes": _sum,
    "genops_exporter_waiting_apart": _sum,
    "genops_exporter_oldest_item_age_seconds": max,
    "genops_catalog_info": max,
    "genops_catalog_age_seconds": max,
    "genops_config_last_reload_successful": min,
    "genops_config_last_reload_success_timestamp_seconds": min,
    "genops_memory_limit_bytes": _sum,
    "genops_process_start_time_seconds": min,
    "genops_build_info": max,
    "genops_worker_ready": max,
    "genops_worker_resident_memory_bytes": max,
    "process_virtual_memory_bytes": _sum,
    "process_resident_memory_bytes": _sum,
    "process_open_fds": _sum,
    "process_max_fds": min,
    "process_start_time_seconds": min,
}
"""How each gauge is merged. `genops_worker_*` have a label, and are never two."""

_RECOVERED = "genops_exporter_recovered_items"  # a gauge, but it stands in the books
_DELIVERED = "genops_exporter_delivered_items_total"
_QUEUED = "genops_exporter_queued_items"


@dataclass(slots=True)
class Family:
    """One metric and its series."""

    kind: str
    meaning: str
    series: dict[Series, Any] = field(default_factory=dict)


Page = dict[str, Family]
"""A metrics page, by the name of the family."""


def page_of(metrics: Iterable[Metric]) -> Page:
    """What collectors gave, as a page that can be sent and added to."""
    page: Page = {}
    for metric in metrics:
        family = page.setdefault(metric.name, Family(metric.type, metric.documentation))
        for sample in metric.samples:
            family.series[sample.name, tuple(sample.labels.items())] = sample.value
    return page


def metrics_of(page: Page) -> list[Metric]:
    """The page as prometheus_client takes it."""
    metrics = []
    for name, family in page.items():
        metric = Metric(name, family.meaning, family.kind)
        for (sample, labels), value in family.series.items():
            metric.add_sample(sample, dict(labels), value)
        metrics.append(metric)
    return metrics


def merged(pages: Sequence[Page]) -> Page:
    """The page of all of them together."""
    result: Page = {}
    for page in pages:
        for name, family in page.items():
            merge = _sum if family.kind == "counter" else GAUGES.get(name, _sum)
            into = result.setdefault(name, Family(family.kind, family.meaning)).series
            for series, value in family.series.items():
                into[series] = merge(into[series], value) if series in into else value
    return result


class Place:
    """The page of one worker over all the processes that it was."""

    def __init__(self) -> None:
        self._before: Page = {}  # the counters of the processes before the last one
        self._last: Page = {}
        self._process = 0

    def look(self, page: Page, process: int) -> None:
        """This is the page now, of the process with this number; the first is 1."""
        if process != self._process and self._process:
            before = merged([self._before, _counted(self._last)])
            _carry_books(self._last, page, before)
            self._before = before
        self._last, self._process = page, process

    def end(self) -> None:
        """There is no process any more, nor will there be one: only what was counted stays."""
        self._before, self._last = merged([self._before, _counted(self._last)]), {}

    def page(self) -> Page:
        """What was counted so far, and the gauges as they were last seen."""
        return merged([self._before, self._last])


def _counted(page: Page) -> Page:
    return {
        name: family
        for name, family in page.items()
        if family.kind == "counter" or name == _RECOVERED
    }


def _carry_books(last: Page, new: Page, before: Page) -> None:
    for sample in (_RECOVERED, _DELIVERED):  # a process may have ended before it had any
        name = sample.removesuffix("_total")
        if name in new:
            before.setdefault(name, Family(new[name].kind, new[name].meaning))
    waited = _by_labels(last, _QUEUED)
    for labels, recovered in _by_labels(new, _RECOVERED).items():
        more = recovered - waited.get(labels, 0)
        # The page of the new process counts all of it.
        _add(before, _RECOVERED, labels, max(more, 0) - recovered)
        _add(before, _DELIVERED, labels, max(-more, 0))


def _by_labels(page: Page, sample: str) -> dict[tuple[tuple[str, str], ...], Any]:
    family = page.get(sample.removesuffix("_total"))
    return {labels: value for (_, labels), value in family.series.items()} if family else {}


def _add(page: Page, sample: str, labels: tuple[tuple[str, str], ...], amount: Any) -> None:
    if amount:
        family = page[sample.removesuffix("_total")]
        family.series[sample, labels] = family.series.get((sample, labels), 0) + amount
