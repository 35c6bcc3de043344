"""A secret that is planted in a configuration shows up nowhere but on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from genops_enricher.config.dump import REDACTED, dump_config
from genops_enricher.config.load import load_config
from genops_enricher.errors import ConfigError

_SECRET = "hcaik_0123456789abcdef"
_ENV = {"HOME": "/home/someone", "KEY": _SECRET}


def _load_error(tmp_path: Path, text: str, env: Mapping[str, str]) -> ConfigError:
    file = tmp_path / "enricher.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file, env)
    return caught.value


@pytest.mark.parametrize("written", [_SECRET, "${env:KEY}", "Bearer ${KEY}"])
def test_neither_dump_nor_repr_nor_warnings_show_a_header(tmp_path: Path, written: str) -> None:
    file = tmp_path / "enricher.yaml"
    file.write_text(
        "exporters: {otlp_http: {endpoint: 'https://api.honeycomb.io', "
        f"headers: {{authorization: '{written}'}}}}}}\n",
        encoding="utf-8",
    )

    loaded = load_config(file, _ENV)
    (exporter,) = loaded.config.exporters.values()

    assert _SECRET in exporter.headers["authorization"]
    assert loaded.warnings
    for text in (dump_config(loaded.config), repr(loaded), str(loaded.config)):
        assert _SECRET not in text
    assert f"authorization: '{REDACTED}'" in dump_config(loaded.config)


@pytest.mark.parametrize("written", [_SECRET, "${env:KEY}"])
def test_neither_dump_nor_repr_nor_warnings_show_the_key_of_hashes(
    tmp_path: Path, written: str
) -> None:
    file = tmp_path / "enricher.yaml"
    file.write_text(
        "exporters: {otlp_http: {endpoint: 'http://b:1'}}\n"
        f"enrichment: {{redaction: {{hash_key: '{written}'}}}}\n",
        encoding="utf-8",
    )

    loaded = load_config(file, _ENV)

    assert loaded.config.enrichment.redaction.hash_key == _SECRET
    assert loaded.warnings
    for text in (dump_config(loaded.config), repr(loaded), str(loaded.config)):
        assert _SECRET not in text
    assert "hash_key: '[REDACTED secret]'" in dump_config(loaded.config)


@pytest.mark.parametrize(
    "text",
    [
        # a header that can't be sent
        f"exporters: {{otlp: {{endpoint: 'b:1', headers: {{key: '{_SECRET}é'}}}}}}",
        "exporters: {otlp: {endpoint: 'b:1', headers: {key: ' ${env:KEY}'}}}",
        # a header in another shape
        f"exporters: {{otlp: {{endpoint: 'b:1', headers: 'key={_SECRET}'}}}}",
        f"exporters: {{otlp: {{endpoint: 'b:1', headers: ['key={_SECRET}']}}}}",
        f"exporters: {{otlp: {{endpoint: 'b:1', headers: {{key: [{_SECRET}]}}}}}}",
        f"exporters: {{otlp: {{endpoint: 'b:1', headers: {{key={_SECRET}}}}}}}",
        f"exporters: {{otlp: {{endpoint: 'b:1', headers: {{key:{_SECRET}}}}}}}",
        f"exporters: {{otlp: {{endpoint: 'b:1', headers: {{key={_SECRET}: [a]}}}}}}",
        f"exporters: {{otlp: {{endpoint: 'b:1', headers: {{{_SECRET}: ''}}}}}}",
        # a secret in an endpoint
        f"exporters: {{otlp: {{endpoint: 'https://me:{_SECRET}@host'}}}}",
        f"exporters: {{otlp: {{endpoint: 'https://host/?key={_SECRET}'}}}}",
        f"exporters: {{otlp_http: {{traces_endpoint: 'https://host/?key={_SECRET}'}}}}",
        f"exporters: {{otlp: {{endpoint: 'https://host:{_SECRET}'}}}}",
        # a variable where a value of another kind belongs
        "exporters: {otlp: {endpoint: '${env:KEY}', timeout: '${env:KEY}', compression: '${KEY}'}}",
        "exporters: {otlp: {endpoint: 'b:1', tls: {insecure: '${env:KEY}'}}}",
        "exporters: {otlp: {endpoint: 'b:1'}}\nservice: {telemetry: {logs: {level: '${KEY}'}}}",
        "exporters: {otlp: {endpoint: 'b:1'}}\nenrichment: {overlays: ['${KEY}']}",
        "exporters: {otlp: {endpoint: 'b:1', tls: {ca_file: '${KEY}'}}}",
        "exporters: {otlp: {endpoint: 'b:1'}}\n"
        "service: {pipelines: {traces: {exporters: ['${KEY}'], receivers: ['${KEY}']}}}",
        # the key of hashes
        "exporters: {otlp: {endpoint: 'b:1'}}\n"
        f"enrichment: {{redaction: {{hash_key: '{_SECRET}é'}}}}",
        "exporters: {otlp: {endpoint: 'b:1'}}\n"
        f"enrichment: {{redaction: {{hash: ['${{KEY}}*', '*'], hash_key: [{_SECRET}]}}}}",
        # a token with the name of its scheme, in another shape, where a file belongs
        "exporters: {otlp: {endpoint: 'b:1'}}\n"
        f"receivers: {{otlp: {{protocols: {{grpc: {{auth: {{bearer_tokens: ['Bearer {_SECRET}']"
        "}}}}}",
        "exporters: {otlp: {endpoint: 'b:1'}}\n"
        f"receivers: {{otlp: {{protocols: {{grpc: {{auth: {{bearer_tokens: {_SECRET}}}}}}}}}}}",
        "exporters: {otlp: {endpoint: 'b:1'}}\n"
        "receivers: {otlp: {protocols: {http: {auth: {bearer_tokens_file: '${env:KEY}'}}}}}",
        # YAML that can't be read
        f"exporters: {{otlp: {{headers: {{key: {_SECRET}}}",
        f'exporters:\n  otlp:\n    headers:\n      key: "{_SECRET}\n',
        f"exporters:\n  otlp:\n\t  key: {_SECRET}\n",
        f"key: {_SECRET}: b\n",
        f"key: '{_SECRET}' '{_SECRET}'\n",
        f"key: !{_SECRET}!a b\n",
        # a reference that can't be read
        f"exporters: {{otlp: {{endpoint: 'b:1', headers: {{key: '${{{_SECRET} }}'}}}}}}",
        f"exporters: {{otlp: {{endpoint: 'b:1', headers: {{key: '{_SECRET}${{env:NO}}'}}}}}}",
    ],
)
def test_no_message_shows_a_secret(tmp_path: Path, text: str) -> None:
    error = _load_error(tmp_path, text, _ENV)

    assert error.problems
    assert _SECRET not in str(error)
    assert _SECRET not in repr(error)


@pytest.mark.parametrize(
    "headers",
    [f"{_SECRET}=", f"{_SECRET}==", f"a=b,{_SECRET} ==", f"Authorization: Basic {_SECRET}="],
)
def test_a_key_that_ends_like_base64_is_not_taken_for_the_name_of_a_header(headers: str) -> None:
    env = {
        "HOME": "/h",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:1",
        "OTEL_EXPORTER_OTLP_HEADERS": headers,
    }

    with pytest.raises(ConfigError) as caught:
        load_config(None, env)

    assert "OTEL_EXPORTER_OTLP_HEADERS" in str(caught.value)
    assert _SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["ENDPOINT", "HEADERS", "TIMEOUT", "PROTOCOL", "COMPRESSION"])
def test_no_message_shows_what_a_standard_variable_holds(name: str) -> None:
    env = {
        "HOME": "/h",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "b:1",
        "OTEL_EXPORTER_OTLP_" + name: _SECRET,
    }
    env["OTEL_EXPORTER_OTLP_INSECURE"] = _SECRET

    with pytest.raises(ConfigError) as caught:
        load_config(None, env)

    assert _SECRET not in str(caught.value)
