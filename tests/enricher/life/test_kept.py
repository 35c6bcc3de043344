"""What was seen and summed goes on under new settings, and sums never go back."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from genops_enricher.config.model import (
    DedupeConfig,
    EnrichmentConfig,
    MetricsConfig,
    RedactionConfig,
)
from genops_enricher.life.kept import Kept
from genops_enricher.pipeline import Batch
from genops_enricher.seen.duplicates import Telling, Weight
from genops_enricher.spend import Amounts
from genops_enricher.spend.ledger import FEMTODOLLARS
from genops_enricher.telemetry import Telemetry

TEAM, MODEL = ("genops.team",), ("genops.model",)


class Taker:
    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def consume(self, batch: Batch) -> None:
        self.batches.append(batch)

    def costs(self) -> list[tuple[float, int, int]]:
        """(value, start, end) of the cost in each report."""
        found = []
        for batch in self.batches:
            message = ExportMetricsServiceRequest.FromString(batch.payload)
            for metric in message.resource_metrics[0].scope_metrics[0].metrics:
                if metric.name == "genops.cost":
                    point = metric.sum.data_points[0]
                    span = (point.as_double, point.start_time_unix_nano, point.time_unix_nano)
                    found.append(span)
        return found


def metrics(
    labels: tuple[str, ...] = TEAM, *, delta: bool = False, hashed: tuple[str, ...] = ()
) -> EnrichmentConfig:
    return EnrichmentConfig(
        metrics=MetricsConfig(labels, 10, export_interval_s=3600, delta=delta),
        redaction=RedactionConfig(hash=hashed, hash_key="a key for tests only"),
    )


def page(telemetry: Telemetry) -> str:
    return telemetry.page()[0].decode()


def test_cumulative_sums_keep_their_start_and_deltas_what_was_reported() -> None:
    kept, taker = Kept(Telemetry()), Taker()
    ledger = kept.ledger(metrics())
    ledger.add({("a",): Amounts(FEMTODOLLARS)})
    kept.reporter(metrics(), taker).report()
    ledger.add({("a",): Amounts(FEMTODOLLARS)})
    kept.reporter(metrics(), taker).report()
    ledger.add({("a",): Amounts(FEMTODOLLARS)})
    kept.reporter(metrics(delta=True), taker).report()
    kept.reporter(metrics(delta=True), taker).report()

    (first, start, _), (second, again, end), (delta, since, _) = taker.costs()
    assert (first, second, delta) == (1, 2, 1)
    assert start == again
    assert since == end


def test_sums_by_other_labels_begin_anew_and_come_back_as_they_were() -> None:
    telemetry, taker = Telemetry(), Taker()
    kept = Kept(telemetry)
    kept.ledger(metrics()).add({("a",): Amounts(FEMTODOLLARS)})
    kept.reporter(metrics(), taker).report()
    kept.ledger(metrics(MODEL)).add({("m",): Amounts(FEMTODOLLARS)})
    kept.reporter(metrics(MODEL), taker).report()
    other = page(telemetry)
    kept.ledger(metrics()).add({("a",): Amounts(FEMTODOLLARS)})
    kept.reporter(metrics(), taker).report()

    (_, start, _), (value, later, _), (back, again, _) = taker.costs()
    assert (value, back) == (1, 2)
    assert start < later
    assert again == start
    assert 'genops_cost_total{genops_model="m"} 1.0' in other
    assert "genops_team" not in other
    assert 'genops_cost_total{genops_team="a"} 2.0' in page(telemetry)


def test_names_that_are_redacted_from_now_on_are_on_no_page_and_in_no_report() -> None:
    telemetry, taker = Telemetry(), Taker()
    kept = Kept(telemetry)
    kept.ledger(metrics()).add({("S3CR3T",): Amounts(FEMTODOLLARS)})
    redacted = metrics(hashed=TEAM)
    kept.ledger(redacted).add({("hmac-sha256:0",): Amounts(FEMTODOLLARS)})
    kept.reporter(redacted, taker).report()

    assert "S3CR3T" not in page(telemetry)
    assert "hmac-sha256:0" in page(telemetry)
    (batch,) = taker.batches
    assert b"S3CR3T" not in batch.payload


def test_what_was_seen_is_known_under_other_bounds() -> None:
    kept = Kept(Telemetry())
    telling = Telling("gen-1763900000-abcdefghijkl", b"1" * 24, Weight.COMPUTED)
    before = kept.duplicates(DedupeConfig())
    assert before is not None
    with before.request() as request:
        request.costs([telling])

    assert kept.duplicates(DedupeConfig(enabled=False)) is None
    after = kept.duplicates(DedupeConfig(max_ids=10))

    assert after is not None
    with after.request() as request:
        assert request.costs([telling._replace(span=b"2" * 24)]) == {telling.response_id: b"1" * 24}


def test_orphans_are_known_where_they_are_priced() -> None:
    kept = Kept(Telemetry())
    on = EnrichmentConfig(price_orphan_aggregates=True)

    assert kept.orphans(EnrichmentConfig()) is None
    assert kept.orphans(on) is kept.orphans(on)
