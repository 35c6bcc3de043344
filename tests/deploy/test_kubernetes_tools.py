"""The manifests and the chart with the real tools: schemas of Kubernetes, helm, kustomize."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import tools
from deploy.manifests import CHART, FOLDER, GATEWAY, KUBERNETES, documents, helm, only, render
from genops_enricher.config.load import load_config

Document = dict[str, Any]

SIDECAR = FOLDER / "sidecar"
VALIDATE = Path(__file__).with_name("validate.py")
MANIFESTS = sorted(
    path
    for folder in (GATEWAY, GATEWAY / "monitoring", SIDECAR)
    for path in folder.glob("*.yaml")
    if path.name != "kustomization.yaml"
)

pytestmark = pytest.mark.heavy


def validate(kind: str, package: str, all_of: list[Document], folder: Path) -> str:
    files = []
    for number, document in enumerate(all_of):
        file = folder / f"{number}-{document['kind']}.json"
        file.write_text(json.dumps(document))
        files.append(str(file))
    done = subprocess.run(
        [tools.python_with(package), str(VALIDATE), kind, *files],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def problems(all_of: list[Document], folder: Path) -> str:
    operator = [d for d in all_of if d["apiVersion"].startswith("monitoring.coreos.com/")]
    own = [d for d in all_of if d not in operator]
    found = validate("kubernetes", "kubernetes-validate", own, folder)
    if operator:
        found += validate("monitoring", "cloudcoil-models-prometheus-operator", operator, folder)
    return found


def test_kubernetes_knows_all_of_every_manifest(tmp_path: Path) -> None:
    all_of = documents(*MANIFESTS)

    assert len(all_of) == 14
    assert problems(all_of, tmp_path) == ""
    for document in all_of:
        document["spek"] = {}
    broken = problems(all_of, tmp_path)
    for number, document in enumerate(all_of):
        assert f"-{document['kind']}.json" in broken, number


def test_the_plain_manifests_are_what_the_chart_makes() -> None:
    made = render()

    for name, text in made.items():
        assert (GATEWAY / name).read_text(encoding="utf-8") == text, (
            "run `python -m deploy.manifests` in tests/"
        )
    committed = {str(p.relative_to(GATEWAY)) for p in MANIFESTS if p.is_relative_to(GATEWAY)}
    assert committed - {"secret.yaml"} == made.keys()


def test_helm_lints_the_chart() -> None:
    done = helm("lint", "--strict", str(CHART))

    assert done.returncode == 0, done.stdout + done.stderr


VARIANTS: dict[str, Document] = {
    "nothing but what is required": {
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "secretName": "",
        "serviceAccount": {"name": "there-already"},
        "config": {"exporters": {"otlp_grpc/gateway": {"endpoint": "http://collector:4317"}}},
    },
    "everything": {
        "replicaCount": 5,
        "image": {"repository": "r.example/e", "tag": "1.2.3", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "overlays": {"b.yaml": "overlay: b\n", "a.yml": "overlay: a\n"},
        "receivers": {"tlsSecretName": "enricher-tls", "tokensSecretName": "senders"},
        "extraEnv": [{"name": "REGION", "value": "eu"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "own-ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
        "shutdownTimeoutSeconds": 120,
        "memoryLimitMiB": 2048,
        "persistence": {"size": "1Ti", "storageClassName": "fast"},
        "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "4"}},
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": "25%"},
        "serviceMonitor": {"enabled": True, "interval": "1m", "labels": {"release": "p"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "p"}},
        "podAnnotations": {"a.example/b": "c"},
        "podLabels": {"tier": "telemetry"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {}},
    },
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_chart_makes_valid_manifests_of_other_values(name: str, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(VARIANTS[name]))

    done = helm("template", "x", str(CHART), "--kube-version", KUBERNETES, "-f", str(values))

    assert done.returncode == 0, done.stderr
    all_of = [d for d in yaml.safe_load_all(done.stdout) if d]
    assert problems(all_of, tmp_path) == ""
    pod = only("StatefulSet", all_of)["spec"]["template"]["spec"]
    (text,) = [d["data"]["enricher.yaml"] for d in all_of if "enricher.yaml" in d.get("data", {})]
    config = yaml.safe_load(text)
    stop_s = int(config["service"]["shutdown_timeout"].removesuffix("s"))
    assert pod["terminationGracePeriodSeconds"] == stop_s + 15
    if name == "everything":
        assert config["enrichment"]["overlays"] == [
            "/etc/genops-enricher/overlays/a.yml",
            "/etc/genops-enricher/overlays/b.yaml",
        ]
        assert pod["containers"][0]["resources"]["limits"] == {"memory": "2432Mi", "cpu": "4"}


def test_with_both_secrets_the_receivers_are_not_open(tmp_path: Path) -> None:
    secrets = "receivers.tlsSecretName=enricher-tls,receivers.tokensSecretName=senders"
    done = helm("template", "x", str(CHART), "--kube-version", KUBERNETES, "--set", secrets)

    assert done.returncode == 0, done.stderr
    all_of = [d for d in yaml.safe_load_all(done.stdout) if d]
    (text,) = [d["data"]["enricher.yaml"] for d in all_of if "enricher.yaml" in d.get("data", {})]
    (container,) = only("StatefulSet", all_of)["spec"]["template"]["spec"]["containers"]
    for mount in container["volumeMounts"]:
        text = text.replace(mount["mountPath"] + "/", f"{tmp_path}/{mount['name']}/")
    certificates = Path(__file__).parents[1] / "certificates"
    (tmp_path / "tls").mkdir()
    shutil.copy(certificates / "server.pem", tmp_path / "tls" / "tls.crt")
    shutil.copy(certificates / "server.key", tmp_path / "tls" / "tls.key")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "tokens").write_text("0123456789abcdef0123456789abcdef\n")
    config = tmp_path / "enricher.yaml"
    config.write_text(text)

    loaded = load_config(config, {"POD_IP": "10.1.2.3", "HONEYCOMB_API_KEY": "x"})

    assert loaded.warnings == ()
    assert loaded.config.receiver
    assert loaded.config.http_receiver


def test_helm_refuses_a_value_that_is_not_there() -> None:
    done = helm("template", "x", str(CHART), "--kube-version", KUBERNETES, "--set", "replicas=3")

    assert done.returncode != 0
    assert "replicas" in done.stderr


@pytest.mark.parametrize("folder", [GATEWAY, GATEWAY / "monitoring", SIDECAR], ids=lambda p: p.name)
def test_kustomize_builds_the_folder(folder: Path, tmp_path: Path) -> None:
    kustomize = tools.go_program("sigs.k8s.io/kustomize/kustomize/v5", "v5.7.1")
    done = subprocess.run(
        [kustomize, "build", str(folder)], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    (content,) = documents(folder / "kustomization.yaml")
    assert len(built) == len(documents(*(folder / name for name in content["resources"])))
    assert problems(built, tmp_path) == ""
