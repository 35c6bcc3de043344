"""The recorder keeps to the table, adds up, and shows what Prometheus can read."""

from __future__ import annotations

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from genops_enricher.telemetry import LABELS, METRICS, Kind, Telemetry


def test_counts_add_up_per_label_set() -> None:
    telemetry = Telemetry()
    telemetry.add("genops_spans_total", 3, status="priced", reason="")
    telemetry.add("genops_spans_total", reason="", status="priced")
    telemetry.add("genops_spans_total", 2, status="unpriced", reason="unknown_model")

    assert telemetry.value("genops_spans_total", status="priced", reason="") == 4
    assert telemetry.value("genops_spans_total", status="free", reason="") == 0
    assert telemetry.total("genops_spans_total") == 6


def test_a_watched_gauge_is_read_at_each_look() -> None:
    telemetry = Telemetry()
    queued = [5]
    labels = {"exporter": "otlp", "signal": "traces"}
    telemetry.watch("genops_exporter_queued_items", lambda: queued[0], **labels)

    assert telemetry.value("genops_exporter_queued_items", **labels) == 5
    queued[0] = 7
    assert (
        b'genops_exporter_queued_items{exporter="otlp",signal="traces"} 7.0'
        in (telemetry.page()[0])
    )


def test_a_reader_may_count_while_it_is_read() -> None:
    telemetry = Telemetry()

    def read() -> float:
        telemetry.add("genops_received_items_total", signal="traces")
        return 1

    telemetry.watch("genops_catalog_age_seconds", read)

    assert telemetry.value("genops_catalog_age_seconds") == 1
    assert telemetry.value("genops_received_items_total", signal="traces") == 1


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("genops_span_total", {"status": "priced", "reason": ""}),
        ("genops_spans_total", {"status": "priced"}),
        ("genops_spans_total", {"status": "priced", "cause": ""}),
        ("genops_spans_total", {"status": "priced", "reason": "", "model": "m"}),
        ("genops_catalog_age_seconds", {}),  # a gauge
    ],
)
def test_what_the_table_does_not_have_is_a_key_error(name: str, labels: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        Telemetry().add(name, **labels)


def test_setting_a_counter_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="genops_received_items_total is a counter, not a gauge"):
        Telemetry().set("genops_received_items_total", 1, signal="traces")


def test_a_counter_never_goes_down() -> None:
    with pytest.raises(ValueError, match="can't go down"):
        Telemetry().add("genops_received_items_total", -1, signal="traces")


def test_threads_lose_no_count() -> None:
    telemetry = Telemetry()

    def work() -> None:
        for _ in range(2000):
            telemetry.add("genops_received_items_total", 3, signal="logs")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert telemetry.value("genops_received_items_total", signal="logs") == 4 * 2000 * 3


def _with_one_value_each() -> Telemetry:
    telemetry = Telemetry()
    for metric in METRICS:
        labels = dict.fromkeys(metric.labels, "x")
        if metric.kind is Kind.COUNTER:
            telemetry.add(metric.name, 2, **labels)
        else:
            telemetry.set(metric.name, 2, **labels)
    return telemetry


def test_the_page_has_every_metric_of_the_table_under_its_own_name() -> None:
    body, content_type = _with_one_value_each().page()

    families = text_string_to_metric_families(body.decode())
    samples = {s.name: s.value for family in families for s in family.samples}
    assert content_type.startswith("text/plain")
    assert {m.name for m in METRICS} == {n for n in samples if n.startswith("genops_")}
    assert all(samples[m.name] == 2 for m in METRICS)


def test_the_page_speaks_openmetrics_when_asked() -> None:
    body, content_type = _with_one_value_each().page("application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_recorders_do_not_share_state() -> None:
    Telemetry().add("genops_received_items_total", signal="traces")

    assert Telemetry().total("genops_received_items_total") == 0


def test_every_label_is_explained_and_names_follow_the_convention() -> None:
    used = {label for metric in METRICS for label in metric.labels}

    assert used == LABELS.keys()
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert metric.meaning.endswith(".")


def test_a_gauge_can_be_cleared_and_no_longer_be_watched() -> None:
    telemetry = Telemetry()
    queue = {"exporter": "otlp", "signal": "traces"}
    telemetry.set("genops_catalog_info", 1, version="old")
    telemetry.watch("genops_exporter_queued_items", lambda: 7, **queue)

    telemetry.clear("genops_catalog_info")
    telemetry.set("genops_catalog_info", 1, version="new")
    telemetry.unwatch("genops_exporter_queued_items", **queue)

    assert telemetry.labelled("genops_catalog_info") == [({"version": "new"}, 1)]
    assert telemetry.value("genops_exporter_queued_items", **queue) == 0
    with pytest.raises(KeyError):
        telemetry.clear("genops_received_items_total")
