"""validate_setup: what it finds, what it never does, and how the result is printed."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import grpc
import pytest

import genops
from client.recorder import Recorder
from client.scripted_server import ScriptedServer
from destinations import GrpcAnswer, HttpAnswer, grpc_destination, http_destination
from free_ports import free_port
from genops.providers.openrouter import (
    ValidationResult,
    instrument_openrouter,
    print_validation_result,
    validate_setup,
)
from genops.validation.probe import within
from genops_enricher.demo.fake_openrouter import FakeOpenRouter

KEY = "sk-or-v1-" + "0123456789abcdef" * 4
MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A good key, no OpenRouter to ask, and nowhere to send spans."""
    for name in os.environ:
        if name.startswith(("OTEL_", "GENOPS_", "OPENROUTER_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("GENOPS_OPENROUTER_BASE_URL", "http://127.0.0.1:9/api/v1")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")


@pytest.fixture
def openrouter(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenRouter]:
    with FakeOpenRouter() as fake:
        monkeypatch.setenv("GENOPS_OPENROUTER_BASE_URL", fake.base_url)
        yield fake


@pytest.fixture
def scripted(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> ScriptedServer:
    """A server that answers GET /key as told."""
    monkeypatch.setenv("GENOPS_OPENROUTER_BASE_URL", server.url)
    return server


@pytest.fixture
def export_to(monkeypatch: pytest.MonkeyPatch) -> Exports:
    return Exports(monkeypatch)


class Exports:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, endpoint: str, **environ: str) -> None:
        self._monkeypatch.delenv("OTEL_TRACES_EXPORTER")
        self._monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        for name, value in environ.items():
            self._monkeypatch.setenv(name, value)


def findings(result: ValidationResult, component: str) -> list[tuple[str, str]]:
    return [(i.level, i.message) for i in result.issues if i.component == component]


def printed(result: ValidationResult) -> str:
    out = io.StringIO()
    print_validation_result(result, out)
    return out.getvalue()


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def test_a_good_setup_is_valid_without_errors_and_warnings() -> None:
    result = validate_setup()

    assert result.is_valid
    assert {issue.level for issue in result.issues} == {"info"}
    assert result.summary["error_count"] == result.summary["warning_count"] == 0


def test_the_summary_names_versions_and_ages_as_plain_values() -> None:
    summary = json.loads(json.dumps(validate_setup().summary))

    assert re.match(r"\d+\.\d+", summary["openai_version"])
    assert re.match(r"\d+\.\d+", summary["opentelemetry_version"])
    assert re.match(r"\d{4}\.\d+\.\d+\+", summary["catalog_version"])
    assert summary["catalog_age_days"] >= 0
    assert summary["exporter"] == "console"
    assert summary["initialized"] is False
    assert summary["openrouter_key"] is None


def test_a_missing_key_is_an_error_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY")

    result = validate_setup()

    assert not result.is_valid
    assert findings(result, "api_key") == [("error", "OPENROUTER_API_KEY is not set")]
    assert "fix: Make a key at https://openrouter.ai/keys" in printed(result)


def test_the_key_of_openai_is_not_taken_for_one_of_openrouter(
    monkeypatch: pytest.MonkeyPatch, openrouter: FakeOpenRouter
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    result = validate_setup(live=True, timeout=60)

    assert not result.is_valid
    assert "OPENAI_API_KEY is never used" in findings(result, "api_key")[0][1]
    assert findings(result, "openrouter") == []


@pytest.mark.parametrize(
    ("key", "level", "said"),
    [
        (KEY + "\n", "error", "blanks or odd characters"),
        (f'"{KEY[:20]} {KEY[20:]}"', "error", "blanks or odd characters"),
        ("sk-or-v1-schlüssel", "error", "blanks or odd characters"),
        ("sk-proj-" + "a" * 40, "error", "those start with sk-or-"),
        ("your-openrouter-key", "error", "those start with sk-or-"),
        (KEY[:-1], "warning", "64 hexadecimal digits"),
        (KEY, "info", "is set"),
    ],
)
def test_the_form_of_the_key_is_judged_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, key: str, level: str, said: str
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", key)
    monkeypatch.delenv("GENOPS_OPENROUTER_BASE_URL")

    result = validate_setup()

    [(found, message)] = findings(result, "api_key")
    assert found == level
    assert said in message
    assert key not in json.dumps(asdict(result), ensure_ascii=False)


def test_a_gateway_may_have_keys_of_its_own_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "gateway-key")
    monkeypatch.setenv("GENOPS_OPENROUTER_BASE_URL", "https://gateway.example/v1")

    assert findings(validate_setup(), "api_key") == [("info", "OPENROUTER_API_KEY is set")]


def test_nothing_at_the_endpoint_is_a_warning_and_counts_only_live(export_to: Exports) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    export_to(endpoint)

    offline, live = validate_setup(), validate_setup(live=True, timeout=60)

    message = f"otlp http/protobuf to {endpoint}/v1/traces: nothing can be reached there"
    assert offline.is_valid
    assert findings(offline, "export") == [("warning", f"{message} (Connection refused)")]
    assert findings(live, "export") == [("error", f"{message} (Connection refused)")]


def test_offline_the_endpoint_is_sent_nothing(export_to: Exports) -> None:
    with listening() as server:
        export_to(f"127.0.0.1:{port_of(server)}")

        result = validate_setup()

        with server.accept()[0] as connection:
            assert connection.recv(1) == b""
    [(level, message)] = findings(result, "export")
    assert level == "info"
    assert message.startswith("otlp grpc to 127.0.0.1:")
    assert message.endswith("something listens there")


def test_live_a_grpc_endpoint_accepts_an_empty_request_with_the_headers(export_to: Exports) -> None:
    with grpc_destination() as destination:
        export_to(
            f"127.0.0.1:{destination.port}", OTEL_EXPORTER_OTLP_HEADERS="x-honeycomb-team=hny-key"
        )

        result = validate_setup(live=True, timeout=60)

    assert [level for level, _ in findings(result, "export")] == ["info"]
    [request] = destination.received
    assert request.payload == b""
    assert request.headers["x-honeycomb-team"] == "hny-key"


def test_live_an_http_endpoint_accepts_an_empty_request(export_to: Exports) -> None:
    with http_destination() as destination:
        export_to(f"http://127.0.0.1:{destination.port}")

        result = validate_setup(live=True, timeout=60)

    assert "an empty request was accepted" in findings(result, "export")[0][1]
    assert [(r.path, r.payload) for r in destination.received] == [("/v1/traces", b"")]


def test_live_a_refusal_says_its_code_and_no_header(
    export_to: Exports, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hny-secret"
    headers = f"x-honeycomb-team={secret}"
    refused = GrpcAnswer(grpc.StatusCode.UNAUTHENTICATED, details=f"unknown key {secret}")
    results = []
    with grpc_destination(lambda *_: refused) as over_grpc:
        export_to(f"127.0.0.1:{over_grpc.port}", OTEL_EXPORTER_OTLP_HEADERS=headers)
        # Twice: the exporter does not log the same failure again.
        results += [validate_setup(live=True, timeout=60) for _ in range(2)]
    with http_destination(lambda *_: HttpAnswer(401)) as over_http:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{over_http.port}/?k={secret}"
        results.append(validate_setup(live=True, timeout=60))

    said = [findings(result, "export")[0] for result in results]

    assert [level for level, _ in said] == ["error"] * 3
    assert [message.rpartition(" ")[2] for _, message in said] == [
        *("(UNAUTHENTICATED)", "(UNAUTHENTICATED)", "(401)"),
    ]
    assert secret not in "".join(map(printed, results))
    assert caplog.text == ""


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_live_an_endpoint_that_never_answers_is_given_up(export_to: Exports, protocol: str) -> None:
    with listening() as silent:
        export_to(f"http://127.0.0.1:{port_of(silent)}", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)

        result = validate_setup(live=True, timeout=0.3)

    [(level, message)] = findings(result, "export")
    assert level == "error"
    assert "an empty request was not accepted" in message


@pytest.mark.parametrize("live", [False, True])
def test_a_certificate_that_is_not_there_is_an_error(export_to: Exports, live: bool) -> None:
    with listening() as server:
        export_to(
            f"https://127.0.0.1:{port_of(server)}", OTEL_EXPORTER_OTLP_CERTIFICATE="/nowhere.pem"
        )

        result = validate_setup(live=live, timeout=60)

    [(level, message)] = findings(result, "export")
    assert level == "error"
    assert "/nowhere.pem" in message


@pytest.mark.parametrize(
    "broken",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://collector"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:9",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere.pem",
        },
    ],
)
def test_a_started_client_that_can_export_nothing_is_an_error(
    export_to: Exports, broken: dict[str, str]
) -> None:
    export_to(broken.pop("OTEL_EXPORTER_OTLP_ENDPOINT"), **broken)
    genops.init()
    try:
        result = validate_setup()
    finally:
        genops.shutdown()

    assert findings(result, "export") == [("error", "no spans are exported")]


def test_a_started_client_that_was_told_to_export_nothing_is_a_warning() -> None:
    genops.init(exporter_type="none")
    try:
        result = validate_setup()
    finally:
        genops.shutdown()

    assert findings(result, "export") == [("warning", "no spans are exported")]


def test_a_base_url_that_is_none_is_a_warning_and_ignored_as_by_init(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "gateway-key")
    monkeypatch.setenv("GENOPS_OPENROUTER_BASE_URL", "gateway")

    result = validate_setup()

    assert [level for level, _ in findings(result, "api_key")] == ["error"]
    level, message = findings(result, "configuration")[0]
    assert level == "warning"
    assert "GENOPS_OPENROUTER_BASE_URL='gateway'" in message


def test_a_step_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    with pytest.raises(TimeoutError):
        within(0.01, lambda: release.wait(60))

    release.set()


def test_a_vendors_endpoint_warns_that_no_cost_will_be_there(export_to: Exports) -> None:
    # The proxy keeps the test from asking for the vendor's address.
    export_to("https://api.honeycomb.io", HTTPS_PROXY="http://127.0.0.1:9")

    result = validate_setup()

    assert result.is_valid
    said = findings(result, "export")
    assert [level for level, _ in said] == ["warning", "info"]
    assert "Honeycomb" in said[0][1]
    assert "genops-enricher" in said[0][1]
    assert said[1][1].endswith("by a proxy that was not tried")


def test_an_endpoint_that_is_none_is_an_error(export_to: Exports) -> None:
    export_to("ftp://collector")

    result = validate_setup()

    assert not result.is_valid
    assert findings(result, "export") == [("error", "no spans are exported")]
    level, message = findings(result, "configuration")[0]
    assert level == "warning"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT='ftp://collector'" in message


def test_exporting_nothing_on_purpose_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")

    result = validate_setup()

    assert result.is_valid
    assert findings(result, "export") == [("warning", "no spans are exported")]


def test_a_started_client_is_judged_by_what_init_was_told() -> None:
    with listening() as server:
        genops.init(
            exporter_type="otlp",
            otlp_endpoint=f"127.0.0.1:{port_of(server)}",
            otlp_headers={"x-key": None},
        )
        try:
            result = validate_setup()
        finally:
            genops.shutdown(0)

    assert findings(result, "export")[0][1].endswith("something listens there")
    said = findings(result, "configuration")
    assert [level for level, _ in said] == ["warning", "info"]
    assert "x-key" in said[0][1]
    assert said[1][1] == "calls are recorded, to: openrouter, openai"
    assert result.summary["initialized"] is True


def test_the_endpoint_of_the_environment_is_not_tried_beside_a_provider_of_the_applications(
    export_to: Exports, recorder: Recorder
) -> None:
    export_to("http://127.0.0.1:1")
    genops.init(tracer_provider=recorder.provider)

    result = validate_setup()

    assert findings(result, "export") == [("info", "spans go to: existing tracer provider")]


def test_a_client_that_was_uninstrumented_warns(recorder: Recorder) -> None:
    genops.init(tracer_provider=recorder.provider)
    genops.uninstrument()

    result = validate_setup()

    assert findings(result, "configuration") == [("warning", "no calls are recorded")]


def test_live_openrouter_is_asked_about_the_key_for_free(openrouter: FakeOpenRouter) -> None:
    client = instrument_openrouter(base_url=openrouter.base_url)
    client.chat_completions_create(model="openai/gpt-4o", messages=MESSAGES)
    client.client.close()
    before = openrouter.ledger.generations()

    result = validate_setup(live=True, timeout=60)

    assert result.is_valid
    [(level, message)] = findings(result, "openrouter")
    assert level == "info"
    assert message.startswith("OpenRouter accepts the key: no limit, $0.00 used")
    assert result.summary["openrouter_key"]["is_free_tier"] is False
    assert result.summary["openrouter_key"]["usage"] == float(openrouter.ledger.billed)
    assert openrouter.ledger.generations() == before


def test_live_a_key_that_openrouter_refuses_is_an_error_that_does_not_show_it(
    openrouter: FakeOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "refused-key")

    result = validate_setup(live=True, timeout=60)

    assert findings(result, "openrouter") == [
        ("error", f"OpenRouter at 127.0.0.1:{openrouter.port} does not accept the key (401)")
    ]
    assert "refused-key" not in printed(result)


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"limit": 100, "limit_remaining": 74.5}, ("info", "$74.50 of $100.00 left, $25.50 used")),
        ({"limit": 100, "limit_remaining": 0}, ("error", "limit of $100.00 is used up")),
        ({"is_management_key": True}, ("error", "calls no models")),
        ({"is_free_tier": True}, ("warning", "to free models only")),
    ],
)
def test_live_the_details_of_the_key_are_judged(
    scripted: ScriptedServer, details: dict[str, object], said: tuple[str, str]
) -> None:
    scripted.answer({"data": {"label": "sk-or-v1-012...def", "usage": 25.5, **details}})

    result = validate_setup(live=True, timeout=60)

    level, message = findings(result, "openrouter")[-1]
    assert level == said[0]
    assert said[1] in message
    assert scripted.last.path == "/api/v1/key"
    assert scripted.last.headers["authorization"] == f"Bearer {KEY}"
    assert "sk-or-v1-012" not in json.dumps(asdict(result))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (503, {"error": {"code": 503, "message": KEY}}, "answered 503 to GET /key"),
        (404, {}, "answered 404 to GET /key"),
        (200, {"models": []}, "answered GET /key with no details of a key"),
        (200, [], "answered GET /key with no details of a key"),
    ],
)
def test_live_any_other_answer_is_an_error_that_quotes_nothing(
    scripted: ScriptedServer, status: int, body: object, said: str
) -> None:
    scripted.answer(body, status=status)

    result = validate_setup(live=True, timeout=60)

    [(level, message)] = findings(result, "openrouter")
    assert level == "error"
    assert message.endswith(said)
    assert KEY not in printed(result)
    assert (status == 503) == ("Try again later" in printed(result))


def test_live_a_key_that_cannot_be_sent_is_not_sent(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", f" {KEY} ")

    result = validate_setup(live=True, timeout=60)

    assert [level for level, _ in findings(result, "api_key")] == ["error"]
    assert findings(result, "openrouter") == []
    assert scripted.requests == []


def test_live_an_openrouter_that_is_not_there_or_silent_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with listening() as silent:
        url = f"http://127.0.0.1:{port_of(silent)}/api/v1"
        monkeypatch.setenv("GENOPS_OPENROUTER_BASE_URL", url)
        results = [validate_setup(live=True, timeout=0.2)]
    monkeypatch.setenv("GENOPS_OPENROUTER_BASE_URL", "http://127.0.0.1:9/api/v1")
    results.append(validate_setup(live=True, timeout=60))

    for result in results:
        [(level, message)] = findings(result, "openrouter")
        assert level == "error"
        assert "cannot be asked" in message


@pytest.mark.parametrize("missing", ["openai", "genops_pricing", "grpc", "opentelemetry.exporter"])
def test_a_broken_installation_is_reported_and_raises_nothing(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from genops.providers.openrouter import validate_setup\n"
        "result = validate_setup(live=True, timeout=0.2)\n"
        "print([i.component for i in result.issues if 'could not be checked' in i.message])"
    )
    with listening() as server:
        endpoint = f"127.0.0.1:{port_of(server)}"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={
                **os.environ,
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
                "GENOPS_OPENROUTER_BASE_URL": f"http://{endpoint}",
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    checks = {"openai": "openrouter", "genops_pricing": "pricing"}
    assert done.stdout.strip() == str([checks.get(missing, "export")]), done.stderr


def test_a_result_is_printed_with_colours_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    result = validate_setup()
    on_terminal, without_colour = Terminal(), Terminal()
    print_validation_result(result, on_terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    print_validation_result(result, without_colour)

    assert "\x1b[32m" in on_terminal.getvalue()
    assert re.sub(r"\x1b\[\d+m", "", on_terminal.getvalue()) == printed(result)
    assert without_colour.getvalue() == printed(result)


def test_a_result_is_printed_on_stdout_with_its_verdict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_validation_result(validate_setup())
    monkeypatch.delenv("OPENROUTER_API_KEY")
    print_validation_result(validate_setup())

    out = capsys.readouterr().out
    assert "The setup is valid.\n" in out
    assert out.endswith("The setup is not valid: 1 error.\n")
