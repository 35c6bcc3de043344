"""One page out of many: sums, and books that go on across restarts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from genops_enricher.telemetry import METRICS, Kind, Telemetry
from genops_enricher.workers.merge import GAUGES, Page, Place, merged, metrics_of, page_of

LABELS = {"exporter": "otlp_grpc", "signal": "traces"}


def value(page: Page, sample: str, **labels: str) -> object:
    family = page[sample.removesuffix("_total")]
    return family.series[sample, tuple(labels.items())]


def worker(*, recovered: int = 0, accepted: int = 0, delivered: int = 0) -> Page:
    """The page of a worker whose books balance."""
    telemetry = Telemetry()
    telemetry.set("genops_exporter_recovered_items", recovered, **LABELS)
    telemetry.add("genops_exporter_accepted_items_total", accepted, **LABELS)
    telemetry.add("genops_exporter_delivered_items_total", delivered, **LABELS)
    telemetry.set("genops_exporter_queued_items", recovered + accepted - delivered, **LABELS)
    return page_of(telemetry.registry.collect())


def books(page: Page) -> tuple[object, ...]:
    """Recovered, accepted, delivered, queued."""
    return tuple(
        value(page, f"genops_exporter_{name}", **LABELS)
        for name in (
            "recovered_items",
            "accepted_items_total",
            "delivered_items_total",
            "queued_items",
        )
    )


def test_every_gauge_is_decided_about() -> None:
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    ours = {metric.name for metric in METRICS if metric.kind is Kind.GAUGE}
    of_the_process = {metric.name for metric in registry.collect() if metric.type == "gauge"}

    assert ours | of_the_process == set(GAUGES)


def test_counters_and_sizes_are_summed_and_ages_are_not() -> None:
    one, other = Telemetry(), Telemetry()
    for telemetry, count in ((one, 3), (other, 4)):
        telemetry.add("genops_refused_requests_total", count, signal="logs", code="UNAVAILABLE")
        telemetry.set("genops_exporter_queue_bytes", count, **LABELS)
        telemetry.set("genops_exporter_oldest_item_age_seconds", count, **LABELS)
        telemetry.set("genops_catalog_info", 1, version="v1")
        telemetry.set("genops_config_last_reload_successful", count - 3)
    one.add(
        "genops_pricing_drift_usd_total",
        Decimal("0.1"),
        market="m",
        model="a",
        direction="billed_more",
    )
    page = merged([page_of(each.registry.collect()) for each in (one, other)])

    assert value(page, "genops_refused_requests_total", signal="logs", code="UNAVAILABLE") == 7
    assert value(page, "genops_exporter_queue_bytes", **LABELS) == 7
    assert value(page, "genops_exporter_oldest_item_age_seconds", **LABELS) == 4
    assert value(page, "genops_catalog_info", version="v1") == 1
    assert value(page, "genops_config_last_reload_successful") == 0
    assert list(page["genops_pricing_drift_usd"].series.values()) == [Decimal("0.1")]


def test_a_page_is_the_same_after_it_was_sent() -> None:
    telemetry = Telemetry()
    telemetry.add("genops_received_items_total", 5, signal="traces")
    page = page_of(telemetry.registry.collect())

    assert page_of(metrics_of(page)) == page


@pytest.mark.parametrize(
    ("seen", "recovered", "expected"),
    [
        # What waited comes back: it was accepted here already.
        (worker(accepted=10, delivered=4), 6, (0, 10, 4, 6)),
        # More than waited when it was last looked at: accepted since then.
        (worker(accepted=10, delivered=4), 9, (3, 10, 4, 9)),
        # Less: delivered since then.
        (worker(accepted=10, delivered=4), 1, (0, 10, 9, 1)),
        (worker(recovered=5, accepted=10, delivered=4), 11, (5, 10, 4, 11)),
    ],
)
def test_the_books_go_on_in_the_next_process(
    seen: Page, recovered: int, expected: tuple[int, ...]
) -> None:
    place = Place()
    place.look(seen, 1)
    place.look(worker(recovered=recovered), 2)

    assert books(place.page()) == expected

    place.look(worker(recovered=recovered, accepted=7, delivered=2), 2)

    r, a, d, q = expected
    assert books(place.page()) == (r, a + 7, d + 2, q + 5)


def test_a_process_that_was_never_seen_loses_only_what_it_counted() -> None:
    place = Place()
    place.look(worker(accepted=10, delivered=10), 1)
    place.look(worker(recovered=3), 4)

    assert books(place.page()) == (3, 10, 10, 3)


def test_between_two_processes_and_after_the_last_nothing_goes_back() -> None:
    place = Place()
    place.look(worker(accepted=10, delivered=10), 1)
    before = books(place.page())
    place.end()

    assert before == (0, 10, 10, 0)
    assert value(place.page(), "genops_exporter_accepted_items_total", **LABELS) == 10
    assert "genops_exporter_queued_items" not in place.page()
