"""Spans in, sums of cost and tokens out: on the metrics page, and as OTLP to the backend."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from prometheus_client.parser import text_string_to_metric_families

from destinations import Destination, GrpcAnswer, Received, grpc_destination
from enricher_process import EnricherProcess, running, write_config
from genops_enricher.spend.ledger import METRICS
from otlp import any_value, attributes, chat, plain_attributes, request, span, spans_of

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

Point = tuple[str, str]  # metric, team


def config(folder: Path, backend: Destination, metrics: Mapping[str, Any]) -> Path:
    path = write_config(folder, f"127.0.0.1:{backend.port}")
    settings = yaml.safe_load(path.read_text())
    settings["enrichment"] = {"metrics": dict(metrics)}
    path.write_text(yaml.safe_dump(settings))
    return path


def send(enricher: EnricherProcess, *payloads: bytes, method: str = TRACES) -> None:
    with grpc.insecure_channel(enricher.grpc) as channel:
        for payload in payloads:
            channel.unary_unary(method, None, None)(payload, timeout=60, wait_for_ready=True)


def calls(start: int, count: int = 20) -> bytes:
    """Calls of four teams, of two models that have a price and one that has none."""
    models = ("openai/gpt-4o", "anthropic/claude-3-haiku", "acme/unknown")
    return request(
        *(
            span(
                chat(
                    models[n % 3],
                    {
                        "genops.team": f"team {n % 4}",
                        "gen_ai.response.id": f"gen-{n}",
                        "gen_ai.usage.cache_read.input_tokens": n,
                    },
                    input_tokens=1000 + n,
                    output_tokens=7 * n,
                ),
                number=n,
            )
            for n in range(start, start + count)
        ),
        span({"http.request.method": "GET"}, number=start + 9_999),
    )


def on_spans(backend: Destination) -> dict[Point, float]:
    """The sums of what stands on the spans that the backend got."""
    sums: dict[Point, float] = {}
    for one in [
        one for r in backend.received if "TraceService" in r.path for one in spans_of(r.payload)
    ]:
        values = plain_attributes(one)
        for metric, attribute in (
            ("genops.cost", "genops.cost.total"),
            ("genops.tokens.input", "genops.tokens.input"),
            ("genops.tokens.output", "genops.tokens.output"),
            ("genops.tokens.cache_read", "gen_ai.usage.cache_read.input_tokens"),
        ):
            value = values.get(attribute)
            if isinstance(value, int | float) and (value or "cost" in attribute):
                key = (metric, str(values["genops.team"]))
                sums[key] = math.fsum([sums.get(key, 0.0), value])
    return sums


def on_page(enricher: EnricherProcess) -> dict[Point, float]:
    names = {metric.page_name: metric.name for metric in METRICS}
    return {
        (names[sample.name], sample.labels["genops_team"]): sample.value
        for family in text_string_to_metric_families(enricher.get("/metrics"))
        for sample in family.samples
        if sample.name in names
    }


def reports(backend: Destination) -> list[ExportMetricsServiceRequest]:
    return [
        ExportMetricsServiceRequest.FromString(r.payload)
        for r in backend.received
        if "MetricsService" in r.path
    ]


def sent_points(report: ExportMetricsServiceRequest) -> dict[Point, float]:
    return {
        (metric.name, _team(point.attributes)): point.as_double
        if point.HasField("as_double")
        else float(point.as_int)
        for metric in report.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.sum.data_points
    }


def _team(pairs: Any) -> str:
    (pair,) = pairs
    assert isinstance(pair, KeyValue)
    return pair.value.string_value


@pytest.mark.parametrize("temporality", ["delta", "cumulative"])
def test_page_and_otlp_equal_the_sums_over_the_spans(tmp_path: Path, temporality: str) -> None:
    settings = {
        "labels": ["genops.team"],
        "export_interval": "50ms",
        "temporality": temporality,
    }
    with grpc_destination() as backend:
        with running(config(tmp_path, backend, settings)) as enricher:
            for start in range(0, 100, 20):
                send(enricher, calls(start))
            page = on_page(enricher)
            assert enricher.stop() == 0  # the last report goes out while it drains
        expected = on_spans(backend)
        all_reports = reports(backend)

    assert len(expected) == 4 * 4
    assert page == pytest.approx(expected, abs=1e-12)
    told: dict[Point, float] = {}
    for report in all_reports:
        news = sent_points(report)
        told |= {
            k: math.fsum([told.get(k, 0.0), v]) if temporality == "delta" else v
            for k, v in news.items()
        }
    assert told == pytest.approx(expected, abs=1e-12)
    first = all_reports[0].resource_metrics[0]
    assert {pair.key for pair in first.resource.attributes} == {
        "service.name",
        "service.version",
        "service.instance.id",
    }
    sums = [metric.sum for metric in first.scope_metrics[0].metrics]
    expected_kind = AggregationTemporality.Value(f"AGGREGATION_TEMPORALITY_{temporality.upper()}")
    assert {one.aggregation_temporality for one in sums} == {expected_kind}


def test_teams_beyond_the_bound_share_one_series(tmp_path: Path) -> None:
    settings = {"labels": ["genops.team"], "max_series": 3, "export_interval": "1h"}
    with grpc_destination() as backend:
        with running(config(tmp_path, backend, settings)) as enricher:
            send(enricher, calls(0))
            assert enricher.metric('genops_tokens_input_total{genops_team="') > 0
            assert enricher.metric("genops_tokens_input_total{otel_metric_overflow") > 0
            assert enricher.metric("genops_tokens_input_total{") == sum(range(1000, 1020))
            assert enricher.stop() == 0
        (report,) = reports(backend)

    tokens = report.resource_metrics[0].scope_metrics[0].metrics[1].sum.data_points
    assert len(tokens) == 3
    assert [p for p in tokens if p.attributes[0].key == "otel.metric.overflow"]


def test_nothing_is_sent_unless_an_interval_is_set(tmp_path: Path) -> None:
    with grpc_destination() as backend:
        with running(config(tmp_path, backend, {"labels": ["genops.team"]})) as enricher:
            send(enricher, calls(0))
            assert enricher.metric("genops_cost_total{") > 0
            assert enricher.stop() == 0

        assert reports(backend) == []


def test_a_backend_that_was_down_gets_every_delta_once_it_is_back(tmp_path: Path) -> None:
    settings = {"labels": ["genops.team"], "export_interval": "20ms", "temporality": "delta"}

    def down_at_first(number: int, _request: Received) -> GrpcAnswer:
        return GrpcAnswer(grpc.StatusCode.UNAVAILABLE) if number < 6 else GrpcAnswer()

    with grpc_destination(down_at_first) as backend:
        with running(config(tmp_path, backend, settings)) as enricher:
            send(enricher, calls(0), calls(20))
            page = on_page(enricher)
            assert enricher.stop() == 0
        # What was refused at first was sent again, byte for byte.
        distinct = {r.payload: r for r in backend.received if "MetricsService" in r.path}
        told: dict[Point, float] = {}
        for payload in distinct:
            for key, value in sent_points(ExportMetricsServiceRequest.FromString(payload)).items():
                told[key] = told.get(key, 0.0) + value

    assert told == pytest.approx(page, abs=1e-12)


def test_log_records_of_llm_calls_pass_as_they_came_and_are_counted(tmp_path: Path) -> None:
    message = ExportLogsServiceRequest()
    scope = message.resource_logs.add().scope_logs.add()
    scope.log_records.add(
        body=any_value("claude_code.api_request"),
        attributes=attributes({"event.name": "api_request", "input_tokens": "12"}),
    )
    scope.log_records.add(body=any_value("an ordinary record"))
    payload = message.SerializeToString()
    with grpc_destination() as backend:
        with running(config(tmp_path, backend, {"labels": ["genops.team"]})) as enricher:
            send(enricher, payload, method=LOGS)
            counted = enricher.metric("genops_llm_log_records_total{")
            by_event = enricher.metric(
                'genops_llm_log_records_total{event="claude_code.api_request"}'
            )
            enricher.wait_until_empty()

        assert [r.payload for r in backend.received] == [payload]
    assert counted == by_event == 1
