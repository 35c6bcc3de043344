"""Carries out a compose file without an engine: each service a container and a host of a network.

What our file has is understood: image, command, environment, volumes, `network_mode: service:…`,
`depends_on` with its conditions, health checks. Published ports are left out: there is no way in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.containers import Container, bridge
from deploy.dockerfile import Stage

__all__ = ["Image", "up"]

TIMEOUT_S = 120.0

Image = tuple[Sequence[Path], Stage]


@contextmanager
def up(
    services: Mapping[str, Any], images: Mapping[str, Image], beside: Path, folder: Path
) -> Iterator[dict[str, Container]]:
    """Start all services, each once what it depends on is as it has to be.

    Args:
        services: the section of the compose file.
        images: by the name in the file, without its tag.
        beside: the folder of the compose file, where its paths begin.
        folder: for logs and volumes.
    """
    hosts = {name for name, service in services.items() if "network_mode" not in service}
    running: dict[str, Container] = {}
    with bridge(sorted(hosts)) as network:
        etc_hosts = "127.0.0.1 localhost\n" + "".join(
            f"{address} {name}\n" for name, (_, address) in network.items()
        )
        try:
            for name in _in_order(services):
                service = services[name]
                for other, condition in _needs(service).items():
                    if condition == "service_healthy":
                        _wait_until_healthy(running[other])
                layers, stage = images[service["image"].rpartition(":")[0]]
                if "healthcheck" in service:
                    stage = replace(stage, health_check=service["healthcheck"]["test"][1:])
                host = service.get("network_mode", "").removeprefix("service:") or name
                volumes, files = _mounts(service.get("volumes", []), beside, folder)
                running[name] = Container(
                    layers,
                    stage,
                    network[host][0],
                    folder / f"{name}.log",
                    command=service.get("command", []),
                    env=service.get("environment", {}),
                    volumes=volumes,
                    files={"/etc/hosts": etc_hosts, **files},
                )
            yield running
        finally:
            for container in reversed(running.values()):
                container.kill()


def _needs(service: Mapping[str, Any]) -> dict[str, str]:
    depends = service.get("depends_on", {})
    if isinstance(depends, list):
        return dict.fromkeys(depends, "service_started")
    return {name: each["condition"] for name, each in depends.items()}


def _in_order(services: Mapping[str, Any]) -> list[str]:
    order: list[str] = []
    while len(order) < len(services):
        ready = [n for n in services if n not in order and _needs(services[n]).keys() <= {*order}]
        assert ready, "services depend on each other in a circle"
        order += ready
    return order


def _mounts(
    volumes: Sequence[str], beside: Path, folder: Path
) -> tuple[dict[str, Path], dict[str, str]]:
    """Named volumes as folders that the image's user may write, and files by their text."""
    made: dict[str, Path] = {}
    files: dict[str, str] = {}
    for volume in volumes:
        source, place, *_ = volume.split(":")
        if source.startswith("."):
            files[place] = (beside / source).read_text(encoding="utf-8")
        else:
            made[place] = folder / source
            made[place].mkdir(mode=0o700)
            os.chown(made[place], 65532, 65532)
    return made, files


def _wait_until_healthy(container: Container) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while container.exec(container.stage.health_check).returncode != 0:
        assert time.monotonic() < deadline_s, container.log.read_text()
        time.sleep(0.2)
