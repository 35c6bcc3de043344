"""Makes the plain manifests of the gateway from the Helm chart, so that there is one source.

    cd tests && python -m deploy.manifests

A heavy test compares. A file has one template; what needs the Prometheus Operator stands apart.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from deploy import tools

__all__ = ["CHART", "FOLDER", "GATEWAY", "KUBERNETES", "documents", "helm", "only", "render"]

FOLDER = Path(__file__).parents[2] / "collector-config" / "kubernetes"
CHART = FOLDER / "helm" / "genops-enricher"
GATEWAY = FOLDER / "gateway"
KUBERNETES = "1.33.0"  # a version to render for; helm asks no cluster

_MADE = (
    "# Made from the Helm chart beside this folder: tests/deploy/manifests.py. Change it there.\n"
)
_OPERATOR = {"prometheusrule.yaml", "servicemonitor.yaml"}


def documents(*files: Path) -> list[dict[str, Any]]:
    """All that stands in the files."""
    return [
        document
        for file in files
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    ]


def only(kind: str, of: list[dict[str, Any]]) -> dict[str, Any]:
    """The one of this kind."""
    (document,) = [each for each in of if each["kind"] == kind]
    return document


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm, which is built if it is not there yet."""
    program = tools.go_program("helm.sh/helm/v3/cmd/helm", "v3.22.0")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def render() -> dict[str, str]:
    """The manifests: path below the folder of the gateway -> text."""
    values = FOLDER / "helm" / "gateway.values.yaml"
    done = helm(
        "template", "genops-enricher", str(CHART), "--kube-version", KUBERNETES, "-f", str(values)
    )
    assert done.returncode == 0, done.stderr
    documents: dict[str, list[str]] = {}
    for document in done.stdout.split("---\n"):
        if document.strip():
            source, _, text = document.partition("\n")
            documents.setdefault(source.rpartition("/")[2], []).append(text)
    return {
        f"monitoring/{name}" if name in _OPERATOR else name: _MADE + "---\n".join(texts)
        for name, texts in documents.items()
    }


if __name__ == "__main__":
    for name, text in render().items():
        (GATEWAY / name).write_text(text, encoding="utf-8")
