"""What the pages say is there: links, make targets, commands, and code that runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import genops.cli
import genops_enricher.cli
import genops_pricing.cli

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "*/*.md", "docs/**/*.md", "collector-config/*/**/*.md")
    for path in ROOT.glob(pattern)
    if not path.relative_to(ROOT).parts[0].startswith(".")
)

PROGRAMS = {
    "genops": genops.cli.main,
    "genops-enricher": genops_enricher.cli.main,
    "genops-pricing": genops_pricing.cli.main,
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [
        link for link in links if "://" not in link and not (page.parent / link).resolve().exists()
    ]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_named_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for text in [*blocks(page, "bash"), *re.findall(r"`(make [a-z-]+)", page.read_text())]
        for target in re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)
    }

    assert named <= targets


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_named_has_a_help_page(
    page: Path, program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\n".join([*blocks(page, "bash"), *re.findall(r"`([^`\n]+)`", page.read_text())])
    for command in set(re.findall(rf"^{program} ([a-z]+(?:-[a-z]+)*)", text, re.MULTILINE)):
        with pytest.raises(SystemExit) as ended:
            PROGRAMS[program]([command, "--help"])

        assert ended.value.code == 0, command
    capsys.readouterr()


@pytest.mark.parametrize("code", blocks(ROOT / "README.md", "python"))
def test_the_python_of_the_readme_runs(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr


def test_the_changelog_has_a_section_for_what_is_not_released_yet() -> None:
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
