"""The sums on the metrics page, for Prometheus to scrape."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from genops_enricher.spend.ledger import METRICS, Labels, Ledger, page_label

__all__ = ["SpendCollector"]


class SpendCollector(Collector):
    """Hands the rows of a ledger to prometheus_client."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Make the families of the page."""
        rows = [(self._labels(labels), row) for labels, row in self._ledger.rows().items()]
        for metric in METRICS:
            # The base class, because only it takes the overflow row, which has labels of its own.
            name = metric.page_name
            family = Metric(name.removesuffix("_total"), metric.meaning, "counter")
            for labels, row in rows:
                value = metric.read(row)
                if value is not None:
                    family.add_sample(name, labels, value)
            yield family

    def _labels(self, labels: Labels) -> dict[str, str]:
        return {
            page_label(name): "true" if value is True else str(value)
            for name, value in self._ledger.attributes(labels).items()
        }
