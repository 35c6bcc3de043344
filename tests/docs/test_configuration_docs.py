"""The reference pages are what their tables make, and the configurations that we show are valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genops_enricher.config.load import load_config
from genops_enricher.reference import PAGES, main

_ROOT = Path(__file__).parents[2]
_ENV = {"HOME": "/home/someone"}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_table_makes(name: str) -> None:
    assert (_ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name](), (
        "run: python -m genops_enricher.reference docs"
    )


def test_pages_are_written_into_the_folder_that_is_named(tmp_path: Path) -> None:
    main(str(tmp_path))

    assert {file.name for file in tmp_path.iterdir()} == PAGES.keys()


def _with_variables(text: str) -> dict[str, str]:
    names = re.findall(r"\$\{env:(\w+)\}", text)
    return _ENV | dict.fromkeys(names, "example")


def _examples() -> list[str]:
    text = (_ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    return re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", _examples())
def test_every_example_of_the_page_is_a_valid_configuration(text: str, tmp_path: Path) -> None:
    file = tmp_path / "enricher.yaml"
    file.write_text(text, encoding="utf-8")

    assert load_config(file, _with_variables(text)).warnings == ()
