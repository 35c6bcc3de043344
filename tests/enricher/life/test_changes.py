"""Which parts a change concerns, key by key, and that every key is decided about."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from genops_enricher.config.load import load_config
from genops_enricher.config.model import Config
from genops_enricher.errors import ConfigError
from genops_enricher.life.changes import Part, changed_parts, check_changeable

BASE = "exporters: {otlp_grpc: {endpoint: 'http://backend:4317'}}\n"
GRPC = "receivers: {{otlp: {{protocols: {{grpc: {{{}}}}}}}}}"


def config(folder: Path, more: str = "", base: str = BASE) -> Config:
    file = folder / "enricher.yaml"
    file.write_text(base + more)
    (folder / "prices.yaml").touch()
    return load_config(file, {"HOME": "/h"}).config


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ("", set()),
        ("enrichment: {overlays: [prices.yaml]}", set()),
        ("enrichment: {attribution: {genops.team: [team]}}", set()),
        ("enrichment: {vocabularies: [langfuse]}", set()),
        ("enrichment: {dedupe: {enabled: false}}", set()),
        ("enrichment: {price_orphan_aggregates: true}", set()),
        ("enrichment: {drift_tolerance: 0.5}", set()),
        ("enrichment: {catalog: {max_age: 1h, reload_interval: 1s}}", set()),
        ("service: {memory_limit_mib: 500, reload_interval: 1s, shutdown_timeout: 1s}", set()),
        ("service: {telemetry: {logs: {level: debug, encoding: json}}}", set()),
        ("service: {telemetry: {health: {endpoint: '127.0.0.1:14133'}}}", {Part.HEALTH}),
        (
            "service: {telemetry: {traces: {exporter: otlp_grpc}}}",
            {Part.TRACING, Part.PIPELINES, Part.RECEIVERS},
        ),
        (GRPC.format("max_workers: 3"), {Part.RECEIVERS}),
        ("enrichment: {metrics: {labels: [genops.team]}}", {Part.PIPELINES}),
        ("enrichment: {metrics: {export_interval: 1s}}", {Part.PIPELINES}),
        (
            "service: {pipelines: {traces: {exporters: [otlp_grpc]}}}",
            {Part.PIPELINES, Part.RECEIVERS},
        ),
    ],
)
def test_a_change_concerns_no_more_than_it_must(
    tmp_path: Path, more: str, parts: set[Part]
) -> None:
    # Where receivers are named, those that are not are off.
    before = config(tmp_path, GRPC.format("") if "receivers" in more else "")

    assert changed_parts(before, config(tmp_path, more)) == parts


@pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")
def test_the_number_of_workers_needs_a_restart(tmp_path: Path) -> None:
    before = config(tmp_path)

    with pytest.raises(ConfigError, match=r"service\.workers: can't change from 1 to 2"):
        check_changeable(before, config(tmp_path, "service: {workers: 2}"))


def test_whatever_an_exporter_has_concerns_the_pipelines(tmp_path: Path) -> None:
    with_key = BASE.replace("'http", "headers: {x-key: new}, endpoint: 'http", 1).replace(
        "endpoint: headers", "headers"
    )

    assert changed_parts(config(tmp_path), config(tmp_path, base=with_key)) == {Part.PIPELINES}


def test_whatever_the_exporter_of_own_spans_has_concerns_them(tmp_path: Path) -> None:
    on = "service: {telemetry: {traces: {exporter: otlp_grpc}}}"
    other = BASE.replace("backend", "other")

    changed = changed_parts(config(tmp_path, on), config(tmp_path, on, base=other))

    assert changed == {Part.TRACING, Part.PIPELINES, Part.RECEIVERS}


def test_the_data_folder_cannot_change(tmp_path: Path) -> None:
    before = config(tmp_path, "service: {data_dir: /a}")

    with pytest.raises(ConfigError) as caught:
        check_changeable(before, config(tmp_path, "service: {data_dir: /b}"))

    assert caught.value.problems == (
        "service.data_dir: can't change from /a to /b in a running process, which has a queue "
        "there; restart it, or take the change back",
    )
    check_changeable(before, before)
