"""The image of the enricher: built as the Dockerfile says, run as Kubernetes would, without either.

No engine is needed. What its steps make is made by the kernel's own parts (deploy/namespaces.py),
and runs read-only, as the image's user and as process 1. What that can't show is the base image and
the engine itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from deploy.containers import Container, network
from deploy.dockerfile import Stage, build, parse

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60.0
DATA = "/var/lib/genops-enricher"

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    return parse((ROOT / "collector-config" / "docker" / "Dockerfile").read_text())


@pytest.fixture(scope="module")
def image(stages: dict[str, Stage], containers: Path) -> list[Path]:
    return build(stages, "enricher", ROOT, containers)


@pytest.fixture(scope="module")
def demo(stages: dict[str, Stage], containers: Path) -> list[Path]:
    return build(stages, "demo", ROOT, containers)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty volume that the user of the image may write, as an engine makes one."""
    volume = tmp_path / "queue"
    volume.mkdir(mode=0o700)
    os.chown(volume, 65532, 65532)
    return volume


@pytest.fixture
def where() -> Iterator[str]:
    with network() as where:
        yield where


def healthy(container: Container) -> bool:
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        if container.exec(container.stage.health_check).returncode == 0:
            return True
        time.sleep(0.2)
    return False


def test_the_demo_runs_in_containers_and_stops_as_an_engine_stops_it(
    stages: dict[str, Stage],
    image: list[Path],
    demo: list[Path],
    where: str,
    volume: Path,
    tmp_path: Path,
) -> None:
    """The services of docker-compose.yaml but the Collector; a sink stands for Jaeger."""
    parts: list[Container] = []

    def start(name: str, layers: list[Path], stage: str, *command: str, **env: str) -> Container:
        volumes = {DATA: volume} if stage == "enricher" else {}
        part = Container(
            layers,
            stages[stage],
            where,
            tmp_path / f"{name}.log",
            command=command,
            env=env,
            volumes=volumes,
        )
        parts.append(part)
        return part

    try:
        sink = start("sink", demo, "demo", "genops_enricher.demo.sink", "--grpc-port", "24317")
        start("openrouter", demo, "demo", "genops_enricher.demo.fake_openrouter", "--port", "8080")
        enricher = start(
            "enricher",
            image,
            "enricher",
            OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:24317",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",  # which jaeger:4317 says by its port
        )
        assert healthy(enricher), enricher.log.read_text()
        app = start(
            "app",
            demo,
            "demo",
            OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4317",
            GENOPS_OPENROUTER_BASE_URL="http://127.0.0.1:8080/api/v1",
            OPENROUTER_API_KEY="sk-or-fake",
        )
        assert app.wait() == 0, app.log.read_text()
        expected = json.loads(app.log.read_text().splitlines()[-1])["spans"]

        assert enricher.stop() == 0, enricher.log.read_text()
        first, *lines = sink.log.read_text().splitlines()
        assert "grpc" in json.loads(first)
        spans = {span["span_id"]: span["attributes"] for span in map(json.loads, lines)}
        assert len(spans) == expected
        statuses = [span.get("genops.cost.status") for span in spans.values()]
        assert statuses.count("priced") >= 10
        assert "free" in statuses
        assert "unpriced" in statuses
    finally:
        for part in parts:
            part.kill()


def test_it_is_process_1_of_its_user_and_can_write_its_data_folder_only(
    stages: dict[str, Stage], image: list[Path], where: str, volume: Path, tmp_path: Path
) -> None:
    enricher = Container(
        image,
        stages["enricher"],
        where,
        tmp_path / "enricher.log",
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        volumes={DATA: volume},
    )
    try:
        assert healthy(enricher), enricher.log.read_text()

        told = enricher.exec(["/bin/sh", "-c", "id -u; id -g; cat /proc/1/cmdline | tr '\\0' ' '"])
        assert told.stdout.split()[:2] == ["65532", "65532"]
        assert "genops-enricher run" in told.stdout
        for place in ("/", "/opt/genops", "/etc/genops-enricher", "/tmp", "/usr/local"):
            wrote = enricher.exec(["/bin/sh", "-c", f"echo x > {place}/written"])
            assert wrote.returncode != 0, place
        assert enricher.exec(["/bin/sh", "-c", f"echo x > {DATA}/written"]).returncode == 0
        assert enricher.exec(["/usr/local/bin/python", "-m", "pip", "--version"]).returncode != 0
    finally:
        enricher.kill()


def test_a_change_of_a_config_map_reaches_it(
    stages: dict[str, Stage], image: list[Path], where: str, volume: Path, tmp_path: Path
) -> None:
    """Mounted as Kubernetes does: files are links through `..data`, and that link is switched."""
    mounted = tmp_path / "mounted"
    template = (ROOT / "collector-config" / "docker" / "enricher.yaml").read_text()

    def publish(name: str, level: str) -> None:
        (mounted / name).mkdir(parents=True)
        (mounted / name / "enricher.yaml").write_text(
            template.replace("    logs:", f"    logs:\n      level: {level}").replace(
                "service:", "service:\n  reload_interval: 1s"
            )
        )
        (mounted / "..new").symlink_to(name)
        (mounted / "..new").replace(mounted / "..data")

    publish("..1", "info")
    (mounted / "enricher.yaml").symlink_to("..data/enricher.yaml")
    enricher = Container(
        image,
        stages["enricher"],
        where,
        tmp_path / "enricher.log",
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        volumes={DATA: volume, "/etc/genops-enricher": mounted},
    )
    try:
        assert healthy(enricher), enricher.log.read_text()

        publish("..2", "debug")

        wait_for_reload(enricher, "applied")
        publish("..3", "loud")
        wait_for_reload(enricher, "failed")
        assert healthy(enricher), "a wrong file on disk is no reason to end what runs"
    finally:
        enricher.kill()


def wait_for_reload(container: Container, outcome: str) -> None:
    page = "from urllib.request import *; print(urlopen('http://127.0.0.1:13133/metrics').read())"
    deadline_s = time.monotonic() + TIMEOUT_S
    while f'genops_config_reloads_total{{outcome="{outcome}"}} 1.0' not in (
        container.exec(["/opt/genops/bin/python", "-c", page]).stdout
    ):
        assert time.monotonic() < deadline_s, container.log.read_text()
        time.sleep(0.2)


def test_the_health_check_fails_where_the_enricher_does_not_answer(
    stages: dict[str, Stage], image: list[Path], where: str, tmp_path: Path
) -> None:
    stage = stages["enricher"]
    probe = Container(
        image,
        Stage("probe", "", user=stage.user),
        where,
        tmp_path / "probe.log",
        command=stage.health_check,
    )

    assert probe.wait() == 1
    assert "no enricher answers at 127.0.0.1:13133" in probe.log.read_text()


def test_the_image_holds_the_program_and_no_source(image: list[Path]) -> None:
    packages = next((image[-1] / "opt/genops/lib").glob("python3.*")) / "site-packages"

    assert (packages / "genops_pricing" / "catalog.json").is_file()
    assert not (packages / "genops_pricing" / "data").exists()
    assert not (packages / "pip").exists()
    assert not (image[-1] / "src").exists()
    assert not (image[-1] / "wheels").exists()
    pinned = {
        line.lower().replace("_", "-").replace(".", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    installed = {
        "==".join(folder.stem.split("-")[:2]).lower().replace("_", "-").replace(".", "-")
        for folder in packages.glob("*.dist-info")
    }
    assert installed - pinned == {f"genops-ai=={version('genops-ai')}".replace(".", "-")}
    data = (image[-1] / DATA.lstrip("/")).stat()
    assert (data.st_uid, data.st_gid, stat.S_IMODE(data.st_mode)) == (65532, 65532, 0o700)


def test_what_is_built_twice_is_the_same(
    stages: dict[str, Stage], image: list[Path], tmp_path: Path
) -> None:
    again = build(stages, "enricher", ROOT, tmp_path)

    assert digests(again[-1] / "opt") == digests(image[-1] / "opt")


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(
            os.readlink(file).encode() if file.is_symlink() else file.read_bytes()  # noqa: PTH115
        ).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_symlink() or file.is_file()
    }
