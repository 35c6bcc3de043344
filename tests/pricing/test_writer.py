"""Additions to price files leave what is there as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genops_pricing import CatalogError
from genops_pricing.importing.decision import NewEndpoint, NewModel, NewRow
from genops_pricing.importing.observation import Subject
from genops_pricing.importing.soundness import flaws
from genops_pricing.importing.writer import write
from genops_pricing.yaml_source import read_yaml

FILE = """\
# Prices of acme.
market: openrouter
author: acme
models:
  - id: acme/one   # the first
    family: one
    prices:
      - effective_from: 2026-01-01
        usd_per_mtok: {input: "1", output: "2"}
        # seen by eye

  # The second one has an endpoint.
  - id: "acme/two:free"
    prices:
      - effective_from: 2026-01-01
        usd_per_mtok: {input: "0", output: "0"}
    endpoints:
      deepinfra:
        prices:
          - effective_from: 2026-01-01
            usd_per_mtok: {input: "0", output: "0"}
"""

ROW: dict[str, Any] = {
    "effective_from": "2026-02-01",
    "usd_per_mtok": {"input": "1.5", "output": "3"},
    "overrides": [
        {"when": {"prompt_over": 200000}, "usd_per_mtok": {"input": "3"}},
        {"when": {"utc": "16:30-00:30", "days": ("mon", "tue")}, "multiply": "0.5"},
    ],
    "provenance": {"source": "Acme: prices, 2026", "seen_at": "2026-02-02", "basis": "snapshot"},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "openrouter" / "acme.yaml"
    path.parent.mkdir()
    path.write_text(FILE)
    return tmp_path


def content_of(path: Path) -> Any:
    problems: list[str] = []
    document = read_yaml(path, problems)
    assert document is not None
    assert problems == []
    return document.content


def without(text: str, added: str) -> str:
    assert added in text
    return text.replace(added, "", 1)


def test_a_row_stands_after_the_last_and_nothing_else_changes(data: Path) -> None:
    (path,) = write(data, [NewRow(Subject("openrouter", "acme/one"), ROW, {})])

    added = """\
      - effective_from: 2026-02-01
        usd_per_mtok: {input: "1.5", output: "3"}
        overrides:
          - when: {prompt_over: 200000}
            usd_per_mtok: {input: "3"}
          - when: {utc: "16:30-00:30", days: [mon, tue]}
            multiply: "0.5"
        provenance: {source: "Acme: prices, 2026", seen_at: 2026-02-02, basis: snapshot}
"""
    assert without(path.read_text(), added) == FILE
    first, second = content_of(path)["models"]
    assert len(first["prices"]) == 2
    assert len(second["prices"]) == 1


@pytest.mark.parametrize(
    ("day", "days"),
    [
        ("2025-12-01", ["2025-12-01", "2026-01-01", "2026-02-01"]),
        ("2026-01-01", ["2026-01-01", "2026-01-01", "2026-02-01"]),
        ("2026-01-15", ["2026-01-01", "2026-01-15", "2026-02-01"]),
    ],
)
def test_a_row_stands_where_its_start_falls(data: Path, day: str, days: list[str]) -> None:
    subject = Subject("openrouter", "acme/one")
    write(data, [NewRow(subject, ROW, {})])
    earlier = {**ROW, "effective_from": day, "revision": 2}

    (path,) = write(data, [NewRow(subject, earlier, {})])

    rows = content_of(path)["models"][0]["prices"]
    assert [row["effective_from"] for row in rows] == days
    assert rows[days.index(day) + days.count(day) - 1]["revision"] == 2


def test_a_row_of_an_endpoint_stands_with_the_endpoint(data: Path) -> None:
    subject = Subject("openrouter", "acme/two:free", "deepinfra")

    (path,) = write(data, [NewRow(subject, ROW, {})])

    assert path.read_text().startswith(FILE)
    assert len(content_of(path)["models"][1]["endpoints"]["deepinfra"]["prices"]) == 2


def test_endpoints_are_added_to_models_with_and_without_any(data: Path) -> None:
    raw = {"quantization": "fp8", "prices": [ROW]}
    subjects = [
        Subject("openrouter", "acme/one", "novita"),
        Subject("openrouter", "acme/one", "together"),
        Subject("openrouter", "acme/two:free", "novita"),
    ]

    (path,) = write(data, [NewEndpoint(subject, raw) for subject in subjects])

    first, second = content_of(path)["models"]
    assert list(first["endpoints"]) == ["novita", "together"]
    assert list(second["endpoints"]) == ["deepinfra", "novita"]
    assert first["endpoints"]["novita"]["quantization"] == "fp8"


def test_models_go_to_the_file_of_their_market_and_author(data: Path) -> None:
    raw = {"id": "x", "prices": [ROW]}
    models = [
        NewModel("openrouter", "acme", {"id": "acme/three:batch", "prices": [ROW]}),
        NewModel("openrouter", "01-ai", raw),
        NewModel("zai", "z-ai", raw),
        NewModel("bedrock", "anthropic", raw),
    ]

    paths = write(data, models)

    assert [str(path.relative_to(data)) for path in paths] == [
        "direct/bedrock/anthropic.yaml",
        "direct/zai.yaml",
        "openrouter/01-ai.yaml",
        "openrouter/acme.yaml",
    ]
    assert paths[-1].read_text().startswith(FILE)
    assert content_of(paths[-1])["models"][2]["id"] == "acme/three:batch"
    assert content_of(paths[2])["author"] == "01-ai"


def test_a_row_for_a_model_that_is_nowhere_is_an_error_and_writes_nothing(data: Path) -> None:
    additions = [
        NewRow(Subject("openrouter", "acme/one"), ROW, {}),
        NewRow(Subject("openrouter", "acme/none"), ROW, {}),
    ]

    with pytest.raises(CatalogError, match=r"no file holds openrouter/acme/none\. Add the model"):
        write(data, additions)

    assert (data / "openrouter" / "acme.yaml").read_text() == FILE


@pytest.mark.parametrize(
    "name", ["Yes", "1e5", "2024-05-13", 'A "quoted" name', "a: b", "GLM 4.6V", "# no", "007", "~x"]
)
def test_text_is_read_back_as_it_is(data: Path, name: str) -> None:
    (path,) = write(
        data, [NewModel("openrouter", "acme", {"id": "acme/x", "name": name, "prices": [ROW]})]
    )

    assert content_of(path)["models"][-1]["name"] == name


def test_sources_are_written_by_their_short_names(data: Path) -> None:
    (data / "sources.yaml").write_text(
        'sources:\n  acme:\n    name: "Acme: prices"\n    url: https://acme.example\n'
    )
    provenance = ROW["provenance"] | {"source": "Acme: prices", "url": "https://acme.example"}
    row = ROW | {"provenance": provenance}

    (path,) = write(data, [NewRow(Subject("openrouter", "acme/one"), row, {})])

    assert "provenance: {source: acme, seen_at: 2026-02-02, basis: snapshot}" in path.read_text()


def test_an_endpoint_that_only_tells_its_weights_is_sound_and_written(data: Path) -> None:
    raw = {"quantization": "fp8"}
    endpoint = NewEndpoint(Subject("openrouter", "acme/one", "quiet"), raw)
    row = {"effective_from": "2026-01-01", "usd_per_mtok": {"input": "1", "output": "2"}}
    model = {"id": "acme/new", "prices": [row], "endpoints": {"quiet": raw}}

    assert not list(flaws(NewModel("openrouter", "acme", model)))
    (path,) = write(data, [endpoint])
    assert content_of(path)["models"][0]["endpoints"] == {"quiet": raw}
