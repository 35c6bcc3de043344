"""The files of collector-config/: valid, wired without a loop, and explained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector_process import validate
from genops_enricher.config.load import load_config
from genops_enricher.config.model import HttpReceiverConfig, ReceiverConfig
from topologies.runs import RUNS

CONFIGS = Path(__file__).parents[2] / "collector-config"
_CERTIFICATES = Path(__file__).parents[1] / "certificates"
FOLDERS = sorted(RUNS)
COLLECTORS = [folder for folder in FOLDERS if (CONFIGS / folder / "collector.yaml").exists()]
# Containers have files and tests of their own.
FOR_CONTAINERS = {"docker"}

_VARIABLE = re.compile(r"\$\{env:(\w+)(?::-([^}]*))?\}")
# Two destinations that hold each other up is what the page of the folder tells.
_WARNINGS = {"fan-out": ["sending_queue.on_full", "sending_queue.on_full"]}


def variables(text: str) -> dict[str, str]:
    """The variables that a text reads, and their defaults; empty: none."""
    return dict(_VARIABLE.findall(text))


def required(text: str) -> dict[str, str]:
    """Values for the variables without a default, and files that are there for those of TLS."""
    found = variables(text)
    values = {name: "sixteen-or-more-letters" for name, default in found.items() if not default}
    return values | {
        "TLS_CERT_FILE": str(_CERTIFICATES / "server.pem"),
        "TLS_KEY_FILE": str(_CERTIFICATES / "server.key"),
    }


def collector(folder: str) -> dict[str, Any]:
    """A Collector's file with the defaults of its variables."""
    text = (CONFIGS / folder / "collector.yaml").read_text(encoding="utf-8")
    config: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(lambda found: found[2] or "key", text))
    return config


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_file_of_the_enricher_is_valid(folder: str) -> None:
    file = CONFIGS / folder / "enricher.yaml"

    loaded = load_config(file, required(file.read_text(encoding="utf-8")))

    expected = _WARNINGS.get(folder, [])
    assert len(loaded.warnings) == len(expected)
    assert [key in str(each) for key, each in zip(expected, loaded.warnings, strict=True)] == [
        True for _ in expected
    ]


def test_every_deployment_is_run() -> None:
    folders = {path.parent.name for path in CONFIGS.glob("*/enricher.yaml")}

    assert folders == RUNS.keys() | FOR_CONTAINERS


@pytest.mark.heavy
@pytest.mark.parametrize("folder", [*COLLECTORS, *FOR_CONTAINERS])
def test_the_file_of_the_collector_is_valid(folder: str) -> None:
    file = CONFIGS / folder / "collector.yaml"

    done = validate(file, required(file.read_text(encoding="utf-8")))

    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_variable_and_its_default_is_on_the_page_of_the_folder(folder: str) -> None:
    page = (CONFIGS / folder / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.*?) \|", page, re.MULTILINE))

    used: dict[str, str] = {}
    for file in (CONFIGS / folder).glob("*.yaml"):
        used |= variables(file.read_text(encoding="utf-8"))

    assert rows == {
        name: f"`{default}`" if default else "none: required" for name, default in used.items()
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_variable_has_one_default_and_a_secret_has_none(folder: str) -> None:
    found: dict[str, set[str]] = {}
    for file in (CONFIGS / folder).glob("*.yaml"):
        for name, default in _VARIABLE.findall(file.read_text(encoding="utf-8")):
            found.setdefault(name, set()).add(default)

    assert [name for name, defaults in found.items() if len(defaults) > 1] == []
    secrets = {name for name in found if name.endswith(("_KEY", "_TOKEN"))}
    assert [name for name in secrets if found[name] != {""}] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_index_leads_to_the_folder_and_the_page_shows_a_picture(folder: str) -> None:
    index = (CONFIGS / "README.md").read_text(encoding="utf-8")
    page = (CONFIGS / folder / "README.md").read_text(encoding="utf-8")

    assert f"({folder}/README.md)" in index
    assert "**When.**" in page
    assert "▶" in page


@pytest.mark.parametrize("folder", ["", *FOLDERS])
def test_commands_of_the_page_name_files_that_are_there(folder: str) -> None:
    page = (CONFIGS / folder / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"--config (\S+)", page)

    assert named
    assert [file for file in named if not (CONFIGS.parent / file).is_file()] == []


@pytest.mark.parametrize("folder", COLLECTORS)
def test_the_collector_uses_what_it_defines_and_nothing_that_goes_away(folder: str) -> None:
    config = collector(folder)
    defined = {kind: set(config.get(kind, {})) for kind in ("receivers", "processors", "exporters")}
    used: dict[str, set[str]] = {kind: set() for kind in defined}
    for pipeline in config["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            used[kind] |= set(names)

    assert used == defined
    types = {
        name.partition("/")[0] for kind in ("processors", "exporters") for name in defined[kind]
    }
    assert types.isdisjoint({"batch", "otlp", "otlphttp", "loadbalancing", "logging"})
    assert set(config["service"]["extensions"]) == set(config["extensions"])


@pytest.mark.parametrize("folder", COLLECTORS)
def test_no_pipeline_leads_from_the_enricher_back_to_it(folder: str) -> None:
    config = collector(folder)
    file = CONFIGS / folder / "enricher.yaml"
    enricher = load_config(file, required(file.read_text(encoding="utf-8"))).config
    assert enricher.receiver
    into_enricher = {
        name
        for name, exporter in config["exporters"].items()
        if enricher.receiver.grpc_endpoint in str(exporter)
    }
    targets = {exporter.endpoint.target for exporter in enricher.exporters.values()}
    from_enricher = {
        name
        for name, receiver in config["receivers"].items()
        if targets & {protocol["endpoint"] for protocol in receiver["protocols"].values()}
    }

    assert into_enricher | from_enricher
    for pipeline in config["service"]["pipelines"].values():
        comes_from = from_enricher & set(pipeline["receivers"])
        assert not (comes_from and into_enricher & set(pipeline["exporters"]))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_enricher_leaves_the_usual_ports_to_a_collector(folder: str) -> None:
    file = CONFIGS / folder / "enricher.yaml"
    config = load_config(file, required(file.read_text(encoding="utf-8"))).config
    endpoints = [
        config.receiver.grpc_endpoint if config.receiver else "",
        config.http_receiver.endpoint if config.http_receiver else "",
        config.service.health_endpoint,
    ]
    ports = {endpoint.rpartition(":")[2] for endpoint in endpoints if endpoint}

    beside = folder in COLLECTORS
    assert ports <= ({"14317", "14318", "14133"} if beside else {"4317", "4318", "13133"})


def test_the_first_file_states_the_defaults() -> None:
    file = CONFIGS / "direct" / "enricher.yaml"

    config = load_config(file, required(file.read_text(encoding="utf-8"))).config

    assert config.receiver == ReceiverConfig()
    assert config.http_receiver == HttpReceiverConfig()
