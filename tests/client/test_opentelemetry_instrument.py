"""`opentelemetry-instrument python app.py` records without a change to the application."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from client.otlp_receiver import PROTOCOLS, receiving
from client.processes import python
from client.scripted_server import ScriptedServer, completion
from genops.auto_instrumentation import GenOpsInstrumentor
from otlp import plain_attributes

COMMAND = (str(Path(sys.executable).with_name("opentelemetry-instrument")),)

CALL = (
    "import sys, openai\n"
    "client = openai.OpenAI(base_url=sys.argv[1], api_key='k', max_retries=0)\n"
    "print(client.chat.completions.create(model='openai/gpt-4o', messages=[]).id)\n"
)


def environment(endpoint: str, server: ScriptedServer) -> dict[str, str]:
    grpc = "://" not in endpoint
    return {
        "OTEL_SERVICE_NAME": "app",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{endpoint}" if grpc else endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc" if grpc else "http/protobuf",
        "OTEL_LOGS_EXPORTER": "none",
        "GENOPS_OPENROUTER_BASE_URL": server.url,
        "ENVIRONMENT": "staging",
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_calls_are_recorded_without_code(server: ScriptedServer, protocol: str) -> None:
    server.answer(completion())
    with receiving(protocol) as receiver:
        result = python(
            CALL, server.url, command=COMMAND, environ=environment(receiver.endpoint, server)
        )

        assert (result.returncode, result.stdout, result.stderr) == (0, "gen-1\n", "")
        (span,) = receiver.spans()
        assert span.name == "chat openai/gpt-4o"
        attributes = plain_attributes(span)
        assert attributes["genops.provider"] == "openrouter"
        assert attributes["genops.environment"] == "staging"


def test_init_in_such_an_application_records_and_exports_once(server: ScriptedServer) -> None:
    server.answer(completion())
    with receiving("http") as receiver:
        init = (
            "import genops, sys\n"
            "status = genops.init('mine', default_team='t', otlp_endpoint=sys.argv[2])\n"
            "print(status.exporter, '|', status.metrics_exporter)\n"
        )
        result = python(
            init + CALL,
            server.url,
            receiver.endpoint,
            command=COMMAND,
            environ=environment(receiver.endpoint, server),
        )

        assert result.stdout.splitlines() == [
            "existing tracer provider | existing meter provider",
            "gen-1",
        ], result.stderr
        (span,) = receiver.spans()
        assert plain_attributes(span)["genops.team"] == "t"


def test_init_in_such_an_application_adds_another_destination(server: ScriptedServer) -> None:
    server.answer(completion())
    with receiving("http") as receiver, receiving("http") as other:
        result = python(
            "import genops, sys; genops.init(otlp_endpoint=sys.argv[2])\n" + CALL,
            server.url,
            other.endpoint,
            command=COMMAND,
            environ=environment(receiver.endpoint, server),
        )

        assert result.returncode == 0
        assert len(receiver.spans()) == len(other.spans()) == 1


def test_the_instrumentor_can_be_named_in_the_list_of_the_disabled(server: ScriptedServer) -> None:
    server.answer(completion())
    with receiving("http") as receiver:
        python(
            CALL,
            server.url,
            command=COMMAND,
            environ=environment(receiver.endpoint, server),
            OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="genops",
        )

        assert receiver.spans() == []


def test_the_instrumentor_is_called_as_opentelemetry_calls_it() -> None:
    instrumentor = GenOpsInstrumentor()
    try:
        assert instrumentor.instrument(skip_dep_check=True) == {}
        assert instrumentor.instrumented() == ("openrouter", "openai")
    finally:
        instrumentor.uninstrument(skip_dep_check=True)

    assert instrumentor.instrumented() == ()
