from __future__ import annotations

import pytest

from genops._config import ExportConfig, read_config


def export(environ: dict[str, str] | None = None, **arguments: object) -> ExportConfig:
    return read_config(environ or {}, **arguments).export  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("endpoint", "protocol", "address", "insecure"),
    [
        ("localhost:4317", "grpc", "localhost:4317", True),
        ("http://localhost:4317", "grpc", "localhost:4317", True),
        ("https://collector.example:4317", "grpc", "collector.example:4317", False),
        ("collector.example:4317", "grpc", "collector.example:4317", None),
        ("collector.example", "grpc", "collector.example:4317", None),
        ("http://[::1]:4317", "grpc", "[::1]:4317", True),
        ("http://localhost:4318", "http/protobuf", "http://localhost:4318/v1/traces", None),
        (
            "https://api.honeycomb.io",
            "http/protobuf",
            "https://api.honeycomb.io/v1/traces",
            None,
        ),
        (
            "https://otlp.datadoghq.com/",
            "http/protobuf",
            "https://otlp.datadoghq.com/v1/traces",
            None,
        ),
        (
            "https://x.example/otlp/v1/traces",
            "http/protobuf",
            "https://x.example/otlp/v1/traces",
            None,
        ),
    ],
)
def test_the_endpoint_decides_the_protocol(
    endpoint: str, protocol: str, address: str, insecure: bool | None
) -> None:
    for config in (
        export(otlp_endpoint=endpoint),
        export({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}),
    ):
        assert (config.protocol, config.endpoint, config.insecure) == (protocol, address, insecure)


@pytest.mark.parametrize("signal", ["", "TRACES_"])
def test_the_environment_may_ask_for_tls_on_this_machine(signal: str) -> None:
    config = export({f"OTEL_EXPORTER_OTLP_{signal}INSECURE": "false"}, otlp_endpoint="localhost")

    assert config.insecure is None  # the exporter reads the variable


def test_a_stated_protocol_wins_over_the_port() -> None:
    by_argument = export(otlp_endpoint="https://api.honeycomb.io", otlp_protocol="grpc")
    by_variable = export(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
    )

    assert (by_argument.protocol, by_argument.endpoint) == ("grpc", "api.honeycomb.io:443")
    assert by_variable.endpoint == "http://localhost:4317/v1/traces"


def test_arguments_win_over_the_environment_and_traces_over_all_signals() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all.example",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces.example/as/is",
    }

    assert export(environ).endpoint == "http://traces.example/as/is"
    assert export(environ, otlp_endpoint="http://arg.example").endpoint == (
        "http://arg.example/v1/traces"
    )


def test_the_default_is_grpc_to_the_local_receiver() -> None:
    config = export()

    assert str(config) == "otlp grpc to localhost:4317"
    assert config.insecure is True
    assert not config.explicit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"exporter_type": "jaeger"}, "exporter_type='jaeger' is unknown; write one of: otlp"),
        ({"otlp_protocol": "http/json"}, "otlp_protocol='http/json' is unknown"),
        ({"otlp_endpoint": "ftp://x"}, "otlp_endpoint='ftp://x' is no OTLP endpoint"),
        ({"otlp_endpoint": "http://x:port"}, "is no OTLP endpoint"),
        (
            {"otlp_endpoint": "https://otlp.datadoghq.eu", "otlp_protocol": "grpc"},
            "takes OTLP over HTTP only",
        ),
    ],
)
def test_a_wrong_argument_raises_with_the_fix(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_config({}, **arguments)  # type: ignore[arg-type]


def test_wrong_environment_variables_are_problems_and_do_not_raise() -> None:
    config = read_config(
        {
            "OTEL_TRACES_EXPORTER": "jaeger",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://x",
        }
    )

    assert config.export.kind == "none"
    assert [problem.split("=")[0] for problem in config.problems] == [
        "OTEL_TRACES_EXPORTER",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ]


def test_a_header_from_an_unset_variable_is_left_out_and_named() -> None:
    config = read_config({}, otlp_headers={"X-Team": "a", "x-honeycomb-team": None})

    assert config.export.headers == {"x-team": "a"}
    assert "x-honeycomb-team" in config.problems[0]


def test_a_header_of_the_environment_that_is_none_is_a_problem_and_not_shown() -> None:
    good = read_config({"OTEL_EXPORTER_OTLP_HEADERS": "x-team=a, x-key=b%20c=,"})
    bad = read_config({"OTEL_EXPORTER_OTLP_HEADERS": "x-team=a,x-honeycomb-team: secret"})

    assert good.problems == ()
    colon = read_config({"OTEL_EXPORTER_OTLP_HEADERS": "Authorization: Basic secret="})
    for config in (bad, colon):
        (problem,) = config.problems
        assert problem.startswith("OTEL_EXPORTER_OTLP_HEADERS: ")
        assert "name=value" in problem
        assert "secret" not in problem


@pytest.mark.parametrize(("value", "known"), [("SPAN_ONLY", True), ("false", True), ("1", False)])
def test_a_choice_of_content_that_says_nothing_is_a_problem(value: str, known: bool) -> None:
    variable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

    config = read_config({variable: value})

    assert [problem.split("=")[0] for problem in config.problems] == ([] if known else [variable])


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://u:s3cret@h:x",
        "http://u:s3cret?more@h",
        "http://u:s3cret#more@h",
        "http://u:s3c/ret@h:x",
        "http://h:x/?key=s3cret",
        "http://h:x/?mail=a@s3cret",
        "http://h:x/?to=http://other&key=s3cret",
        "http://h:x/#s3cret",
        "h:x?to=http://s3cret",
        "u:s3cret@h:x",
    ],
)
def test_no_part_of_a_secret_in_an_endpoint_shows_however_it_is_written(endpoint: str) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "GENOPS_OPENROUTER_BASE_URL": endpoint}
    problems = read_config(variables).problems

    assert problems
    for part in ("s3c", "ret"):
        assert part not in "".join(problems).replace("secret", "")
    with pytest.raises(ValueError, match="is no OTLP endpoint") as caught:
        read_config({}, otlp_endpoint=endpoint)
    assert "s3c" not in str(caught.value)


def test_a_secret_in_place_of_the_name_of_a_header_is_not_shown() -> None:
    with pytest.raises(ValueError, match="is no header") as caught:
        read_config({}, otlp_headers={"Authorization: Bearer s3cret": ""})

    assert "s3cret" not in str(caught.value)


def test_headers_never_show_in_the_text_of_the_configuration() -> None:
    config = read_config({}, otlp_endpoint="http://u:pw@h:4318", otlp_headers={"k": "secret"})

    assert "secret" not in repr(config)
    assert "pw" not in str(config.export)


def test_resource_and_defaults_come_from_arguments_then_environment() -> None:
    environ = {"ENVIRONMENT": "staging", "OTEL_SERVICE_VERSION": "1"}

    by_variable = read_config(environ)
    by_argument = read_config(
        environ,
        service_name="app",
        service_version="2",
        default_team="t",
        default_environment="production",
        resource_attributes={"env": "x", "service.version": "3"},
    )

    assert by_variable.resource == {
        "service.version": "1",
        "deployment.environment.name": "staging",
    }
    assert by_variable.governance == {"genops.environment": "staging"}
    assert by_argument.resource == {
        "env": "x",
        "service.name": "app",
        "service.version": "2",
        "deployment.environment.name": "production",
    }
    assert by_argument.governance == {
        "genops.team": "t",
        "genops.environment": "production",
    }


@pytest.mark.parametrize(
    "endpoint",
    [
        "htp://user:pass-word@host",
        "http://user:pass-word@otlp.datadoghq.com:4317",
        "http://host:99999/?key=pass-word",
        "https://user:pass-word@host/?key=pass-word",
    ],
)
def test_keys_in_an_endpoint_are_shown_nowhere(endpoint: str) -> None:
    config = read_config({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})

    assert "pass-word" not in f"{config.problems}{config.export}"
    try:
        read_config({}, otlp_endpoint=endpoint)
    except ValueError as error:
        assert "pass-word" not in str(error)


def test_space_around_a_header_is_cut_off() -> None:
    """A key that is read from a file ends in a line feed, which would stop every export."""
    config = read_config({}, otlp_headers={"X-Key": " pass-word\n"})

    assert config.export.headers == {"x-key": "pass-word"}


@pytest.mark.parametrize(
    "headers", [{"x-key": "pass\nword"}, {"x-key": "pässword"}, {"x key": "p"}]
)
def test_headers_that_cannot_be_sent_are_refused_without_showing_them(
    headers: dict[str, str | None],
) -> None:
    with pytest.raises(ValueError, match="otlp_headers") as raised:
        read_config({}, otlp_headers=headers)

    assert "word" not in str(raised.value)


@pytest.mark.parametrize("base_url", ["gateway.example/v1", "https://host:99999/v1", "ftp://host"])
def test_an_openrouter_address_that_can_match_no_client_is_wrong(base_url: str) -> None:
    with pytest.raises(ValueError, match="openrouter_base_url"):
        read_config({}, openrouter_base_url=base_url)

    config = read_config({"GENOPS_OPENROUTER_BASE_URL": base_url})
    assert config.openrouter_base_url is None
    assert "GENOPS_OPENROUTER_BASE_URL" in config.problems[0]


def test_metrics_go_where_spans_go() -> None:
    by_http = read_config({}, otlp_endpoint="https://x.example/otlp", otlp_headers={"k": "v"})
    by_grpc = read_config({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"})
    by_whole_url = read_config({}, otlp_endpoint="http://x.example/v1/traces")

    assert by_http.metrics.endpoint == "https://x.example/otlp/v1/metrics"
    assert by_http.metrics.headers == {"k": "v"}
    assert by_grpc.metrics == by_grpc.export
    assert by_whole_url.metrics.endpoint == "http://x.example/v1/metrics"


def test_each_signal_has_variables_of_its_own() -> None:
    config = read_config(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all.example:4317",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://metrics.example/as/is",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
        }
    )

    assert str(config.export) == "otlp grpc to all.example:4317"
    assert str(config.metrics) == "otlp http/protobuf to http://metrics.example/as/is"


@pytest.mark.parametrize(
    ("environ", "exporter_type", "kinds"),
    [
        ({}, None, ("otlp", "otlp")),
        ({}, "console", ("console", "console")),
        ({"OTEL_TRACES_EXPORTER": "console"}, None, ("console", "console")),
        ({"OTEL_METRICS_EXPORTER": "none"}, None, ("otlp", "none")),
        ({"OTEL_METRICS_EXPORTER": "none"}, "otlp", ("otlp", "none")),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, "console", ("console", "console")),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, "none", ("none", "none")),
        (
            {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "console"},
            None,
            ("none", "console"),
        ),
        ({"OTEL_SDK_DISABLED": "TRUE"}, "otlp", ("none", "none")),
    ],
)
def test_the_kind_of_exporter_is_chosen_for_both_signals(
    environ: dict[str, str], exporter_type: str | None, kinds: tuple[str, str]
) -> None:
    config = read_config(environ, exporter_type=exporter_type)

    assert (config.export.kind, config.metrics.kind) == kinds


def test_a_problem_of_both_signals_is_told_once() -> None:
    config = read_config({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_SDK_DISABLED": ""})
    disabled = read_config({"OTEL_SDK_DISABLED": "true"})

    assert len(config.problems) == 1
    assert disabled.problems == ("OTEL_SDK_DISABLED is true: nothing is recorded",)


@pytest.mark.parametrize(
    "endpoint",
    ["https://otlp.datadoghq.com", "https://x.live.dynatrace.com/api/v2/otlp"],
)
def test_grpc_from_the_environment_gives_way_at_a_vendor_that_takes_none(endpoint: str) -> None:
    """The environment may be made for all applications, as operators of Kubernetes do."""
    config = read_config({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, otlp_endpoint=endpoint)

    assert str(config.export) == f"otlp http/protobuf to {endpoint}/v1/traces"
    (problem,) = config.problems
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is ignored" in problem


def test_a_query_stays_behind_the_path() -> None:
    config = export(otlp_endpoint="https://x.example/otlp/?tenant=a")

    assert config.endpoint == "https://x.example/otlp/v1/traces?tenant=a"


def test_a_version_given_as_resource_attribute_wins_over_the_environment() -> None:
    config = read_config(
        {"OTEL_SERVICE_VERSION": "1"}, resource_attributes={"service.version": "1.2.0"}
    )

    assert config.resource["service.version"] == "1.2.0"
