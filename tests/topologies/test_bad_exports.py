"""What docs/troubleshooting.md says of an enricher that does not get through to a Collector."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from enricher_process import EnricherProcess
from topologies.bad_exports import BAD_EXPORTS, BadExport, exporting
from topologies.senders import CALL, generate

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"


def wait_for(export: BadExport, enricher: EnricherProcess, *, timeout_s: float = 60.0) -> None:
    messages = [export.message, export.or_else or export.message]
    deadline_s = time.monotonic() + timeout_s
    while not any(message in (log := enricher.log.read_text()) for message in messages):
        assert time.monotonic() < deadline_s, log
        time.sleep(0.05)


@pytest.mark.parametrize("name", BAD_EXPORTS)
def test_the_page_shows_the_messages(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert BAD_EXPORTS[name].message in page
    assert BAD_EXPORTS[name].theirs in page


@pytest.mark.heavy
@pytest.mark.parametrize("name", BAD_EXPORTS)
def test_the_enricher_says_the_message_and_keeps_the_spans(name: str, tmp_path: Path) -> None:
    export = BAD_EXPORTS[name]
    with exporting(export, tmp_path) as (enricher, collector, _):
        sent = generate(enricher.grpc, 1)

        wait_for(export, enricher)

        if export.theirs:
            collector.wait_for(export.theirs)
        queued = f'genops_exporter_queued_items{{exporter="{export.exporter}",signal="traces"}}'
        assert enricher.metric(queued) == sent
        assert enricher.metric("genops_exporter_dropped_items_total{") == 0


@pytest.mark.heavy
def test_a_request_larger_than_a_collector_takes_by_default_arrives_in_parts(
    tmp_path: Path,
) -> None:
    right = BadExport("none", "otlp_grpc", "http://{grpc}", message="")
    large = {**CALL, "content": "x" * 100_000}
    with exporting(right, tmp_path) as (enricher, _, got):
        sent = generate(enricher.grpc, 40, large, "--batch-size=80")  # 8 MB; it takes 4 MiB
        enricher.wait_until_empty(timeout_s=60)

        assert enricher.metric("genops_exporter_dropped_items_total{") == 0
        deadline_s = time.monotonic() + 60
        while (arrived := got.read_text().count('"spanId"')) < sent:
            assert time.monotonic() < deadline_s, f"{arrived} of {sent} spans arrived"
            time.sleep(0.05)
