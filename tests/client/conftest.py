from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

import genops
from client.recorder import Recorder
from client.scripted_server import ScriptedServer, serve


@pytest.fixture(autouse=True)
def no_outer_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests decide on the environment themselves, and leave a client that is stopped."""
    for name in (
        *("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"),
        *("OPENROUTER_API_KEY", "OPENAI_API_KEY", "ENVIRONMENT", "GENOPS_OPENROUTER_BASE_URL"),
    ):
        monkeypatch.delenv(name, raising=False)
    yield
    genops.shutdown()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    httpd = serve(scripted)
    yield scripted
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def recorder() -> Recorder:
    """Where the spans of the test arrive; the client is not started yet."""
    return Recorder()


@pytest.fixture
def spans(recorder: Recorder, server: ScriptedServer) -> Recorder:
    """The client is started, and the scripted server is OpenRouter."""
    genops.init(tracer_provider=recorder.provider, openrouter_base_url=server.url)
    return recorder


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key="sk-secret", max_retries=0) as client:
        yield client
