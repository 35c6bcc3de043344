"""The page on redaction: its configurations are valid, and what it says of them holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genops_enricher.config.load import load_config
from genops_enricher.config.patterns import BODY, STATUS_MESSAGE
from genops_enricher.redact import Redactor
from genops_enricher.telemetry import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "redaction.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_each_configuration_is_valid_and_redacts(block: str, tmp_path: Path) -> None:
    file = tmp_path / "enricher.yaml"
    file.write_text(block, encoding="utf-8")
    names = re.findall(r"\$\{env:(\w+)\}", block)

    loaded = load_config(file, {"HOME": "/h"} | dict.fromkeys(names, "0123456789abcdef"))

    assert loaded.warnings == ()
    redactor = Redactor.of(loaded.config.enrichment.redaction)
    assert redactor is not None
    assert redactor.label("user.id", "7").startswith("hmac-sha256:")


def test_the_second_one_warns_as_the_page_says_if_the_copy_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "enricher.yaml"
    text = BLOCKS[1].replace(", genops.user_id]", "]").replace("${env:GENOPS_HASH_KEY}", "x" * 16)
    file.write_text(text, encoding="utf-8")

    warnings = load_config(file, {"HOME": "/h"}).warnings

    assert warnings
    assert all("genops.user_id" in warning for warning in warnings)


def test_every_name_that_is_no_attribute_and_every_metric_is_there() -> None:
    assert f"`{BODY}`" in PAGE
    assert f"`{STATUS_MESSAGE}`" in PAGE
    named = set(re.findall(r"genops_redact\w+_total", PAGE))
    assert named == {m.name for m in METRICS if "redact" in m.name}
