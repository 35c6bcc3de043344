"""Without a file the standard OpenTelemetry variables make the configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genops_enricher.config.load import load_config
from genops_enricher.config.model import Protocol
from genops_enricher.errors import ConfigError
from genops_enricher.pipeline import Signal

_PREFIX = "OTEL_EXPORTER_OTLP_"


def _env(**variables: str) -> dict[str, str]:
    return {"HOME": "/home/someone"} | {_PREFIX + name: text for name, text in variables.items()}


def test_the_variables_make_one_exporter_for_every_signal() -> None:
    loaded = load_config(
        None,
        _env(
            ENDPOINT="https://api.honeycomb.io",
            HEADERS="x-honeycomb-team=a%20b, x-other=c=d",
            TIMEOUT="2500",
            COMPRESSION="none",
        ),
    )

    (exporter,) = loaded.config.exporters.values()
    assert exporter.id == "otlp"
    assert exporter.endpoint.urls[Signal.LOGS] == "https://api.honeycomb.io/v1/logs"
    assert exporter.headers == {"x-honeycomb-team": "a b", "x-other": "c=d"}
    assert (exporter.timeout_s, exporter.compression) == (2.5, "none")
    assert loaded.config.pipelines == dict.fromkeys(Signal, ("otlp",))
    assert loaded.warnings == ()


def test_protocol_and_insecure_are_read() -> None:
    env = _env(ENDPOINT="backend:5317", PROTOCOL="grpc", INSECURE="TRUE")

    (exporter,) = load_config(None, env).config.exporters.values()

    assert (exporter.endpoint.protocol, exporter.endpoint.secure) == (Protocol.GRPC, False)


def test_nothing_set_shows_a_minimal_file() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, {_PREFIX + "ENDPOINT": "", _PREFIX + "TRACES_ENDPOINT": "http://b:1"})

    minimal, unread = caught.value.problems
    assert minimal.startswith(
        "no configuration: give a file with --config, or set OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    assert "endpoint: https://api.honeycomb.io" in minimal
    assert unread.startswith("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: is not read")


def test_the_minimal_file_that_is_shown_is_valid(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, {})
    file = tmp_path_factory.mktemp("minimal") / "enricher.yaml"
    file.write_text(caught.value.problems[0].partition("\n\n")[2], encoding="utf-8")

    loaded = load_config(file, {"HOME": "/h", "HONEYCOMB_API_KEY": "k"})

    assert loaded.warnings == ()


def test_mistakes_name_the_variable() -> None:
    env = _env(
        ENDPOINT="backend", PROTOCOL="http/json", HEADERS="a=b,c", TIMEOUT="2s", INSECURE="no"
    )

    with pytest.raises(ConfigError) as caught:
        load_config(None, env)

    assert sorted(caught.value.problems) == [
        "OTEL_EXPORTER_OTLP_ENDPOINT: exporters.otlp.endpoint: has no port; write host:4317, or "
        "host:443 for most vendors",
        "OTEL_EXPORTER_OTLP_HEADERS: has an entry that is not name=value; write "
        "name=value,name2=value2",
        "OTEL_EXPORTER_OTLP_INSECURE: exporters.otlp.tls.insecure: the value from the environment "
        "is not a boolean; write true or false",
        "OTEL_EXPORTER_OTLP_PROTOCOL: is not a protocol that the enricher sends by; use grpc or "
        "http/protobuf",
        "OTEL_EXPORTER_OTLP_TIMEOUT: exporters.otlp.timeout: the value from the environment is "
        "not a duration; write a number and a unit: 500ms, 30s or 1m30s",
    ]


def test_variables_for_one_signal_are_said_to_be_unread() -> None:
    env = _env(ENDPOINT="http://backend:4318", TRACES_HEADERS="a=b")

    (warning,) = load_config(None, env).warnings

    assert warning == (
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS: is not read; the variables for all signals are, such "
        "as OTEL_EXPORTER_OTLP_ENDPOINT"
    )


def test_the_start_that_the_readme_shows_works() -> None:
    readme = Path(__file__).parents[3] / "enricher" / "README.md"
    shown = dict(re.findall(rf"{_PREFIX}([A-Z]+)=(\S+)", readme.read_text()))

    assert "ENDPOINT" in shown
    assert load_config(None, _env(**shown)).warnings == ()
