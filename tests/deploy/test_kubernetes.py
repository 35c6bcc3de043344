"""The manifests and the chart: valid by the schemas of Kubernetes, and in agreement."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from deploy.manifests import CHART, FOLDER, GATEWAY, documents, only
from genops_enricher.config.load import load_config
from genops_enricher.config.model import Config
from genops_enricher.config.values import split_address
from genops_enricher.queue.log import SEGMENT_BYTES
from genops_pricing import load_catalog

Document = dict[str, Any]

SIDECAR = FOLDER / "sidecar"
UNITS = {"Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def quantity(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi|Ti)", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


class Deployment:
    """One way to deploy: the pod, the container of the enricher in it, and its configuration."""

    def __init__(self, folder: Path, kind: str, tmp_path: Path) -> None:
        self.all = documents(*folder.glob("[!k]*.yaml"))
        self.workload = only(kind, self.all)
        self.pod = self.workload["spec"]["template"]["spec"]
        containers = [*self.pod.get("initContainers", []), *self.pod["containers"]]
        (self.container,) = [c for c in containers if c["name"] == "enricher"]
        self.files = self._files()
        for name, text in self.files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        config = tmp_path / "enricher.yaml"
        # Where the folder is mounted is elsewhere here.
        config.write_text(config.read_text().replace(self.config_mount(), str(tmp_path)))
        self.loaded = load_config(config, self.environment())

    @property
    def config(self) -> Config:
        return self.loaded.config

    def environment(self) -> dict[str, str]:
        """What the container gets, with an address for the pod."""
        (secret,) = [d for d in self.all if d["kind"] == "Secret"]
        names = [source["secretRef"]["name"] for source in self.container["envFrom"]]
        assert names == [secret["metadata"]["name"]]
        made = {variable["name"]: "10.1.2.3" for variable in self.container.get("env", [])}
        return {**secret["stringData"], **made}

    def config_mount(self) -> str:
        (mount,) = [m for m in self.container["volumeMounts"] if m["name"] == "config"]
        assert "subPath" not in mount, "a map mounted by subPath never changes in a running pod"
        place: str = mount["mountPath"]
        return place

    def data_mount(self) -> str:
        (mount,) = [m for m in self.container["volumeMounts"] if m["name"] == "queue"]
        place: str = mount["mountPath"]
        return place

    def _files(self) -> dict[str, str]:
        """The files of the mounted configuration, by their path below the mount."""
        maps = {d["metadata"]["name"]: d["data"] for d in self.all if d["kind"] == "ConfigMap"}
        (volume,) = [v for v in self.pod["volumes"] if v["name"] == "config"]
        sources = volume["projected"]["sources"] if "projected" in volume else [volume]
        files: dict[str, str] = {}
        for source in sources:
            data = maps[source["configMap"]["name"]]
            items = source["configMap"].get("items") or [{"key": k, "path": k} for k in data]
            files |= {item["path"]: data[item["key"]] for item in items}
        return files


@pytest.fixture
def gateway(tmp_path: Path) -> Deployment:
    return Deployment(GATEWAY, "StatefulSet", tmp_path)


@pytest.fixture
def sidecar(tmp_path: Path) -> Deployment:
    return Deployment(SIDECAR, "Deployment", tmp_path)


@pytest.fixture(params=["gateway", "sidecar"])
def either(request: pytest.FixtureRequest) -> Deployment:
    deployment: Deployment = request.getfixturevalue(request.param)
    return deployment


def test_the_configuration_is_valid_and_the_overlays_are_sound(either: Deployment) -> None:
    assert all("is open to the network" in warning for warning in either.loaded.warnings)
    load_catalog(either.config.enrichment.overlays)
    assert either.config.service.reload_interval_s, "a change of the map has to be noticed"


def test_only_the_gateway_can_be_reached_from_other_pods(
    gateway: Deployment, sidecar: Deployment
) -> None:
    assert len(gateway.loaded.warnings) == 2
    assert sidecar.loaded.warnings == ()
    app = sidecar.pod["containers"][0]
    (endpoint,) = [e["value"] for e in app["env"] if e["name"] == "OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert sidecar.config.receiver
    assert endpoint == f"http://{sidecar.config.receiver.grpc_endpoint}"


def test_the_ports_are_those_of_the_configuration(gateway: Deployment) -> None:
    config = gateway.config
    assert config.receiver
    assert config.http_receiver
    ports = {port["name"]: port["containerPort"] for port in gateway.container["ports"]}

    assert ports == {
        "otlp-grpc": split_address(config.receiver.grpc_endpoint)[1],
        "otlp-http": split_address(config.http_receiver.endpoint)[1],
        "health": split_address(config.service.health_endpoint)[1],
    }
    for service in (d for d in gateway.all if d["kind"] == "Service"):
        for port in service["spec"]["ports"]:
            assert port["port"] == ports[port["targetPort"]]


def test_probes_ask_what_listens_on_the_address_of_the_pod(either: Deployment) -> None:
    host, port = split_address(either.config.service.health_endpoint)

    assert host == "0.0.0.0"
    (named,) = [p for p in either.container["ports"] if p["name"] == "health"]
    assert named["containerPort"] == port
    probes = {name: probe for name, probe in either.container.items() if name.endswith("Probe")}
    assert {"startupProbe", "livenessProbe"} <= probes.keys()
    for probe in probes.values():
        assert probe["httpGet"]["port"] == "health"
        assert "host" not in probe["httpGet"]
    # A process that recovers or drains is alive; to kill it would begin all anew.
    assert probes["livenessProbe"]["httpGet"]["path"] == "/live"


def test_a_stop_has_the_time_that_it_may_take(gateway: Deployment, sidecar: Deployment) -> None:
    grace_s = gateway.pod["terminationGracePeriodSeconds"]
    before_s = gateway.container["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert grace_s > before_s + gateway.config.service.shutdown_timeout_s
    assert sidecar.pod["terminationGracePeriodSeconds"] > sidecar.config.service.shutdown_timeout_s


def test_the_volume_holds_all_that_may_wait(gateway: Deployment, sidecar: Deployment) -> None:
    (claim,) = gateway.workload["spec"]["volumeClaimTemplates"]
    (volume,) = [v for v in sidecar.pod["volumes"] if v["name"] == "queue"]
    sizes = {
        gateway: quantity(claim["spec"]["resources"]["requests"]["storage"]),
        sidecar: quantity(volume["emptyDir"]["sizeLimit"]),
    }
    for deployment, size in sizes.items():
        config = deployment.config
        most = sum(
            max(config.exporters[name].queue.queue_size_bytes for name in exporters)
            + sum(config.exporters[name].dead_letter_size_bytes for name in exporters)
            + SEGMENT_BYTES
            + (256 << 20)  # damaged ranges
            for exporters in config.pipelines.values()
        )
        assert most * 1.1 < size  # the sum that docs/operations.md makes
        assert str(config.service.data_dir).startswith(deployment.data_mount() + "/")


def test_the_enricher_refuses_before_the_kernel_ends_it(either: Deployment) -> None:
    """What requests in work may take above the limit is what docs/lifecycle.md says."""
    config = either.config
    limit = config.service.memory_limit_bytes
    assert limit
    assert config.receiver
    assert config.http_receiver

    above = quantity(either.container["resources"]["limits"]["memory"]) - limit
    in_work = config.receiver.max_in_flight_bytes + config.http_receiver.max_in_flight_bytes
    assert above >= 3 * in_work
    assert above >= 15 * config.http_receiver.max_request_body_bytes  # a document of JSON


def test_a_gateway_starts_with_what_the_page_on_operations_says(gateway: Deployment) -> None:
    page = (FOLDER.parents[1] / "docs" / "operations.md").read_text(encoding="utf-8")

    assert "Start with half a core, 512 MiB of memory and 6 GiB of" in page
    assert gateway.container["resources"]["requests"] == {"cpu": "500m", "memory": "512Mi"}


def test_nothing_runs_as_root_or_writes_its_image(either: Deployment) -> None:
    assert either.pod["securityContext"]["runAsNonRoot"]
    assert either.pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert either.pod["automountServiceAccountToken"] is False
    for container in [*either.pod.get("initContainers", []), *either.pod["containers"]]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_a_sidecar_starts_first_ends_last_and_is_no_reason_to_be_unready(
    sidecar: Deployment,
) -> None:
    assert sidecar.container in sidecar.pod["initContainers"]
    assert sidecar.container["restartPolicy"] == "Always"
    assert sidecar.container["startupProbe"]["httpGet"]["path"] == "/ready"
    assert "readinessProbe" not in sidecar.container


def test_a_gateway_keeps_a_volume_for_each_replica(gateway: Deployment) -> None:
    spec = gateway.workload["spec"]

    assert spec["replicas"] > 1
    assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert spec["serviceName"] in {
        d["metadata"]["name"]
        for d in gateway.all
        if d["kind"] == "Service" and d["spec"].get("clusterIP") == "None"
    }


def test_everything_that_selects_pods_selects_these(gateway: Deployment) -> None:
    labels = gateway.workload["spec"]["template"]["metadata"]["labels"].items()
    chosen = [
        *(d["spec"]["selector"] for d in gateway.all if d["kind"] == "Service"),
        only("PodDisruptionBudget", gateway.all)["spec"]["selector"]["matchLabels"],
        only("NetworkPolicy", gateway.all)["spec"]["podSelector"]["matchLabels"],
        gateway.workload["spec"]["selector"]["matchLabels"],
        *(c["labelSelector"]["matchLabels"] for c in gateway.pod["topologySpreadConstraints"]),
    ]

    assert len(chosen) == 7
    for selector in chosen:
        assert selector
        assert selector.items() <= labels


def test_each_replica_is_scraped_once(gateway: Deployment) -> None:
    monitor = only("ServiceMonitor", documents(*(GATEWAY / "monitoring").glob("s*.yaml")))
    wanted = monitor["spec"]["selector"]["matchLabels"].items()

    (service,) = [
        d
        for d in gateway.all
        if d["kind"] == "Service" and wanted <= d["metadata"]["labels"].items()
    ]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"


def test_the_network_policy_opens_the_ports_that_are_there(gateway: Deployment) -> None:
    policy = only("NetworkPolicy", gateway.all)["spec"]
    named = {port["name"] for port in gateway.container["ports"]}

    opened = [port["port"] for rule in policy["ingress"] for port in rule["ports"]]
    assert sorted(opened) == sorted(named)
    for exporter in gateway.config.exporters.values():
        assert exporter.endpoint.secure
    assert {"port": 443, "protocol": "TCP"} in [p for r in policy["egress"] for p in r["ports"]]


def test_the_rules_are_those_of_the_dashboards() -> None:
    rule = only("PrometheusRule", documents(GATEWAY / "monitoring" / "prometheusrule.yaml"))
    rules = FOLDER.parent / "dashboards" / "prometheus" / "alerts.yaml"

    assert rule["spec"] == yaml.safe_load(rules.read_text(encoding="utf-8"))


def test_what_kustomize_applies_is_there_and_no_example_of_a_key_is_among_it() -> None:
    for folder in (GATEWAY, GATEWAY / "monitoring", SIDECAR):
        (content,) = documents(folder / "kustomization.yaml")
        there = {p.name for p in folder.glob("*.yaml")} - {"kustomization.yaml", "secret.yaml"}

        assert set(content["resources"]) == there


def test_versions_are_those_of_the_distribution(either: Deployment) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert either.container["image"].endswith(f":{version('genops-ai')}")
    assert chart["appVersion"] == version("genops-ai")


SCHEMA = Draft7Validator(json.loads((CHART / "values.schema.json").read_text(encoding="utf-8")))


def test_the_schema_knows_every_value_and_every_value_is_explained() -> None:
    assert [*SCHEMA.iter_errors(VALUES)] == []
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    assert set(VALUES) == set(SCHEMA.schema["properties"]) - {"global"}
    for name in ("replicaCount", "config", "overlays", "secretName", "memoryLimitMiB"):
        assert re.search(rf"# .*\n(?:#.*\n)*{name}:", text), name


@pytest.mark.parametrize(
    "mistake",
    [
        {"replicas": 3},
        {"replicaCount": 0},
        {"image": {**VALUES["image"], "tag": "latest"}},
        {"config": {"exporters": {}}},
        {"config": {**VALUES["config"], "processors": {}}},
        {"overlays": {"contract.txt": "x"}},
        {"persistence": {"size": "10"}},
        {"networkPolicy": {**VALUES["networkPolicy"], "sendersFrom": []}},
    ],
    ids=str,
)
def test_the_schema_refuses(mistake: Document) -> None:
    assert [*SCHEMA.iter_errors({**VALUES, **mistake})]
