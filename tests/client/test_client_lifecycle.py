"""init, status, shutdown; what needs a process of its own runs in one."""

from __future__ import annotations

import logging
from pathlib import Path

import openai
import pytest
from opentelemetry.sdk.trace import SpanProcessor

import genops
from client.processes import python
from client.recorder import Recorder
from client.scripted_server import CHUNKS, ScriptedServer, completion
from genops.auto_instrumentation import GenOpsInstrumentor


def test_importing_loads_the_trace_api_and_nothing_heavy() -> None:
    result = python(
        "import sys, genops, genops.auto_instrumentation, genops.core.context\n"
        "import genops.providers.openrouter\n"
        "heavy = ('opentelemetry.sdk', 'opentelemetry.exporter', 'opentelemetry.proto', 'grpc',\n"
        "         'google.protobuf', 'yaml', 'requests', 'openai', 'httpx', 'pydantic',\n"
        "         'genops_pricing', 'genops_enricher')\n"
        "print([name for name in heavy if name in sys.modules])"
    )

    assert result.stdout.strip() == "[]", result.stderr
    assert result.stderr == ""


def test_init_without_the_sdk_of_openai_says_so_and_goes_on() -> None:
    result = python(
        "import sys; sys.modules['openai'] = None\n"
        "import genops\n"
        "status = genops.init(exporter_type='none')\n"
        "print(status.instrumented_providers, sorted(status.not_instrumented))\n"
        "print(status.not_instrumented['openai'])"
    )

    assert result.stdout.splitlines() == [
        "() ['openai', 'openrouter']",
        "the openai package is not installed. hint: pip install openai",
    ]


def test_the_environment_alone_configures_export_and_resource() -> None:
    result = python(
        "import genops; print(genops.init().exporter)\n"
        "from opentelemetry import trace\n"
        "print(trace.get_tracer_provider().resource.attributes['service.name'])\n"
        "genops.shutdown(0)",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_SERVICE_NAME="from-environment",
    )

    assert result.stdout.splitlines() == [
        "otlp http/protobuf to http://127.0.0.1:1/v1/traces",
        "from-environment",
    ], result.stderr


def test_console_prints_spans_and_other_exporters_print_nothing(server: ScriptedServer) -> None:
    server.answer(completion())
    code = (
        "import genops, openai\n"
        "genops.init(service_name='app', exporter_type='%s')\n"
        f"client = openai.OpenAI(base_url={server.url!r}, api_key='k')\n"
        "client.chat.completions.create(model='m', messages=[])\n"
    )

    console, none = python(code % "console"), python(code % "none")

    assert '"name": "chat m"' in console.stdout
    assert '"service.name": "app"' in console.stdout
    assert (none.stdout, none.stderr) == ("", "")


def test_init_again_after_shutdown_exports_again(server: ScriptedServer) -> None:
    server.answer(completion())
    result = python(
        "import genops, openai\n"
        f"client = openai.OpenAI(base_url={server.url!r}, api_key='k')\n"
        "for name in ('first', 'second'):\n"
        "    genops.init(service_name=name, exporter_type='console')\n"
        "    client.chat.completions.create(model='m', messages=[])\n"
        "    assert genops.shutdown()\n"
        "client.chat.completions.create(model='m', messages=[])\n"
    )

    for name in ("first", "second"):
        assert f'"service.name": "{name}"' in result.stdout
    assert result.stdout.count('"name": "chat m"') == 2
    assert result.stderr == ""


def test_debug_logs_what_is_recorded_on_stderr(server: ScriptedServer) -> None:
    server.answer(completion())
    result = python(
        "import genops, openai\n"
        "genops.init(exporter_type='none', debug=True)\n"
        f"client = openai.OpenAI(base_url={server.url!r}, api_key='k')\n"
        "client.chat.completions.create(model='m', messages=[])\n"
    )

    assert "recorded chat m on openai_compatible" in result.stderr
    assert result.stdout == ""


def test_a_disabled_sdk_records_nothing_and_says_so(server: ScriptedServer) -> None:
    server.answer(completion())
    result = python(
        "import genops, openai\n"
        "print(genops.init(exporter_type='console').problems)\n"
        f"client = openai.OpenAI(base_url={server.url!r}, api_key='k')\n"
        "print(client.chat.completions.create(model='m', messages=[]).id)\n",
        OTEL_SDK_DISABLED="true",
    )

    assert result.stdout.splitlines() == [
        "('OTEL_SDK_DISABLED is true: nothing is recorded',)",
        "gen-1",
    ]


def test_an_application_provider_set_globally_is_found_and_kept(server: ScriptedServer) -> None:
    server.answer(completion())
    result = python(
        "import genops, openai\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter\n"
        "memory, provider = InMemorySpanExporter(), TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(memory))\n"
        "trace.set_tracer_provider(provider)\n"
        "status = genops.init(service_name='mine')\n"
        "print(status.exporter); print(status.problems)\n"
        f"client = openai.OpenAI(base_url={server.url!r}, api_key='k')\n"
        "client.chat.completions.create(model='m', messages=[])\n"
        "genops.shutdown()\n"
        "with provider.get_tracer('app').start_as_current_span('own'): pass\n"
        "print([span.name for span in memory.get_finished_spans()])\n"
    )

    assert result.stdout.splitlines() == [
        "existing tracer provider",
        "('service.name: not set, because the tracer provider exists already. "
        "Set them on its resource',)",
        "['chat m', 'own']",
    ], result.stderr


def test_status_tells_what_is_on(recorder: Recorder) -> None:
    before = genops.status()
    during = genops.init(tracer_provider=recorder.provider, default_team="t")
    genops.shutdown()
    after = genops.status()

    assert not before.initialized
    assert during.initialized
    assert during.exporter == "existing tracer provider"
    assert during.instrumented_providers == ("openrouter", "openai")
    assert during.default_attributes == {"genops.team": "t"}
    assert during.not_instrumented == {}
    assert not after.initialized
    assert after.instrumented_providers == ()


def test_a_second_init_changes_nothing_and_warns_if_it_would(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    first = genops.init(tracer_provider=recorder.provider, default_team="a")

    with caplog.at_level(logging.WARNING, "genops"):
        assert genops.init(tracer_provider=recorder.provider, default_team="a") == first
        assert caplog.records == []
        assert genops.init(default_team="b") == first

    assert "shutdown() first" in caplog.text


def test_a_wrong_argument_starts_nothing(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="exporter_type"):
        genops.init(tracer_provider=recorder.provider, exporter_type="jaeger")

    assert not genops.status().initialized
    assert genops.status().instrumented_providers == ()


def test_an_exporter_asked_for_is_added_to_an_existing_provider(server: ScriptedServer) -> None:
    server.answer(completion())
    result = python(
        "import genops, openai\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "print(genops.init(exporter_type='console').exporter)\n"
        f"client = openai.OpenAI(base_url={server.url!r}, api_key='k')\n"
        "client.chat.completions.create(model='m', messages=[])\n"
    )

    assert result.stdout.startswith("existing tracer provider, and console\n")
    assert '"name": "chat m"' in result.stdout


def test_shutdown_without_init_has_nothing_to_do() -> None:
    assert genops.shutdown()
    assert genops.shutdown()


def test_the_instrumentor_knows_the_providers_of_the_guide() -> None:
    instrumentor = GenOpsInstrumentor()

    assert "openrouter" in instrumentor.provider_patches
    assert "openai" in instrumentor.provider_patches
    assert instrumentor.instrumented() == ()
    with pytest.raises(ValueError, match="unknown providers"):
        instrumentor.instrument(["cohere"])


def test_a_stream_left_open_is_recorded_when_the_process_ends(server: ScriptedServer) -> None:
    server.stream()
    result = python(
        "import genops, openai\n"
        "genops.init(exporter_type='console')\n"
        f"client = openai.OpenAI(base_url={server.url!r}, api_key='k')\n"
        "stream = client.chat.completions.create(model='m', messages=[], stream=True)\n"
        "next(stream)\n"
    )

    assert '"genops.stream.completed": false' in result.stdout
    assert '"gen_ai.response.id": "gen-1"' in result.stdout
    assert result.stderr == ""


def test_shutdown_records_a_stream_left_open_and_the_stream_goes_on(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.stream()

    stream = client.chat.completions.create(model="m", messages=[], stream=True)
    next(stream)
    genops.shutdown()

    assert spans.attributes["genops.stream.completed"] is False
    assert len(list(stream)) == len(CHUNKS) - 1
    assert len(spans.all) == 1


def test_nothing_of_ours_stays_in_an_application_provider(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")  # a meter provider would stay set
    flushed: list[bool] = []

    class Last(SpanProcessor):
        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            flushed.append(True)
            return True

    genops.init(tracer_provider=recorder.provider, otlp_endpoint="http://127.0.0.1:1")
    recorder.provider.add_span_processor(Last())
    genops.shutdown()
    flushed.clear()

    assert recorder.provider.force_flush()
    assert flushed == [True]


def test_a_console_is_silent_after_shutdown() -> None:
    result = python(
        "import genops\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "genops.init(exporter_type='console')\n"
        "genops.shutdown()\n"
        "with trace.get_tracer('app').start_as_current_span('own'): pass\n"
    )

    assert (result.stdout, result.stderr) == ("", "")


def test_a_forked_child_has_no_threads_of_clients_that_were_shut_down() -> None:
    result = python(
        "import genops, os, threading\n"
        "for _ in range(3):\n"
        "    genops.init(exporter_type='none'); genops.shutdown()\n"
        "if os.fork() == 0:\n"
        "    print([thread.name for thread in threading.enumerate()], flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )

    assert result.stdout == "['MainThread']\n", result.stderr


def test_an_sdk_that_cannot_be_imported_stops_no_application(tmp_path: Path) -> None:
    (tmp_path / "openai.py").write_text("raise AttributeError('its dependency is too old')")
    result = python(
        "import genops\n"
        "print(genops.init(exporter_type='none').not_instrumented['openai'])\n"
        "print(genops.status().initialized)\n",
        PYTHONPATH=str(tmp_path),
    )

    assert result.stdout.splitlines() == [
        "the openai package cannot be used: AttributeError: its dependency is too old",
        "True",
    ], result.stderr


def test_init_after_uninstrument_records_again(
    client: openai.OpenAI, server: ScriptedServer, spans: Recorder
) -> None:
    server.answer(completion())
    genops.uninstrument()

    again = genops.init(tracer_provider=spans.provider, openrouter_base_url=server.url)
    client.chat.completions.create(model="m", messages=[])

    assert again.instrumented_providers == ("openrouter", "openai")
    assert len(spans.all) == 1


def test_a_provider_that_is_not_the_sdks_is_used_as_it_is(server: ScriptedServer) -> None:
    server.answer(completion())
    result = python(
        "import genops, openai\n"
        "from opentelemetry import trace\n"
        "trace.set_tracer_provider(trace.NoOpTracerProvider())\n"
        "print(genops.init().exporter)\n"
        f"client = openai.OpenAI(base_url={server.url!r}, api_key='k')\n"
        "print(client.chat.completions.create(model='m', messages=[]).id)\n"
    )

    assert result.stdout.splitlines() == ["existing tracer provider", "gen-1"]
    assert result.stderr == ""


def test_an_endpoint_of_a_vendor_is_a_problem_because_it_knows_no_cost() -> None:
    result = python(
        "import genops\n"
        "status = genops.init(otlp_endpoint='https://api.honeycomb.io')\n"
        "print(status.exporter); print(*status.problems)\n"
    )

    assert result.stdout.splitlines() == [
        "otlp http/protobuf to https://api.honeycomb.io/v1/traces",
        "spans sent straight to Honeycomb (api.honeycomb.io) carry no cost: "
        "send them through genops-enricher",
    ], result.stderr
    assert "carry no cost" in result.stderr


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "127.0.0.1:1"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "ten"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/does/not/exist.pem"),
    ],
)
def test_settings_that_no_exporter_can_use_are_problems(
    endpoint: str, variable: str, value: str
) -> None:
    result = python(
        "import genops\n"
        "status = genops.init(service_name='app')\n"
        "print(status.exporter, status.metrics_exporter, status.instrumented_providers)\n"
        "print(*status.problems, sep='\\n')\n",
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        environ={variable: value},
    )

    first, *problems = result.stdout.splitlines()
    assert first == "none none ('openrouter', 'openai')"
    assert [variable in problem for problem in problems] == [True, True]


def test_a_signal_s_own_setting_leaves_the_other_signal_alone() -> None:
    result = python(
        "import genops\n"
        "status = genops.init(service_name='app')\n"
        "print(status.exporter); print(status.metrics_exporter); genops.shutdown(0)\n",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_METRICS_TIMEOUT="ten",
    )

    assert result.stdout.splitlines() == [
        "otlp http/protobuf to http://127.0.0.1:1/v1/traces",
        "none",
    ]


def test_an_exporter_for_a_provider_that_takes_none_is_a_problem() -> None:
    result = python(
        "import genops\n"
        "from opentelemetry import trace\n"
        "trace.set_tracer_provider(trace.NoOpTracerProvider())\n"
        "status = genops.init(otlp_endpoint='127.0.0.1:1')\n"
        "print(status.exporter, len(status.problems))\n"
    )

    assert result.stdout == "existing tracer provider, and none 1\n", result.stderr


def test_threads_that_start_the_client_at_once_start_one(server: ScriptedServer) -> None:
    server.answer(completion())
    result = python(
        "import genops, openai, threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "start = threading.Barrier(8)\n"
        "def init(_):\n"
        "    start.wait(); return genops.init('app', exporter_type='console', default_team='t')\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    assert len(set(map(repr, pool.map(init, range(8))))) == 1\n"
        f"client = openai.OpenAI(base_url={server.url!r}, api_key='k')\n"
        "client.chat.completions.create(model='m', messages=[])\n"
    )

    assert result.stdout.count('"name": "chat m"') == 1
    assert result.stdout.count('"genops.team": "t"') == 1
    assert result.stderr == ""


def test_spans_of_the_application_are_exported_after_shutdown_and_init_too() -> None:
    result = python(
        "import genops\n"
        "from opentelemetry import trace\n"
        "tracer = trace.get_tracer('app')\n"
        "for name in ('first', 'second'):\n"
        "    genops.init('app', exporter_type='console')\n"
        "    tracer.start_span(name).end()\n"
        "    genops.shutdown()\n"
    )

    assert result.stdout.count('"name": "first"') == 1
    assert result.stdout.count('"name": "second"') == 1
    assert result.stderr == ""


def test_another_product_of_the_same_name_is_a_problem(tmp_path: Path) -> None:
    other = tmp_path / "genops-0.1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: genops\nVersion: 0.1\n")
    result = python(
        "import genops; print(len(genops.init(exporter_type='none').problems))",
        PYTHONPATH=str(tmp_path),
    )

    assert result.stdout == "1\n"
    assert "pip uninstall" in result.stderr
