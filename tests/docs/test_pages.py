"""What the pages say is there: links, make targets, commands, and code that runs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import genops.cli
import genops_enricher.cli
import genops_pricing.cli
from genops_pricing import bundled_catalog

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    {
        path
        for pattern in ("*.md", "*/*.md", "docs/**/*.md", "collector-config/*/**/*.md")
        for path in ROOT.glob(pattern)
        if not path.relative_to(ROOT).parts[0].startswith(".")
    }
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


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings of a page, so that links can lead to them."""
    text = re.sub(
        r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    found: Counter[str] = Counter()
    made = set()
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
        made.add(f"{slug}-{found[slug]}" if found[slug] else slug)
        found[slug] += 1
    return made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    missing = [
        f"{link}#{anchor}"
        for link, anchor in links
        if "://" not in link
        and (link or page.name).endswith(".md")
        and anchor not in anchors((page.parent / link).resolve() if link else page)
    ]

    assert missing == []


def test_the_contents_lead_to_every_page() -> None:
    contents = ROOT / "docs" / "README.md"
    links = re.findall(r"\]\(([^)#\s]+)", contents.read_text(encoding="utf-8"))
    named = [(contents.parent / link).resolve() for link in links]
    pages = {page for page in PAGES if page.is_relative_to(contents.parent)} - {contents}
    parts = {ROOT / part / "README.md" for part in ("thin_client", "enricher", "pricing_data")}

    assert pages | parts <= set(named)
    assert [page for page, times in Counter(named).items() if times > 1] == []
    assert "(docs/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_comes_to_the_point() -> None:
    """What it is, what comes out and how to start are there before anyone has to scroll far."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    assert max(lines.index(heading) for heading in ("## Start", "pip install '.[all]'")) < 50
    assert len(lines) < 110


def test_the_readme_counts_the_providers_that_have_prices() -> None:
    direct = {model.market for model in bundled_catalog().models()} - {"openrouter"}

    assert len(direct) == 17
    assert "seventeen providers" in (ROOT / "README.md").read_text(encoding="utf-8")


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
