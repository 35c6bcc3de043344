"""The page on security: its configurations are valid and leave nothing to warn of."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from genops_enricher.config.keys import KEYS
from genops_enricher.config.load import load_config
from genops_enricher.config.model import Config
from genops_enricher.telemetry import METRICS

ROOT = Path(__file__).parents[2]
CERTIFICATES = ROOT / "tests" / "certificates"
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
FILES = {
    "server.pem": "server.pem",
    "server.key": "server.key",
    "client.pem": "client.pem",
    "client.key": "client.key",
    "clients-ca.pem": "ca.pem",
    "backend-ca.pem": "other-ca.pem",
}


def load(text: str, folder: Path) -> tuple[Config, tuple[str, ...]]:
    for name, source in FILES.items():
        shutil.copyfile(CERTIFICATES / source, folder / name)
    (folder / "tokens").write_text("0123456789abcdef0123456789abcdef\n")
    names = re.findall(r"\$\{env:(\w+)\}", text)
    env = dict.fromkeys(names, "fedcba9876543210fedcba9876543210") | {"HOME": "/home/someone"}
    file = folder / "enricher.yaml"
    file.write_text(text, encoding="utf-8")
    loaded = load_config(file, env)
    return loaded.config, loaded.warnings


@pytest.mark.parametrize("text", BLOCKS)
def test_every_example_is_valid_and_protects_what_it_opens(text: str, tmp_path: Path) -> None:
    config, warnings = load(text, tmp_path)

    assert warnings == ()
    for receiver in (config.receiver, config.http_receiver):
        if receiver is not None:
            assert receiver.tls
            assert receiver.auth or receiver.tls.client_ca_file


def test_the_page_has_examples_of_both_kinds() -> None:
    assert [("auth:" in text, "client_ca_file" in text) for text in BLOCKS] == [
        (True, False),
        (False, True),
    ]


def test_keys_and_metrics_that_are_named_are_there() -> None:
    known = {key.path.rpartition(".")[2] for key in KEYS}
    named = set(re.findall(r"`(?:[a-z]+\.)*((?:max|min|read|idle|client|reload)_[a-z_]+)", PAGE))
    assert {"max_connections", "reload_interval"} <= named
    assert named <= known
    assert set(re.findall(r"genops_\w+_total", PAGE)) <= {metric.name for metric in METRICS}
