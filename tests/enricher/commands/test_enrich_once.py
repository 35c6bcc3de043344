"""`genops-enricher enrich` prices each call once, in all the files it is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genops_enricher.cli import main
from otlp import chat, request, span

CALL = chat(more={"gen_ai.response.id": "gen-1763900000-abcdefghijkl"})
CONFIG = "exporters: {otlp_http: {endpoint: 'http://backend:4318'}}\nenrichment: "


def reasons(capsys: pytest.CaptureFixture[str]) -> list[object]:
    lines = [json.loads(line)["attributes"] for line in capsys.readouterr().out.splitlines()]
    return [one.get("genops.cost.unpriced_reason") for one in lines]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for number in (1, 2):
        (tmp_path / f"{number}.pb").write_bytes(request(span(CALL, number=number)))
    return [str(tmp_path / "1.pb"), str(tmp_path / "2.pb")]


def test_the_later_file_has_the_duplicate(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["enrich", "--json", *files])

    assert reasons(capsys) == [None, "duplicate"]


def test_spans_that_repeat_a_priced_call_are_no_failure(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = tmp_path / "agent.pb"
    agent.write_bytes(request(span(CALL | {"gen_ai.operation.name": "invoke_agent"}, number=9)))

    assert main(["enrich", *files, str(agent)]) == 0

    out = capsys.readouterr().out
    assert "1 unpriced (duplicate)" in out
    assert "1 unpriced (aggregate)" in out


def test_a_duplicate_is_shown_with_the_span_that_has_the_cost(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["enrich", *files])

    first, second, *_ = capsys.readouterr().out.splitlines()
    trace_id, span_id = first.split()[:2]
    assert "unpriced: duplicate" in second
    assert second.endswith(f"{trace_id}:{span_id}")


def test_a_repricing_decides_anew(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    main(["enrich", "--json", *files, "-o", str(out)])
    capsys.readouterr()
    main(["enrich", "--json", "--reprice", str(out / "2.pb"), str(out / "1.pb")])

    assert reasons(capsys) == [None, "duplicate"]


def test_the_settings_of_the_configuration_hold(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = tmp_path / "agent.pb"
    agent.write_bytes(request(span(CALL | {"gen_ai.operation.name": "invoke_agent"}, number=9)))
    config = tmp_path / "enricher.yaml"
    config.write_text(CONFIG + "{dedupe: {enabled: false}, price_orphan_aggregates: true}\n")
    main(["enrich", "--json", "--config", str(config), str(agent), files[0]])
    # otlp.span puts each number into a trace of its own.
    assert reasons(capsys) == [None, None]

    main(["enrich", "--json", "--config", str(config), *files])
    assert reasons(capsys) == [None, None]
