"""OpenRouter's own functions export as the environment says, without a call of `genops.init`."""

from __future__ import annotations

import pytest

from client.otlp_receiver import receiving
from client.processes import python
from client.scripted_server import ScriptedServer, completion
from otlp import plain_attributes

ADAPTER = """
from genops.providers.openrouter import instrument_openrouter
client = instrument_openrouter(api_key="k", max_retries=0)
client.chat_completions_create(model="openai/gpt-4o", messages=[], team="a")
"""

PATCH = """
import openai, os
from genops.providers.openrouter import patch_openrouter
patch_openrouter()
for url in (os.environ["GENOPS_OPENROUTER_BASE_URL"], os.environ["OTHER"]):
    client = openai.OpenAI(base_url=url, api_key="k", max_retries=0)
    client.chat.completions.create(model="openai/gpt-4o", messages=[])
"""

THEN_INIT = """
import sys, genops
genops.init(service_name="later", otlp_endpoint=sys.argv[1], otlp_protocol="grpc")
client.chat_completions_create(model="openai/gpt-4o", messages=[], team="b")
"""

WITH_A_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)
"""


@pytest.mark.parametrize("code", [ADAPTER, PATCH], ids=["adapter", "patch"])
def test_spans_of_openrouter_calls_go_where_the_environment_says(
    server: ScriptedServer, code: str
) -> None:
    server.answer(completion())
    server.answer(completion())
    with receiving("grpc") as receiver:
        done = python(
            code,
            GENOPS_OPENROUTER_BASE_URL=server.url,
            OTHER=server.url.replace("127.0.0.1", "localhost"),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_SERVICE_NAME="app",
        )

        assert (done.returncode, done.stderr) == (0, "")
        (span,) = receiver.spans()
    assert span.name == "chat openai/gpt-4o"


@pytest.mark.parametrize("exporter", ["", "none"])
def test_nothing_is_started_unless_the_environment_asks(
    server: ScriptedServer, exporter: str
) -> None:
    server.answer(completion())
    done = python(
        ADAPTER + "import genops, sys; print(genops.status().initialized, 'grpc' in sys.modules)",
        GENOPS_OPENROUTER_BASE_URL=server.url,
        OTEL_TRACES_EXPORTER=exporter,
    )

    assert (done.stdout, done.stderr) == ("False False\n", "")


def test_a_later_init_has_its_way(server: ScriptedServer) -> None:
    server.answer(completion())
    server.answer(completion())
    with receiving("grpc") as first, receiving("grpc") as second:
        done = python(
            ADAPTER + THEN_INIT,
            second.endpoint,
            GENOPS_OPENROUTER_BASE_URL=server.url,
            OTEL_EXPORTER_OTLP_ENDPOINT=first.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        )

        assert (done.returncode, done.stderr) == (0, "")
        teams = [
            [plain_attributes(span)["genops.team"] for span in receiver.spans()]
            for receiver in (first, second)
        ]
    assert teams == [["a"], ["b"]]


def test_the_applications_own_tracer_provider_is_left_alone(server: ScriptedServer) -> None:
    server.answer(completion())
    with receiving("grpc") as receiver:
        done = python(
            WITH_A_PROVIDER + ADAPTER,
            GENOPS_OPENROUTER_BASE_URL=server.url,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
        )

        assert '"name": "chat openai/gpt-4o"' in done.stdout
        assert receiver.spans() == []


def test_an_environment_that_cannot_be_used_does_not_break_the_client(
    server: ScriptedServer,
) -> None:
    server.answer(completion())
    done = python(
        ADAPTER + "print('done')",
        GENOPS_OPENROUTER_BASE_URL=server.url,
        OTEL_EXPORTER_OTLP_ENDPOINT="ftp://nowhere",
    )

    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "ftp" in done.stderr
