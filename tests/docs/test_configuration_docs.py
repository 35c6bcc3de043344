"""The reference pages are what their tables make, and the configurations that we show are valid."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from genops_enricher.config.load import load_config
from genops_enricher.reference import PAGES, main
from pages import blocks

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


SECTIONS = {"receivers", "exporters", "enrichment", "service"}


def examples() -> list[tuple[str, str]]:
    """Every configuration of the enricher that stands on a page, with the name of the page."""
    found = []
    for page in sorted((_ROOT / "docs").glob("*.md")):
        for text in blocks(page.read_text(encoding="utf-8"), "yaml"):
            content = yaml.safe_load(text)
            if isinstance(content, dict) and content.keys() <= SECTIONS:
                found.append((page.stem, text))
    return found


@pytest.mark.parametrize(("page", "text"), examples())
def test_every_configuration_on_a_page_is_valid(page: str, text: str, tmp_path: Path) -> None:
    """With an exporter where the page leaves it out, and with the files that it names."""
    content = yaml.safe_load(text)
    if "exporters" not in content:
        text += "\nexporters: {otlp_http: {endpoint: 'https://api.example'}}\n"
    for name in set(re.findall(r"\b([\w-]+\.(?:pem|key))\b", text)):
        source = "server.key" if name.endswith(".key") else "server.pem"
        source = source.replace("server", "client") if name.startswith("client.") else source
        shutil.copy(_ROOT / "tests" / "certificates" / source, tmp_path / name)
    (tmp_path / "tokens").write_text("sixteen-or-more-letters\n")
    (tmp_path / "prices.yaml").write_text(
        "overlay: x\nmarket: openrouter\nauthor: acme\nmodels: []\n"
    )
    (tmp_path / "enricher.yaml").write_text(text)
    env = dict.fromkeys(re.findall(r"\$\{env:(\w+)", text), "sixteen-or-more-letters")
    env |= {"GRPC_PORT": "24317", "HEALTH_PORT": "23133", "HOME": "/home/someone"}
    env |= {"BACKEND_ENDPOINT": "https://api.example"}

    load_config(tmp_path / "enricher.yaml", env)


def test_there_are_many_examples() -> None:
    assert len(examples()) > 20
