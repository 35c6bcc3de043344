"""What print-config shows is the configuration in force, and can be read again."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from genops_enricher.config.dump import dump_config
from genops_enricher.config.keys import KEYS
from genops_enricher.config.load import load_config
from genops_enricher.config.model import Storage

_CERTIFICATES = Path(__file__).parents[2] / "certificates"

_FULL = """
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:14317
        keepalive: {server_parameters: {max_connection_age: 1h, max_connection_age_grace: 1m}}
        tls:
          cert_file: server.pem
          key_file: server.key
          client_ca_file: ca.pem
          reload_interval: 1h
        auth: {bearer_tokens: [0123456789abcdef], bearer_tokens_file: tokens}
      http:
        read_timeout: 30s
        tls:
          cert_file: server.pem
          key_file: server.key
          client_ca_file: ca.pem
          reload_interval: 1h
        auth: {bearer_tokens: [0123456789abcdef], bearer_tokens_file: tokens}
exporters:
  otlp:
    endpoint: https://backend:4317
    headers: {x-key: secret}
    timeout: 1m0.25s
    tls:
      ca_file: ca.pem
      cert_file: client.pem
      key_file: client.key
      server_name_override: other
      reload_interval: 1h
  otlp_grpc/plain:
    endpoint: backend:5317
    tls: {insecure: true}
  otlp_http:
    endpoint: https://api.eu1.honeycomb.io
    headers: {x-honeycomb-team: secret}
    tls: {insecure_skip_verify: true}
    sending_queue: {on_full: drop_oldest, storage: memory, max_age: 36h}
    truncate: [gen_ai.input.messages]
enrichment:
  overlays: ["a$$b.yaml"]
  attribution: {genops.team: [team.id]}
  vocabularies: [gen_ai.usage.cost]
  metrics: {export_interval: 30s}
  catalog: {max_age: 720h, reload_interval: 10s}
  redaction: {drop: ["group:content"], hash: [user.id], hash_key: "0123456789abcdef"}
service:
  memory_limit_mib: 512
  reload_interval: 1m
  telemetry: {traces: {exporter: otlp_grpc/plain}}
"""


def _make_files(folder: Path) -> None:
    shutil.copytree(_CERTIFICATES, folder, dirs_exist_ok=True)
    (folder / "a$b.yaml").touch()
    (folder / "tokens").write_text("fedcba9876543210\n")


def _paths(tree: object, path: tuple[str, ...] = ()) -> set[str]:
    if not isinstance(tree, dict):
        return {".".join(path)}
    names = {"genops.team", "x-key", "x-honeycomb-team"}
    found: set[str] = set()
    for key, below in tree.items():
        name = "<id>" if path == ("exporters",) else key
        found |= {".".join(path)} if key in names else _paths(below, (*path, name))
    return found


def test_a_dump_reads_back_as_the_same_configuration(tmp_path: Path) -> None:
    file = tmp_path / "enricher.yaml"
    file.write_text(_FULL, encoding="utf-8")
    _make_files(tmp_path)
    first = dump_config(load_config(file, {"HOME": "/h"}).config)

    file.write_text(first, encoding="utf-8")
    second = load_config(file, {"HOME": "/h"}).config

    assert dump_config(second) == first
    assert second.exporters["otlp"].timeout_s == 60.25
    assert second.enrichment.redaction.drop == ("group:content",)
    assert second.enrichment.overlays == (tmp_path / "a$b.yaml",)


def test_a_dump_of_an_exporter_without_a_queue_reads_back(tmp_path: Path) -> None:
    file = tmp_path / "enricher.yaml"
    file.write_text(
        "exporters: {otlp_http: {endpoint: 'http://b:1', sending_queue: {storage: none}}}",
        encoding="utf-8",
    )
    first = dump_config(load_config(file, {"HOME": "/h"}).config)

    file.write_text(first, encoding="utf-8")
    second = load_config(file, {"HOME": "/h"}).config

    assert dump_config(second) == first
    assert second.exporters["otlp_http"].queue.storage is Storage.NONE


def test_a_dump_has_every_key_of_the_table_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "enricher.yaml"
    file.write_text(_FULL, encoding="utf-8")
    _make_files(tmp_path)

    shown = _paths(yaml.safe_load(dump_config(load_config(file, {"HOME": "/h"}).config)))

    assert shown == {key.path for key in KEYS}
