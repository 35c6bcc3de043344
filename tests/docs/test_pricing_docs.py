"""The page on prices: its reference is the schema's, and its examples do what they say."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from genops_pricing.cli import main
from genops_pricing.matching import RULES
from genops_pricing.reference import renew
from pricing_files import catalog_of

PAGE = Path(__file__).parents[2] / "docs" / "pricing.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of a language, without their indent."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def without_state(text: str) -> str:
    """What a command prints, whatever day the catalog is of and however much it holds."""
    text = re.sub(r"\d{4}\.\d{2}\.\d{2}\+\w{8}(\.overlay\.\w{8})?", r"VERSION\1", text)
    text = re.sub(r"overlay\.\w{8}", "overlay", text)
    return re.sub(r"\d+ models, \d+ price rows", "all models and rows", text)


def test_the_reference_is_what_the_schema_makes() -> None:
    assert renew(TEXT) == TEXT, "run: python -m genops_pricing.reference docs/pricing.md"


def test_commands_print_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    overlay = next(text for text in blocks("yaml") if text.startswith("overlay:"))
    (tmp_path / "acme.yaml").write_text(overlay, encoding="utf-8")

    for block in blocks("console"):
        printed = ""
        for line in block.splitlines():
            if line.startswith("$ genops-pricing "):
                assert main(shlex.split(line)[2:]) == 0
                printed += f"{line}\n{capsys.readouterr().out}"
        assert without_state(printed) == without_state(block)


def test_the_row_of_the_five_steps_is_sound(tmp_path: Path) -> None:
    row = next(text for text in blocks("yaml") if text.startswith("- effective_from"))
    indented = "".join(f"  {line}\n" for line in row.splitlines())

    catalog = catalog_of(tmp_path, f"id: acme/one\nprices:\n{indented}")
    assert [len(model.rows) for model in catalog.models()] == [1]


def test_python_examples_print_what_the_page_shows() -> None:
    for code in blocks("python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(PAGE), "exec"), {})
        shown = [line.removeprefix("#> ") for line in code.splitlines() if line.startswith("#> ")]
        assert printed.getvalue().splitlines() == shown


def test_the_page_lists_every_rule_for_names_with_its_example() -> None:
    rows = [f"| {rule.name} | `{rule.given}` | `{rule.plainer}` |" for rule in RULES]

    start = TEXT.index(rows[0])
    assert TEXT[start:].startswith("\n".join(rows))


def test_the_refresh_job_uses_the_command_as_it_is(tmp_path: Path) -> None:
    (job,) = blocks("sh")
    lines = [line.strip() for line in job.splitlines() if line.startswith("genops-pricing import")]

    for line in lines:
        arguments = shlex.split(line.partition(" >")[0])[1:]
        with contextlib.redirect_stderr(io.StringIO()):
            assert main([*arguments, "--data", str(tmp_path / "none")]) == 1
