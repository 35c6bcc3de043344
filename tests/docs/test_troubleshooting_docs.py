"""The page on troubleshooting: every symptom is provoked by a test, and what it names is there.

tests/troubleshooting provokes the symptoms; here is what can be told without a process.
"""

from __future__ import annotations

import ast
import re

from genops_enricher.config.keys import KEYS
from genops_enricher.enrich.attributes import REASONS
from genops_enricher.telemetry import METRICS
from pages import ROOT, sections

PAGE = ROOT / "docs" / "troubleshooting.md"
SECTIONS = sections(PAGE, before="A Collector in front")  # the rest has tests in tests/topologies
TEXT = "".join(one.text for one in SECTIONS)
SYMPTOMS = [one for one in SECTIONS if one.blocks("text") or one.blocks("bash")]
NO_MESSAGE = {"The last spans of a short program are missing"}  # that is the symptom


def provoked() -> list[str]:
    """The names of the tests that provoke symptoms."""
    return [
        node.name.removeprefix("test_")
        for module in (ROOT / "tests" / "troubleshooting").glob("test_*.py")
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def test_each_symptom_has_a_test_that_provokes_it_and_each_test_a_symptom() -> None:
    without_message = [one for one in SECTIONS if one.title in NO_MESSAGE]

    assert sorted(provoked()) == sorted(one.slug for one in SYMPTOMS + without_message)


def test_each_heading_of_the_third_level_is_a_symptom() -> None:
    headings = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    ours = {one.title for one in SECTIONS} & {*headings}

    assert len(ours) > 50
    assert ours - {one.title for one in SYMPTOMS} == NO_MESSAGE


def test_every_metric_and_key_that_is_named_is_there() -> None:
    metrics = {metric.name for metric in METRICS}
    named = set(re.findall(r"\bgenops_[a-z_]+_(?:total|items|bytes|seconds|apart)\b", TEXT))
    assert "genops_received_items_total" in named
    assert named <= metrics

    keys = {key.path.replace("<id>.", "") for key in KEYS}
    named = set(re.findall(r"`((?:sending_queue|retry_on_failure|dead_letter)\.[a-z_.]+)`", TEXT))
    assert "sending_queue.queue_size" in named
    assert {f"exporters.{name}" for name in named} <= keys | {"exporters.sending_queue.batch"}


def test_every_reason_for_a_loss_and_for_no_cost_is_listed() -> None:
    reference = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    (line,) = (line for line in reference.splitlines() if line.startswith("| `reason` |"))
    losses = re.findall(r"`(\w+)` \(", line.partition("why an item was dropped")[2])
    rows = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) - {"reason"}

    assert {"queue_full", "corrupt"} <= {*losses}
    assert rows == {*losses} | {*REASONS}
