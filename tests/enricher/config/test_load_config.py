"""Files and variables become a configuration, or one report with every mistake."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from genops_enricher.config.load import Loaded, load_config
from genops_enricher.config.model import (
    AttributionRule,
    ExporterConfig,
    HttpReceiverConfig,
    OnFull,
    Protocol,
    ReceiverConfig,
)
from genops_enricher.errors import ConfigError
from genops_enricher.pipeline import Signal

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]

_HOME = {"HOME": "/home/someone"}
_MINIMAL = "exporters: {otlp_http: {endpoint: 'http://backend:4318'}}\n"


_CERTIFICATES = Path(__file__).parents[2] / "certificates"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    shutil.copytree(_CERTIFICATES, tmp_path, dirs_exist_ok=True)
    (tmp_path / "no-tokens").write_text("# none yet\n\n")
    (tmp_path / "short-tokens").write_text("hunter2\n")

    def load(text: str, env: Mapping[str, str] = _HOME) -> Loaded:
        file = tmp_path / "enricher.yaml"
        file.write_text(text, encoding="utf-8")
        return load_config(file, env)

    return load


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    def problems(text: str, env: Mapping[str, str] = _HOME) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, env)
        return [line.replace(f"{tmp_path}/", "") for line in caught.value.problems]

    return problems


def test_several_workers_need_linux(problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    assert problems(_MINIMAL + "service: {workers: 2}") == [
        "enricher.yaml:2: service.workers: is 2, but only Linux spreads the connections of one "
        "port over processes; remove it, or run several enrichers behind a load balancer"
    ]


def test_a_minimal_file_has_the_defaults_of_the_model(load: Load) -> None:
    loaded = load(_MINIMAL)
    config = loaded.config

    (exporter,) = config.exporters.values()
    assert loaded.warnings == ()
    assert config.receiver == ReceiverConfig()
    assert config.http_receiver == HttpReceiverConfig()
    assert exporter == ExporterConfig(id="otlp_http", endpoint=exporter.endpoint)
    assert config.pipelines == dict.fromkeys(Signal, ("otlp_http",))
    assert config.service.health_endpoint == "127.0.0.1:13133"


def test_every_value_arrives_where_it_belongs(load: Load, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").touch()
    config = load(
        """
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: "127.0.0.1:14317"
        max_recv_msg_size_mib: 16
        max_in_flight_mib: 9
        max_workers: 3
      http:
        endpoint: "127.0.0.1:14318"
        max_request_body_size: 16MiB
        max_in_flight_mib: 32
        max_workers: 4
        traces_url_path: /t
        metrics_url_path: /m
        logs_url_path: /l
        read_header_timeout: 5s
        read_timeout: 6s
        idle_timeout: 7s
exporters:
  otlp_grpc/a:
    endpoint: http://backend:4317
    headers: {X-Key: 0123}
    compression: none
    timeout: 2s
    retry_on_failure: {initial_interval: 1s, max_interval: 2s, multiplier: 2}
    sending_queue: {num_consumers: 1, queue_size: 1MiB, on_full: drop_oldest}
  otlp_http/b:
    traces_endpoint: https://other/in
enrichment:
  overlays: [prices.yaml]
  attribution:
    genops.team: [team.id, "resource:service.namespace"]
service:
  data_dir: state
  shutdown_timeout: 1m
  telemetry: {logs: {level: debug, encoding: json}, health: {endpoint: "127.0.0.1:0"}}
  pipelines:
    traces: {exporters: [otlp_grpc/a, otlp_http/b]}
"""
    ).config

    a, b = config.exporters.values()
    assert config.receiver == ReceiverConfig("127.0.0.1:14317", 16 << 20, 3, 9 << 20)
    paths = {Signal.TRACES: "/t", Signal.METRICS: "/m", Signal.LOGS: "/l"}
    assert config.http_receiver == HttpReceiverConfig(
        "127.0.0.1:14318", 16 << 20, 32 << 20, 4, paths, 5.0, 6.0, 7.0
    )
    assert a.headers == {"X-Key": "0123"}  # never a number: the zero stays
    assert (a.compression, a.timeout_s, a.retry.multiplier) == ("none", 2.0, 2.0)
    assert (a.queue.num_consumers, a.queue.queue_size_bytes) == (1, 1 << 20)
    assert a.queue.on_full is OnFull.DROP_OLDEST
    assert (a.endpoint.target, a.endpoint.secure) == ("backend:4317", False)
    assert b.endpoint.urls == {Signal.TRACES: "https://other/in"}
    assert b.endpoint.secure
    assert config.enrichment.overlays == (tmp_path / "prices.yaml",)
    assert config.enrichment.attribution == (
        AttributionRule("genops.team", ("team.id", "resource:service.namespace")),
    )
    assert config.service.data_dir == tmp_path / "state"
    assert (config.service.shutdown_timeout_s, config.service.log_level) == (60.0, "debug")
    assert config.pipelines == {Signal.TRACES: ("otlp_grpc/a", "otlp_http/b")}


@pytest.mark.parametrize(
    ("protocols", "grpc", "http"),
    [
        ("{}", True, True),
        ("{grpc: }", True, False),
        ("{http: }", False, True),
        ("{http: , grpc: {max_workers: 1}}", True, True),
    ],
)
def test_the_protocols_that_are_named_are_served_and_both_where_none_is(
    load: Load, protocols: str, grpc: bool, http: bool
) -> None:
    config = load(f"{_MINIMAL}receivers: {{otlp: {{protocols: {protocols}}}}}").config

    assert (config.receiver is not None, config.http_receiver is not None) == (grpc, http)


def test_seven_mistakes_are_seven_lines_in_the_order_of_the_file(problems: Problems) -> None:
    found = problems(
        """\
recievers: {}
exporters:
  otlp_http/hc:
    endpoint: https://api.honeycomb.io
    timeout: soon
    timeout: 5s
    headers:
      x-honeycomb-team: ${env:HONEYCOMB_API_KEY}
    sending_queue:
      queue_size: 1000
receivers:
  otlp:
    protocols:
      grpc:
        tls: {cert_file: enricher.yaml}
service:
  pipelines:
    traces: {exporters: [otlp_http/hcc]}
"""
    )

    assert found == [
        "enricher.yaml:1: recievers: unknown key; did you mean `receivers`?",
        'enricher.yaml:5: exporters.otlp_http/hc.timeout: "soon" is not a duration; write a '
        "number and a unit: 500ms, 30s or 1m30s",
        "enricher.yaml:6: exporters.otlp_http/hc.timeout: is already set on line 5; keep one of "
        "the two",
        "enricher.yaml:8: exporters.otlp_http/hc.headers.x-honeycomb-team: environment variable "
        "HONEYCOMB_API_KEY is not set; set it or write ${env:HONEYCOMB_API_KEY:-default}",
        'enricher.yaml:10: exporters.otlp_http/hc.sending_queue.queue_size: "1000" is less than '
        "1MiB; sizes are in bytes, such as 512MiB or 1GiB",
        "enricher.yaml:15: receivers.otlp.protocols.grpc.tls: has no `key_file`; give both "
        "`cert_file` and `key_file`, PEM files",
        "enricher.yaml:18: service.pipelines.traces.exporters: there is no exporter "
        "`otlp_http/hcc`; did you mean `otlp_http/hc`?",
    ]


def test_a_wrong_pattern_hides_no_missing_key(problems: Problems) -> None:
    found = problems(f"{_MINIMAL}enrichment: {{redaction: {{hash: ['group:users']}}}}\n")

    assert [line.partition("redaction.")[2].partition("; ")[0] for line in found] == [
        'hash: "group:users" is no group',
        "hash: needs `hash_key` beside it: without a secret anyone can hash all ids that there may "
        "be, and compare",
    ]


def _cases(name: str) -> list[tuple[str, str]]:
    """The blocks of a file beside this one: (configuration, message)."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    blocks = text.partition("\n\n")[2].rstrip("\n").split("\n\n")
    return [(config, message) for config, _, message in (b.partition("\n=> ") for b in blocks)]


@pytest.mark.parametrize(("text", "message"), _cases("mistakes.txt"))
def test_every_mistake_says_where_what_and_how_to_fix_it(
    problems: Problems, text: str, message: str
) -> None:
    assert problems(text) == [f"enricher.yaml:{message}"]


@pytest.mark.parametrize(("text", "warning"), _cases("warnings.txt"))
def test_what_is_valid_but_likely_a_mistake_is_a_warning(
    load: Load, text: str, warning: str
) -> None:
    (found,) = load(text).warnings

    assert found.endswith(f"/enricher.yaml:{warning}")


def test_control_characters_are_one_problem(problems: Problems) -> None:
    assert problems("a: \x07\n") == [
        "enricher.yaml: is not valid YAML: it has control characters; remove them"
    ]


def test_several_exporters_state_what_a_full_queue_means(load: Load) -> None:
    warnings = load(
        "exporters:\n"
        "  otlp_http/a: {endpoint: 'http://a:1', sending_queue: {queue_size: 1MiB}}\n"
        "  otlp_http/b: {endpoint: 'http://b:1', sending_queue: {on_full: drop_oldest}}\n"
    ).warnings

    (warning,) = warnings
    assert "exporters.otlp_http/a.sending_queue.on_full: is `refuse`: nothing is lost" in warning
    assert "1048576 bytes wait for it, the other exporters get nothing new either" in warning


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "no.yaml", {})

    assert caught.value.problems == (
        f"{tmp_path}/no.yaml: can't be read: No such file or directory; check --config and the "
        "file's permissions",
    )


def test_a_file_that_is_not_text_or_too_large_is_one_problem(tmp_path: Path) -> None:
    file = tmp_path / "enricher.yaml"
    for data, message in ((b"\xff\xfe", "is not UTF-8 text"), (b"#" * (1 << 21), "is larger")):
        file.write_bytes(data)
        with pytest.raises(ConfigError, match=message):
            load_config(file, {})


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "[" * 5000])
def test_deep_nesting_is_one_problem(problems: Problems, text: str) -> None:
    assert len(problems(text)) == 1


def test_default_pipelines_leave_out_what_an_exporter_can_not_take(load: Load) -> None:
    text = "exporters: {otlp_http: {endpoint: 'https://ingest.us0.signalfx.com'}}"

    assert load(text).config.pipelines.keys() == {Signal.TRACES, Signal.METRICS}


@pytest.mark.parametrize(
    ("written", "env", "value"),
    [
        ("${env:KEY}", {"KEY": "abc"}, "abc"),
        ("${KEY}", {"KEY": "abc"}, "abc"),
        ("a-${env:KEY}-b", {"KEY": "abc"}, "a-abc-b"),
        ("${env:KEY:-none}", {}, "none"),
        ("${env:KEY:-none}", {"KEY": "abc"}, "abc"),
        ("$$${env:KEY}$$", {"KEY": "abc"}, "$abc$"),
        ("$${env:KEY}", {"KEY": "abc"}, "${env:KEY}"),
        ("${env:KEY}", {"KEY": "${env:OTHER}"}, "${env:OTHER}"),
        ("${env:KEY}", {"KEY": "a: {b: [c]} # d"}, "a: {b: [c]} # d"),
        ("US$5", {}, "US$5"),
    ],
)
def test_variables_fill_in_text_and_only_text(
    load: Load, written: str, env: dict[str, str], value: str
) -> None:
    text = f"exporters: {{otlp_http: {{endpoint: 'http://b:1', headers: {{key: '{written}'}}}}}}"

    (exporter,) = load(text, _HOME | env).config.exporters.values()

    assert exporter.headers == {"key": value}


def test_the_data_directory_follows_the_user(
    load: Load, monkeypatch: pytest.MonkeyPatch, problems: Problems
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    root = load(_MINIMAL, {}).config.service.data_dir
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    state = load(_MINIMAL, _HOME | {"XDG_STATE_HOME": "/state"}).config.service.data_dir
    home = load(_MINIMAL).config.service.data_dir

    assert [str(root), str(state), str(home)] == [
        "/var/lib/genops-enricher",
        "/state/genops-enricher",
        "/home/someone/.local/state/genops-enricher",
    ]
    assert problems(_MINIMAL, {}) == [
        "enricher.yaml:1: service.data_dir: has no default without HOME; set it"
    ]


def test_the_protocol_variable_decides_for_an_open_exporter_only(load: Load) -> None:
    env = _HOME | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    text = (
        "exporters: {otlp: {endpoint: 'http://b:4317'}, otlp_grpc: {endpoint: 'http://b:4317'},"
        " otlp/asked: {endpoint: 'http://b:4317', protocol: grpc}}"
    )

    protocols = [e.endpoint.protocol for e in load(text, env).config.exporters.values()]

    assert protocols == [Protocol.HTTP, Protocol.GRPC, Protocol.GRPC]
