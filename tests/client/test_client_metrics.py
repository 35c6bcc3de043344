"""Metrics of the application leave the way spans do."""

from __future__ import annotations

import pytest

from client.otlp_receiver import PROTOCOLS, receiving
from client.processes import python

COUNT = """
import sys, genops
from opentelemetry import metrics
{before}
genops.init("app", otlp_endpoint=sys.argv[1], otlp_headers={{"x-key": "k"}})
meter = metrics.get_meter("shop")
meter.create_counter("requests").add(3)
meter.create_histogram("cost").record(0.5)
"""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_metrics_of_a_short_process_arrive(protocol: str) -> None:
    with receiving(protocol) as receiver:
        result = python(COUNT.format(before=""), receiver.endpoint)
        metadata = receiver.metrics.queue[0][0]

        assert (result.returncode, result.stderr) == (0, "")
        assert metadata["x-key"] == "k"
        assert receiver.sums() == [("app", "requests", 3), ("app", "cost", 0.5)]


def test_a_counter_made_before_init_counts_what_comes_after_it() -> None:
    before = "early = metrics.get_meter('early').create_counter('early'); early.add(1)"
    with receiving("http") as receiver:
        result = python(COUNT.format(before=before) + "early.add(2)", receiver.endpoint)

        assert result.stderr == ""
        assert ("app", "early", 2) in receiver.sums()


def test_the_console_prints_metrics_too() -> None:
    result = python(
        "import genops; from opentelemetry import metrics\n"
        "assert genops.init(exporter_type='console').metrics_exporter == 'console'\n"
        "metrics.get_meter('m').create_counter('requests').add(1)\n"
    )

    assert '"name": "requests"' in result.stdout
    assert result.stderr == ""


def test_no_metrics_are_exported_if_the_environment_says_so() -> None:
    with receiving("http") as receiver:
        result = python(
            COUNT.format(before="") + "print(genops.status().metrics_exporter)",
            receiver.endpoint,
            OTEL_METRICS_EXPORTER="none",
        )

        assert (result.stdout, result.stderr) == ("none\n", "")
        assert receiver.metrics.empty()


def test_a_meter_provider_of_the_application_is_kept() -> None:
    before = (
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "from opentelemetry.sdk.metrics.export import InMemoryMetricReader\n"
        "reader = InMemoryMetricReader(); own = MeterProvider([reader], shutdown_on_exit=False)\n"
        "metrics.set_meter_provider(own)\n"
    )
    after = (
        "print(genops.status().metrics_exporter); genops.shutdown()\n"
        "print(len(reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics))\n"
    )
    with receiving("http") as receiver:
        result = python(COUNT.format(before=before) + after, receiver.endpoint)

        assert result.stdout.splitlines() == ["existing meter provider", "2"], result.stderr
        assert receiver.metrics.empty()


def test_an_application_with_a_tracer_provider_gets_no_meter_provider_unasked() -> None:
    result = python(
        "import genops; from opentelemetry import metrics, trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "print(genops.init().metrics_exporter, type(metrics.get_meter_provider()).__name__)\n"
    )

    assert result.stdout == "none _ProxyMeterProvider\n", result.stderr


def test_metrics_arrive_again_after_shutdown_and_init() -> None:
    code = (
        "import sys, genops; from opentelemetry import metrics\n"
        "def start(): genops.init('app', otlp_endpoint=sys.argv[1])\n"
        "start(); counter = metrics.get_meter('m').create_counter('requests')\n"
        "counter.add(1); genops.shutdown()\n"
        "counter.add(10); start(); counter.add(100); genops.shutdown()\n"
    )
    with receiving("http") as receiver:
        result = python(code, receiver.endpoint)

        assert result.stderr == ""
        assert receiver.sums() == [("app", "requests", 1), ("app", "requests", 111)]


def test_the_temporality_that_the_environment_asks_for_is_used() -> None:
    code = (
        "import sys, genops; from opentelemetry import metrics\n"
        "genops.init('app', otlp_endpoint=sys.argv[1])\n"
        "counter = metrics.get_meter('m').create_counter('requests')\n"
        "counter.add(1); metrics.get_meter_provider().force_flush(); counter.add(10)\n"
    )
    with receiving("grpc") as receiver:
        result = python(
            code, receiver.endpoint, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta"
        )

        assert result.stderr == ""
        assert receiver.sums() == [("app", "requests", 1), ("app", "requests", 10)]


def test_metrics_go_where_their_own_variables_say() -> None:
    with receiving("http") as receiver:
        result = python(
            "import genops; from opentelemetry import metrics\n"
            "print(genops.init('app').metrics_exporter)\n"
            "metrics.get_meter('m').create_counter('requests').add(1)\n",
            OTEL_TRACES_EXPORTER="none",
            OTEL_METRICS_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=receiver.endpoint + "/v1/metrics",
        )

        assert result.stdout == f"otlp http/protobuf to {receiver.endpoint}/v1/metrics\n"
        assert receiver.sums() == [("app", "requests", 1)]
