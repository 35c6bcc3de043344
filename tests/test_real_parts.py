"""Programs are built once, whole, and not in the tree, however many want them at a time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import heavy
from real_parts.build import PARTS, BuildError, Part, build


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENOPS_TOOLS_CACHE", str(tmp_path))
    return tmp_path


def part(made: list[Path], recipe: str = "1") -> Part:
    def make(work: Path) -> None:
        made.append(work)
        (work / "program").write_text("half of")
        time.sleep(0.1)  # long enough for others to come
        (work / "program").write_text("the whole")

    return Part("program", recipe, make)


def test_those_that_want_a_program_at_the_same_time_get_one_that_is_built_once() -> None:
    made: list[Path] = []
    texts: list[str] = []
    wanted = part(made)
    threads = [
        threading.Thread(target=lambda: texts.append(build(wanted).read_text())) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert texts == ["the whole"] * 5
    assert len(made) == 1


def test_another_recipe_is_another_program() -> None:
    made: list[Path] = []

    assert build(part(made)) == build(part(made)) != build(part(made, recipe="2"))
    assert len(made) == 2


def test_what_a_killed_build_left_is_removed_and_the_program_built(cache: Path) -> None:
    made: list[Path] = []
    program = build(part(made))
    program.unlink()
    left = program.parent / "work-of-one-that-was-killed"
    left.mkdir()
    (left / "program").write_text("half of")

    assert build(part(made)).read_text() == "the whole"
    assert sorted(path.name for path in program.parent.iterdir()) == ["lock", "program"]


def test_a_build_that_fails_leaves_no_program(cache: Path) -> None:
    def make(work: Path) -> None:
        (work / "program").write_text("half of")
        raise BuildError("no such module")

    with pytest.raises(BuildError):
        build(Part("program", "1", make))

    assert [path for path in cache.rglob("program") if path.is_file()] == []


def test_a_part_that_is_missing_is_a_failure_in_ci_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="go is not installed"):
        heavy.missing("go is not installed")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="go is not installed"):
        heavy.missing("go is not installed")


def test_the_recipe_of_the_collector_is_its_manifest_and_its_pins() -> None:
    recipe = PARTS["otelcol"].recipe

    for file in ("manifest.yaml", "go.mod", "go.sum"):
        assert f"\n{file}\n" in f"\n{recipe}"
