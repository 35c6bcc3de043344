"""What `diff` and `list --stats` say of catalogs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from genops_pricing.cli import main
from genops_pricing.compiled import compile_directory, write_compiled
from pricing_files import model_file, write_directory

ONE = """\
id: acme/one
prices:
  - effective_from: 2024-01-01
    usd_per_mtok: {input: "1", output: "2"}
    provenance: {source: "acme", seen_at: 2024-01-02, basis: snapshot}
"""
SECOND = """\
  - effective_from: 2024-06-01
    usd_per_mtok: {input: "3", output: "2"}
"""
CORRECTION = """\
  - effective_from: 2024-01-01
    revision: 2
    corrects: openrouter/acme/one@2024-01-01T00:00:00Z
    reason: misread
    usd_per_mtok: {input: "1.5", output: "2"}
"""
TWO = 'id: acme/two\nprices: [{effective_from: 2024-02-01, status: suspect, reason: "?"}]'


Output = pytest.CaptureFixture[str]


def diff(capsys: Output, old: Path, new: Path) -> tuple[int, list[dict[str, Any]]]:
    code = main(["diff", str(old), str(new), "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def data(directory: Path, *models: str) -> Path:
    return write_directory(directory, acme=model_file(*models))


def test_additions_are_told_and_are_no_breach(tmp_path: Path, capsys: Output) -> None:
    old = data(tmp_path / "old", ONE)
    new = data(tmp_path / "new", f"{ONE}{SECOND}{CORRECTION}removed: 2024-09-01", TWO)

    code, changes = diff(capsys, old, new)
    assert code == 0
    assert [(change["change"], change["entry"]) for change in changes] == [
        ("model_removed", None),
        ("row_added", "openrouter/acme/one@2024-06-01T00:00:00Z"),
        ("row_corrected", "openrouter/acme/one@2024-01-01T00:00:00Z#2"),
        ("model_added", None),
    ]
    assert changes[2]["old"] == "input 1, output 2 USD per million tokens"
    assert changes[2]["new"] == "input 1.5, output 2 USD per million tokens"

    assert main(["diff", str(old), str(new)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "- removed  openrouter/acme/one: 2024-09-01"
    assert lines[-1] == "1 model added, 1 row added, 1 row corrected, 1 model removed"


def test_a_row_that_was_edited_or_lost_is_a_breach(tmp_path: Path, capsys: Output) -> None:
    old = data(tmp_path / "old", f"{ONE}{SECOND}", TWO)
    new = data(tmp_path / "new", ONE.replace('"1"', '"1.1"'))

    code, changes = diff(capsys, old, new)
    assert code == 3
    assert [change["change"] for change in changes] == ["row_changed", "row_lost", "model_lost"]


def test_a_price_that_was_only_seen_again_is_no_change(tmp_path: Path, capsys: Output) -> None:
    old = data(tmp_path / "old", ONE)
    new = data(tmp_path / "new", ONE.replace("2024-01-02", "2024-03-01"))

    assert diff(capsys, old, new) == (0, [])


def test_a_compiled_file_and_a_wheel_are_catalogs_too(tmp_path: Path, capsys: Output) -> None:
    directory = data(tmp_path / "data", ONE)
    compiled = tmp_path / "catalog.json"
    write_compiled(compile_directory(directory), compiled)
    wheel = tmp_path / "genops_ai-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(compiled, "genops_pricing/catalog.json")

    assert diff(capsys, directory, compiled) == (0, [])
    assert diff(capsys, compiled, wheel) == (0, [])


def test_what_is_no_catalog_is_named(tmp_path: Path, capsys: Output) -> None:
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("other/__init__.py", "")

    assert main(["diff", str(wheel), str(wheel)]) == 1
    assert f"{wheel}: no price catalog in it" in capsys.readouterr().err
    assert main(["diff", str(tmp_path / "none.json"), str(wheel)]) == 1
    assert "none.json" in capsys.readouterr().err


def test_stats_count_models_and_rows_by_kind(capsys: Output) -> None:
    assert main(["list", "--stats", "--json", "--market", "openrouter"]) == 0
    record = json.loads(capsys.readouterr().out)

    assert record["markets"] == {"openrouter": record["models"]}
    for kind in ("authors", "status", "listed"):
        assert sum(record[kind].values()) == record["models"]
    for kind in ("basis", "sources"):
        assert sum(record[kind].values()) == record["rows"]
    assert {"priced", "free", "dynamic_price"} <= record["status"].keys()

    assert main(["list", "--stats"]) == 0
    out = capsys.readouterr().out
    assert "\nmarkets (" in out
    assert " others\n" in out
