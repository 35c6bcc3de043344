"""The compiled catalog: what is read is what was checked, and a wheel needs no YAML."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from genops_pricing import CatalogError
from genops_pricing.compiled import (
    compile_directory,
    load_bundled,
    read_compiled,
    write_compiled,
)
from pricing_files import model_file, write_directory

ROOT = Path(__file__).parents[2]
MODEL = """
id: acme/one
prices: [{effective_from: 2024-01-01, usd_per_mtok: {input: "1", output: "2"}}]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_directory(tmp_path / "data", acme=model_file(MODEL))


def test_a_compiled_catalog_reads_back_as_it_was(tmp_path: Path, data: Path) -> None:
    compiled = compile_directory(data)
    write_compiled(compiled, tmp_path / "catalog.json")

    assert read_compiled(tmp_path / "catalog.json") == compiled
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog.json", "data"]


def test_comments_change_the_files_but_not_the_catalog(data: Path) -> None:
    before = compile_directory(data)
    (data / "acme.yaml").write_text("# reviewed\n" + (data / "acme.yaml").read_text())
    commented = compile_directory(data)
    (data / "acme.yaml").write_text((data / "acme.yaml").read_text().replace('"2"', '"3"'))
    repriced = compile_directory(data)

    assert (commented.digest, commented.content) == (before.digest, before.content)
    assert commented.sources != before.sources
    assert repriced.digest != before.digest


def test_a_checkout_follows_its_yaml(tmp_path: Path, data: Path) -> None:
    file = tmp_path / "catalog.json"

    first = load_bundled(data, file)
    assert read_compiled(file) == first
    (data / "acme.yaml").write_text((data / "acme.yaml").read_text().replace('"2"', '"3"'))
    second = load_bundled(data, file)
    assert second.digest != first.digest
    assert read_compiled(file) == second


def test_an_unchanged_checkout_is_not_compiled_again(tmp_path: Path, data: Path) -> None:
    file = tmp_path / "catalog.json"
    load_bundled(data, file)
    before = file.stat()

    load_bundled(data, file)
    assert file.stat().st_ino == before.st_ino


def test_an_installation_without_yaml_reads_the_compiled_catalog(
    tmp_path: Path, data: Path
) -> None:
    write_compiled(compile_directory(data), tmp_path / "catalog.json")

    compiled = load_bundled(tmp_path / "no data", tmp_path / "catalog.json")
    assert compiled == compile_directory(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace('"input":"1"', '"input":"9"'),
        lambda text: text[:-20],
        lambda text: "",
        lambda text: "{}",
        lambda text: text.replace('"digest"', '"dygest"'),
    ],
)
def test_a_damaged_catalog_is_refused(tmp_path: Path, data: Path, damage: object) -> None:
    file = tmp_path / "catalog.json"
    write_compiled(compile_directory(data), file)
    assert callable(damage)
    file.write_text(damage(file.read_text()))

    with pytest.raises(CatalogError, match=r"can't be read.*Install genops-ai again"):
        read_compiled(file)


def test_a_missing_catalog_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"catalog\.json: the price catalog can't be read"):
        load_bundled(tmp_path / "no data", tmp_path / "catalog.json")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, data: Path) -> None:
    compiled = compile_directory(data)
    target = tmp_path / "catalog.json"
    target.mkdir()  # can't be replaced by a file

    with pytest.raises(OSError):
        write_compiled(compiled, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog.json", "data"]


def test_pricing_imports_no_yaml_and_nothing_that_only_answers_to_mistakes_need() -> None:
    code = (
        "import sys; from genops_pricing import bundled_catalog, Usage; import datetime as d; "
        "q = bundled_catalog().quote('gpt-4o', Usage(input=1), at=d.datetime.now(d.UTC)); "
        "assert q.total, q; assert not {'yaml', 'difflib'} & {*sys.modules}"
    )
    load_bundled()  # compiled already, so that the YAML need not be read
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.heavy
def test_a_wheel_holds_the_catalog_without_yaml_and_prices_without_pyyaml(tmp_path: Path) -> None:
    quiet = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, timeout=300, env=quiet)
    wheel = next(tmp_path.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "genops_pricing/catalog.json" in names
    assert not [name for name in names if name.endswith((".yaml", "_build_hook.py"))]

    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    install = [str(programs / "pip"), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, timeout=300, env=quiet)
    cost = [str(programs / "genops-pricing"), "cost", "openai/gpt-4o", "--input", "4"]
    run = subprocess.run(cost, check=True, timeout=60, capture_output=True, text=True, cwd=tmp_path)
    assert run.stdout.startswith("openai/gpt-4o: 0.00001 USD")

    (tmp_path / "o.yaml").write_text("overlay: o\n")
    run = subprocess.run(
        [*cost, "--overlay", "o.yaml"], timeout=60, capture_output=True, text=True, cwd=tmp_path
    )
    assert run.returncode == 1
    assert run.stderr == (
        "o.yaml: reading YAML needs PyYAML. Install it: pip install 'genops-ai[pricing]'\n"
    )
