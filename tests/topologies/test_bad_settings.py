"""What docs/troubleshooting.md says of wrong settings between a Collector and the enricher."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from topologies.bad_settings import BAD_SETTINGS, misconfigured
from topologies.senders import CALL, generate

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_the_page_shows_the_messages(name: str) -> None:
    setting = BAD_SETTINGS[name]
    page = PAGE.read_text(encoding="utf-8")

    assert setting.message in page
    assert setting.ours in page
    assert setting.metric.partition('",signal')[0] in page


@pytest.mark.heavy
@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_the_collector_says_the_message(name: str, tmp_path: Path) -> None:
    setting = BAD_SETTINGS[name]
    with misconfigured(setting, tmp_path) as (endpoint, collector, enricher, backend):
        if setting.large:
            generate(endpoint, 20, {**CALL, "content": "x" * 100_000})  # 4 MB
        else:
            generate(endpoint, 1)

        collector.wait_for(re.escape(setting.message))

        assert backend.spans == ()
        assert enricher.is_running()
        assert setting.ours in enricher.log.read_text()
        assert not setting.metric or enricher.metric(setting.metric) == 1
