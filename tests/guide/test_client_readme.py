"""The programs on the page of the client, against a stand-in for OpenRouter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genops_enricher.demo.fake_openrouter import FakeOpenRouter
from pages import KEY, ROOT, Reader, blocks

PAGE = ROOT / "thin_client" / "README.md"
PROGRAMS = blocks(PAGE.read_text(encoding="utf-8"), "python")
# What the page takes for granted: an application with a client, and a question.
GIVEN = """\
import genops
from genops.providers.openrouter import instrument_openrouter

messages = [{"role": "user", "content": "Hello"}]
client = instrument_openrouter()


def answer_ticket(question):
    client.chat_completions_create(model="openai/gpt-4o", messages=messages, team="support")


"""


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda text: text.splitlines()[0])
def test_it_runs(program: str, tmp_path: Path) -> None:
    # A key, and how long an answer is, are somebody's own.
    program = program.replace('openrouter_api_key="…"', f'openrouter_api_key="{KEY}"')
    program = program.replace('["gen_ai.usage.output_tokens"] == 200', "")
    with FakeOpenRouter() as router:
        reader = Reader(
            tmp_path,
            {"genops.init(\n": 'genops.init(\n    exporter_type="none",\n'},
            GENOPS_OPENROUTER_BASE_URL=router.base_url,
            OTEL_TRACES_EXPORTER="none",
            OTEL_METRICS_EXPORTER="none",
        )
        ran = reader.run(GIVEN + program, "python")

    assert ran.code == 0, ran.output
    assert "WARNING" not in ran.output


def test_the_costs_in_comments_are_what_comes_out(tmp_path: Path) -> None:
    """`expression  # value`, of the prices of today."""
    (program,) = [text for text in PROGRAMS if "calculate_openrouter_cost(" in text]
    (shown,) = re.findall(r"^(calculate_openrouter_cost\(.+\))  # ([\d.]+)$", program, re.MULTILINE)

    ran = Reader(tmp_path).run(
        f"from genops.providers.openrouter_pricing import *\nprint({shown[0]})", "python"
    )

    assert ran.output.strip() == shown[1]
