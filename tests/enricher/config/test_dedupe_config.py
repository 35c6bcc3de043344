"""The keys of duplicates, orphan aggregates and drift."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from genops_enricher.config.dump import dump_config
from genops_enricher.config.load import load_config
from genops_enricher.config.model import Config, DedupeConfig
from genops_enricher.errors import ConfigError

_MINIMAL = "exporters: {otlp_http: {endpoint: 'http://backend:4318'}}\n"
_ALL = """\
enrichment:
  dedupe: {enabled: false, window: 20m, max_ids: 1000}
  price_orphan_aggregates: true
  drift_tolerance: 0.1
"""

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str) -> Config:
        file = tmp_path / "enricher.yaml"
        file.write_text(text, encoding="utf-8")
        return load_config(file, {"HOME": "/home/someone"}).config

    return load


def test_calls_are_priced_once_and_aggregates_never_by_default(load: Load) -> None:
    enrichment = load(_MINIMAL).enrichment

    assert enrichment.dedupe == DedupeConfig(enabled=True, window_s=3600.0, max_ids=100_000)
    assert enrichment.price_orphan_aggregates is False
    assert enrichment.drift_tolerance == 0.02


def test_every_value_arrives_and_is_dumped(load: Load) -> None:
    config = load(_MINIMAL + _ALL)

    assert config.enrichment.dedupe == DedupeConfig(enabled=False, window_s=1200.0, max_ids=1000)
    assert config.enrichment.price_orphan_aggregates is True
    assert config.enrichment.drift_tolerance == 0.1
    assert load(dump_config(config)).enrichment == config.enrichment


@pytest.mark.parametrize(
    "wrong",
    ["dedupe: {window: 0s}", "dedupe: {max_ids: 1}", "drift_tolerance: 2", "dedupe: false"],
)
def test_values_that_make_no_sense_are_told(load: Load, wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"enrichment\.(dedupe|drift_tolerance)"):
        load(f"{_MINIMAL}enrichment: {{{wrong}}}\n")
